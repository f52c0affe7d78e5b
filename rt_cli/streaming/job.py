"""The description of one run: source, endpoint, settings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.audio.speech.vad import SpeechDetector
from rt_cli.settings import auto
from rt_cli.streaming.delivery.next_action import ChunkSizes
from rt_cli.timeline.tape import MEMORY_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from rt_cli.audio.source import Source, SourceInfo, Warn
    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.protocol.endpoint.negotiation import Negotiation
    from rt_cli.settings import Settings
    from rt_cli.streaming.capture.turn_analysis import Detector
    from rt_cli.streaming.conversation_hooks import ConversationHooks
    from rt_cli.streaming.cost import Bill
    from rt_cli.streaming.measure_hooks import MeasureHooks
    from rt_cli.streaming.transport.wire_recorder import ConnectionLog
    from rt_cli.timeline.journal import SpoolContents
    from rt_cli.timeline.spool import Spool


async def all_written() -> int:
    """Return 0: no final lacks a reader."""
    return 0


class Job(Struct, frozen=True):
    """One source, its endpoint, and the settings of the run."""

    name: str
    """Name of the source in the summary, also if the source cannot be opened."""
    open_source: Callable[[int, Warn], Awaitable[Source]]
    """Opens the source. Arguments: wire rate in Hz, handler of warnings. May raise AudioError or UsageError."""
    endpoint: Endpoint
    session: SessionRequest
    """The session to ask the endpoint for, as the dialect builds it."""
    settings: Settings
    make_detector: Callable[[int], Detector] = SpeechDetector
    """Makes the speech detector for client-side turn detection. Argument: rate in Hz."""
    spool: Path | None = None
    """A new folder for the spool: captured audio stays there until delivery."""
    resume: tuple[Spool, SpoolContents] | None = None
    """The spool of an earlier process and its contents; the source reads from it."""
    save_audio: Path | None = None
    """A WAV file for the captured audio."""
    bill: Bill | None = None
    """A bill shared with other sources; None for a bill of its own."""
    wait_for_room: Callable[[], bool] = lambda: False
    """Called if the endpoint is full before it was ready for the first time. True: keep waiting without a limit."""
    count_unwritten: Callable[[], Awaitable[int]] = all_written
    """Called before the summary: waits for the reader of stdout, and returns how many finals had none."""
    memory_s: float = MEMORY_S
    """Seconds of audio in memory. Also the limit of unsent audio of a live source, unless the spool takes the rest."""
    probe: MeasureHooks | None = None
    """Hooks of a measurement; None without one."""
    witness: Callable[[Endpoint], ConnectionLog] | None = None
    """Makes the wire log of the next connection, to this endpoint; None without ``--record``."""

    negotiation: Negotiation | None = None
    """Shared with other runs at the same endpoint; None for one of its own."""
    conversation: ConversationHooks | None = None
    """The conversation that the sound belongs to; None for a transcription."""
    on_translated_sound: Callable[[bytes], None] = lambda _pcm: None
    """Takes the sound of a translation, at the rate of the session; must return at once and must not raise."""

    @property
    def speed(self) -> float:
        """Multiple of real time at which a source that can wait is sent; ``inf``: limited by the window only."""
        return auto.speed(self.settings.delivery.speed, embedded=self.endpoint.embedded)

    def is_seekable(self, source: SourceInfo) -> bool:
        """Whether the source is a file that can be read again: not the rest of one, nor one of its channels."""
        whole = self.resume is None and self.settings.input.channel != "split"
        return whole and source.kind == "file" and not source.live

    def chunk_sizes(self, rate_hz: int, *, live: bool) -> ChunkSizes:
        """Return the chunk sizes in samples at ``rate_hz``, for a live source or one that can wait."""
        usual_ms, longest_ms = auto.chunk_ms(self.settings.input.chunk_ms, live=live, speed=self.speed)
        return ChunkSizes(usual_ms * rate_hz // 1000, longest_ms * rate_hz // 1000)
