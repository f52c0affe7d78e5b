"""LocalAI: a pipeline in the URL, times of a clock without ids, ``TODO`` for ids, no commit beside server VAD."""

from __future__ import annotations

import time

from tests.standins.standin import TRANSCRIPTION, Call, Hearing, Message, error

MODEL = "my-pipeline"


class LocalAiScript(Hearing):
    """Only silence ends a turn of the server."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._began = time.monotonic()
        self._loaded = call.query.get("model") == [MODEL]

    def greeting(self) -> list[Message]:
        """The session, or why there is none."""
        if not self._loaded:
            return [{**error("model_load_error", "failed to load the model"), "event_id": "event_TODO"}]
        return [{"type": "session.created", "event_id": "event_TODO", "session": {"id": "sess_1", "audio": {}}}]

    def configure(self, message: Message) -> list[Message]:
        """The model must name the pipeline."""
        audio = message["session"]["audio"]["input"]
        if audio["transcription"]["model"] != MODEL:
            return [error("invalid_model", "no such pipeline", event_id="event_TODO")]
        self.detects = audio["turn_detection"] is not None
        return super().configure(message)

    def started(self, at: int) -> list[Message]:
        """No id; the time of a clock."""
        del at
        return [{"type": "input_audio_buffer.speech_started", "audio_start_ms": self._clock_ms}]

    def ended(self, at: int) -> list[Message]:
        """Ids match here."""
        return [
            {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": self._clock_ms},
            *self._item_of(at, self.item, self.item),
        ]

    def commit(self, message: Message) -> list[Message]:
        """Only without server VAD; then the id of the words is another one."""
        del message
        if self.detects:
            return [error("not_implemented", "commit is not implemented with VAD", event_id="event_TODO")]
        self.items += 1
        return self._item_of(self.audio.size, f"fresh_{self.items}", self.item)

    def other(self, message: Message) -> list[Message]:
        """Unknown events are ignored silently."""
        del message
        return []

    def _item_of(self, end: int, committed: str, transcribed: str) -> list[Message]:
        words = {"item_id": transcribed, "content_index": 0, "transcript": self.words(end)}
        return [
            {"type": "input_audio_buffer.committed", "item_id": committed, "previous_item_id": "TODO"},
            {"type": f"{TRANSCRIPTION}.completed", **words},
        ]

    @property
    def _clock_ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000)
