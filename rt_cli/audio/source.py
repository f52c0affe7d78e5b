"""The Source protocol: the interface of files, pipes, microphones and spools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rt_cli.events import LossReason

    Warn = Callable[[str, str], None]
    """Report a warning of a source: a code for scripts, and a message for the user."""

SourceKind = Literal["file", "pipe", "microphone"]


class SourceInfo(Struct, frozen=True):
    """Properties of an open source."""

    name: str
    """Name for the user: the path as the user gave it, ``-``, or the name of the device."""
    kind: SourceKind
    live: bool
    """True if the source goes on whether or not ``rt`` reads it: microphone, ``rt stream -``."""
    rate_hz: int
    """The source's own rate, before resampling."""
    channels: int
    duration_s: float | None = None
    """None if the duration is unknown."""


class Block(Struct, frozen=True):
    """Captured audio, ready for the timeline."""

    pcm: bytes
    """Mono s16le at the wire rate; may be empty if the block only reports a loss."""
    lost: int = 0
    """Samples (wire rate) lost directly before this block. The timeline has silence in their place."""
    reason: LossReason = "overflow"


class Source(Protocol):
    """An open source with one reader. Opening a source may raise AudioError."""

    @property
    def info(self) -> SourceInfo:
        """Properties of the source."""
        ...

    def blocks(self) -> AsyncIterator[Block]:
        """Yield the audio in order, until the end of the source or :meth:`stop`. Iterate once.

        The last block includes the tail of the resampler. A finite source reads no faster than its consumer; the
        consumer of a live source must always read.

        Raises:
            AudioError: The source failed. All audio before the failure has been yielded.
        """
        ...

    def stop(self) -> None:
        """Stop capture now. The iterator yields the captured audio, then ends. Idempotent, never blocks."""
        ...

    async def aclose(self) -> None:
        """Release file, pipe or device within 2 s. Idempotent; may be called without any call of :meth:`blocks`."""
        ...
