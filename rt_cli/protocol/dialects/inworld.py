"""Inworld's streaming transcription."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.dialect import Dialect, SessionRequest

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.settings import SessionSettings, TurnDetection

_ENDPOINT = "stt/v1/transcribe:streamBidirectional"


class InworldDialect(Dialect):
    """A vocabulary of its own; the endpoint finds the turns, says nothing before it hears, and times each word."""

    def path(self, path: str) -> str:
        """Complete to the path of the stream."""
        path = path.rstrip("/")
        return path if path.endswith(_ENDPOINT) else f"{path}/{_ENDPOINT}"

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session."""
        del embedded
        from rt_cli.protocol.openai.overrides import with_overrides

        self.only_its_turns(turns)
        self.refuse_settings(settings, "prompt", "keyterm", "delay", "noise_reduction")
        language = settings.language or ""
        if "," in language:
            raise UsageError(f"{self.name} takes one language", f"use --language {language.partition(',')[0].strip()}")
        config: dict[str, object] = {
            "modelId": model,
            "audioEncoding": "LINEAR16",
            "sampleRateHertz": self.rate_hz,
            "numberOfChannels": 1,
            "includeWordTimestamps": True,
            "inworldSttV1Config": {
                "vadThreshold": settings.vad_threshold,
                "minEndOfTurnSilenceWhenConfident": settings.silence_ms,
            },
        }
        if language:
            config["language"] = language
        return SessionRequest("server_vad", self.rate_hz, with_overrides(config, settings.extra))

    def codec(self, request: SessionRequest) -> Codec:
        """Return the codec, which counts utterances."""
        from rt_cli.protocol.codecs.inworld import InworldCodec

        return InworldCodec(request.body)


INWORLD = InworldDialect(
    name="inworld",
    title="Inworld",
    hosts=("api.inworld.ai",),
    key_variable="INWORLD_API_KEY",
    key_prefix="Basic ",
    rate_hz=16_000,
    default_model="inworld/inworld-stt-1",
    greets=False,
    confirms=False,
    clears=False,
    ends_stream=True,
    takes_commits=False,
)
