"""Azure Voice Live: a conversation in the flat shape, on the hosts of Azure OpenAI at a path of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rt_cli.protocol.dialects.azure_resources import KEY_HEADER, KEY_SHAPE
from rt_cli.protocol.dialects.conversation_only import ConversationOnlyDialect
from rt_cli.protocol.dialects.dialect import SessionRequest
from rt_cli.protocol.dialects.hosts import HOSTS

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.dialect import Query
    from rt_cli.settings import SessionSettings, TurnDetection

_VERSION = "2026-07-15"
_SEGMENT = "voice-live"


class AzureVoiceLiveDialect(ConversationOnlyDialect):
    """The session says which model transcribes, the URL which one, or which agent, would reply."""

    def path(self, path: str) -> str:
        """Complete to the realtime path."""
        path = path.rstrip("/")
        return path if _SEGMENT in path.split("/") else f"{path}/{_SEGMENT}/realtime"

    def query(self, query: Query, *, own_host: bool) -> Query:
        """Add the version of the API, and the model unless an agent replies."""
        del own_host
        names = {name for name, _ in query}
        version = () if "api-version" in names else (("api-version", _VERSION),)
        model = () if names & {"model", "agent-name"} else (("model", self.url_model),)
        return (*query, *version, *model)

    def url_query(self, model: str, *, own_host: bool) -> Query:
        """Return nothing: the URL is complete."""
        del model, own_host
        return ()

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session; several languages are one text, key terms are phrases."""
        del embedded
        from dataclasses import replace

        from rt_cli.protocol.openai.flat import FlatShape, flat_listening
        from rt_cli.protocol.openai.session import listening_turns

        self.refuse_settings(settings, "prompt", "delay")
        chosen = listening_turns(turns)
        more: dict[str, object] = {}
        if settings.language:
            more["language"] = settings.language
        if settings.keyterm:
            more["phrase_list"] = list(settings.keyterm)
        plain = replace(settings, language=None, keyterm=())
        shape = FlatShape(rate_field="input_audio_sampling_rate")
        energy = "server_vad" if chosen == "semantic_vad" else chosen
        body: dict[str, Any] = flat_listening(plain, model, energy, self.rate_hz, shape, more)
        if chosen == "semantic_vad":
            body["turn_detection"]["type"] = "azure_semantic_vad"
        return SessionRequest(chosen, self.rate_hz, body, listening=True)


AZURE_VOICELIVE = AzureVoiceLiveDialect(
    name="azure-voicelive",
    title="Azure Voice Live, at `/voice-live/realtime`",
    hosts=HOSTS["azure-voicelive"],
    key_variable="AZURE_VOICELIVE_API_KEY",
    key_header=KEY_HEADER,
    key_prefix="",
    key_shape=KEY_SHAPE,
    default_model="azure-speech",
    url_model="gpt-realtime",
)
