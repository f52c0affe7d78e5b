"""Speaches' realtime transcription."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.dialects.dialect import SessionRequest, with_intent
from rt_cli.protocol.dialects.self_hosted import SelfHostedDialect

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.protocol.dialects.dialect import Query
    from rt_cli.settings import SessionSettings, TurnDetection


class SpeachesDialect(SelfHostedDialect):
    """The flat session, without what the server answers with an error; it always finds the turns itself."""

    def query(self, query: Query, *, own_host: bool) -> Query:
        """Add ``intent=transcription``: else it is a conversation, and it replies."""
        del own_host
        return with_intent(query)

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session."""
        del embedded
        from rt_cli.protocol.openai.flat import FlatShape, flat_session
        from rt_cli.protocol.openai.session import transcription_session

        self.only_its_turns(turns)
        self.refuse_settings(settings, "noise_reduction", "keyterm", "delay")
        shape = FlatShape(
            encoding=None,
            modalities=False,
            turn_fields=frozenset({"type", "threshold", "silence_duration_ms"}),
        )
        body = flat_session(transcription_session, settings, self.named(model), "server_vad", self.rate_hz, shape)
        return SessionRequest("server_vad", self.rate_hz, body)

    def codec(self, request: SessionRequest) -> Codec:
        """Return the codec, which keeps no state."""
        from rt_cli.protocol.openai.codec import OpenAiCodec

        return OpenAiCodec(request.body)


SPEACHES = SpeachesDialect(name="speaches", title="Speaches", partials=False, names_model=True, clears=False)
