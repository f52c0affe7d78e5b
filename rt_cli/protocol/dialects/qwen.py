"""Alibaba's DashScope: Qwen3-ASR, which transcribes, and Qwen-Omni, a conversation that is listened to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.dialect import Conversations, SessionRequest, chosen_threshold
from rt_cli.protocol.dialects.hosts import HOSTS
from rt_cli.protocol.dialects.openai import OpenAiDialect

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.protocol.dialects.dialect import ConversationWish, Dialect, Query
    from rt_cli.protocol.openai.flat import FlatShape
    from rt_cli.settings import SessionSettings, TurnDetection

_ASR = "qwen3-asr-flash-realtime"
_CONVERSATIONS = Conversations(
    model="qwen3-omni-flash-realtime",
    transcription_model=_ASR,
    turns=frozenset(("server_vad", "client")),
    reply_rate_hz=24_000,
    lacks=frozenset(("conversation.item.truncate", "conversation.item.delete")),
)
_SHORTEST_MS, _LONGEST_MS = 200, 6_000


@dataclass(frozen=True)
class QwenDialect(OpenAiDialect):
    """The flat session; every message has an id, and the end of a transcription is a message of its own."""

    negotiates: bool = False

    def path(self, path: str) -> str:
        """Complete to the realtime path."""
        path = path.rstrip("/")
        return path if "realtime" in path.split("/") else f"{path}/api-ws/v1/realtime"

    def query(self, query: Query, *, own_host: bool) -> Query:
        """Leave the parameters alone."""
        del own_host
        return query

    def url_query(self, model: str, *, own_host: bool) -> Query:
        """Return the model, which transcribes or converses."""
        del own_host
        return (("model", _CONVERSATIONS.model if self.listens else model),)

    def for_listening(self) -> OpenAiDialect:
        """Return the dialect of Qwen-Omni: nothing but silence ends its turns, and it answers no end of the stream."""
        return replace(self, listens=True, ends_stream=False, takes_commits=False, partials=False)

    def for_conversations(self) -> Dialect:
        """Return the dialect of Qwen-Omni that is talked with."""
        return replace(super().for_conversations(), ends_stream=False, takes_commits=False)

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session; a prompt and key terms are the context of the recognition."""
        del embedded
        from rt_cli.protocol.openai.flat import FlatShape, flat_session
        from rt_cli.protocol.openai.session import listening_session, transcription_session

        if turns == "semantic_vad":
            raise UsageError(f"{self.name} finds turns by energy alone", "use --turn-detection server_vad or client")
        if "omni" in model:
            raise UsageError(f"{model} converses", "use --session realtime, and ?model= in the URL for it")
        self.refuse_settings(settings, "delay", "noise_reduction")
        chosen = turns or "server_vad"
        self._check_silence(settings, chosen)
        threshold = frozenset[str]() if chosen_threshold(settings) is None else {"threshold"}
        plain = replace(settings, prompt=None, keyterm=())
        if self.listens:
            self.refuse_settings(settings, "prompt", "keyterm")
            body = flat_session(listening_session, plain, model, chosen, self.rate_hz, self._omni_shape(settings))
            return SessionRequest(chosen, self.rate_hz, body, listening=True)
        fields = {"type", "silence_duration_ms"} | threshold
        shape = FlatShape(encoding="pcm", rate_field="sample_rate", model=False, turn_fields=frozenset(fields))
        context = "\n".join(filter(None, (settings.prompt, ", ".join(settings.keyterm))))
        more = {"corpus": {"text": context}} if context else {}
        body = flat_session(transcription_session, plain, model, chosen, self.rate_hz, shape, more)
        return SessionRequest(chosen, self.rate_hz, body)

    def conversation_body(
        self, settings: SessionSettings, wish: ConversationWish, turns: TurnDetection
    ) -> dict[str, object]:
        """Return the session object of Qwen-Omni."""
        from rt_cli.protocol.openai.flat import flat_session
        from rt_cli.protocol.openai.session import conversation_session

        self._check_silence(settings, turns)
        self.refuse_settings(settings, "prompt", "keyterm", "delay", "noise_reduction")
        return flat_session(conversation_session, settings, wish, turns, self.rate_hz, self._omni_shape(settings))

    def _omni_shape(self, settings: SessionSettings) -> FlatShape:
        from rt_cli.protocol.openai.flat import FlatShape

        fields = {"type", "silence_duration_ms", "create_response", "interrupt_response"}
        threshold = set[str]() if chosen_threshold(settings) is None else {"threshold"}
        return FlatShape(turn_fields=frozenset(fields | threshold), nested_tools=True)

    def _check_silence(self, settings: SessionSettings, turns: TurnDetection) -> None:
        if turns == "server_vad" and not _SHORTEST_MS <= settings.silence_ms <= _LONGEST_MS:
            raise UsageError(
                f"{self.name} ends a turn after {_SHORTEST_MS} to {_LONGEST_MS} ms", "use another --silence-ms"
            )

    def codec(self, request: SessionRequest) -> Codec:
        """Return the codec, which numbers the messages."""
        from rt_cli.protocol.openai.variants import QwenCodec, QwenConversationCodec

        if self.converses:
            return QwenConversationCodec(request.body, lacks=_CONVERSATIONS.lacks)
        return QwenCodec(request.body)


QWEN = QwenDialect(
    name="qwen",
    title="Qwen3-ASR on DashScope; Qwen-Omni with `--session realtime`",
    hosts=HOSTS["qwen"],
    key_variable="DASHSCOPE_API_KEY",
    default_model=_ASR,
    conversations=_CONVERSATIONS,
    rate_hz=16_000,
    clears=False,
    ends_stream=True,
)
