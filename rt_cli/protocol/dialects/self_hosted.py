"""What servers that people run themselves have in common: no host, no key of a vendor, models by their own names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.openai import OpenAiDialect

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.dialect import Dialect, Query
    from rt_cli.settings import TurnDetection


@dataclass(frozen=True)
class SelfHostedDialect(OpenAiDialect):
    """A server of the user's own; ``RT_API_KEY`` is its key."""

    hosts: tuple[str, ...] = ()
    key_variable: str = ""
    default_model: str = ""
    negotiates: bool = False
    names_model: bool = False
    """The URL has to name the model."""

    def query(self, query: Query, *, own_host: bool) -> Query:
        """Leave the parameters alone."""
        del own_host
        return query

    def url_query(self, model: str, *, own_host: bool) -> Query:
        """Return the model, if the URL has to name it."""
        del own_host
        return (("model", self.named(model)),) if self.names_model else ()

    def for_listening(self) -> OpenAiDialect:
        """Raise UsageError: whoever names the dialect knows what the server has."""
        if self.listens:
            return self
        raise UsageError(f"{self.name} has sessions that only transcribe", "leave out --session")

    def for_transcriptions(self) -> OpenAiDialect:
        """Return the dialect itself. Raises UsageError if it has conversations only."""
        if not self.listens:
            return self
        raise UsageError(f"{self.name} has no sessions that only transcribe", "leave out --session")

    def named(self, model: str) -> str:
        """Return the model. Raises UsageError without one: the server has no default."""
        if not model:
            raise UsageError(f"{self.name} wants the name of a model", "add --model; rt models lists what is there")
        return model


def only_own_turns(dialect: Dialect, turns: TurnDetection | None) -> TurnDetection:
    """Return the turn detection of a server that has none. Raises UsageError for another one."""
    if turns in {"server_vad", "semantic_vad"}:
        raise UsageError(f"{dialect.name} finds no turns", "use --turn-detection client")
    return turns or "client"
