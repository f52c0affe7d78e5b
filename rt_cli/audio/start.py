"""A source that is heard from a later moment on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from rt_cli.audio.channels import width
from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.audio.source import Block
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.source import Source, SourceInfo


def started(source: Source, start_s: float, rate_hz: int, pick: Pick = "mix") -> Source:
    """Wrap a source so that its timeline begins ``start_s`` seconds later. 0 returns the source itself.

    Args:
        source: An open source.
        start_s: Seconds.
        rate_hz: Rate of its blocks.
        pick: Its channels; for ``split`` a block has two.
    """
    return Started(source, start_s, rate_hz, pick) if start_s else source


class Started:
    """A :class:`~rt_cli.audio.source.Source` without the beginning of another one. See :func:`started`."""

    def __init__(self, source: Source, start_s: float, rate_hz: int, pick: Pick) -> None:
        self._source = source
        self._start_s = start_s
        self._frame_bytes = BYTES_PER_SAMPLE * width(pick)
        self._skip = round(start_s * rate_hz)
        """Samples of each channel that are still to be left out."""
        self._stopped = False

    @property
    def info(self) -> SourceInfo:
        """The info of the wrapped source, without the length that is left out."""
        info = self._source.info
        return info if info.duration_s is None else replace(info, duration_s=max(0.0, info.duration_s - self._start_s))

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the blocks behind the start. Iterate once; cancellation is that of the wrapped source.

        Raises:
            AudioError: As of the wrapped source; or it ends before the start.
        """
        async for block in self._source.blocks():
            left = self._without_start(block)
            if left is not None:
                yield left
        if self._skip and not self._stopped:
            raise AudioError(
                f"{self._source.info.name}: ends before --start {self._start_s:g}", "begin earlier", code="empty"
            )

    def stop(self) -> None:
        """Stop the wrapped source."""
        self._stopped = True
        self._source.stop()

    async def aclose(self) -> None:
        """Close the wrapped source."""
        await self._source.aclose()

    def _without_start(self, block: Block) -> Block | None:
        """Leave out what is before the start, lost sound included; None if nothing is behind it."""
        if not self._skip:
            return block
        lost = max(0, block.lost - self._skip)
        self._skip -= block.lost - lost
        samples = min(self._skip, len(block.pcm) // self._frame_bytes)
        self._skip -= samples
        pcm = block.pcm[samples * self._frame_bytes :]
        return Block(pcm, lost, block.reason) if pcm or lost else None
