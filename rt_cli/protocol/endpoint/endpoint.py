"""Which endpoint, and how it is reached. Pure: the environment is a mapping passed in."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects import OPENAI, dialect_for
from rt_cli.protocol.endpoint.headers import last_of_each
from rt_cli.protocol.endpoint.url import Address, parse_address, websocket_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rt_cli.protocol.dialects import Dialect
    from rt_cli.protocol.endpoint.headers import Headers
    from rt_cli.settings import EndpointSettings

__all__ = ["EMBEDDED_MODEL", "Choice", "Endpoint", "Trust", "choose", "resolve", "trust_of", "websocket_url"]

EMBEDDED_MODEL = "pocketsphinx"
"""The model that the embedded endpoint is asked for, unless the user names another."""

_OPENAI_URL = "https://api.openai.com"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which endpoint it is to be, and why."""

    kind: Literal["url", "openai", "embedded"]
    url: str | None
    """As it was given, for :func:`resolve`; may hold secrets. None: start the embedded endpoint."""
    reason: str
    """To be said on stderr, after the endpoint: ``because ...``."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a ``wss`` endpoint is checked against, and what it is shown; files are PEM."""

    cacert: str | None = None
    """More certificate authorities."""
    client_cert: str | None = None
    """What is shown to an endpoint that asks, with its chain."""
    client_key: str | None = None
    """Its key, where it is not in the same file."""
    insecure: bool = False
    """Check nothing."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """All that is needed to connect. Its ``repr`` holds no secret."""

    url: str = field(repr=False)
    """``ws`` or ``wss``; may hold keys in its query, never user or password."""
    shown: str
    """The URL for people."""
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    dialect: Dialect
    model: str
    embedded: bool
    loopback: bool
    more_headers: Headers = field(default=(), repr=False)
    """Of the user; no keys."""
    proxy: str | None = field(default=None, repr=False)
    """None: as the environment says, and none on this machine."""
    trust: Trust = Trust()


def choose(settings: EndpointSettings, environ: Mapping[str, str]) -> Choice:
    """Which endpoint: ``--local``, else the URL, else OpenAI if its key is set, else the embedded one.

    Raises:
        UsageError: A key or a dialect that belongs to an endpoint was given, and no URL says to which; an unknown
            dialect.
    """
    if settings.local:
        dialect_for(settings.dialect, "localhost")  # a slip of the finger is told, though it would change nothing
        return Choice("embedded", None, "--local was given")
    if settings.url is not None:
        reason = f"profile {settings.profile}" if settings.profile else "a URL was given"
        return Choice("url", settings.url, reason)
    if settings.api_key_file or settings.api_key_cmd or settings.key_env:
        raise UsageError("a key was given, but no endpoint that it is for", "add --url")
    if settings.dialect not in {None, "auto", OPENAI.name}:
        raise UsageError(f"the dialect is {settings.dialect}, but no endpoint was given", "add --url")
    if environ.get(OPENAI.key_variable, "").strip():
        return Choice("openai", _OPENAI_URL, f"{OPENAI.key_variable} is set")
    return Choice("embedded", None, "no endpoint is configured")


def resolve(settings: EndpointSettings, url: str, key: str | None, *, embedded: bool = False) -> Endpoint:
    """The endpoint at a URL.

    Args:
        settings: Dialect and model.
        url: Of the :class:`Choice`, or of the embedded endpoint once it listens.
        key: Cleaned; None for none.
        embedded: It is our own.

    Raises:
        UsageError: A bad URL or dialect, a key that would travel unencrypted, or two credentials for one header.
    """
    address = parse_address(url, OPENAI.name if embedded else settings.dialect)
    _check_secrecy(address, key)
    default = EMBEDDED_MODEL if embedded else address.dialect.default_model
    return Endpoint(
        url=address.url,
        shown=address.shown,
        headers=_headers(address, key),
        dialect=address.dialect,
        model=settings.model or default,
        embedded=embedded,
        loopback=address.loopback,
        more_headers=() if embedded else last_of_each(settings.headers),
        proxy=None if embedded else settings.proxy,
        trust=trust_of(settings),
    )


def trust_of(settings: EndpointSettings) -> Trust:
    """What the settings say about certificates."""
    return Trust(settings.cacert, settings.client_cert, settings.client_key, settings.insecure)


def _check_secrecy(address: Address, key: str | None) -> None:
    if address.scheme == "ws" and not address.loopback and (key is not None or address.holds_secret):
        raise UsageError(f"no key goes to {address.host} over an unencrypted connection", "use https:// or wss://")


def _headers(address: Address, key: str | None) -> tuple[tuple[str, str], ...]:
    headers = address.dialect.auth_headers(key)
    if address.credentials is None:
        return headers
    if any(name == "Authorization" for name, _ in headers):
        raise UsageError("both a key and a user name in the URL", "give one of them")
    credentials = address.credentials if ":" in address.credentials else f"{address.credentials}:"
    return (*headers, ("Authorization", f"Basic {b64encode(credentials.encode()).decode()}"))
