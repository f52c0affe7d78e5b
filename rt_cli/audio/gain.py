"""Gain for a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import FULL_SCALE
from rt_cli.audio.source import Block

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.source import Source, SourceInfo, Warn


def amplified(source: Source, gain_db: float, warn: Warn | None = None) -> Source:
    """Wrap a source with a gain of ``gain_db`` decibels. A gain of 0 returns the source itself."""
    return Amplified(source, gain_db, warn) if gain_db else source


class Amplified:
    """A :class:`~rt_cli.audio.source.Source` that applies a gain to another one.

    Args:
        source: An open source.
        gain_db: Gain in decibels; samples beyond full scale are clipped.
        warn: Called once, with ``clipping``, when the first sample is clipped. None disables the warning.
    """

    def __init__(self, source: Source, gain_db: float, warn: Warn | None = None) -> None:
        self._source = source
        self._gain_db = gain_db
        self._warn = warn
        self._clipped = False

    @property
    def info(self) -> SourceInfo:
        """The info of the wrapped source."""
        return self._source.info

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the amplified blocks. Iterate once; errors and cancellation are those of the wrapped source."""
        async for block in self._source.blocks():
            yield Block(self._amplify(block.pcm), block.lost, block.reason)

    def stop(self) -> None:
        """Stop the wrapped source."""
        self._source.stop()

    async def aclose(self) -> None:
        """Close the wrapped source."""
        await self._source.aclose()

    def _amplify(self, pcm: bytes) -> bytes:
        import numpy as np

        scaled = np.rint(np.frombuffer(pcm, "<i2") * np.float64(10 ** (self._gain_db / 20)))
        clipped = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1)
        if self._warn is not None and not self._clipped and np.any(clipped != scaled):
            self._clipped = True
            self._warn("clipping", f"the sound clips with --gain {self._gain_db:g}: make it smaller")
        return clipped.astype("<i2").tobytes()
