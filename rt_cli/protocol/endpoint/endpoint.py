"""Choose and resolve the endpoint. Pure: the environment is a mapping passed in."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects import OPENAI, dialect_for
from rt_cli.protocol.endpoint.headers import last_per_name
from rt_cli.protocol.endpoint.openai_base import BASE_VARIABLE, OPENAI_URL, openai_base
from rt_cli.protocol.endpoint.url import (
    Address,
    parameter_of,
    parse_address,
    with_parameters,
    with_query_of,
    without_parameter,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rt_cli.protocol.dialects import Dialect
    from rt_cli.protocol.dialects.dialect import Query, SessionRequest
    from rt_cli.protocol.endpoint.headers import Headers
    from rt_cli.settings import EndpointSettings, SessionSettings, SessionType, TurnDetection

__all__ = ["EMBEDDED_MODEL", "Choice", "Endpoint", "Trust", "choose", "resolve", "trust_of"]

EMBEDDED_MODEL = "pocketsphinx"
"""Default model of the embedded endpoint, if it has no better recogniser."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen endpoint and the reason."""

    kind: Literal["url", "openai", "embedded"]
    url: str | None
    """URL of the settings, for :func:`resolve`; may hold secrets. None: start the embedded endpoint."""
    reason: str
    """What chose it, for people: an option, a variable, a profile."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Certificates for a ``wss`` endpoint; files are PEM."""

    cacert: str | None = None
    """Additional certificate authorities."""
    client_cert: str | None = None
    """Client certificate with its chain, for an endpoint that requests one."""
    client_key: str | None = None
    """Private key of the client certificate, if it is in another file."""
    insecure: bool = False
    """Do not verify the endpoint's certificate."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Everything needed to connect. The ``repr`` holds no secret."""

    url: str = field(repr=False)
    """``ws`` or ``wss``; may hold keys in its query, never user or password."""
    shown: str
    """URL for messages, with secrets masked."""
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    dialect: Dialect
    model: str
    embedded: bool
    loopback: bool
    more_headers: Headers = field(default=(), repr=False)
    """Extra headers of the user; no keys."""
    proxy: str | None = field(default=None, repr=False)
    """None: use the proxy of the environment, and no proxy for this machine."""
    trust: Trust = Trust()
    official: bool = False
    """The host belongs to the provider of the dialect."""
    bare: tuple[str, str] | None = field(default=None, repr=False)
    """``url`` and ``shown`` without the parameters of a session; None if they have none."""

    @property
    def host(self) -> str:
        """Host and port for messages; without a port if it is that of the scheme."""
        return urlsplit(self.shown).netloc

    @property
    def known(self) -> bool:
        """Whether its protocol is known in full."""
        return self.official or self.embedded

    def request(
        self, settings: SessionSettings, turns: TurnDetection | None, *, url_model: bool = True
    ) -> SessionRequest:
        """Return the session to ask for.

        Args:
            settings: Settings of the user.
            turns: The turn detection that the user wants; None to choose.
            url_model: Whether the URL names the model, where the dialect wants it there.

        Raises:
            UsageError: The provider does not take such a session.
        """
        request = self.dialect.request(settings, self.model, turns, embedded=self.embedded)
        if self.dialect.translates:
            return replace(request, query=() if self._names_model else request.query)
        if self.embedded:
            return request
        wanted = (
            self.dialect.url_query(self.model, own_host=self.official) if url_model and not self._names_model else ()
        )
        return replace(request, query=(*request.query, *wanted), detect=not self.official)

    @property
    def _names_model(self) -> bool:
        """Whether the user's URL names a model."""
        return parameter_of(self.bare[0] if self.bare else self.url, "model") is not None

    def listening(self) -> Endpoint:
        """Return the endpoint for a conversation that is only listened to.

        Raises:
            UsageError: The provider has none that ``rt`` speaks.
        """
        url, shown = (without_parameter(each, "intent") for each in self.bare or (self.url, self.shown))
        return replace(self, url=url, shown=shown, bare=None, dialect=self.dialect.for_listening())

    def translating(self, model: str | None) -> Endpoint:
        """Return the endpoint of the translations beside these conversations.

        Args:
            model: That the user wants; None for the one of the URL, or else for the usual one.

        Raises:
            UsageError: The provider has none, two models were given, or the URL asks for a transcription.
        """
        dialect = self.dialect.for_translations()
        named = parameter_of(self.url, "model")
        if named and model:
            raise UsageError("both --model and a model in the URL", "give one of them")
        dialect.query(tuple(parse_qsl(urlsplit(self.url).query)), own_host=self.official)
        url, shown = (
            urlunsplit(urlsplit(each)._replace(path=dialect.path(urlsplit(each).path)))
            for each in (self.url, self.shown)
        )
        chosen = named or model or dialect.default_model
        return replace(self, url=url, shown=shown, dialect=dialect, model=chosen)

    def speaking(self, dialect: Dialect) -> Endpoint:
        """Return the endpoint with another dialect; a model that nobody named is none of that dialect.

        Raises:
            UsageError: The dialect refuses a parameter of the URL.
        """
        url, shown = (with_query_of(each, dialect) for each in self.bare or (self.url, self.shown))
        model = self.model if self.model != self.dialect.default_model else dialect.default_model
        return replace(self, url=url, shown=shown, bare=None, dialect=dialect, model=model)

    def with_query(self, query: Query) -> Endpoint:
        """Return the endpoint with these parameters of a session in its URL, in place of those of another session."""
        url, shown = bare = self.bare or (self.url, self.shown)
        if not query:
            return self if self.bare is None else replace(self, url=url, shown=shown, bare=None)
        return replace(self, url=with_parameters(url, query), shown=with_parameters(shown, query), bare=bare)


def choose(settings: EndpointSettings, environ: Mapping[str, str]) -> Choice:
    """Choose the endpoint: ``--local``, else the URL, else OpenAI if its key is set, else the embedded one.

    OpenAI's URL is that of ``OPENAI_BASE_URL``, which users of a gateway have set; without a key it chooses nothing.

    Raises:
        UsageError: A key or a dialect without a URL that it belongs to; an unknown dialect; an invalid variable.
    """
    if settings.local:
        if settings.dialect is not None:
            dialect_for(settings.dialect, "localhost")  # report a typing error, although the value has no effect here
        return Choice("embedded", None, "--local")
    if settings.url is not None:
        reason = f"profile {settings.profile}" if settings.profile else settings.url_origin or "a URL was given"
        return Choice("url", settings.url, reason)
    if settings.api_key_file or settings.api_key_cmd or settings.key_env:
        raise UsageError("a key was given, but no endpoint that it is for", "add --url")
    if settings.dialect not in {None, "auto", OPENAI.name}:
        raise UsageError(f"the dialect is {settings.dialect}, but no endpoint was given", "add --url")
    if environ.get(OPENAI.key_variable, "").strip():
        base = openai_base(environ)
        return Choice(
            "openai", base or OPENAI_URL, f"{OPENAI.key_variable} {f'and {BASE_VARIABLE} are' if base else 'is'} set"
        )
    return Choice("embedded", None, "no endpoint is configured")


def resolve(
    settings: EndpointSettings,
    url: str,
    key: str | None,
    *,
    embedded: bool = False,
    embedded_model: str = EMBEDDED_MODEL,
    conversation: bool = False,
    session_type: SessionType | None = None,
) -> Endpoint:
    """Build the endpoint for a URL.

    Args:
        settings: Dialect, model, headers, proxy and certificates.
        url: URL of the :class:`Choice`, or of the embedded endpoint once it listens.
        key: Result of ``clean_key``; None for no key.
        embedded: True for the embedded endpoint.
        embedded_model: Default model of the embedded endpoint: its recogniser.
        conversation: Whether the sessions are conversations.
        session_type: What is asked for otherwise; None: what the dialect has.

    Raises:
        UsageError: A bad URL or dialect, a key on an unencrypted connection, or two credentials for one header.
    """
    dialect = OPENAI.name if embedded else settings.dialect
    address = parse_address(url, dialect, conversation=conversation, session_type=session_type)
    _check_secrecy(address, key)
    default = embedded_model if embedded else address.dialect.default_model
    return Endpoint(
        url=address.url,
        shown=address.shown,
        headers=_headers(address, key),
        dialect=address.dialect,
        model=settings.model or default,
        embedded=embedded,
        loopback=address.loopback,
        more_headers=() if embedded else last_per_name(settings.headers),
        proxy=None if embedded else settings.proxy,
        trust=trust_of(settings),
        official=address.dialect.owns(address.host),
    )


def trust_of(settings: EndpointSettings) -> Trust:
    """Return the certificate settings."""
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
