"""Azure Voice Live: the flat session and the names of the beta protocol, at a path of its own."""

from __future__ import annotations

from typing import Any

from tests.standins.conversation.agent import BETA, TRANSCRIPTION, AgentTalk


class VoiceLiveTalk(AgentTalk):
    """Warns, names items as they are created, and times the phrases of the user."""

    names = BETA
    text_type = "text"

    @classmethod
    def admits(cls, path: str, query: dict[str, list[str]]) -> bool:
        """A version, and a model or an agent."""
        return path == "/voice-live/realtime" and "api-version" in query and bool({"model", "agent-name"} & set(query))

    async def greet(self) -> None:
        """The flat session, without a type."""
        await self.say("session.created", session={"id": "sess_1", "modalities": ["text", "audio"]})
        await self.say("warning", warning={"message": "a preview"})

    def configure(self, session: dict[str, Any]) -> str | None:
        """The fields of the vendor's SDK."""
        if "audio" in session or "type" in session or session["input_audio_sampling_rate"] != self.rate_hz:
            return "not this shape"
        if session["input_audio_format"] != "pcm16" or session.get("output_audio_format", "pcm16") != "pcm16":
            return "not this format"
        voice = session.get("voice", "alloy")
        if isinstance(voice, str) and "Neural" in voice:
            return "a voice of Azure is an object"
        self.take_detection(session["turn_detection"])
        self.spoken = "audio" in session["modalities"]
        return None

    async def transcribe(self, item: str, text: str) -> None:
        """With phrases."""
        user = {"id": item, "object": "realtime.item", "type": "message", "role": "user", "content": []}
        await self.say("conversation.item.created", item=user, previous_item_id=None)
        await self.say(f"{TRANSCRIPTION}.delta", item_id=item, content_index=0, delta=text[:3])
        phrases = [{"offset_milliseconds": 0, "duration_milliseconds": 100, "text": text}]
        words = {"item_id": item, "content_index": 0, "transcript": text, "phrases": phrases}
        await self.say(f"{TRANSCRIPTION}.completed", **words)
