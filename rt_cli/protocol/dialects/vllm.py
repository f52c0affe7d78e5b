"""vLLM's realtime transcription."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.dialects.dialect import SessionRequest
from rt_cli.protocol.dialects.self_hosted import SelfHostedDialect, only_own_turns

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.settings import SessionSettings, TurnDetection


class VllmDialect(SelfHostedDialect):
    """The session is the name of the model; the server finds no turns."""

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session; it takes nothing but a model."""
        del embedded
        self.refuse_settings(settings, "language", "prompt", "keyterm", "delay", "noise_reduction", "extra")
        return SessionRequest(only_own_turns(self, turns), self.rate_hz, {"model": self.named(model)})

    def codec(self, request: SessionRequest) -> Codec:
        """Return the codec, which knows whether a generation runs."""
        from rt_cli.protocol.codecs.vllm import VllmCodec

        return VllmCodec(str(request.body["model"]))


VLLM = VllmDialect(
    name="vllm",
    title="vLLM",
    turns_by="`rt`",
    rate_hz=16_000,
    confirms=False,
    clears=False,
    one_turn_at_once=True,
)
