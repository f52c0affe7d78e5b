"""What answers a turn: one seam, and the two answers that need nothing, one's own voice and a fixed sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rt_cli.audio.format import BYTES_PER_SAMPLE, FULL_SCALE, to_samples

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence


OUTPUT_RATE_HZ = 24_000
PIECE_MS = 200
"""The longest piece of audio in one part."""
_PIECE_BYTES = to_samples(PIECE_MS, OUTPUT_RATE_HZ) * BYTES_PER_SAMPLE


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """All that a reply may depend on."""

    items: Sequence[Mapping[str, Any]] = ()
    """The context as protocol items, oldest first; user audio parts carry ``transcript`` where it is known."""
    instructions: str | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: Any = "auto"
    with_audio: bool = True
    """Audio with its transcript is wanted; else text only."""
    audio: bytes = b""
    """s16le of the turn to answer; empty where it was written, or there is none."""
    audio_rate_hz: int = OUTPUT_RATE_HZ
    voice: str | None = None
    speed: float = 1.0
    """0.25 to 1.5."""
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Words of the reply, in order: its text, or the transcript of its audio."""

    delta: str


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound of the reply: s16le at 24 kHz, at most 200 ms of it."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A function call, whole."""

    call_id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the source of the words counted; the last part where it is given."""

    input_tokens: int
    output_tokens: int
    truncated: bool = False
    """The reply was cut short at ``max_output_tokens``."""


Part = Text | Audio | Call | Usage


class ReplyFailed(Exception):
    """There is no (more of a) reply; the message is for the client."""


class Replier(Protocol):
    """What answers turns, shared by the sessions of a server."""

    @property
    def needs_words(self) -> bool:
        """Whether the turn's transcript must be final before :meth:`reply`; where text only is wanted it always is."""
        ...

    @property
    def notice(self) -> str | None:
        """One line for people: quality, licence."""
        ...

    def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """The parts of a reply, as early as they are known and faster than they are spoken.

        Closed or cancelled, it ends its work at once, wherever that is done.

        Raises:
            ReplyFailed: In the place of the next part.
        """
        ...


def last_words(items: Sequence[Mapping[str, Any]]) -> str:
    """What the user said or wrote last; empty where nobody knows."""
    for item in reversed(items):
        if is_by_user(item):
            parts = item.get("content") or ()
            return " ".join(text for part in parts if (text := part.get("text") or part.get("transcript")))
    return ""


def is_by_user(item: Mapping[str, Any]) -> bool:
    """Whether an item is a message of the user."""
    return item.get("type") == "message" and item.get("role") == "user"


class Pieces:
    """Sound at any rate as pieces at the output rate, none longer than 200 ms.

    Args:
        rate_hz: Of what is pushed, see :class:`rt_cli.audio.resample.Resampler`.
    """

    def __init__(self, rate_hz: int) -> None:
        from rt_cli.audio.resample import Resampler

        self._resampler = Resampler(rate_hz, OUTPUT_RATE_HZ)

    def push(self, pcm: bytes) -> Iterator[bytes]:
        """Take s16le, whole samples of it, and give what is ready; some 20 ms stay inside."""
        import numpy as np

        block = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(FULL_SCALE)
        return _cut(self._resampler.push(block))

    def flush(self) -> Iterator[bytes]:
        """Give the rest."""
        return _cut(self._resampler.flush())


def _cut(pcm: bytes) -> Iterator[bytes]:
    return (pcm[start : start + _PIECE_BYTES] for start in range(0, len(pcm), _PIECE_BYTES))
