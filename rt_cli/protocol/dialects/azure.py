"""Azure OpenAI, GA. Its preview protocol, with ``api-version`` and ``deployment`` in the URL, is no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.dialect import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class AzureDialect(Dialect):
    """The session is OpenAI's; the model is the name of a deployment."""

    def check_query(self, query: Mapping[str, str]) -> None:
        """Refuse the preview's parameters too: the GA path answers them with HTTP 401, as if the key were wrong."""
        for name in ("api-version", "deployment"):
            if name in query:
                raise UsageError(
                    f"{name} in the URL belongs to Azure's preview API, which has ended",
                    "use https://RESOURCE.openai.azure.com, and --model for the deployment",
                )
        # Not super(): a dataclass with slots is a new class, and 3.11 still has the old one in the closure.
        Dialect.check_query(self, query)


AZURE = AzureDialect(
    name="azure",
    hosts=(".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"),
    base_path="/openai/v1",
    key_variable="AZURE_OPENAI_API_KEY",
    key_header="api-key",
    key_prefix="",
)
