"""Hugging Face's speech-to-speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.dialects.self_hosted import SelfHostedDialect

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.settings import SessionSettings, TurnDetection


class HuggingFaceDialect(SelfHostedDialect):
    """OpenAI's conversations, only listened to; the pipeline has its own model, and silence alone ends a turn."""

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session; the server always finds the turns itself."""
        self.only_its_turns(turns)
        self.refuse_settings(settings, "prompt", "keyterm", "delay", "noise_reduction")
        return super().request(settings, model, turns, embedded=embedded)


HUGGINGFACE = HuggingFaceDialect(
    name="huggingface",
    title="Hugging Face speech-to-speech",
    # The server reads no name, but wants one.
    default_model="whisper-1",
    listens=True,
    clears=False,
    takes_commits=False,
)
