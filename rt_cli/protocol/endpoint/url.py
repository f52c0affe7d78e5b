"""Parse the URL that a user writes, and complete it to a WebSocket URL. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from msgspec import Struct

from rt_cli.errors import UsageError
from rt_cli.masking import MASK, is_secret_parameter
from rt_cli.protocol.dialects import dialect_for

if TYPE_CHECKING:
    from rt_cli.protocol.dialects import Dialect
    from rt_cli.protocol.dialects.dialect import Query
    from rt_cli.settings import SessionType

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?")
_EXAMPLES = "write it like https://HOST or ws://localhost:8765"


class Address(Struct, frozen=True):
    """A parsed and completed URL. ``url`` and ``shown`` never hold user or password."""

    scheme: str
    """``ws`` or ``wss``."""
    host: str
    """Lower case, ASCII, IPv6 without brackets."""
    port: int | None
    path: str
    query: Query
    dialect: Dialect
    credentials: str | None
    """``user:password`` of the URL, unquoted."""

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine by definition."""
        return is_loopback(self.host)

    @property
    def holds_secret(self) -> bool:
        """Whether the URL contains a secret."""
        return self.credentials is not None or any(is_secret_parameter(name) for name, _ in self.query)

    @property
    def url(self) -> str:
        """URL to connect to; may hold keys in its query."""
        return self._text(self.query)

    @property
    def shown(self) -> str:
        """URL for messages: ``***`` replaces values of parameters with the name of a secret."""
        return self._text(tuple((name, MASK if is_secret_parameter(name) else value) for name, value in self.query))

    def _text(self, query: tuple[tuple[str, str], ...]) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return with_parameters(f"{self.scheme}://{host}{port}{self.path}", query)


def parse_address(
    text: str,
    dialect: str | None = None,
    *,
    conversation: bool = False,
    session_type: SessionType | None = None,
) -> Address:
    """Parse the URL of an endpoint.

    http and https become ws and wss. The dialect completes path and parameters. A URL without a scheme must name this
    machine.

    Args:
        text: The URL.
        dialect: Name of a dialect; None or ``auto`` selects it by the host.
        conversation: Whether the sessions are conversations.
        session_type: What is asked for otherwise; None: what the dialect has.

    Raises:
        UsageError: Not the URL of an endpoint; the message shows no secret.
    """
    parts = _split(text.strip())
    host = _host(parts)
    resolved = dialect_for(dialect, host)
    if conversation:
        resolved = resolved.for_conversations()
    elif session_type is not None:
        resolved = resolved.for_listening() if session_type == "realtime" else resolved.for_transcriptions()
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    credentials = parts.netloc.rpartition("@")[0]
    return Address(
        scheme=_SCHEMES[parts.scheme],
        host=host,
        port=_port(parts),
        path=resolved.path(quote(parts.path, safe="/%:@!$&'()*+,;=~")),
        query=resolved.query(query, own_host=resolved.owns(host)),
        dialect=resolved,
        credentials=unquote(credentials) if credentials else None,
    )


def with_parameters(url: str, query: Query) -> str:
    """Return the URL with more parameters behind its own."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query, safe='*:/')}" if query else url


def with_query_of(url: str, dialect: Dialect) -> str:
    """Return a completed URL with the parameters of another dialect than the one that completed it.

    Raises:
        UsageError: The dialect refuses a parameter of the URL.
    """
    head, _, query = without_parameter(url, "intent").partition("?")
    return with_parameters(head, dialect.query(tuple(parse_qsl(query, keep_blank_values=True)), own_host=False))


def without_parameter(url: str, name: str) -> str:
    """Return a completed URL without a parameter."""
    head, _, query = url.partition("?")
    kept = [(key, value) for key, value in parse_qsl(query, keep_blank_values=True) if key != name]
    return with_parameters(head, tuple(kept))


def parameter_of(url: str, name: str) -> str | None:
    """Return the value of a parameter in the query of a URL; None without it."""
    return next((value for key, value in parse_qsl(urlsplit(url).query, keep_blank_values=True) if key == name), None)


def is_loopback(host: str) -> bool:
    """Return whether a host (lower case, no brackets) is this machine: localhost or a loopback address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(text: str) -> SplitResult:
    # urlsplit drops tabs and line ends silently, and browsers read a backslash as a slash.
    if not text or not text.isprintable() or " " in text or "\\" in text:
        raise UsageError("the URL is empty or has spaces in it", _EXAMPLES)
    if "://" not in text:
        return _split_bare(text)
    try:
        parts = urlsplit(text)
    except ValueError:
        raise UsageError("the URL is malformed", _EXAMPLES) from None
    if parts.scheme not in _SCHEMES:
        raise UsageError(f"the URL has the scheme {parts.scheme!r}", "use http, https, ws or wss")
    if parts.fragment:
        raise UsageError("the URL has a fragment", "take away what follows the #")
    return parts


def _split_bare(text: str) -> SplitResult:
    try:
        parts = urlsplit(f"ws://{text}")
        loopback = parts.hostname is not None and is_loopback(parts.hostname)
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError("the URL has no scheme", _EXAMPLES)
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        if ":" in host:
            return str(ipaddress.IPv6Address(host))
        if not host.isascii():
            host = host.encode("idna").decode().lower()
    except ValueError:
        host = ""
    if not _HOST.fullmatch(host):
        raise UsageError("the URL has no valid host", _EXAMPLES)
    return host


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise UsageError("the URL has no valid port", "a port is a number from 1 to 65535")
    return port
