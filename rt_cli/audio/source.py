"""What every source of sound looks like to the rest of the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Warn = Callable[[str, str], None]
    """How a source says what a person should know and nobody need act on: a code for scripts, and a message."""

SourceKind = Literal["file", "pipe", "microphone"]
LossReason = Literal["overflow", "device_lost", "suspended", "full", "failed", "no_final"]
"""Why a range of the timeline is a hole."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says of itself once it is open."""

    name: str
    """What a person calls it: the path as given, ``-``, or the device's name."""
    kind: SourceKind
    live: bool
    """True where sound goes on whether or not we read it: microphone, ``rt stream -``."""
    rate_hz: int
    """The source's own rate, before resampling."""
    channels: int
    duration_s: float | None = None
    """Where it is known beforehand."""


@dataclass(frozen=True, slots=True)
class Block:
    """Captured audio, ready for the timeline."""

    pcm: bytes
    """Mono s16le at the wire rate; may be empty when only a loss is reported."""
    lost: int = 0
    """Samples (wire rate) that were lost just before this block; silence takes their place on the timeline."""
    reason: LossReason = "overflow"


class Source(Protocol):
    """An open source. Opening may fail with AudioError; once open, it is owned by one reader."""

    @property
    def info(self) -> SourceInfo:
        """What was opened."""
        ...

    def blocks(self) -> AsyncIterator[Block]:
        """The sound, in order, until its end or :meth:`stop`; the resampler's tail included. Read it once.

        A finite source produces no faster than it is read; a live one is always read. Raises AudioError where the
        source breaks half-way, after yielding all that could be read.
        """
        ...

    def stop(self) -> None:
        """End capture now: what was captured is still yielded, then the iterator ends. Idempotent, never blocks."""
        ...

    async def aclose(self) -> None:
        """Let go of file, pipe or device within 2 s. Idempotent; safe without :meth:`blocks` ever being read."""
        ...
