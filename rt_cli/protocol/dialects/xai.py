"""xAI: speech to text, with words of its own, and conversations, which speak OpenAI's protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.conversation_only import ConversationOnlyDialect
from rt_cli.protocol.dialects.dialect import Conversations, Dialect, SessionRequest, chosen_threshold
from rt_cli.protocol.dialects.hosts import HOSTS

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.protocol.dialects.dialect import ConversationWish
    from rt_cli.protocol.dialects.openai import OpenAiDialect
    from rt_cli.settings import SessionSettings, TurnDetection

_SEGMENT = "stt"
_LONGEST_SILENCE_MS = 5_000
_KEYTERMS, _KEYTERM_CHARS = 100, 50


class XaiDialect(Dialect):
    """Speech to text: the URL says everything, the endpoint makes the turns, there is one model."""

    def path(self, path: str) -> str:
        """Complete to the path of speech to text."""
        path = path.rstrip("/")
        segments = path.split("/")
        if _SEGMENT in segments:
            return path
        return f"{path}/{_SEGMENT}" if segments[-1] == "v1" else f"{path}/v1/{_SEGMENT}"

    def for_path(self, path: str) -> Dialect:
        """Return the dialect of conversations for their path."""
        return XAI_CONVERSATIONS if "realtime" in path.split("/") else self

    def for_listening(self) -> Dialect:
        """Return the dialect of conversations."""
        return XAI_CONVERSATIONS

    def for_conversations(self) -> Dialect:
        """Return the dialect of conversations that are held."""
        return XAI_CONVERSATIONS.for_conversations()

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the parameters of the URL."""
        del embedded
        if model:
            raise UsageError(f"{self.name} has one model for speech to text", "leave out --model")
        if turns not in {None, "server_vad"}:
            raise UsageError(f"{self.name} always finds the turns itself", "leave out --turn-detection")
        if settings.silence_ms > _LONGEST_SILENCE_MS:
            raise UsageError(f"{self.name} waits {_LONGEST_SILENCE_MS} ms at most", "make --silence-ms smaller")
        if len(settings.keyterm) > _KEYTERMS or any(len(term) > _KEYTERM_CHARS for term in settings.keyterm):
            raise UsageError(
                f"{self.name} takes {_KEYTERMS} key terms of {_KEYTERM_CHARS} characters", "leave out some --keyterm"
            )
        self.refuse_settings(settings, "prompt", "delay", "noise_reduction", "extra")
        language = () if settings.language is None else (("language", settings.language),)
        threshold = chosen_threshold(settings)
        query = (
            ("encoding", "pcm"),
            ("sample_rate", str(self.rate_hz)),
            ("interim_results", "true"),
            ("endpointing", str(settings.silence_ms)),
            *language,
            *(() if threshold is None else (("vad_threshold", str(threshold)),)),
            *(("keyterm", term) for term in settings.keyterm),
        )
        return SessionRequest("server_vad", self.rate_hz, query=query)

    def codec(self, request: SessionRequest) -> Codec:
        """Return the codec, which knows the words of the turn so far."""
        from rt_cli.protocol.codecs.xai import XaiCodec

        return XaiCodec(int(dict(request.query)["endpointing"]))


class XaiConversationDialect(ConversationOnlyDialect):
    """A conversation; the endpoint replies whatever it is asked. ``rt`` makes the turns: its own may take an end back.

    It keeps silent about the commit of a turn in which it hears no speech, and ignores commits while its own turn
    detection is on.
    """

    def for_transcriptions(self) -> OpenAiDialect:
        """Raise UsageError: they have another path."""
        raise UsageError(f"{self.name} transcribes at another path", "leave out the path of the URL, or --session")

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session: ``turn_detection`` is a field of its own, and nothing else is read."""
        del embedded
        from rt_cli.protocol.openai.session import listening_session

        if turns == "semantic_vad":
            raise UsageError(f"{self.name} finds turns by energy alone", "use --turn-detection client or server_vad")
        chosen = turns or "client"
        nested = listening_session(replace(settings, extra=()), model, chosen, self.rate_hz)
        return SessionRequest(chosen, self.rate_hz, self._session(settings, nested), listening=True)

    def conversation_body(
        self, settings: SessionSettings, wish: ConversationWish, turns: TurnDetection
    ) -> dict[str, object]:
        """Return the session object: ``voice`` is a field of its own, too."""
        nested = super().conversation_body(replace(settings, extra=()), wish, turns)
        return self._session(settings, nested)

    def _session(self, settings: SessionSettings, nested: dict[str, Any]) -> dict[str, object]:
        from rt_cli.protocol.openai.overrides import with_overrides

        self.refuse_settings(settings, "prompt", "keyterm", "delay", "noise_reduction")
        session = {name: value for name, value in nested.items() if name not in {"type", "output_modalities"}}
        audio = session["audio"] = {way: dict(format_) for way, format_ in nested["audio"].items()}
        session["turn_detection"] = audio["input"].pop("turn_detection")
        if "voice" in audio.get("output", ()):
            session["voice"] = audio["output"].pop("voice")
        return with_overrides(session, settings.extra)


_KEY = "XAI_API_KEY"
_KEY_SHAPE = (r"xai-[\w-]{16,}", "xai- and many letters")
_CONVERSATIONS = Conversations(
    model="grok-voice-latest",
    transcription_model="grok-transcribe",
    turns=frozenset(("server_vad", "client")),
    answers_commits=True,
    always_speaks=True,
    # It takes effect once a reply has ended, and not always.
    lacks=frozenset(("conversation.item.truncate",)),
)
XAI = XaiDialect(
    name="xai",
    conversations=_CONVERSATIONS,
    title="xAI; its conversations with `--session realtime`",
    hosts=HOSTS["xai"],
    key_variable=_KEY,
    key_shape=_KEY_SHAPE,
    rate_hz=16_000,
    confirms=False,
    clears=False,
    ends_stream=True,
)
XAI_CONVERSATIONS = XaiConversationDialect(
    name="xai",
    title="xAI",
    turns_by="`rt`",
    hosts=HOSTS["xai"],
    key_variable=_KEY,
    key_shape=_KEY_SHAPE,
    default_model="grok-transcribe",
    conversations=_CONVERSATIONS,
)
