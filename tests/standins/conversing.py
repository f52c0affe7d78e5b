"""Servers that have conversations only, and say so each in its own way; they transcribe what they hear."""

from __future__ import annotations

from typing import Any

from tests.standins.standin import TRANSCRIPTION, Call, Hearing, Message, error


class ConversingScript(Hearing):
    """Refuses a transcription as Hugging Face's speech-to-speech does: by the type of the error; silence ends turns."""

    replies = False
    """Replies although nobody asks it to."""

    def greeting(self) -> list[Message]:
        """A conversation."""
        return [{"type": "session.created", "session": {"id": "sess_1", "type": "realtime", "audio": {}}}]

    def configure(self, message: Message) -> list[Message]:
        """Only of the type ``realtime``."""
        if message["session"]["type"] != "realtime":
            return self.refusal()
        return super().configure(message)

    def refusal(self) -> list[Message]:
        """Refuse a transcription."""
        return [{"type": "error", "error": {"type": "invalid_session_type", "code": "", "message": "no transcription"}}]

    def ended(self, at: int) -> list[Message]:
        """A turn, its words, and the reply of an endpoint that does not obey."""
        item = {"id": self.item, "type": "message", "role": "user", "content": []}
        words = self.words(at)
        reply: list[Message] = []
        if self.replies:
            answer = {"id": f"answer_{self.items}", "type": "message", "role": "assistant", "content": []}
            reply = [
                {"type": "response.created", "response": {"id": f"resp_{self.items}", "status": "in_progress"}},
                {"type": "response.output_item.added", "response_id": f"resp_{self.items}", "item": answer},
                {"type": "conversation.item.created", "item": answer, "previous_item_id": self.item},
                {"type": "response.output_text.delta", "response_id": f"resp_{self.items}", "delta": "What?"},
            ]
        return [
            {"type": "input_audio_buffer.speech_stopped", "item_id": self.item, "audio_end_ms": self.ms(at)},
            {"type": "input_audio_buffer.committed", "item_id": self.item},
            {"type": "conversation.item.created", "item": item},
            *reply,
            {"type": f"{TRANSCRIPTION}.delta", "item_id": self.item, "content_index": 0, "delta": words[:3]},
            {"type": f"{TRANSCRIPTION}.completed", "item_id": self.item, "content_index": 0, "transcript": words},
        ]

    def commit(self, message: Message) -> list[Message]:
        """Nothing comes of it."""
        del message
        return []

    def other(self, message: Message) -> list[Message]:
        """A cancel ends a reply; the rest is unknown."""
        if message["type"] == "response.cancel":
            response = {"id": message.get("response_id"), "status": "cancelled", "output": []}
            return [{"type": "response.done", "response": response}, error("", "", type="response_cancel_not_active")]
        return super().other(message)


class Replying(ConversingScript):
    """Replies to every turn."""

    replies = True


class NamingTheField(ConversingScript):
    """Refuses by the name of the field, as OpenAI does."""

    def refusal(self) -> list[Message]:
        """The update is discarded."""
        text = "Passing a transcription session update event to a realtime session is not allowed."
        return [error("invalid_parameter", text, param="session.type")]


class Closing(ConversingScript):
    """Closes, as OpenAI does for a model in the URL beside a transcription."""

    def refusal(self) -> list[Message]:
        """The reason of the close is all that it says."""
        return [{"type": "close", "code": 4000, "reason": "invalid_request_error"}]


class SayingSo(ConversingScript):
    """Refuses in words alone."""

    def refusal(self) -> list[Message]:
        """No code and no field."""
        return [{"type": "error", "error": {"message": "This server does not support transcription sessions yet"}}]


class RefusingTheHandshake(ConversingScript):
    """A gateway that knows conversations only: HTTP 400 to anything else."""

    @classmethod
    def refuses(cls, call: Call) -> tuple[int, str] | None:
        """The intent is refused."""
        if "intent" in call.query or "model" not in call.query:
            return 400, '{"error":{"code":"OpperationNotSupported"}}'
        return None


class TranscribingScript(ConversingScript):
    """A relay to OpenAI: takes a transcription, and a model in the URL for a conversation."""

    def configure(self, message: Message) -> list[Message]:
        """A transcription without a model in the URL."""
        if "model" in self.call.query:
            return [
                error("invalid_model", "Model is not supported in realtime mode."),
                {"type": "close", "code": 4000, "reason": "invalid_request_error.invalid_model"},
            ]
        return [{"type": "session.updated", "session": message["session"]}]


class WithoutTurnDetection(ConversingScript):
    """Has no turn detection for its model: says so, and takes commits."""

    refuses_turns = True
    """Else it answers with a session that has none."""

    def configure(self, message: Message) -> list[Message]:
        """The field is named."""
        detection: Any = message["session"]["audio"]["input"]["turn_detection"]
        self.detects = False
        if detection is not None and self.refuses_turns:
            text = "Turn detection is not supported for this model."
            return [error("invalid_value", text, param="session.audio.input.turn_detection")]
        message["session"]["audio"]["input"]["turn_detection"] = None
        return [{"type": "session.updated", "session": message["session"]}]

    def commit(self, message: Message) -> list[Message]:
        """An item and its words."""
        del message
        self.items += 1
        words = self.words(self.audio.size)
        return [
            {"type": "input_audio_buffer.committed", "item_id": self.item},
            {"type": f"{TRANSCRIPTION}.completed", "item_id": self.item, "content_index": 0, "transcript": words},
        ]


class SwitchingItOff(WithoutTurnDetection):
    """Takes the session, but for its turn detection."""

    refuses_turns = False
