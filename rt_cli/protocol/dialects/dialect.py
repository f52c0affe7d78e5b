"""A provider: its address, its key, its session, its codec. A subclass, one line in the registry. Pure."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.hosts import is_among

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.settings import SessionSettings, TurnDetection

Query = tuple[tuple[str, str], ...]
"""Parameters of a URL, decoded, in order."""


def with_intent(query: Query) -> Query:
    """Return the parameters with ``intent=transcription``, unless they have an intent."""
    return query if any(name == "intent" for name, _ in query) else (*query, ("intent", "transcription"))


def chosen_threshold(settings: SessionSettings) -> float | None:
    """Return the VAD threshold that the user asks for; None if nobody does: endpoints have scales of their own."""
    return None if settings.vad_threshold == type(settings)().vad_threshold else settings.vad_threshold


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """The session that is asked for: 16-bit mono PCM in, transcripts out."""

    turns: TurnDetection
    """Which side detects turns."""
    rate_hz: int
    """Sample rate of the PCM on the wire."""
    body: Mapping[str, object] = field(default_factory=dict)
    """The session object of the provider; empty if the URL says everything."""
    query: Query = ()
    """Parameters of the URL that belong to the session."""
    conversation: bool = False
    """The endpoint replies; a conversation goes on without the words of the user."""
    listening: bool = False
    """The session is a conversation that is only listened to: replies are off, and cancelled where they come."""
    detect: bool = False
    """The protocol of the endpoint is not known in full: its greeting says which shape of a session it takes."""
    asks: bool = False
    """Each turn of a conversation needs a request for a reply; else the endpoint replies by itself."""
    spoken: bool = True
    """The replies of a conversation are sound with its words; else text."""
    reply_rate_hz: int | None = None
    """Sample rate of the sound of replies; None: that of the session."""


@dataclass(frozen=True, slots=True)
class ConversationWish:
    """What is asked of the replies of a conversation."""

    transcription_model: str = ""
    """Model that writes down what the user says; empty: the usual one of the provider."""
    voice: str | None = None
    instructions: str | None = None
    spoken: bool = True
    """Replies are audio; else text."""
    tools: tuple[Mapping[str, object], ...] = ()
    """Function tools, as in the session object."""


@dataclass(frozen=True, slots=True)
class Conversations:
    """What the conversations of a provider are like; by default, like OpenAI's."""

    model: str = ""
    """The model that replies, if nobody names one."""
    transcription_model: str = "gpt-4o-mini-transcribe"
    """The model that writes down what the user says, if nobody names one."""
    turns: frozenset[TurnDetection] = frozenset(("server_vad", "semantic_vad", "client"))
    """Who may make the turns."""
    answers_commits: bool = False
    """A commit asks for a reply, so that no request may follow it."""
    always_speaks: bool = False
    """Replies cannot be text."""
    reply_rate_hz: int | None = None
    """Sample rate of the sound of replies; None: that of the session."""
    lacks: frozenset[str] = frozenset()
    """Types of client events that the endpoint does not know: they are not sent."""


@dataclass(frozen=True)
class Dialect(ABC):
    """A provider. What the methods do not ask about is the same for all."""

    name: str
    hosts: tuple[str, ...]
    """Hosts of the provider; a leading dot matches all subdomains."""
    key_variable: str
    """Environment variable that holds the key for these hosts, and for no other; empty without hosts."""
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    key_shape: tuple[str, str] | None = None
    """What its keys look like: a regular expression, and words for it; None if unknown."""
    rate_hz: int = 24_000
    """Sample rate of the PCM on the wire."""
    default_model: str = ""

    title: str = ""
    """The endpoint, for people."""
    turns_by: str = "the endpoint"
    """Who makes the turns if nobody asks for anything else, for people."""
    partials: bool = True
    """Words come before the end of their turn."""
    exact: bool = True
    """Turns have exact times, so that a replay doubles nothing."""

    conversations: Conversations | None = None
    """Its conversations; None: ``rt`` only transcribes with it."""
    listens: bool = False
    """Sessions are conversations that are only listened to; else transcriptions."""
    negotiates: bool = False
    """Where a session is refused another one may do: any server may speak this dialect."""

    greets: bool = True
    """The endpoint says ``SessionCreated`` before it takes a configuration."""
    confirms: bool = True
    """It answers the configuration with ``SessionUpdated``; else it takes audio without a word."""
    clears: bool = True
    """The codec has a ``clear``."""
    ends_stream: bool = False
    """The codec has an end of the stream."""
    takes_commits: bool = True
    """A commit closes a turn that the endpoint makes; else only silence does."""
    longest_silence_s: float = math.inf
    """Where ``rt`` makes the turns, it commits silence of this length: the endpoint keeps no longer audio."""
    one_turn_at_once: bool = False
    """Behind a commit the endpoint takes no audio before it has answered."""
    translates: bool = False
    """Sessions are translations."""
    proves_end: bool = False
    """Only the answer to the end of the stream proves that everything was told; never again without it."""
    wants_sound: bool = False
    """The endpoint counts time by the sound: a live source that pauses is silence."""

    @property
    def transcribes(self) -> bool:
        """Whether sessions are transcriptions."""
        return not (self.listens or self.translates)

    def owns(self, host: str) -> bool:
        """Return whether a host (lower case) belongs to the provider."""
        return is_among(host, self.hosts)

    def auth_headers(self, key: str | None) -> tuple[tuple[str, str], ...]:
        """Return the headers of the opening handshake, with the key if there is one."""
        return () if key is None else ((self.key_header, f"{self.key_prefix}{key}"),)

    def for_path(self, path: str) -> Dialect:
        """Return the dialect that the provider speaks at a path of its; most speak one at all of them."""
        del path
        return self

    def refuse_settings(self, settings: SessionSettings, *names: str) -> None:
        """Raise UsageError if one of these settings is used: the endpoint refuses it, or leaves it unread."""
        for name in names:
            if getattr(settings, name):
                option = {"extra": "set"}.get(name, name).replace("_", "-")
                raise UsageError(f"{self.name} takes no --{option}", f"leave out --{option}")

    def only_its_turns(self, turns: TurnDetection | None) -> None:
        """Raise UsageError for other turns than those of the endpoint, which it always makes."""
        if turns not in {None, "server_vad"}:
            raise UsageError(f"{self.name} always finds the turns itself", "leave out --turn-detection")

    @abstractmethod
    def path(self, path: str) -> str:
        """Complete the path of a URL that users write to the one of the endpoint. Both are percent-encoded."""

    def query(self, query: Query, *, own_host: bool) -> Query:
        """Complete the parameters of the URL that users write.

        Args:
            query: The parameters.
            own_host: The host belongs to the provider.

        Raises:
            UsageError: The provider refuses a parameter later, with a less clear message.
        """
        del own_host
        return query

    @abstractmethod
    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session to ask for.

        Args:
            settings: Settings of the user.
            model: The transcription model.
            turns: The turn detection that the user wants; None to choose.
            embedded: True for the embedded endpoint.

        Raises:
            UsageError: The provider does not take such a session.
        """

    def url_query(self, model: str, *, own_host: bool) -> Query:
        """Return the parameters that the URL has to name, unless it names them already.

        Args:
            model: The model of the settings.
            own_host: The host belongs to the provider.

        Raises:
            UsageError: The provider wants a parameter that only the user knows.
        """
        del model, own_host
        return ()

    def for_listening(self) -> Dialect:
        """Return the dialect of the conversations of this provider that are only listened to.

        Raises:
            UsageError: It has none that ``rt`` speaks.
        """
        if self.listens:
            return self
        raise UsageError(f"{self.name} has no conversations to listen to", "leave out --session")

    def for_transcriptions(self) -> Dialect:
        """Return the dialect of the transcriptions of this provider.

        Raises:
            UsageError: It has none.
        """
        if not self.listens:
            return self
        raise UsageError(f"{self.name} has no sessions that only transcribe", "leave out --session")

    def for_conversations(self) -> Dialect:
        """Return the dialect of the conversations of this provider.

        Raises:
            UsageError: It has none that ``rt`` speaks.
        """
        raise UsageError(f"rt only transcribes with {self.name}", "use rt stream or rt send")

    def for_translations(self) -> Dialect:
        """Return the dialect of the translations of this provider.

        Raises:
            UsageError: It has none that ``rt`` speaks.
        """
        raise UsageError(f"no translations with {self.name}", "use an endpoint that speaks OpenAI's protocol")

    def conversation(
        self, settings: SessionSettings, wish: ConversationWish, model: str, turns: TurnDetection | None
    ) -> SessionRequest:
        """Return the session of a conversation to ask for; only of a dialect of :meth:`for_conversations`.

        Args:
            settings: Settings of the user.
            wish: What is asked of the replies.
            model: The model that replies.
            turns: The turn detection that the user wants; None to choose.

        Raises:
            UsageError: The provider does not take such a session.
        """
        raise NotImplementedError

    @abstractmethod
    def codec(self, request: SessionRequest) -> Codec:
        """Return the codec of one connection."""
