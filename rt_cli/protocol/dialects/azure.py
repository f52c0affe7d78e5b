"""Azure OpenAI, GA. Azure has ended its preview protocol (``api-version`` and ``deployment`` in the URL)."""

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
        """Also refuse the parameters of the preview: the GA path answers HTTP 401, which suggests a wrong key."""
        for name in ("api-version", "deployment"):
            if name in query:
                raise UsageError(
                    f"{name} in the URL belongs to Azure's preview API, which has ended",
                    "use https://RESOURCE.openai.azure.com, and --model for the deployment",
                )
        # Not super(): slots=True makes a new class, and in Python 3.11 super() still refers to the old one.
        Dialect.check_query(self, query)


AZURE = AzureDialect(
    name="azure",
    hosts=(".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"),
    base_path="/openai/v1",
    key_variable="AZURE_OPENAI_API_KEY",
    key_header="api-key",
    key_prefix="",
)
