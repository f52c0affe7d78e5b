"""One reply of the endpoint: its messages, its function calls, what arrived of it and what became of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.protocol.sanitize import whole_text

if TYPE_CHECKING:
    from rt_cli.protocol.conversation.ask import Ask
    from rt_cli.protocol.conversation.events import OutputItem
    from rt_cli.protocol.conversation.playback import Content, Playback

CUT = "cut"
"""Code of a reply whose end the endpoint did not tell."""
MAX_CALLS = 64
"""Function calls of one reply."""
MAX_TEXT_CHARS = 1_000_000
MAX_UNHEARD_BYTES = 64 * 1024 * 1024
"""Audio of a reply that waits to be played: 23 minutes."""


@dataclass(slots=True)
class ToolCall:
    """A function call."""

    call_id: str
    name: str
    arguments: str
    output: str | None = None
    """None while the tool runs."""


@dataclass(slots=True)
class Message:
    """A message of a reply."""

    texts: dict[int, str] = field(default_factory=dict)
    """Text by content index."""
    audio: dict[int, int] = field(default_factory=dict)
    """Samples received, by content index."""

    @property
    def text(self) -> str:
        """The text of all parts."""
        return whole_text(" ".join(part for _, part in sorted(self.texts.items()) if part))


class Reply:
    """What is known of one response.

    Args:
        response_id: Its id; None if the endpoint gives none.
        ask: What it answers.
        spoken: Whether it is audio, with a transcript; else text.
    """

    def __init__(self, response_id: str | None, ask: Ask, *, spoken: bool = True) -> None:
        self.response_id = response_id
        self.ask = ask
        self.continued = False
        """The outputs of its calls have asked for the next reply."""
        self._spoken = spoken
        self.messages: dict[str, Message] = {}
        """By item id."""
        self.calls: dict[str, ToolCall] = {}
        """By call id."""
        self.item_ids: list[str] = []
        self.status: str | None = None
        """None while the endpoint sends more of it."""
        self.code = ""
        self.message = ""
        self.interrupted = False
        """The user has stopped it: what comes of it is dropped."""
        self.superseded = False
        """The user has gone on: the outputs of its calls ask for no reply."""
        self.muted = False
        """It repeats a reply that was given before: nothing of it is played or run."""
        self.gone = False
        """Its connection is gone: the endpoint knows nothing of it."""
        self.reported = False
        self.starts_at: int | None = None
        """Timeline position of its first sample of audio; None before it."""
        self.begun = False
        """Its first sound or word has come."""
        self.turn_ended_at: int | None = None
        """When the turn before it ended; None without one."""
        self.created_at = 0
        """When it began, on the timeline."""

    def cut(self) -> None:
        """End it without its end."""
        self.status, self.code = "incomplete", CUT

    @property
    def open(self) -> bool:
        """Whether the endpoint may send more of it."""
        return self.status is None

    @property
    def wanted(self) -> bool:
        """Whether what comes of it counts."""
        return not (self.interrupted or self.muted)

    @property
    def began(self) -> bool:
        """Whether anything of it can have been heard, or done. The transcript of audio is ahead of it."""
        texts = not self._spoken and any(message.text for message in self.messages.values())
        return bool(self.calls) or texts or any(message.audio for message in self.messages.values())

    @property
    def calls_pending(self) -> bool:
        """Whether an output is missing."""
        return any(call.output is None for call in self.calls.values())

    @property
    def audio(self) -> int:
        """Samples received."""
        return sum(sum(message.audio.values()) for message in self.messages.values())

    def played(self, playback: Playback, now: int) -> int:
        """Return the samples that have sounded."""
        return sum(playback.played(content, now) for content in self.contents())

    def contents(self) -> list[Content]:
        """Return the messages with audio, in order of arrival."""
        return [(item_id, index) for item_id, message in self.messages.items() for index in message.audio]

    def note_item(self, item_id: str | None) -> None:
        """Note an item of the reply."""
        if item_id is not None and item_id not in self.item_ids:
            self.item_ids.append(item_id)

    def message_of(self, item_id: str | None) -> Message:
        """Return a message, perhaps a new one."""
        self.note_item(item_id)
        return self.messages.setdefault(item_id or "", Message())

    def add_text(self, item_id: str | None, index: int, delta: str) -> None:
        """Append to the text of a message."""
        message = self.message_of(item_id)
        if len(message.texts.get(index, "")) < MAX_TEXT_CHARS:
            message.texts[index] = message.texts.get(index, "") + delta

    def set_text(self, item_id: str | None, index: int, text: str) -> None:
        """Set the whole text of a part."""
        self.message_of(item_id).texts[index] = text[:MAX_TEXT_CHARS]

    def add_audio(self, item_id: str | None, index: int, pcm: bytes) -> Content:
        """Count audio; return the message that it belongs to."""
        message = self.message_of(item_id)
        message.audio[index] = message.audio.get(index, 0) + len(pcm) // BYTES_PER_SAMPLE
        return item_id or "", index

    def add_call(self, item: OutputItem) -> ToolCall | None:
        """Return a call that is new, or None: the same call is told of by up to three events."""
        call_id = item.call_id or item.id
        if call_id is None or not item.name or call_id in self.calls or len(self.calls) >= MAX_CALLS:
            return None
        self.note_item(item.id)
        call = self.calls[call_id] = ToolCall(call_id, item.name, item.arguments)
        return call

    def finish(self, item: OutputItem) -> None:
        """Take the text of a complete message, if no event before has told it."""
        if item.kind == "message" and item.text and not self.message_of(item.id).text:
            self.set_text(item.id, 0, item.text)
        self.note_item(item.id)

    def said_text(self, playback: Playback, now: int) -> str:
        """Return the words that are heard, or will be: of an interrupted reply what sounded, else all that came."""
        if self.interrupted:
            return self.heard_text(playback, now)
        return " ".join(message.text for message in self.messages.values() if message.text)

    def heard_text(self, playback: Playback, now: int) -> str:
        """Return the words that have sounded, in proportion to the audio; all of them without audio."""
        return " ".join(part for part in (self._heard(name, playback, now) for name in self.messages) if part)

    def _heard(self, item_id: str, playback: Playback, now: int) -> str:
        message = self.messages[item_id]
        received = sum(message.audio.values())
        if not received:
            # The text of a message that was interrupted before its first sound was not heard.
            return "" if self.interrupted and any(other.audio for other in self.messages.values()) else message.text
        played = sum(playback.played((item_id, index), now) for index in message.audio)
        if played >= received:
            return message.text
        words = message.text.split()
        return " ".join(words[: round(len(words) * played / received)])
