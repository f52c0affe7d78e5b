"""What providers have in common that have conversations only: a transcription is what is heard of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.protocol.dialects.dialect import Dialect
from rt_cli.protocol.dialects.openai import OpenAiDialect

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.protocol.dialects.dialect import Query, SessionRequest


@dataclass(frozen=True)
class ConversationOnlyDialect(OpenAiDialect):
    """OpenAI's events in a session of the provider's own shape; the model of the URL does not transcribe."""

    listens: bool = True
    negotiates: bool = False

    def query(self, query: Query, *, own_host: bool) -> Query:
        """Leave the parameters alone."""
        del own_host
        return query

    def url_query(self, model: str, *, own_host: bool) -> Query:
        """Return the model of the conversation."""
        del model, own_host
        return (("model", self.url_model),)

    @property
    def url_model(self) -> str:
        """Model of the conversation, where the URL names none."""
        return self.conversations.model if self.conversations is not None else ""

    def for_transcriptions(self) -> OpenAiDialect:
        """Raise UsageError: the provider has none."""
        Dialect.for_transcriptions(self)
        return self

    def codec(self, request: SessionRequest) -> Codec:
        """Return the codec, which keeps no state."""
        if self.converses:
            return super().codec(request)
        from rt_cli.protocol.openai.compatible import ListeningCodec

        return ListeningCodec(request.body)
