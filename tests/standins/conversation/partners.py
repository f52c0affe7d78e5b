"""The agents of all dialects that converse, by dialect."""

from __future__ import annotations

from dataclasses import dataclass

from tests.standins.conversation.agent import BETA, RATE, REPLY_SAMPLES, AgentTalk, value_of
from tests.standins.conversation.huggingface import HuggingFaceTalk
from tests.standins.conversation.qwen import OmniTalk
from tests.standins.conversation.server import Agent
from tests.standins.conversation.voicelive import VoiceLiveTalk
from tests.standins.conversation.xai import XaiTalk


class AzureTalk(AgentTalk):
    """OpenAI's protocol at the path of Azure."""

    @classmethod
    def admits(cls, path: str, query: dict[str, list[str]]) -> bool:
        """A deployment."""
        return path == "/openai/v1/realtime" and "model" in query


class GatewayTalk(AgentTalk):
    """A server that claims to be compatible: beta names, the flat session it greets with; it neither cancels nor cuts.

    Its errors have no code and repeat no id, as those of Speaches.
    """

    names = BETA
    text_type = "text"

    async def greet(self) -> None:
        """The flat session."""
        await self.say("session.created", session={"id": "s", "modalities": ["audio", "text"], "turn_detection": None})

    def configure(self, session: dict[str, object]) -> str | None:
        """Fields of another shape are dropped without a word."""
        detection = session.get("turn_detection")
        assert detection is None or isinstance(detection, dict)
        self.take_detection(detection)
        return None if session.get("input_audio_format") == "pcm16" else "no format"

    def check(self, event: dict[str, object]) -> str | None:
        """Refuse what is not there."""
        if event["type"] in {"response.cancel", "conversation.item.truncate"}:
            return f"Handling of the '{event['type']}' event is not implemented."
        return super().check(event)

    async def refuse(self, event: dict[str, object], code: str) -> None:
        """In words alone."""
        del event
        self.agent.refusals.append(code)
        await self.say("error", error={"type": "server_error", "message": code})


@dataclass(frozen=True, kw_only=True)
class Partner:
    """A dialect, and the agent that speaks it."""

    name: str
    dialect: str
    talk: type[AgentTalk]
    model: str | None = None
    client_turns: bool = True
    """The client may make the turns."""
    truncates: bool = True
    """The endpoint can be told what was not heard."""
    rate_hz: int = RATE
    """Of the conversation."""

    def agent(self, **options: object) -> Agent:
        """A new agent."""
        return Agent(talk=self.talk, **options)  # type: ignore[arg-type]

    @property
    def reply_samples(self) -> int:
        """Of a whole reply, at the rate of the conversation."""
        return REPLY_SAMPLES * self.rate_hz // RATE


PARTNERS = [
    Partner(name="openai", dialect="openai", talk=AgentTalk, model="agent"),
    Partner(name="gateway", dialect="openai", talk=GatewayTalk, model="agent", truncates=False),
    Partner(name="azure", dialect="azure", talk=AzureTalk, model="deployment"),
    Partner(name="azure-voicelive", dialect="azure-voicelive", talk=VoiceLiveTalk),
    Partner(name="xai", dialect="xai", talk=XaiTalk, truncates=False),
    Partner(name="qwen", dialect="qwen", talk=OmniTalk, truncates=False, rate_hz=16_000),
    Partner(name="huggingface", dialect="huggingface", talk=HuggingFaceTalk, client_turns=False),
]

__all__ = ["PARTNERS", "Partner", "value_of"]
