"""Reads audio that left the tape again from its file, after a connection was lost."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, silence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.audio.source import Source
    from rt_cli.streaming.timing.change_signal import ChangeSignal
    from rt_cli.timeline.tape import Hole, Tape

log = logging.getLogger("rt.reread")

Reopen = Callable[[], Awaitable["Source"]]
"""Opens the source once more, from its start."""
_LEAD_S = 4.0
"""Limit of unsent audio that is read again."""


class Rereader:
    """Refills the tape from its source, a few seconds ahead of the sending.

    Args:
        tape: The tape; its timeline begins with the first sample of the source.
        changed: Notified for every refilled piece; the reader also waits on it for room.
        reopen: Opens the source once more.
        on_lost: Receives the hole if the source cannot be read again.
    """

    def __init__(
        self, tape: Tape, changed: ChangeSignal, reopen: Reopen, on_lost: Callable[[Sequence[Hole]], None]
    ) -> None:
        self._tape = tape
        self._changed = changed
        self._reopen = reopen
        self._on_lost = on_lost
        self._lead = round(_LEAD_S * tape.rate_hz)
        self._rewinds = 0

    def rewound(self) -> None:
        """The tape was rewound: an unfinished refill begins anew."""
        self._rewinds += 1
        self._changed.notify()

    async def run(self) -> None:
        """Refill whatever the tape misses, until cancelled."""
        while True:
            await self._changed.wait_until(self._is_missing)
            await self._refill_once(self._rewinds)

    async def _refill_once(self, rewinds: int) -> None:
        try:
            await self._refill(rewinds)
        except Exception:  # whatever is wrong with the file now: the rest is a hole, and the run goes on
            log.debug("the source cannot be read again", exc_info=True)
        # What was refilled is sent before the rest is given up.
        await self._changed.wait_until(lambda: self._rewinds != rewinds or self._tape.sent >= self._tape.missing[0])
        if self._rewinds == rewinds:
            self._on_lost(self._tape.end_refill())
            self._changed.notify()

    def _is_missing(self) -> bool:
        start, end = self._tape.missing
        return start < end

    async def _refill(self, rewinds: int) -> None:
        source = await self._reopen()
        try:
            at = 0
            async for block in source.blocks():
                for pcm in (silence(block.lost), block.pcm):
                    await self._take(at, pcm, rewinds)
                    at += len(pcm) // BYTES_PER_SAMPLE
                if self._rewinds != rewinds or not self._is_missing():
                    return
        finally:
            await source.aclose()

    async def _take(self, at: int, pcm: bytes, rewinds: int) -> None:
        """Refill with the missing parts of ``pcm``, which begins at position ``at``."""
        end = at + len(pcm) // BYTES_PER_SAMPLE
        while True:
            await self._changed.wait_until(lambda: self._rewinds != rewinds or self._has_room())
            first, last = self._tape.missing
            last = min(last, end, first + self._lead)
            if first >= last or self._rewinds != rewinds:
                return
            self._tape.refill(pcm[(first - at) * BYTES_PER_SAMPLE : (last - at) * BYTES_PER_SAMPLE])
            self._changed.notify()

    def _has_room(self) -> bool:
        return self._tape.missing[0] - self._tape.sent < self._lead
