"""The stand-ins of all dialects, by dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.standins import conversing, inworld, localai, nvidia, qwen, sglang, speaches, vllm, voicelive, xai

if TYPE_CHECKING:
    from rt_cli.settings import SessionType
    from tests.standins.standin import Script


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A dialect and the stand-in of its provider."""

    dialect: str
    script: type[Script]
    model: str
    refusal: str = ""
    """Words of the error for a model that is not there."""
    session_type: SessionType | None = None
    """What is asked for; None: what the dialect has."""
    replies: bool = False
    """It replies whatever it is asked, which is said once."""

    @property
    def name(self) -> str:
        """The dialect, and what is asked for."""
        return f"{self.dialect} {self.session_type}" if self.session_type else self.dialect


PROVIDERS = [
    Provider(dialect="vllm", script=vllm.VllmScript, model=vllm.MODEL, refusal="does not exist"),
    Provider(dialect="sglang", script=sglang.SglangScript, model=sglang.MODEL, refusal="transcription.model"),
    Provider(
        dialect="localai",
        script=localai.LocalAiScript,
        model=localai.MODEL,
        refusal="failed to load the model",
    ),
    Provider(dialect="speaches", script=speaches.SpeachesScript, model=speaches.MODEL),
    Provider(dialect="huggingface", script=conversing.ConversingScript, model="whisper-1"),
    Provider(dialect="nvidia", script=nvidia.NvidiaScript, model=nvidia.MODEL, refusal="not available"),
    Provider(dialect="inworld", script=inworld.InworldScript, model=inworld.MODEL, refusal="No STT client found"),
    Provider(
        dialect="azure-voicelive",
        script=voicelive.VoiceLiveScript,
        model="azure-speech",
        refusal="input_audio_transcription.model",
    ),
    Provider(dialect="xai", script=xai.XaiScript, model=""),
    Provider(
        dialect="xai",
        script=xai.XaiConversationScript,
        model="grok-transcribe",
        session_type="realtime",
        refusal="Invalid transcription model",
        replies=True,
    ),
    Provider(dialect="qwen", script=qwen.QwenScript, model=qwen.MODEL, refusal="Model not exist"),
    Provider(dialect="qwen", script=qwen.OmniScript, model=qwen.MODEL, session_type="realtime"),
]
