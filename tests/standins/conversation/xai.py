"""xAI's conversations: always spoken, two fields of the session at its top, no truncation, ends that are taken back."""

from __future__ import annotations

from typing import Any

from tests.standins.conversation.agent import TRANSCRIPTION, AgentTalk

MODEL = "grok-voice-latest"


class XaiTalk(AgentTalk):
    """Replies to every commit with speech; a request behind its answer is dropped without a word."""

    unknown = frozenset(("conversation.item.truncate",))
    interrupts = True

    @classmethod
    def admits(cls, path: str, query: dict[str, list[str]]) -> bool:
        """One model."""
        return path == "/v1/realtime" and query.get("model") == [MODEL]

    async def greet(self) -> None:
        """The conversation, then the session; a ping of the application."""
        await self.say("conversation.created", conversation={"id": "conv_1"})
        await self.say("session.created", session={"model": MODEL})
        await self.say("ping", timestamp=1)

    def configure(self, session: dict[str, Any]) -> str | None:
        """``turn_detection`` and ``voice`` at the top; there is no choice of modalities."""
        heard = session["audio"]["input"]
        if {"turn_detection", "noise_reduction"} & heard.keys() or {"type", "output_modalities"} & session.keys():
            return "not this shape"
        if heard["transcription"]["model"] != "grok-transcribe" or "voice" in session["audio"].get("output", {}):
            return "not this model, or a voice in the wrong place"
        self.take_detection(session["turn_detection"])
        return None

    async def transcribe(self, item: str, text: str) -> None:
        """Whole texts, which may be wrong before the last one."""
        words = {"item_id": item, "content_index": 0}
        await self.say(f"{TRANSCRIPTION}.updated", **words, transcript=text[:3])
        await self.say(f"{TRANSCRIPTION}.completed", **words, transcript=text[:5], status="in_progress")
        await self.say(f"{TRANSCRIPTION}.completed", **words, transcript=text, status="completed")

    async def answer(self, item: str, text: str) -> None:
        """A commit is answered by itself, and a request behind it is not."""
        await self.respond("")
        await self.transcribe(item, text)

    async def commit(self, event: dict[str, Any]) -> None:
        """Ignored beside its own turns, and for silence."""
        if not self.detects and self.buffered:
            await super().commit(event)
