"""Headers that the user adds to the handshake. Pure."""

from __future__ import annotations

import re

Headers = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_KEYS = {"authorization", "proxy-authorization", "api-key", "x-api-key", "xi-api-key", "cookie"}
"""What is read over the shoulder: an argument is visible to everyone on the machine, a config file is passed on."""
_HANDSHAKE = {"connection", "content-length", "host", "transfer-encoding", "upgrade"}


def parse_header(text: object) -> tuple[str, str]:
    """``Name: value`` as a pair. Raises ValueError with what it must be, to follow the word "must"."""
    name, colon, value = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not colon:
        raise ValueError("be written 'Name: value'")
    return checked(name.strip(), value.strip())


def checked(name: str, value: object) -> tuple[str, str]:
    """A header that may go into the handshake (RFC 9110 section 5, RFC 6455 section 4.1).

    Raises:
        ValueError: It has characters that no header has, or it would carry a key or change the handshake itself.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("have a name of letters, digits and dashes")
    if name.lower() in _KEYS:
        raise ValueError(f"not carry a key, as {name} does: use --api-key-file, --api-key-cmd or RT_API_KEY")
    if name.lower() in _HANDSHAKE or name.lower().startswith("sec-websocket-"):
        raise ValueError(f"leave {name} to the handshake")
    if not (isinstance(value, str) and value.isascii() and value.isprintable()):
        raise ValueError("have a value of printable ASCII")
    return name, value


def last_of_each(headers: Headers) -> Headers:
    """Of several headers with one name the last, whatever its case."""
    return tuple({name.lower(): (name, value) for name, value in headers}.values())
