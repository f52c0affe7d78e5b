"""Hugging Face's speech-to-speech: no commits, names in the type of an error, nothing of a reply before its sound."""

from __future__ import annotations

from typing import Any

from tests.standins.conversation.agent import AgentTalk


class HuggingFaceTalk(AgentTalk):
    """Only silence ends a turn; the words of the user come before the reply to them."""

    commits = False
    unknown = frozenset(("conversation.item.delete", "input_audio_buffer.clear"))

    @classmethod
    def admits(cls, path: str, query: dict[str, list[str]]) -> bool:
        """No model is read."""
        del query
        return path == "/v1/realtime"

    async def greet(self) -> None:
        """A conversation."""
        await self.say("session.created", session={"id": "sess_1", "type": "realtime", "audio": {}})

    def configure(self, session: dict[str, Any]) -> str | None:
        """A conversation, with its rates: without one it takes 16 kHz."""
        audio = session["audio"]
        if session["type"] != "realtime":
            return "invalid_session_type"
        if audio["input"]["format"] != {"type": "audio/pcm", "rate": self.rate_hz}:
            return "another rate"
        if "output" in audio and audio["output"]["format"] != {"type": "audio/pcm", "rate": self.rate_hz}:
            return "another rate of replies"
        return super().configure(session)

    async def answer(self, item: str, text: str) -> None:
        """The words, then the reply."""
        await self.transcribe(item, text)
        await self.respond("")

    async def tell_words(self, ids: dict[str, Any], words: str) -> None:
        """All at once."""
        kind = "response.output_audio_transcript.done" if self.spoken else "response.output_text.done"
        await self.say(kind, **ids, **{"transcript" if self.spoken else "text": words})

    async def call_tool(self, response: str, item: str, call: dict[str, Any]) -> None:
        """One event of its own."""
        fields = {name: call[name] for name in ("call_id", "name", "arguments")}
        await self.say("response.function_call_arguments.done", response_id=response, item_id=item, **fields)

    async def refuse(self, event: dict[str, Any], code: str) -> None:
        """The code is the type, and no id is repeated. A cancel of nothing is no error."""
        del event
        if code == "response_cancel_not_active":
            return
        self.agent.refusals.append(code)
        await self.say("error", error={"type": code, "code": "", "message": code})

    async def commit(self, event: dict[str, Any]) -> None:
        """Nothing comes of it."""
