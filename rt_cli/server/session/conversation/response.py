"""A response: converts the parts of a reply to OpenAI's events, in OpenAI's order. Pure.

Each response begins with ``response.created`` and ends with exactly one ``response.done``; no event follows.
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
"""OpenAI counts 50 ms of output audio as one token."""
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MINUTE = 1_000_000
"""Value in ``rate_limits.updated``; the server enforces no such limit."""


@dataclass(frozen=True, slots=True)
class ResponseSettings:
    """Effective settings of a response: the session's, overridden by ``response.create``."""

    with_audio: bool = True
    instructions: str | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: Any = "auto"
    voice: str | None = None
    """Name of the voice. Unlike a session, a response has a plain name even for a custom voice."""
    speed: float = 1.0
    output_format: Mapping[str, Any] | None = None
    """The ``format`` object of the audio, as sent to the client."""
    max_output_tokens: int | None = None
    metadata: Mapping[str, str] | None = None
    in_conversation: bool = True
    """Add the items of the response to the default conversation."""


class Encoder(Protocol):
    """Encodes s16le at 24 kHz in the client's format, block by block."""

    def push(self, pcm: bytes) -> bytes:
        """Encode a block; part of it may come out later."""
        ...

    def flush(self) -> bytes:
        """Return the rest and start a new stream."""
        ...


class PlainPcm:
    """Passes PCM through."""

    def push(self, pcm: bytes) -> bytes:
        """Return the block unchanged."""
        return pcm

    def flush(self) -> bytes:
        """Return nothing: this encoder buffers nothing."""
        return b""


@dataclass(slots=True)
class _Message:
    """The assistant message in progress."""

    id: str
    index: int
    text: str = ""


class Response:
    """One response.

    Args:
        settings: Effective settings.
        items: Items of the default conversation; not changed by an out-of-band response.
        conversation_id: Id of the default conversation.
        input_tokens: Size of the context.
        new_id: Creates an id with a prefix, for example ``item``.
        encoder: Encodes the audio; None: PCM.
    """

    def __init__(
        self,
        settings: ResponseSettings,
        items: Items,
        conversation_id: str,
        input_tokens: Tokens,
        new_id: Callable[[str], str],
        encoder: Encoder | None = None,
    ) -> None:
        self.id = new_id("resp")
        self.settings = settings
        self.finished = False
        self.status: str = "in_progress"
        self.audio_samples = 0
        """Number of samples sent, at 24 kHz."""
        self._items = items if settings.in_conversation else None
        self._conversation_id = conversation_id if settings.in_conversation else None
        self._input_tokens = input_tokens
        self._new_id = new_id
        self._encoder = encoder or PlainPcm()
        self._output: list[Shape] = []
        self._message: _Message | None = None
        self._item: Item | None = None
        """The conversation's item of the message in progress."""
        self._characters = 0
        self._replier_usage: Usage | None = None
        self._details: dict[str, Any] | None = None

    def begin(self) -> list[Event]:
        """Return the first event. Called before all other methods."""
        return [{"type": "response.created", "response": self._describe()}]

    def take(self, part: Part) -> list[Event]:
        """Convert a part of the reply to events. May finish the response; a finished response returns no events."""
        if self.finished:
            return []
        match part:
            case Text(delta):
                return self._add_text(delta)
            case Audio(pcm):
                return self._add_audio(pcm)
            case Call():
                return self._add_call(part)
            case Usage():
                self._replier_usage = part
                return self.finish("incomplete", "max_output_tokens") if part.truncated else []

    def finish(self, status: Status, reason: str | None = None, error: str | None = None) -> list[Event]:
        """Finish the response and return its last events; no events if it is already finished.

        Args:
            status: Final status.
            reason: Reason of ``cancelled`` or ``incomplete``.
            error: Error message of ``failed``, for the client.
        """
        if self.finished:
            return []
        # A reply without a word is an item without a word: clients wait for an item, not for an empty response.
        events = self._open() if status == "completed" and not self._output else []
        events += self._close("completed" if status == "completed" else "incomplete")
        self.finished, self.status = True, status
        if status != "completed":
            self._details = {"type": status}
        if reason is not None:
            self._details = {"type": status, "reason": reason}
        if error is not None:
            failure = {"type": "server_error", "code": "server_error", "message": error}
            self._details = {"type": status, "error": failure}
        return [*events, {"type": "response.done", "response": self._describe()}]

    def _add_text(self, delta: str) -> list[Event]:
        limit = self._tokens_left() * _CHARACTERS_PER_TOKEN + -self._characters % _CHARACTERS_PER_TOKEN
        text, over_limit = delta[:limit], len(delta) > limit
        events: list[Event] = []
        if text:
            events = self._open()
            message = self._current_message()
            message.text += text
            self._characters += len(text)
            name = "output_audio_transcript" if self.settings.with_audio else "output_text"
            events.append(self._part_event(message, f"{name}.delta", delta=text))
        return [*events, *self._finish_at_limit()] if over_limit else events

    def _add_audio(self, pcm: bytes) -> list[Event]:
        if not self.settings.with_audio:  # a text response has no audio
            return []
        limit = self._tokens_left() * _SAMPLES_PER_TOKEN + -self.audio_samples % _SAMPLES_PER_TOKEN
        audio, over_limit = pcm[: limit * BYTES_PER_SAMPLE], len(pcm) > limit * BYTES_PER_SAMPLE
        events: list[Event] = []
        if audio:
            events = self._open()
            message = self._current_message()
            self.audio_samples += len(audio) // BYTES_PER_SAMPLE
            if self._items is not None and self._item is not None:
                self._items.extend(self._item, OUTPUT_RATE_HZ, audio)
            events += self._audio_delta(message, self._encoder.push(audio))
        return [*events, *self._finish_at_limit()] if over_limit else events

    def _add_call(self, call: Call) -> list[Event]:
        characters = len(call.name) + len(call.arguments)
        if text_tokens(characters) > self._tokens_left():
            return self._finish_at_limit()
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
        empty = {**shape, "status": "in_progress", "arguments": ""}
        whole = {**shape, "status": "completed", "arguments": call.arguments}
        ids = {"response_id": self.id, "item_id": shape["id"], "output_index": index, "call_id": call.call_id}
        arguments = "response.function_call_arguments"
        return [
            *events,
            *self._item_added(empty, index),
            {"type": f"{arguments}.delta", **ids, "delta": call.arguments},
            {"type": f"{arguments}.done", **ids, "name": call.name, "arguments": call.arguments},
            *self._item_done(whole, index, ""),
        ]

    def _finish_at_limit(self) -> list[Event]:
        return self.finish("incomplete", "max_output_tokens")

    def _tokens_left(self) -> int:
        limit = self.settings.max_output_tokens
        return 1 << 40 if limit is None else max(0, limit - self._output_tokens().total)

    def _output_tokens(self) -> Tokens:
        return Tokens(text_tokens(self._characters), -(-self.audio_samples // _SAMPLES_PER_TOKEN))

    def _current_message(self) -> _Message:
        assert self._message is not None  # noqa: S101 - _open() came first
        return self._message

    def _open(self) -> list[Event]:
        """Start the message if there is none in progress."""
        if self._message is not None:
            return []
        message = self._message = _Message(self._new_id("item"), len(self._output))
        return [
            *self._item_added({**self._shape(message, "in_progress"), "content": []}, message.index),
            self._part_event(message, "content_part.added", part=self._part("")),
        ]

    def _close(self, status: str) -> list[Event]:
        """Finish the message in progress, if any."""
        message, self._message = self._message, None
        if message is None:
            return []
        if self.settings.with_audio:
            events = [
                *self._audio_delta(message, self._encoder.flush()),
                self._part_event(message, "output_audio.done"),
                self._part_event(message, "output_audio_transcript.done", transcript=message.text),
            ]
        else:
            events = [self._part_event(message, "output_text.done", text=message.text)]
        return [
            *events,
            self._part_event(message, "content_part.done", part=self._part(message.text)),
            *self._item_done(self._shape(message, status), message.index, message.text),
        ]

    def _item_added(self, shape: Shape, index: int) -> list[Event]:
        added: Event = {"type": "response.output_item.added", "response_id": self.id, "output_index": index}
        events = [{**added, "item": shape}]
        if self._items is not None:
            item = self._item = self._items.add(Item(shape))
            events.append({"type": "conversation.item.added", "item": shape, "previous_item_id": item.previous})
        return events

    def _item_done(self, shape: Shape, index: int, words: str) -> list[Event]:
        self._output.append(shape)
        events: list[Event] = []
        item, self._item = self._item, None
        if self._items is not None and item is not None and self._items.contains(item):
            settled = self._items.settle(item, shape, words)
            events.append({"type": "conversation.item.done", "item": settled, "previous_item_id": item.previous})
        done: Event = {"type": "response.output_item.done", "response_id": self.id, "output_index": index}
        return [*events, {**done, "item": shape}]

    def _audio_delta(self, message: _Message, audio: bytes) -> list[Event]:
        if not audio:
            return []
        return [self._part_event(message, "output_audio.delta", delta=pybase64.b64encode(audio).decode())]

    def _part_event(self, message: _Message, name: str, **fields: Any) -> Event:
        ids = {"response_id": self.id, "item_id": message.id, "output_index": message.index, "content_index": 0}
        return {"type": f"response.{name}", **ids, **fields}

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "audio", "transcript": text} if self.settings.with_audio else {"type": "text", "text": text}

    def _shape(self, message: _Message, status: str) -> Shape:
        content = (
            {"type": "output_audio", "transcript": message.text}
            if self.settings.with_audio
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
            "output_modalities": ["audio"] if settings.with_audio else ["text"],
            "max_output_tokens": "inf" if limit is None else limit,
            "audio": {"output": {"format": settings.output_format, "voice": settings.voice}},
            "usage": self.usage() if self.finished else None,
            "metadata": settings.metadata,
        }

    def usage(self) -> dict[str, Any]:
        """The ``usage`` object: estimated tokens; text tokens are exact if the replier has counted them."""
        input_tokens, output_tokens = self._input_tokens, self._output_tokens()
        if self._replier_usage is not None:
            input_tokens = Tokens(self._replier_usage.input_tokens, input_tokens.audio, input_tokens.image)
            output_tokens = Tokens(self._replier_usage.output_tokens, output_tokens.audio)
        cached = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
        return {
            "total_tokens": input_tokens.total + output_tokens.total,
            "input_tokens": input_tokens.total,
            "output_tokens": output_tokens.total,
            "input_token_details": {
                "text_tokens": input_tokens.text,
                "audio_tokens": input_tokens.audio,
                "image_tokens": input_tokens.image,
                "cached_tokens": 0,
                "cached_tokens_details": cached,
            },
            "output_token_details": {"text_tokens": output_tokens.text, "audio_tokens": output_tokens.audio},
        }

    def rate_limits(self) -> Event:
        """``rate_limits.updated``, sent after ``response.done`` as at OpenAI."""
        left = max(0, _TOKENS_PER_MINUTE - self.usage()["total_tokens"])
        tokens = {"name": "tokens", "limit": _TOKENS_PER_MINUTE, "remaining": left, "reset_seconds": 0.0}
        return {"type": "rate_limits.updated", "rate_limits": [tokens]}
