"""xAI: speech to text by binary audio, utterances with times and without ids; and conversations that always reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.exact import read_back
from tests.standins.standin import TRANSCRIPTION, Call, Hearing, Message, Script, error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class XaiScript(Hearing):
    """Interim texts, chunks whose text stays, and the whole utterance; times are rounded to hundredths of a second."""

    rate_hz = 16_000
    chunk_ms = 300
    """Much shorter than the three seconds of the provider, so that a short turn has several."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.silence_ms = int(call.query.get("endpointing", ["10"])[0])
        self._began = self._chunk_at = 0

    @classmethod
    def refuses(cls, call: Call) -> tuple[int, str] | None:
        """The URL says everything."""
        wanted = {"encoding": "pcm", "sample_rate": str(cls.rate_hz)}
        if call.path != "/v1/stt":
            return 404, '{"error":"not found"}'
        if any(call.query.get(name) != [value] for name, value in wanted.items()):
            return 400, '{"error":"unsupported audio"}'
        return None

    def greeting(self) -> list[Message]:
        """Ready."""
        return [{"type": "transcript.created", "id": "stt_1"}]

    def hear(self, samples: NDArray[np.int16]) -> list[Message]:
        """Utterances that end, and the text of the one that goes on."""
        answers = super().hear(samples)
        while self._start is not None and self.audio.size - self._chunk_at >= self._chunk:
            to = self._chunk_at + self._chunk
            answers += self._partial(self._chunk_at, to, is_final=True)
            self._chunk_at = to
        if self._start is not None and self.call.query.get("interim_results") == ["true"]:
            answers += self._partial(self._chunk_at, self.audio.size // 2 * 2, is_final=False)
        return answers

    def started(self, at: int) -> list[Message]:
        """Nothing is said of it."""
        self._began = self._chunk_at = at
        return []

    def ended(self, at: int) -> list[Message]:
        """The whole utterance, stitched."""
        spoken_to = at - self.silence_ms * self.rate_hz // 1000
        self.done_to = at
        return self._partial(self._began, spoken_to, is_final=True, speech_final=True)

    def take(self, message: Message) -> list[Message]:
        """The end of the audio: what is in no utterance yet."""
        if message["type"] != "audio.done":
            return [{"type": "error", "message": f"unknown message type: {message['type']}"}]
        open_from = None if self._start is None else self._start
        self._start, self._searched = None, self.audio.size
        rest: dict[str, Any] = {"text": "", "words": []}
        if open_from is not None:
            (rest,) = self._partial(open_from, self.audio.size, is_final=True) or [rest]
        length = round(self.audio.size / self.rate_hz, 2)
        self.done_to = self.audio.size
        return [{"type": "transcript.done", "text": rest["text"], "words": rest["words"], "duration": length}]

    @property
    def _chunk(self) -> int:
        return self.chunk_ms * self.rate_hz // 1000

    def _partial(self, start: int, end: int, *, is_final: bool, speech_final: bool = False) -> list[Message]:
        spoken = self.audio[start:end]
        text = read_back(spoken[spoken != 0])
        if not text:
            return []
        begins, ends = (round(at / self.rate_hz, 2) for at in (start, end))
        return [
            {
                "type": "transcript.partial",
                "text": text,
                "is_final": is_final,
                "speech_final": speech_final,
                "start": begins,
                "duration": round(ends - begins, 2),
                "words": [{"text": text, "start": begins, "end": ends}],
                "language": "",
            }
        ]


class XaiConversationScript(Script):
    """A commit is a turn only of speech, and is always replied to; texts so far are whole."""

    @classmethod
    def refuses(cls, call: Call) -> tuple[int, str] | None:
        """A model is wanted."""
        return None if call.path == "/v1/realtime" and "model" in call.query else (400, '{"error":"no model"}')

    def greeting(self) -> list[Message]:
        """The conversation, then the session."""
        return [
            {"type": "conversation.created", "event_id": "event_1", "conversation": {"id": "conv_1"}},
            {"type": "session.created", "event_id": "event_2", "session": {"model": "grok-voice-latest"}},
        ]

    def configure(self, message: Message) -> list[Message]:
        """``turn_detection`` at the top; here it has to be off."""
        session = message["session"]
        heard = session["audio"]["input"]
        if session["turn_detection"] is not None or heard["format"] != {"type": "audio/pcm", "rate": self.rate_hz}:
            return [error("invalid_value", "not in this script", param="session.turn_detection")]
        if heard["transcription"] != {"model": "grok-transcribe"}:
            return [error("invalid_value", "Invalid transcription model.", param="session.audio.input.transcription")]
        return super().configure(message)

    def commit(self, message: Message) -> list[Message]:
        """Silence is not answered at all."""
        del message
        words = self.words(self.audio.size)
        if not words:
            return []
        self.items += 1
        item, response = f"item_{self.items}", f"resp_{self.items}"
        text = {"item_id": item, "content_index": 0}
        return [
            {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": None},
            {"type": "conversation.item.added", "item": {"id": item, "type": "message", "role": "user"}},
            {"type": "response.created", "response": {"id": response, "status": "in_progress", "output": []}},
            {"type": f"{TRANSCRIPTION}.updated", **text, "transcript": "0-5"},
            {"type": f"{TRANSCRIPTION}.completed", **text, "transcript": words, "status": "in_progress"},
            {"type": "response.output_audio.delta", "response_id": response, "delta": "AAAA", "audio_duration_ms": 1},
            {"type": f"{TRANSCRIPTION}.completed", **text, "transcript": words, "status": "completed"},
        ]

    def other(self, message: Message) -> list[Message]:
        """A cancel ends the reply."""
        if message["type"] != "response.cancel":
            return super().other(message)
        return [{"type": "response.done", "response": {"id": message.get("response_id"), "status": "cancelled"}}]
