"""LocalAI's realtime transcription."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.dialects.self_hosted import SelfHostedDialect

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.settings import SessionSettings, TurnDetection


class LocalAiDialect(SelfHostedDialect):
    """OpenAI's session; the model is the name of a pipeline, and commits are for turns of the client only."""

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session: ``rt`` makes the turns, because the server's have no times to resume at."""
        return super().request(settings, self.named(model), turns or "client", embedded=embedded)

    def codec(self, request: SessionRequest) -> Codec:
        """Return the codec, which keeps no state."""
        from rt_cli.protocol.openai.variants import LocalAiCodec

        return LocalAiCodec(request.body)


LOCALAI = LocalAiDialect(
    name="localai",
    title="LocalAI",
    turns_by="`rt`",
    partials=False,
    names_model=True,
    clears=False,
    takes_commits=False,
)
