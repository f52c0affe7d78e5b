"""The undelivered audio of a spool as a source, followed by the rest of the file that was being read, if any."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rt_cli.audio.channels import parse_pick
from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.audio.gain import amplified
from rt_cli.audio.source import Block, SourceInfo
from rt_cli.errors import AudioError
from rt_cli.events import LossReason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from rt_cli.audio.source import Source
    from rt_cli.timeline.journal import SpoolContents, SpoolSource
    from rt_cli.timeline.spool import Spool

_PIECE_S = 1


class ResumedSource:
    """A :class:`~rt_cli.audio.source.Source` that reads a spool from *settled* on.

    Args:
        spool: An open spool. The caller closes it.
        contents: The contents of that spool.
        rest: The source file, opened from its start; None for any other source, or if the file had reached its end.
    """

    def __init__(self, spool: Spool, contents: SpoolContents, rest: Source | None) -> None:
        origin = contents.origin
        self.info = SourceInfo(
            name=origin.source,
            kind="file" if rest is not None else "pipe",
            live=False,
            rate_hz=origin.rate_hz,
            channels=1,
            duration_s=rest.info.duration_s if rest else contents.captured / origin.rate_hz,
        )
        self._spool = spool
        self._contents = contents
        self._rest = rest
        self._stopping = False

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the audio of the spool, with its gaps as losses, then the rest of the file."""
        at = self._contents.settled
        segments = self._spool.read(at, self._contents.captured)
        while (segment := await asyncio.to_thread(_next_of, segments, self._spool.folder)) is not None:
            start, pcm = segment
            for block in [*self._gap(at, start), *self._sound(start, pcm)]:
                if self._stopping:
                    return
                yield block
            at = start + len(pcm) // BYTES_PER_SAMPLE
        for block in self._gap(at, self._contents.captured):
            yield block
        if self._rest is not None:
            async for block in self._rest_of_file(self._rest):
                yield block

    def stop(self) -> None:
        """End the iterator after the current block. Unread audio stays in the spool."""
        self._stopping = True
        if self._rest is not None:
            self._rest.stop()

    async def aclose(self) -> None:
        """Close the file. The spool stays open: its owner closes it."""
        if self._rest is not None:
            await self._rest.aclose()

    def _gap(self, start: int, end: int) -> list[Block]:
        """Losses for a range without a segment. The reason is the journal's, or ``full`` if the journal has none."""
        return [Block(b"", last - first, reason or "full") for first, last, reason in self._parts(start, end)]

    def _sound(self, start: int, pcm: bytes) -> list[Block]:
        """A segment in pieces of one second, with a loss for each range that is a hole in the journal."""
        blocks: list[Block] = []
        for first, last, reason in self._parts(start, start + len(pcm) // BYTES_PER_SAMPLE):
            if reason is None:
                blocks += self._pieces(pcm[(first - start) * BYTES_PER_SAMPLE : (last - start) * BYTES_PER_SAMPLE])
            else:
                blocks.append(Block(b"", last - first, reason))
        return blocks

    def _parts(self, start: int, end: int) -> Iterator[tuple[int, int, LossReason | None]]:
        """Split a range at the edges of the journal's holes. The reason is None for the parts outside the holes."""
        at = start
        for hole_start, hole_end, reason in self._contents.holes:
            first, last = max(hole_start, at), min(hole_end, end)
            if first >= last:
                continue
            if first > at:
                yield at, first, None
            yield first, last, loss_reason(reason)
            at = last
        if at < end:
            yield at, end, None

    def _pieces(self, pcm: bytes) -> list[Block]:
        size = _PIECE_S * self.info.rate_hz * BYTES_PER_SAMPLE
        return [Block(pcm[at : at + size]) for at in range(0, len(pcm), size)]

    async def _rest_of_file(self, rest: Source) -> AsyncIterator[Block]:
        """Read the file from its start and yield only the audio after the captured part."""
        skip = self._contents.captured
        async for block in rest.blocks():
            passed = min(skip, block.lost)
            skip -= passed
            pcm = block.pcm[skip * BYTES_PER_SAMPLE :]
            skip = max(0, skip - len(block.pcm) // BYTES_PER_SAMPLE)
            if pcm or block.lost > passed:
                yield Block(pcm, block.lost - passed, block.reason)


def _next_of(segments: Iterator[tuple[int, bytes]], folder: Path) -> tuple[int, bytes] | None:
    try:
        return next(segments, None)
    except OSError as exc:
        raise AudioError(
            f"the spool in {folder} cannot be read: {exc.strerror}", "what was not delivered stays in it"
        ) from exc


_REASONS: dict[str, LossReason] = {reason: reason for reason in get_args(LossReason)}


def loss_reason(reason: str) -> LossReason:
    """Return the reason of a hole in the journal; ``full`` for one that only a later version knows."""
    return _REASONS.get(reason, "full")


async def open_resumed(spool: Spool, contents: SpoolContents, wire_rate_hz: int) -> ResumedSource:
    """Open a source for the rest of an interrupted run.

    Raises:
        AudioError: The endpoint has another rate than the spool, or the file is missing or has another size.
    """
    origin = contents.origin
    if wire_rate_hz != origin.rate_hz:
        raise AudioError(
            f"the spool holds sound at {origin.rate_hz} Hz, the endpoint takes {wire_rate_hz} Hz",
            "use the endpoint it was made for",
        )
    rest = None
    if origin.path is not None and not contents.ended:
        rest = await asyncio.to_thread(_reopen_file, Path(origin.path), origin)
    return ResumedSource(spool, contents, rest)


def _reopen_file(path: Path, origin: SpoolSource) -> Source:
    from rt_cli.audio.decode.files import open_file

    try:
        same = path.is_file() and path.stat().st_size == origin.size
    except (OSError, ValueError):
        same = False
    if not same:
        raise AudioError(f"{path} is gone or another file", "put it back, so that the rest can be read")
    file = open_file(path, wire_rate_hz=origin.rate_hz, pick=parse_pick(origin.channel))
    return amplified(file, origin.gain)
