"""SGLang's realtime transcription."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.dialects.self_hosted import SelfHostedDialect, only_own_turns

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.settings import SessionSettings, TurnDetection


class SglangDialect(SelfHostedDialect):
    """OpenAI's transcription session; the server finds no turns, and takes the served model only."""

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session, without what the server refuses."""
        self.refuse_settings(settings, "prompt", "noise_reduction")
        return super().request(settings, self.named(model), only_own_turns(self, turns), embedded=embedded)


# It closes the connection after a minute of audio without a commit; the longest turn is half of that.
SGLANG = SglangDialect(name="sglang", title="SGLang", turns_by="`rt`", clears=False, longest_silence_s=20.0)
