"""The items of a conversation: their order, what they hold, what may be done to them. Pure.

Memory is bounded: beyond a number of bytes the oldest sound is let go (its item stays, and is retrieved without it),
then the oldest items; beyond ``KEPT_ITEMS`` the oldest items go too. Nothing tells the client.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pybase64

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_ms, to_samples
from rt_cli.server.session.validate import number
from rt_cli.server.session.wire import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Shape = dict[str, Any]
"""An item as it is told to the client: everything but its sound."""

KEPT_ITEMS = 4_096
KEPT_BYTES = 64 * 1024 * 1024
"""Of a conversation; a transcription, which answers nothing, keeps less."""
KEPT_BYTES_OF_A_TRANSCRIPTION = 4 * 1024 * 1024
CONTEXT_TOKENS = 28_224
"""What a reply may depend on: the input window that OpenAI documents; the oldest items are left out first."""
_CHARACTERS_PER_TOKEN = 4
_MS_PER_HEARD_TOKEN = 100
_TOKENS_PER_IMAGE = 765
_MAX_SHOWN = 64
_count = number("integer", 0, 2**31)

ROOT = "root"
"""What an item follows that is to be the first; no item is called so."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """An estimate in OpenAI's units: four characters, a tenth of a second heard, or 765 for an image."""

    text: int = 0
    audio: int = 0
    image: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.text + other.text, self.audio + other.audio, self.image + other.image)

    @property
    def total(self) -> int:
        """All of them."""
        return self.text + self.audio + self.image


@dataclass(slots=True, eq=False)
class Sound:
    """The audio of one content part."""

    rate_hz: int
    pcm: bytes | bytearray = field(default_factory=bytearray)
    """s16le; empty where it was let go. What never grows is bytes, so that repliers need no copy of it."""
    samples: int = 0
    """Even where the sound was let go."""
    words: str | None = None
    """What is said in it, as far as repliers are to know."""
    gone: bool = False

    @property
    def ms(self) -> int:
        """Its length."""
        return to_ms(self.samples, self.rate_hz)


@dataclass(slots=True)
class Item:
    """One of them."""

    shape: Shape
    sounds: dict[int, Sound] = field(default_factory=dict)
    """By content index."""
    previous: str | None = None
    """The item that it was put behind."""
    truncated: bool = False
    weighed: int = 0
    """How many characters of it the conversation has counted."""

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.shape["id"])

    @property
    def is_spoken_reply(self) -> bool:
        """Whether it is audio of the assistant, which alone can be truncated."""
        return self.shape.get("role") == "assistant" and bool(self.sounds)

    def context(self) -> Shape:
        """The item for a replier: with all the words that are known; a copy."""
        shape = _copy(self.shape)
        for index, sound in self.sounds.items():
            if sound.words is not None and index < len(shape["content"]):
                shape["content"][index]["transcript"] = sound.words
        return shape

    def with_audio(self, encode: Callable[[Sound], bytes]) -> Shape:
        """The item with its sound in base64, where it is still there; a copy.

        Args:
            encode: From s16le to the format of the client.
        """
        shape = _copy(self.shape)
        for index, sound in list(self.sounds.items()):  # it may grow meanwhile: this runs in a thread
            if not sound.gone and index < len(shape["content"]):
                shape["content"][index]["audio"] = pybase64.b64encode(encode(sound)).decode()
        return shape

    def tokens(self) -> Tokens:
        """How large a part of a context it is."""
        text = sum(len(part.get("text") or "") for part in self.shape.get("content", ()))
        text += sum(len(self.shape.get(name) or "") for name in ("name", "arguments", "output"))
        heard = sum(sound.ms for sound in self.sounds.values())
        images = sum(part.get("type") == "input_image" for part in self.shape.get("content", ()))
        return Tokens(text_tokens(text), -(-heard // _MS_PER_HEARD_TOKEN), images * _TOKENS_PER_IMAGE)

    def weight(self) -> int:
        """Characters of it, its sound apart."""
        return sum(map(len, _texts(self.shape)))


def text_tokens(characters: int) -> int:
    """How many tokens some text is taken for."""
    return -(-characters // _CHARACTERS_PER_TOKEN)


def context(items: Sequence[Item], limit: int = CONTEXT_TOKENS) -> list[Item]:
    """The newest of the items that fit into so many tokens, oldest first; the last one always is there."""
    room = limit
    kept: list[Item] = []
    for item in reversed(items):
        room -= item.tokens().total
        if room < 0 and kept:
            break
        kept.append(item)
    return kept[::-1]


class Items:
    """The items in their order."""

    def __init__(self) -> None:
        self.kept_bytes = KEPT_BYTES
        self._order: list[str] = []
        self._items: dict[str, Item] = {}
        self._sounding: deque[Sound] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def clear(self) -> None:
        """Let go of everything."""
        self._order.clear()
        self._items.clear()
        self._sounding.clear()
        self._bytes = 0

    def last(self) -> str | None:
        """The newest place's item; None in an empty conversation."""
        return self._order[-1] if self._order else None

    def get(self, item_id: object) -> Item | None:
        """An item; None where there is none of this name, or no more."""
        return self._items.get(item_id) if isinstance(item_id, str) else None

    def add(self, item: Item) -> Item:
        """Put an item of a new name at the end."""
        return self._insert(item, len(self._order))

    def create(self, item: Item, previous_item_id: object, promised: str | None = None) -> Item:
        """Put a client's item where it is wanted.

        Args:
            item: Checked, with its id.
            previous_item_id: None for the end, ``root`` for the beginning, or an item to follow.
            promised: An id that is taken before its item is here: the client was told of the turn that begins.

        Raises:
            Rejected: The id is taken, there is no such item to follow, or no such call whose output it is.
        """
        if item.id in self._items or item.id == promised:
            message = f"Error adding item: an item with id '{item.id}' already exists."
            raise Rejected("item_create_duplicate_item_id", message, "item.id")
        if item.shape["type"] == "function_call_output" and not self._called(item.shape["call_id"]):
            message = f"Tool call ID '{item.shape['call_id']}' not found in conversation."
            raise Rejected("invalid_tool_call_id", message, "item.call_id")
        if previous_item_id is None:
            place = len(self._order)
        elif previous_item_id == ROOT:
            place = 0
        elif (previous := self.get(previous_item_id)) is not None:
            place = self._order.index(previous.id) + 1
        else:
            message = f"Error adding item: the previous item with id '{_name(previous_item_id)}' does not exist."
            raise Rejected("item_create_invalid_previous_item_id", message, "previous_item_id")
        return self._insert(item, place)

    def find(self, item_id: object, verb: str, doing: str) -> Item:
        """An item that a client names.

        Args:
            item_id: As it came.
            verb: For the code of the error, as ``delete``.
            doing: For its message, as ``deleting``.

        Raises:
            Rejected: There is none.
        """
        if item_id is None:
            raise Rejected("missing_required_parameter", "Missing required parameter: 'item_id'.", "item_id")
        item = self.get(item_id)
        if item is None:
            message = f"Error {doing} item: the item with id '{_name(item_id)}' does not exist."
            raise Rejected(f"item_{verb}_invalid_item_id", message, "item_id")
        return item

    def delete(self, item_id: object) -> str:
        """Forget an item.

        Raises:
            Rejected: There is none.
        """
        item = self.find(item_id, "delete", "deleting")
        self._remove(item)
        return item.id

    def truncate(self, item_id: object, content_index: object, audio_end_ms: object) -> None:
        """Forget what the user did not hear of a spoken reply, and the transcript of all of it.

        Repliers are still told the words that were heard, as far as the length tells.

        Raises:
            Rejected: It is no spoken reply, or it is shorter.
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
        words = (sound.words or "").split()
        sound.words = " ".join(words[: round(len(words) * end_ms / max(1, sound.ms))])
        sound.samples = to_samples(end_ms, sound.rate_hz)
        self._bytes += min(0, sound.samples * BYTES_PER_SAMPLE - len(sound.pcm))
        sound.pcm = sound.pcm[: sound.samples * BYTES_PER_SAMPLE]
        item.truncated = True
        if index < len(item.shape["content"]):
            item.shape["content"][index]["transcript"] = ""
        self._weigh(item)

    def give_sound(self, item_id: str, sound: Sound) -> None:
        """Take the audio of a turn, its first part; nothing if it is gone."""
        item = self.get(item_id)
        if item is not None:
            item.sounds[0] = sound
            self._sounding.append(sound)
            self._bytes += len(sound.pcm)
            self._let_go()

    def holds(self, item: Item) -> bool:
        """Whether it is here: a client may delete an item, and give its name to another."""
        return self._items.get(item.id) is item

    def extend(self, item: Item, rate_hz: int, pcm: bytes) -> None:
        """Take more of a spoken reply, whose audio is its first part; nothing if the client deleted it."""
        if not self.holds(item) or item.truncated:
            return
        if 0 not in item.sounds:
            item.sounds[0] = Sound(rate_hz)
            self._sounding.append(item.sounds[0])
        sound = item.sounds[0]
        sound.samples += len(pcm) // BYTES_PER_SAMPLE
        if not sound.gone:
            sound.pcm += pcm
            self._bytes += len(pcm)
        self._let_go()

    def settle(self, item: Item, shape: Shape, words: str | None) -> None:
        """Give a reply's item its final shape; nothing if the client deleted it.

        Args:
            item: The reply's.
            shape: What it has become.
            words: Of its sound, if it has any.
        """
        if not self.holds(item):
            return
        if item.truncated:
            shape = {**shape, "content": [{**part, "transcript": ""} for part in shape["content"]]}
        elif 0 in item.sounds:
            item.sounds[0].words = words
        item.shape = _copy(shape)
        self._weigh(item)
        self._let_go()

    def set_words(self, item_id: str, words: str, *, told: bool) -> None:
        """Note what is said in a turn.

        Args:
            item_id: The turn; nothing happens if it is gone.
            words: All of them.
            told: Whether the client knows them too.
        """
        item = self.get(item_id)
        if item is None or 0 not in item.sounds:
            return
        item.sounds[0].words = words
        if told:
            item.shape["content"][0]["transcript"] = words
            self._weigh(item)

    def _called(self, call_id: str) -> bool:
        return any(item.shape["type"] == "function_call" and item.shape["call_id"] == call_id for item in self)

    def _insert(self, item: Item, place: int) -> Item:
        item.previous = self._order[place - 1] if place else None
        self._order.insert(place, item.id)
        self._items[item.id] = item
        self._sounding.extend(item.sounds.values())
        self._bytes += sum(len(sound.pcm) for sound in item.sounds.values())
        self._weigh(item)
        self._let_go()
        return item

    def _remove(self, item: Item) -> None:
        for sound in item.sounds.values():
            self._silence(sound)
            if sound in self._sounding:
                self._sounding.remove(sound)
        self._bytes -= item.weighed
        self._order.remove(item.id)
        del self._items[item.id]

    def _weigh(self, item: Item) -> None:
        weight = item.weight()
        self._bytes += weight - item.weighed
        item.weighed = weight

    def _let_go(self) -> None:
        while self._bytes > self.kept_bytes and self._sounding:
            self._silence(self._sounding.popleft())
        while len(self._order) > 1 and (self._bytes > self.kept_bytes or len(self._order) > KEPT_ITEMS):
            self._remove(self._items[self._order[0]])

    def _silence(self, sound: Sound) -> None:
        self._bytes -= len(sound.pcm)
        sound.pcm, sound.gone = bytearray(), True


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
