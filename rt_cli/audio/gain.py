"""A source made louder or softer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import FULL_SCALE
from rt_cli.audio.source import Block

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.source import Source, SourceInfo, Warn


def amplified(source: Source, gain_db: float, warn: Warn | None = None) -> Source:
    """The source, made louder by ``gain_db`` decibels; as it is for 0."""
    return Amplified(source, gain_db, warn) if gain_db else source


class Amplified:
    """A :class:`~rt_cli.audio.source.Source` around another one.

    Args:
        source: Open.
        gain_db: What its samples are multiplied by, decibels; beyond full scale they are clipped.
        warn: Told once, of ``clipping``; None for nobody.
    """

    def __init__(self, source: Source, gain_db: float, warn: Warn | None = None) -> None:
        self._source = source
        self._gain_db = gain_db
        self._warn = warn
        self._clipped = False

    @property
    def info(self) -> SourceInfo:
        """Of the source."""
        return self._source.info

    async def blocks(self) -> AsyncIterator[Block]:
        """The sound of the source, amplified. Read it once; raises, and may be cancelled, as the source."""
        async for block in self._source.blocks():
            yield Block(self._amplify(block.pcm), block.lost, block.reason)

    def stop(self) -> None:
        """As the source's."""
        self._source.stop()

    async def aclose(self) -> None:
        """As the source's."""
        await self._source.aclose()

    def _amplify(self, pcm: bytes) -> bytes:
        import numpy as np

        loud = np.rint(np.frombuffer(pcm, "<i2") * np.float64(10 ** (self._gain_db / 20)))
        kept = np.clip(loud, -FULL_SCALE, FULL_SCALE - 1)
        if self._warn is not None and not self._clipped and np.any(kept != loud):
            self._clipped = True
            self._warn("clipping", f"the sound clips with --gain {self._gain_db:g}: make it smaller")
        return kept.astype("<i2").tobytes()
