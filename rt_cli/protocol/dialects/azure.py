"""Azure OpenAI, GA. Azure has ended its preview protocol (``api-version`` and ``deployment`` in the URL)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.azure_resources import KEY_HEADER, KEY_SHAPE
from rt_cli.protocol.dialects.hosts import HOSTS
from rt_cli.protocol.dialects.openai import OpenAiDialect

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.dialect import Dialect, Query


class AzureDialect(OpenAiDialect):
    """The session is OpenAI's; the model is the name of a deployment."""

    def for_path(self, path: str) -> Dialect:
        """Return the dialect of Voice Live for its path: it has the same hosts."""
        if "voice-live" not in path.split("/"):
            return self
        from rt_cli.protocol.dialects.azure_voicelive import AZURE_VOICELIVE

        return AZURE_VOICELIVE

    def query(self, query: Query, *, own_host: bool) -> Query:
        """Also refuse the parameters of the preview: the GA path answers HTTP 401, which suggests a wrong key."""
        for name, _ in query:
            if own_host and name in {"api-version", "deployment"}:
                raise UsageError(
                    f"{name} in the URL belongs to Azure's preview API, which has ended",
                    "use https://RESOURCE.openai.azure.com, and --model for the deployment",
                )
        return super().query(query, own_host=own_host)

    def url_query(self, model: str, *, own_host: bool) -> Query:
        """Return nothing: the deployment of a conversation is another than the one that transcribes."""
        if own_host and self.listens:
            raise UsageError(
                "a conversation needs its deployment in the URL",
                "add ?model=DEPLOYMENT to --url; --model is the deployment that transcribes",
            )
        return super().url_query(model, own_host=own_host)


AZURE = AzureDialect(
    name="azure",
    title="Azure OpenAI",
    turns_by="the model, else `rt`",
    hosts=HOSTS["azure"],
    base_path="/openai/v1",
    key_variable="AZURE_OPENAI_API_KEY",
    key_header=KEY_HEADER,
    key_prefix="",
    key_shape=KEY_SHAPE,
)
