"""Qwen-Omni: the flat session, 16 kHz in and 24 kHz out, an id with every message, tools as in chat completions."""

from __future__ import annotations

from typing import Any

from tests.standins.conversation.agent import BETA, AgentTalk

OMNI = "qwen3-omni-flash-realtime"


class OmniTalk(AgentTalk):
    """Truncates and deletes nothing; ends a session when it is asked to."""

    rate_hz = 16_000
    names = BETA
    text_type = "text"
    unknown = frozenset(("conversation.item.truncate", "conversation.item.delete"))

    @classmethod
    def admits(cls, path: str, query: dict[str, list[str]]) -> bool:
        """One path, one model."""
        return path == "/api-ws/v1/realtime" and query.get("model") == [OMNI]

    async def greet(self) -> None:
        """The flat session."""
        session = {"id": "sess_1", "modalities": ["text", "audio"], "input_audio_format": "pcm", "model": OMNI}
        await self.say("session.created", session=session)

    def check(self, event: dict[str, Any]) -> str | None:
        """An id is wanted."""
        return super().check(event) if isinstance(event.get("event_id"), str) else "event_id is required"

    def configure(self, session: dict[str, Any]) -> str | None:
        """The flat session; tools are nested."""
        if "audio" in session or session["input_audio_format"] != "pcm16":
            return "not this shape"
        if (
            session["modalities"] not in (["text"], ["text", "audio"])
            or session.get("output_audio_format", "pcm16") != "pcm16"
        ):
            return "Invalid modalities"
        if any(set(tool) != {"type", "function"} for tool in session.get("tools", ())):
            return "not this shape of a tool"
        self.take_detection(session["turn_detection"])
        self.spoken = "audio" in session["modalities"]
        return None

    async def other(self, event: dict[str, Any]) -> None:
        """The end of the session."""
        if event["type"] == "session.finish":
            await self.say("session.finished")
        else:
            await super().other(event)
