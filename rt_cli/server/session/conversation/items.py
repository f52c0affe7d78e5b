"""The items of a conversation: order, content and changes. Pure.

Memory is limited. Above the byte limit, the oldest sounds are discarded first (their items stay, without audio), then
the oldest items. Above ``KEPT_ITEMS``, the oldest items are discarded. The client gets no event about this.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pybase64

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_ms, to_samples
from rt_cli.server.session.conversation.heard_words import heard_words
from rt_cli.server.session.validate import number
from rt_cli.server.session.wire import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Shape = dict[str, Any]
"""An item as the client gets it, without its audio."""

KEPT_ITEMS = 4_096
KEPT_BYTES = 64 * 1024 * 1024
"""Limit of a conversation; a transcription session creates no responses and keeps less."""
KEPT_BYTES_OF_A_TRANSCRIPTION = 4 * 1024 * 1024
CONTEXT_TOKENS = 28_224
"""Longest context of a reply: the input window that OpenAI documents. The oldest items are left out first."""
_CHARACTERS_PER_TOKEN = 4
_MS_PER_AUDIO_TOKEN = 100
_TOKENS_PER_IMAGE = 765
_MAX_SHOWN = 64
_count = number("integer", 0, 2**31)

ROOT = "root"
"""``previous_item_id`` of an item that goes first; no item has this id."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Estimated tokens: one per four characters, one per 100 ms of input audio, 765 per image."""

    text: int = 0
    audio: int = 0
    image: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.text + other.text, self.audio + other.audio, self.image + other.image)

    @property
    def total(self) -> int:
        """The sum of text, audio and image tokens."""
        return self.text + self.audio + self.image


@dataclass(slots=True, eq=False)
class Sound:
    """The audio of one content part."""

    rate_hz: int
    pcm: bytes | bytearray = field(default_factory=bytearray)
    """s16le; empty after eviction. A complete sound is ``bytes``, so that repliers need no copy."""
    samples: int = 0
    """Length of the sound; stays the same after eviction."""
    words: str | None = None
    """Transcript for repliers; None: unknown."""
    evicted: bool = False
    generated: int = 0
    """Samples of a reply, those included that were generated after its truncation."""

    @property
    def ms(self) -> int:
        """Length in ms."""
        return to_ms(self.samples, self.rate_hz)


@dataclass(slots=True)
class Item:
    """An item of the conversation."""

    shape: Shape
    sounds: dict[int, Sound] = field(default_factory=dict)
    """Sounds by content index."""
    previous: str | None = None
    """Id of the item before this one when it was added."""
    truncated: bool = False
    counted_characters: int = 0
    """Characters of this item that are counted in the memory use of the conversation."""

    @property
    def id(self) -> str:
        """The item id."""
        return str(self.shape["id"])

    @property
    def is_spoken_reply(self) -> bool:
        """True for audio of the assistant; only such items can be truncated."""
        return self.shape.get("role") == "assistant" and bool(self.sounds)

    def context(self) -> Shape:
        """A copy for the replier, with all known transcripts."""
        shape = _copy(self.shape)
        for index, sound in self.sounds.items():
            if sound.words is not None and index < len(shape["content"]):
                shape["content"][index]["transcript"] = sound.words
        return shape

    def with_audio(self, encode: Callable[[Sound], bytes]) -> Shape:
        """A copy with base64 audio, as far as the audio is still in memory. Safe to call in a thread.

        Args:
            encode: Encodes s16le in the client's format.
        """
        shape = _copy(self.shape)
        for index, sound in list(self.sounds.items()):  # list(): the dict may grow while this thread runs
            if not sound.evicted and index < len(shape["content"]):
                shape["content"][index]["audio"] = pybase64.b64encode(encode(sound)).decode()
        return shape

    def tokens(self) -> Tokens:
        """Estimated tokens of this item in a context."""
        text = sum(len(part.get("text") or "") for part in self.shape.get("content", ()))
        text += sum(len(self.shape.get(name) or "") for name in ("name", "arguments", "output"))
        audio_ms = sum(sound.ms for sound in self.sounds.values())
        images = sum(part.get("type") == "input_image" for part in self.shape.get("content", ()))
        return Tokens(text_tokens(text), -(-audio_ms // _MS_PER_AUDIO_TOKEN), images * _TOKENS_PER_IMAGE)

    def count_characters(self) -> int:
        """Number of characters in the item, without audio."""
        return sum(map(len, _texts(self.shape)))


def text_tokens(characters: int) -> int:
    """Estimated tokens of a text."""
    return -(-characters // _CHARACTERS_PER_TOKEN)


def context(items: Sequence[Item], limit: int = CONTEXT_TOKENS) -> list[Item]:
    """The newest items that fit into ``limit`` tokens, oldest first. The last item is always included."""
    tokens_left = limit
    newest: list[Item] = []
    for item in reversed(items):
        tokens_left -= item.tokens().total
        if tokens_left < 0 and newest:
            break
        newest.append(item)
    return newest[::-1]


class Items:
    """The ordered items of a conversation."""

    def __init__(self) -> None:
        self.kept_bytes = KEPT_BYTES
        self._order: list[str] = []
        self._items: dict[str, Item] = {}
        self._sounds_by_age: deque[Sound] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def clear(self) -> None:
        """Remove all items and audio."""
        self._order.clear()
        self._items.clear()
        self._sounds_by_age.clear()
        self._bytes = 0

    def last(self) -> str | None:
        """Id of the last item; None in an empty conversation."""
        return self._order[-1] if self._order else None

    def get(self, item_id: object) -> Item | None:
        """The item with this id; None if it does not exist or is evicted."""
        return self._items.get(item_id) if isinstance(item_id, str) else None

    def add(self, item: Item) -> Item:
        """Append an item; its id must be new."""
        return self._insert(item, len(self._order))

    def create(self, item: Item, previous_item_id: object, pending_item_id: str | None = None) -> Item:
        """Insert a client's item.

        Args:
            item: A valid item.
            previous_item_id: None: append; ``root``: insert first; else the id of the item before.
            pending_item_id: Id of the current turn's item, which is not added yet: not allowed for ``item``.

        Raises:
            Rejected: The id exists already, or ``previous_item_id`` or the call id does not exist.
        """
        if item.id in self._items or item.id == pending_item_id:
            message = f"Error adding item: an item with id '{item.id}' already exists."
            raise Rejected("item_create_duplicate_item_id", message, "item.id")
        if item.shape["type"] == "function_call_output" and not self._has_call(item.shape["call_id"]):
            message = f"Tool call ID '{item.shape['call_id']}' not found in conversation."
            raise Rejected("invalid_tool_call_id", message, "item.call_id")
        if previous_item_id is None:
            index = len(self._order)
        elif previous_item_id == ROOT:
            index = 0
        elif (previous := self.get(previous_item_id)) is not None:
            index = self._order.index(previous.id) + 1
        else:
            message = f"Error adding item: the previous item with id '{_name(previous_item_id)}' does not exist."
            raise Rejected("item_create_invalid_previous_item_id", message, "previous_item_id")
        return self._insert(item, index)

    def find(self, item_id: object, verb: str, doing: str) -> Item:
        """The item that a client event refers to.

        Args:
            item_id: Value from the client event, untrusted.
            verb: Part of the error code, for example ``delete``.
            doing: Part of the error message, for example ``deleting``.

        Raises:
            Rejected: The item does not exist.
        """
        if item_id is None:
            raise Rejected("missing_required_parameter", "Missing required parameter: 'item_id'.", "item_id")
        item = self.get(item_id)
        if item is None:
            message = f"Error {doing} item: the item with id '{_name(item_id)}' does not exist."
            raise Rejected(f"item_{verb}_invalid_item_id", message, "item_id")
        return item

    def delete(self, item_id: object) -> str:
        """Delete an item and return its id.

        Raises:
            Rejected: The item does not exist.
        """
        item = self.find(item_id, "delete", "deleting")
        self._remove(item)
        return item.id

    def truncate(self, item_id: object, content_index: object, audio_end_ms: object) -> None:
        """Cut the audio of a spoken reply at ``audio_end_ms`` and delete its transcript.

        Repliers still get the first words of the transcript, in proportion to the remaining audio: those of a reply in
        progress once it is settled.

        Raises:
            Rejected: The item is no spoken reply, or its audio is shorter.
        """
        item = self.find(item_id, "truncate", "truncating")
        index, end_ms = _count(content_index, "content_index"), _count(audio_end_ms, "audio_end_ms")
        if not item.is_spoken_reply or index not in item.sounds:
            message = "Only model output audio messages can be truncated."
            raise Rejected("unsupported_content_type", message, "item_id" if index == 0 else "content_index")
        sound = item.sounds[index]
        if end_ms > sound.ms:
            message = f"Audio content of {sound.ms}ms is already shorter than {end_ms}ms"
            raise Rejected("invalid_value", message, "audio_end_ms")
        samples = to_samples(end_ms, sound.rate_hz)
        sound.words = None if sound.words is None else heard_words(sound.words, samples, sound.samples)
        sound.samples = samples
        self._bytes += min(0, sound.samples * BYTES_PER_SAMPLE - len(sound.pcm))
        sound.pcm = sound.pcm[: sound.samples * BYTES_PER_SAMPLE]
        item.truncated = True
        if index < len(item.shape["content"]):
            item.shape["content"][index]["transcript"] = ""
        self._recount(item)

    def give_sound(self, item_id: str, sound: Sound) -> None:
        """Store the audio of a turn as content part 0; no effect if the item does not exist."""
        item = self.get(item_id)
        if item is not None:
            item.sounds[0] = sound
            self._sounds_by_age.append(sound)
            self._bytes += len(sound.pcm)
            self._evict()

    def contains(self, item: Item) -> bool:
        """True if this very item is in the conversation: a client may delete an item and use its id again."""
        return self._items.get(item.id) is item

    def extend(self, item: Item, rate_hz: int, pcm: bytes) -> None:
        """Append audio to content part 0 of a spoken reply; only counts it if the item is truncated or deleted."""
        if not self.contains(item):
            return
        if 0 not in item.sounds:
            item.sounds[0] = Sound(rate_hz)
            self._sounds_by_age.append(item.sounds[0])
        sound = item.sounds[0]
        sound.generated += len(pcm) // BYTES_PER_SAMPLE
        if item.truncated:
            return
        sound.samples = sound.generated
        if not sound.evicted:
            sound.pcm += pcm
            self._bytes += len(pcm)
        self._evict()

    def settle(self, item: Item, shape: Shape, words: str) -> Shape:
        """Set the final shape of a reply's item, and return it: without its transcript if the item is truncated.

        No effect if the client deleted the item.

        Args:
            item: Item of the reply.
            shape: The final shape.
            words: Transcript of its audio; not used if the item has none.
        """
        if not self.contains(item):
            return shape
        if item.truncated:
            shape = {**shape, "content": [{**part, "transcript": ""} for part in shape["content"]]}
        if 0 in item.sounds:
            sound = item.sounds[0]
            sound.words = heard_words(words, sound.samples, sound.generated)
        item.shape = _copy(shape)
        self._recount(item)
        self._evict()
        return shape

    def set_words(self, item_id: str, words: str, *, to_client: bool) -> None:
        """Store the transcript of a turn.

        Args:
            item_id: Id of the turn's item; no effect if the item does not exist.
            words: The complete transcript.
            to_client: Also show the transcript in the item that the client retrieves.
        """
        item = self.get(item_id)
        if item is None or 0 not in item.sounds:
            return
        item.sounds[0].words = words
        if to_client:
            item.shape["content"][0]["transcript"] = words
            self._recount(item)

    def _has_call(self, call_id: str) -> bool:
        return any(item.shape["type"] == "function_call" and item.shape["call_id"] == call_id for item in self)

    def _insert(self, item: Item, index: int) -> Item:
        item.previous = self._order[index - 1] if index else None
        self._order.insert(index, item.id)
        self._items[item.id] = item
        self._sounds_by_age.extend(item.sounds.values())
        self._bytes += sum(len(sound.pcm) for sound in item.sounds.values())
        self._recount(item)
        self._evict()
        return item

    def _remove(self, item: Item) -> None:
        for sound in item.sounds.values():
            self._drop_pcm(sound)
            if sound in self._sounds_by_age:
                self._sounds_by_age.remove(sound)
        self._bytes -= item.counted_characters
        self._order.remove(item.id)
        del self._items[item.id]

    def _recount(self, item: Item) -> None:
        count_characters = item.count_characters()
        self._bytes += count_characters - item.counted_characters
        item.counted_characters = count_characters

    def _evict(self) -> None:
        while self._bytes > self.kept_bytes and self._sounds_by_age:
            self._drop_pcm(self._sounds_by_age.popleft())
        while len(self._order) > 1 and (self._bytes > self.kept_bytes or len(self._order) > KEPT_ITEMS):
            self._remove(self._items[self._order[0]])

    def _drop_pcm(self, sound: Sound) -> None:
        self._bytes -= len(sound.pcm)
        sound.pcm, sound.evicted = bytearray(), True


def _copy(shape: Shape) -> Shape:
    if "content" not in shape:
        return dict(shape)
    return {**shape, "content": [dict(part) for part in shape["content"]]}


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for part in value.values():
                yield from _texts(part)
        case list():
            for part in value:
                yield from _texts(part)


def _name(item_id: object) -> str:
    return item_id[:_MAX_SHOWN] if isinstance(item_id, str) else type(item_id).__name__
