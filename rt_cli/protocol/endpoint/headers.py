"""Extra handshake headers of the user. Pure."""

from __future__ import annotations

import re

Headers = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_KEYS = {"authorization", "proxy-authorization", "api-key", "x-api-key", "xi-api-key", "cookie"}
"""Refused, because they carry keys: every user of the machine can see arguments, and config files are shared."""
_HANDSHAKE = {"connection", "content-length", "host", "transfer-encoding", "upgrade"}


def parse_header(text: object) -> tuple[str, str]:
    """Parse ``Name: value``.

    Raises:
        ValueError: The text is no valid header; the message continues a sentence after the word "must".
    """
    name, colon, value = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not colon:
        raise ValueError("be written 'Name: value'")
    return checked(name.strip(), value.strip())


def checked(name: str, value: object) -> tuple[str, str]:
    """Validate a header for the handshake (RFC 9110 section 5, RFC 6455 section 4.1).

    Raises:
        ValueError: The header has invalid characters, carries a key, or belongs to the handshake itself.
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


def last_per_name(headers: Headers) -> Headers:
    """Keep only the last header of each name; names are case-insensitive."""
    return tuple({name.lower(): (name, value) for name, value in headers}.values())
