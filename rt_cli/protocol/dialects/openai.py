"""OpenAI, and every compatible server."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.dialect import (
    Conversations,
    ConversationWish,
    Dialect,
    Query,
    SessionRequest,
    with_intent,
)
from rt_cli.protocol.dialects.hosts import HOSTS

# Sessions and codecs are imported where they are made: the names of the dialects belong to every start.

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.settings import SessionSettings, TurnDetection

_GPT_REALTIME = Conversations(model="gpt-realtime-2")
_VERSION = re.compile(r"v\d+(?:beta\d*)?")


@dataclass(frozen=True)
class OpenAiDialect(Dialect):
    """OpenAI's GA protocol for transcription; never a beta header: OpenAI closes the connection."""

    base_path: str = "/v1"
    """Path of the API for a URL without a path."""
    converses: bool = False
    """Sessions are conversations; else transcriptions."""
    default_model: str = "gpt-live-transcribe"
    conversations: Conversations | None = _GPT_REALTIME
    negotiates: bool = True

    @property
    def transcribes(self) -> bool:
        """Whether sessions are transcriptions."""
        return not self.converses and super().transcribes

    def path(self, path: str) -> str:
        """Complete to the realtime path; a path with a segment ``realtime`` stays unchanged."""
        if self.translates:
            return (
                f"{replace(self, translates=False).path(path.rstrip('/').removesuffix('/translations'))}/translations"
            )
        path = path.rstrip("/")
        if path in {"", "/v1"}:
            path = self.base_path
        segments = path.split("/")
        if "realtime" in segments:
            return path
        return f"{path}/realtime" if _VERSION.fullmatch(segments[-1]) else f"{path}/v1/realtime"

    def query(self, query: Query, *, own_host: bool) -> Query:
        """Add ``intent=transcription``, unless the sessions are conversations, listened to or not.

        Raises:
            UsageError: The query asks the provider for another kind of session.
        """
        given = dict(query)
        if self.translates:
            if "intent" in given:
                raise UsageError("a translation has no intent in the URL", "take it out of the URL")
            return query
        if self.converses or self.listens:
            if given.get("intent", "realtime") != "realtime":
                raise UsageError(f"intent={given['intent']} in the URL is no conversation", "take it out of the URL")
            return query
        if own_host and "model" in given:
            raise UsageError(
                f"a model in the URL asks {self.name} for a conversation, not a transcription",
                "take it out of the URL and use --model, or listen to a conversation (--session realtime)",
            )
        if own_host and given.get("intent", "transcription") != "transcription":
            raise UsageError(f"intent={given['intent']} in the URL: rt transcribes", "take it out of the URL")
        return with_intent(query)

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the transcription session for the model, the conversation to listen to, or the translation."""
        if self.translates:
            from rt_cli.protocol.translation.session import translation_session

            body = translation_session(settings)
            return SessionRequest("server_vad", self.rate_hz, body, (("model", model),))
        from rt_cli.protocol.openai.session import (
            choose_turn_detection,
            listening_session,
            listening_turns,
            transcription_session,
        )

        if self.listens:
            chosen = listening_turns(turns)
            body = listening_session(settings, model, chosen, self.rate_hz)
            return SessionRequest(chosen, self.rate_hz, body, listening=True)
        chosen = choose_turn_detection(model, turns, embedded=embedded)
        return SessionRequest(chosen, self.rate_hz, transcription_session(settings, model, chosen, self.rate_hz))

    def url_query(self, model: str, *, own_host: bool) -> Query:
        """Return the model: the provider wants one in the URL for a conversation, other servers take it or leave it."""
        if own_host:
            replies = self.conversations or Conversations()
            return (("model", replies.model),) if self.listens else ()
        return (("model", model),)

    def for_listening(self) -> OpenAiDialect:
        """Return the dialect with other sessions; the model still transcribes."""
        return replace(self, listens=True)

    def for_transcriptions(self) -> OpenAiDialect:
        """Return the dialect with other sessions."""
        return replace(self, listens=False)

    def for_conversations(self) -> Dialect:
        """Return the dialect with another model and other sessions; the keys are the same.

        Raises:
            UsageError: The provider has no conversations that ``rt`` speaks.
        """
        if self.conversations is None:
            return super().for_conversations()
        return replace(self, converses=True, listens=False, default_model=self.conversations.model)

    def for_translations(self) -> OpenAiDialect:
        """Return the dialect with another route, another model and other sessions; the keys are the same."""
        from rt_cli.protocol.translation.session import TRANSLATION_MODEL

        return replace(
            self,
            translates=True,
            default_model=TRANSLATION_MODEL,
            clears=False,
            ends_stream=True,
            proves_end=True,
            wants_sound=True,
            negotiates=False,
        )

    def conversation(
        self, settings: SessionSettings, wish: ConversationWish, model: str, turns: TurnDetection | None
    ) -> SessionRequest:
        """Return the conversation session; the model belongs to the URL."""
        traits = self.conversations or Conversations()
        chosen = turns or "server_vad"
        if chosen not in traits.turns:
            raise UsageError(f"{self.name} has no {chosen} in conversations", "leave out --turn-detection")
        wish = replace(
            wish,
            transcription_model=wish.transcription_model or traits.transcription_model,
            spoken=wish.spoken or traits.always_speaks,
        )
        return SessionRequest(
            chosen,
            self.rate_hz,
            self.conversation_body(settings, wish, chosen),
            (("model", model),) if model else (),
            conversation=True,
            asks=chosen == "client" and not traits.answers_commits,
            spoken=wish.spoken,
            reply_rate_hz=traits.reply_rate_hz,
        )

    def conversation_body(
        self, settings: SessionSettings, wish: ConversationWish, turns: TurnDetection
    ) -> dict[str, object]:
        """Return the session object of a conversation."""
        from rt_cli.protocol.openai.session import conversation_session

        return conversation_session(settings, wish, turns, self.rate_hz)

    def codec(self, request: SessionRequest) -> Codec:
        """Return the codec; those of OpenAI's transcriptions and conversations keep no state."""
        if self.translates:
            from rt_cli.protocol.translation.codec import TranslationCodec

            return TranslationCodec(request.body, request.rate_hz)
        if self.converses:
            from rt_cli.protocol.openai.conversation import ConversationCodec

            traits = self.conversations or Conversations()
            return ConversationCodec(request.body, lacks=traits.lacks, detects=request.detect and self.negotiates)
        if request.listening or request.detect:
            from rt_cli.protocol.openai.compatible import CompatibleCodec

            return CompatibleCodec(request.body)
        from rt_cli.protocol.openai.codec import OpenAiCodec

        return OpenAiCodec(request.body)


OPENAI = OpenAiDialect(
    name="openai",
    title="OpenAI, and any compatible server",
    turns_by="the model, else `rt`",
    hosts=HOSTS["openai"],
    key_variable="OPENAI_API_KEY",
    key_shape=(r"(?:sk-|ek_)[\w-]{16,}", "sk- and many letters"),
)
