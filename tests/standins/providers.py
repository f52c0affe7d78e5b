"""The stand-ins of all dialects, by dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.standins import conversing, inworld, localai, nvidia, sglang, speaches, vllm

if TYPE_CHECKING:
    from tests.standins.standin import Script


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A dialect and the stand-in of its provider."""

    dialect: str
    script: type[Script]
    model: str
    refusal: str = ""
    """Words of the error for a model that is not there."""


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
]
