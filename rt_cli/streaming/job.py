"""What is to be sent, where, and in which way. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.audio.speech.vad import SpeechDetector
from rt_cli.streaming.delivery.next_action import ChunkSizes
from rt_cli.timeline.tape import MEMORY_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from rt_cli.audio.source import Source, Warn
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.settings import Settings, TurnDetection
    from rt_cli.streaming.capture.turn_analysis import Detector
    from rt_cli.streaming.cost import Bill
    from rt_cli.streaming.measure_hooks import MeasureHooks
    from rt_cli.streaming.transport.wire_recorder import ConnectionLog
    from rt_cli.timeline.spool import Spool, SpoolContents

_LIVE_CHUNK_MS = 40
_FILE_CHUNK_MS = 100
_LARGEST_CHUNK_MS = 1000


class Job(Struct, frozen=True):
    """What to send, and where."""

    name: str
    """What the source is called in the summary, also when it cannot be opened."""
    open_source: Callable[[int, Warn], Awaitable[Source]]
    """Opens it at a wire rate, Hz, its warnings go to the second argument; may raise AudioError or UsageError."""
    endpoint: Endpoint
    turns: TurnDetection
    """Who makes the turns."""
    session: dict[str, object]
    """The session object of the dialect."""
    settings: Settings
    make_detector: Callable[[int], Detector] = SpeechDetector
    """Of speech, where ``rt`` makes the turns."""
    spool: Path | None = None
    """A new folder to keep what is captured in until it is delivered."""
    resume: tuple[Spool, SpoolContents] | None = None
    """What an earlier process left; the source is made from it."""
    save_audio: Path | None = None
    """A WAV file for what is captured."""
    bill: Bill | None = None
    """What other sources add to, too; None for one of its own."""
    wait_for_room: Callable[[], bool] = lambda: False
    """Asked when the endpoint has no room before it was ever ready: whether that is worth more than the usual wait."""
    memory_s: float = MEMORY_S
    """Seconds of sound in memory; of a live source so much may wait, unless it may go to disk."""
    probe: MeasureHooks | None = None
    """Of who measures the run."""
    witness: Callable[[], ConnectionLog] | None = None
    """Makes who keeps what crosses the wire on the next connection."""

    @property
    def speed(self) -> float:
        """Multiple of real time at which a source that can wait is sent; ``inf`` for as fast as there is room."""
        asked = self.settings.delivery.speed
        if asked is not None:
            return asked
        return math.inf if self.endpoint.embedded else 1.0

    def chunk_sizes(self, rate_hz: int, *, live: bool) -> ChunkSizes:
        """Of a source that is ``live`` or can wait, in samples at ``rate_hz``."""
        asked = self.settings.input.chunk_ms
        if asked is not None:
            fixed = asked * rate_hz // 1000
            return ChunkSizes(fixed, fixed)
        finite = _FILE_CHUNK_MS if self.speed <= 1 else _LARGEST_CHUNK_MS // 2
        usual = _LIVE_CHUNK_MS if live else finite
        return ChunkSizes(usual * rate_hz // 1000, _LARGEST_CHUNK_MS * rate_hz // 1000)
