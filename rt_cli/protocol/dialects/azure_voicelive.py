"""Azure Voice Live: a conversation in the flat shape, on the hosts of Azure OpenAI at a path of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from rt_cli.protocol.dialects.azure_resources import KEY_HEADER, KEY_SHAPE
from rt_cli.protocol.dialects.conversation_only import ConversationOnlyDialect
from rt_cli.protocol.dialects.dialect import Conversations, SessionRequest
from rt_cli.protocol.dialects.hosts import HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.protocol.dialects.dialect import ConversationWish, Query
    from rt_cli.settings import SessionSettings, TurnDetection

T = TypeVar("T")
_VERSION = "2026-07-15"
_SEGMENT = "voice-live"
_AZURE_VOICE = re.compile(r"[a-z]{2,3}-[A-Z]{2}-")


class AzureVoiceLiveDialect(ConversationOnlyDialect):
    """The session says which model transcribes, the URL which one, or which agent, would reply."""

    def path(self, path: str) -> str:
        """Complete to the realtime path."""
        path = path.rstrip("/")
        return path if _SEGMENT in path.split("/") else f"{path}/{_SEGMENT}/realtime"

    def query(self, query: Query, *, own_host: bool) -> Query:
        """Add the version of the API, and the model unless an agent replies or the session will name it."""
        del own_host
        names = {name for name, _ in query}
        version = () if "api-version" in names else (("api-version", _VERSION),)
        named = self.converses or names & {"model", "agent-name"}
        model = () if named else (("model", self.url_model),)
        return (*query, *version, *model)

    def url_query(self, model: str, *, own_host: bool) -> Query:
        """Return nothing: the URL is complete."""
        del model, own_host
        return ()

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """Return the session."""
        del embedded
        from rt_cli.protocol.openai.session import listening_session, listening_turns

        chosen = listening_turns(turns)
        body = self._session(settings, chosen, listening_session, model)
        return SessionRequest(chosen, self.rate_hz, body, listening=True)

    def conversation_body(
        self, settings: SessionSettings, wish: ConversationWish, turns: TurnDetection
    ) -> dict[str, object]:
        """Return the session object; a voice of Azure is an object, one of OpenAI a name."""
        from rt_cli.protocol.openai.session import conversation_session

        body = self._session(settings, turns, conversation_session, wish)
        if isinstance(voice := body.get("voice"), str) and _AZURE_VOICE.match(voice):
            body["voice"] = {"type": "azure-standard", "name": voice}
        return body

    def _session(
        self,
        settings: SessionSettings,
        turns: TurnDetection,
        build: Callable[[SessionSettings, T, TurnDetection, int], dict[str, object]],
        subject: T,
    ) -> dict[str, Any]:
        """Return a session; several languages are one text, key terms are phrases."""
        from rt_cli.protocol.openai.flat import FlatShape, flat_session

        self.refuse_settings(settings, "prompt", "delay")
        more: dict[str, object] = {}
        if settings.language:
            more["language"] = settings.language
        if settings.keyterm:
            more["phrase_list"] = list(settings.keyterm)
        plain = replace(settings, language=None, keyterm=())
        shape = FlatShape(rate_field="input_audio_sampling_rate")
        energy = "server_vad" if turns == "semantic_vad" else turns
        body: dict[str, Any] = flat_session(build, plain, subject, energy, self.rate_hz, shape, more)
        if turns == "semantic_vad":
            body["turn_detection"]["type"] = "azure_semantic_vad"
        return body


AZURE_VOICELIVE = AzureVoiceLiveDialect(
    name="azure-voicelive",
    title="Azure Voice Live, at `/voice-live/realtime`",
    hosts=HOSTS["azure-voicelive"],
    key_variable="AZURE_VOICELIVE_API_KEY",
    key_header=KEY_HEADER,
    key_prefix="",
    key_shape=KEY_SHAPE,
    default_model="azure-speech",
    conversations=Conversations(model="gpt-realtime", transcription_model="azure-speech"),
)
