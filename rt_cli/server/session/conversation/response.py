"""A response: from the parts of a reply to OpenAI's events, in the order that OpenAI sends them. Pure.

For each response: ``response.created`` first, ``response.done`` last and once, and nothing of it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pybase64

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.server.replies.interface import OUTPUT_RATE_HZ, Audio, Call, Part, Text, Usage
from rt_cli.server.session.conversation.items import Item, Items, Shape, Tokens, text_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rt_cli.server.session.wire import Event

Status = Literal["completed", "cancelled", "failed", "incomplete"]

_SAMPLES_PER_TOKEN = OUTPUT_RATE_HZ // 20
"""OpenAI counts 50 ms of its own audio as a token."""
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MINUTE = 1_000_000
"""What ``rate_limits.updated`` shows; there is no such limit here."""


@dataclass(frozen=True, slots=True)
class ResponseSettings:
    """What a response is asked to be: the session's settings under those of ``response.create``."""

    spoken: bool = True
    instructions: str | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: Any = "auto"
    voice: str | None = None
    """A name: unlike sessions, responses tell even a custom voice so."""
    speed: float = 1.0
    output_format: Mapping[str, Any] | None = None
    """Of the audio, as the client is told."""
    max_output_tokens: int | None = None
    metadata: Mapping[str, str] | None = None
    in_conversation: bool = True
    """Its items join the default conversation."""


class Encoder(Protocol):
    """From s16le at 24 kHz to the client's format, piece by piece."""

    def push(self, pcm: bytes) -> bytes:
        """What is ready."""
        ...

    def flush(self) -> bytes:
        """The rest; a new stream begins."""
        ...


class PlainPcm:
    """PCM as it is."""

    def push(self, pcm: bytes) -> bytes:
        """The same."""
        return pcm

    def flush(self) -> bytes:
        """Nothing is held back."""
        return b""


@dataclass(slots=True)
class _Message:
    """The assistant's message that is being said."""

    id: str
    index: int
    text: str = ""


class Response:
    """One response.

    Args:
        settings: What it is to be.
        items: The conversation that its items join; not touched if it is out of band.
        conversation_id: Of that conversation.
        read: How much it is made from.
        new_id: Makes ids that begin with a word, as ``item``.
        encoder: For its audio.
    """

    def __init__(
        self,
        settings: ResponseSettings,
        items: Items,
        conversation_id: str,
        read: Tokens,
        new_id: Callable[[str], str],
        encoder: Encoder | None = None,
    ) -> None:
        self.id = new_id("resp")
        self.settings = settings
        self.finished = False
        self.status: str = "in_progress"
        self.audio_samples = 0
        """Sent so far, at 24 kHz."""
        self._items = items if settings.in_conversation else None
        self._conversation_id = conversation_id if settings.in_conversation else None
        self._read = read
        self._new_id = new_id
        self._encoder = encoder or PlainPcm()
        self._output: list[Shape] = []
        self._message: _Message | None = None
        self._item: Item | None = None
        """The conversation's, that is being written."""
        self._characters = 0
        self._counted: Usage | None = None
        self._details: dict[str, Any] | None = None

    def begin(self) -> list[Event]:
        """The first event; comes before all else."""
        return [{"type": "response.created", "response": self._describe()}]

    def take(self, part: Part) -> list[Event]:
        """What a part of the reply makes; it may finish the response, and nothing comes of a finished one."""
        if self.finished:
            return []
        match part:
            case Text(delta):
                return self._say(delta)
            case Audio(pcm):
                return self._sound(pcm)
            case Call():
                return self._call(part)
            case Usage():
                self._counted = part
                return self.finish("incomplete", "max_output_tokens") if part.truncated else []

    def finish(self, status: Status, reason: str | None = None, error: str | None = None) -> list[Event]:
        """The last events; none where they were given already.

        Args:
            status: How it ends.
            reason: Of a cancelled or incomplete one.
            error: Of a failed one, for the client.
        """
        if self.finished:
            return []
        events = self._close("completed" if status == "completed" else "incomplete")
        self.finished, self.status = True, status
        if status != "completed":
            self._details = {"type": status}
        if reason is not None:
            self._details = {"type": status, "reason": reason}
        if error is not None:
            failure = {"type": "server_error", "code": "server_error", "message": error}
            self._details = {"type": status, "error": failure}
        return [*events, {"type": "response.done", "response": self._describe()}]

    def _say(self, delta: str) -> list[Event]:
        room = self._room() * _CHARACTERS_PER_TOKEN + -self._characters % _CHARACTERS_PER_TOKEN
        said, cut = delta[:room], len(delta) > room
        events: list[Event] = []
        if said:
            events = self._open()
            message = self._present()
            message.text += said
            self._characters += len(said)
            name = "output_audio_transcript" if self.settings.spoken else "output_text"
            events.append(self._of_part(message, f"{name}.delta", delta=said))
        return [*events, *self._full()] if cut else events

    def _sound(self, pcm: bytes) -> list[Event]:
        if not self.settings.spoken:  # where text was asked for, sound is no part of the answer
            return []
        room = self._room() * _SAMPLES_PER_TOKEN + -self.audio_samples % _SAMPLES_PER_TOKEN
        heard, cut = pcm[: room * BYTES_PER_SAMPLE], len(pcm) > room * BYTES_PER_SAMPLE
        events: list[Event] = []
        if heard:
            events = self._open()
            message = self._present()
            self.audio_samples += len(heard) // BYTES_PER_SAMPLE
            if self._items is not None and self._item is not None:
                self._items.extend(self._item, OUTPUT_RATE_HZ, heard)
            events += self._audio_delta(message, self._encoder.push(heard))
        return [*events, *self._full()] if cut else events

    def _call(self, call: Call) -> list[Event]:
        characters = len(call.name) + len(call.arguments)
        if text_tokens(characters) > self._room():
            return self._full()
        self._characters += characters
        events = self._close("completed")
        index = len(self._output)
        shape = {
            "id": self._new_id("item"),
            "object": "realtime.item",
            "type": "function_call",
            "call_id": call.call_id,
            "name": call.name,
        }
        begun = {**shape, "status": "in_progress", "arguments": ""}
        whole = {**shape, "status": "completed", "arguments": call.arguments}
        ids = {"response_id": self.id, "item_id": shape["id"], "output_index": index, "call_id": call.call_id}
        arguments = "response.function_call_arguments"
        return [
            *events,
            *self._item_added(begun, index),
            {"type": f"{arguments}.delta", **ids, "delta": call.arguments},
            {"type": f"{arguments}.done", **ids, "name": call.name, "arguments": call.arguments},
            *self._item_done(whole, index, None),
        ]

    def _full(self) -> list[Event]:
        return self.finish("incomplete", "max_output_tokens")

    def _room(self) -> int:
        limit = self.settings.max_output_tokens
        return 1 << 40 if limit is None else max(0, limit - self._written().total)

    def _written(self) -> Tokens:
        return Tokens(text_tokens(self._characters), -(-self.audio_samples // _SAMPLES_PER_TOKEN))

    def _present(self) -> _Message:
        assert self._message is not None  # noqa: S101 - _open() came first
        return self._message

    def _open(self) -> list[Event]:
        """Begin the message, unless it has begun."""
        if self._message is not None:
            return []
        message = self._message = _Message(self._new_id("item"), len(self._output))
        return [
            *self._item_added({**self._shape(message, "in_progress"), "content": []}, message.index),
            self._of_part(message, "content_part.added", part=self._part("")),
        ]

    def _close(self, status: str) -> list[Event]:
        """End the message, if there is one."""
        message, self._message = self._message, None
        if message is None:
            return []
        if self.settings.spoken:
            events = [
                *self._audio_delta(message, self._encoder.flush()),
                self._of_part(message, "output_audio.done"),
                self._of_part(message, "output_audio_transcript.done", transcript=message.text),
            ]
        else:
            events = [self._of_part(message, "output_text.done", text=message.text)]
        return [
            *events,
            self._of_part(message, "content_part.done", part=self._part(message.text)),
            *self._item_done(self._shape(message, status), message.index, message.text),
        ]

    def _item_added(self, shape: Shape, index: int) -> list[Event]:
        added: Event = {"type": "response.output_item.added", "response_id": self.id, "output_index": index}
        events = [{**added, "item": shape}]
        if self._items is not None:
            item = self._item = self._items.add(Item(shape))
            events.append({"type": "conversation.item.added", "item": shape, "previous_item_id": item.previous})
        return events

    def _item_done(self, shape: Shape, index: int, words: str | None) -> list[Event]:
        self._output.append(shape)
        events: list[Event] = []
        item, self._item = self._item, None
        if self._items is not None and item is not None and self._items.holds(item):
            self._items.settle(item, shape, words)
            events.append({"type": "conversation.item.done", "item": shape, "previous_item_id": item.previous})
        done: Event = {"type": "response.output_item.done", "response_id": self.id, "output_index": index}
        return [*events, {**done, "item": shape}]

    def _audio_delta(self, message: _Message, audio: bytes) -> list[Event]:
        if not audio:
            return []
        return [self._of_part(message, "output_audio.delta", delta=pybase64.b64encode(audio).decode())]

    def _of_part(self, message: _Message, name: str, **fields: Any) -> Event:
        ids = {"response_id": self.id, "item_id": message.id, "output_index": message.index, "content_index": 0}
        return {"type": f"response.{name}", **ids, **fields}

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "audio", "transcript": text} if self.settings.spoken else {"type": "text", "text": text}

    def _shape(self, message: _Message, status: str) -> Shape:
        content = (
            {"type": "output_audio", "transcript": message.text}
            if self.settings.spoken
            else {"type": "output_text", "text": message.text}
        )
        return {
            "id": message.id,
            "object": "realtime.item",
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [content],
        }

    def _describe(self) -> dict[str, Any]:
        settings = self.settings
        limit = settings.max_output_tokens
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": self._details,
            "output": list(self._output),
            "conversation_id": self._conversation_id,
            "output_modalities": ["audio"] if settings.spoken else ["text"],
            "max_output_tokens": "inf" if limit is None else limit,
            "audio": {"output": {"format": settings.output_format, "voice": settings.voice}},
            "usage": self.usage() if self.finished else None,
            "metadata": settings.metadata,
        }

    def usage(self) -> dict[str, Any]:
        """What was read and written, in tokens: estimated, except for text that the source of the words counted."""
        read, written = self._read, self._written()
        if self._counted is not None:
            read = Tokens(self._counted.input_tokens, read.audio, read.image)
            written = Tokens(self._counted.output_tokens, written.audio)
        cached = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
        return {
            "total_tokens": read.total + written.total,
            "input_tokens": read.total,
            "output_tokens": written.total,
            "input_token_details": {
                "text_tokens": read.text,
                "audio_tokens": read.audio,
                "image_tokens": read.image,
                "cached_tokens": 0,
                "cached_tokens_details": cached,
            },
            "output_token_details": {"text_tokens": written.text, "audio_tokens": written.audio},
        }

    def rate_limits(self) -> Event:
        """``rate_limits.updated``, which OpenAI sends after ``response.done``."""
        left = max(0, _TOKENS_PER_MINUTE - self.usage()["total_tokens"])
        tokens = {"name": "tokens", "limit": _TOKENS_PER_MINUTE, "remaining": left, "reset_seconds": 0.0}
        return {"type": "rate_limits.updated", "rate_limits": [tokens]}
