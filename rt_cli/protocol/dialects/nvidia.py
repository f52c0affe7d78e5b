"""NVIDIA's speech recognition: Riva, Speech NIM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.dialect import SessionRequest, with_intent
from rt_cli.protocol.dialects.self_hosted import SelfHostedDialect

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.protocol.dialects.dialect import Query
    from rt_cli.settings import SessionSettings, TurnDetection

_BOOST = 20.0
"""Score of a boosted word: NVIDIA recommends 20 to 100."""


class NvidiaDialect(SelfHostedDialect):
    """A session object of its own; the server finds the turns, and times each word."""

    def query(self, query: Query, *, own_host: bool) -> Query:
        """Add ``intent=transcription``: the server wants it."""
        del own_host
        return with_intent(query)

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session; without a model the server uses its own."""
        del embedded
        from rt_cli.protocol.openai.overrides import with_overrides

        self.only_its_turns(turns)
        self.refuse_settings(settings, "delay", "noise_reduction")
        body = with_overrides(self._session(settings, model), settings.extra)
        return SessionRequest("server_vad", self.rate_hz, body)

    def _session(self, settings: SessionSettings, model: str) -> dict[str, object]:
        language = settings.language or ""
        if "," in language:
            raise UsageError(f"{self.name} takes one language", f"use --language {language.partition(',')[0].strip()}")
        named = {"model": model, "language": language, "prompt": settings.prompt}
        session: dict[str, Any] = {
            "input_audio_format": "pcm16",
            "input_audio_params": {"sample_rate_hz": self.rate_hz, "num_channels": 1},
            "input_audio_transcription": {name: value for name, value in named.items() if value},
            "recognition_config": {
                "max_alternatives": 1,
                "enable_automatic_punctuation": True,
                "enable_word_time_offsets": True,
            },
            "endpointing_config": {"stop_history": settings.silence_ms},
        }
        if settings.keyterm:
            boosted = [{"phrases": list(settings.keyterm), "boost": _BOOST}]
            session["word_boosting"] = {"enable_word_boosting": True, "word_boosting_list": boosted}
        return session

    def codec(self, request: SessionRequest) -> Codec:
        """Return the codec, which counts utterances."""
        from rt_cli.protocol.codecs.nvidia import NvidiaCodec

        return NvidiaCodec(request.body)


NVIDIA = NvidiaDialect(
    name="nvidia",
    title="NVIDIA Riva, Speech NIM",
    rate_hz=16_000,
    clears=False,
    ends_stream=True,
    takes_commits=False,
)
