"""OpenAI, and every compatible server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.dialect import Dialect, Query, SessionRequest
from rt_cli.protocol.openai.session import choose_turn_detection, transcription_session

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.settings import SessionSettings, TurnDetection

_VERSION = re.compile(r"v\d+(?:beta\d*)?")


@dataclass(frozen=True)
class OpenAiDialect(Dialect):
    """OpenAI's GA protocol for transcription; never a beta header: OpenAI closes the connection."""

    base_path: str = "/v1"
    """Path of the API for a URL without a path."""
    default_model: str = "gpt-live-transcribe"

    def path(self, path: str) -> str:
        """Complete to the realtime path; a path with a segment ``realtime`` stays unchanged."""
        path = path.rstrip("/")
        if path in {"", "/v1"}:
            path = self.base_path
        segments = path.split("/")
        if "realtime" in segments:
            return path
        return f"{path}/realtime" if _VERSION.fullmatch(segments[-1]) else f"{path}/v1/realtime"

    def query(self, query: Query, *, own_host: bool) -> Query:
        """Add ``intent=transcription``.

        Raises:
            UsageError: The query asks the provider for a conversation.
        """
        given = dict(query)
        if own_host and "model" in given:
            raise UsageError(
                f"a model in the URL asks {self.name} for a conversation, not a transcription",
                "take it out of the URL and use --model",
            )
        if own_host and given.get("intent", "transcription") != "transcription":
            raise UsageError(f"intent={given['intent']} in the URL: rt transcribes", "take it out of the URL")
        return query if "intent" in given else (*query, ("intent", "transcription"))

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the transcription session for the model."""
        chosen = choose_turn_detection(model, turns, embedded=embedded)
        return SessionRequest(chosen, self.rate_hz, transcription_session(settings, model, chosen, self.rate_hz))

    def codec(self, request: SessionRequest) -> Codec:
        """Return the codec, which keeps no state."""
        # Import here: the names of the dialects belong to the options, and the start loads no JSON library.
        from rt_cli.protocol.openai.codec import OpenAiCodec

        return OpenAiCodec(request.body)


OPENAI = OpenAiDialect(
    name="openai",
    # The hosts for data residency are subdomains of the main one.
    hosts=("api.openai.com", ".api.openai.com"),
    key_variable="OPENAI_API_KEY",
    key_shape=(r"(?:sk-|ek_)[\w-]{16,}", "sk- and many letters"),
)
