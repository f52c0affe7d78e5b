"""What outlives a connection: the parts of one run that each of its connections works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.audio.format import to_ms
from rt_cli.events import Dropped, SessionChanged
from rt_cli.protocol.session.effects import Drop, Fail, Report, Settle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.audio.speech.gate import SendRanges
    from rt_cli.clock import Clock
    from rt_cli.errors import RtError
    from rt_cli.events import EventHandler, SessionState
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.protocol.session.effects import Effect
    from rt_cli.protocol.session.session import Session
    from rt_cli.settings import DeliverySettings, Settings
    from rt_cli.streaming.capture.capture import TapeFeeder
    from rt_cli.streaming.capture.spool_writer import SpoolWriter
    from rt_cli.streaming.capture.turn_marks import TurnMarks
    from rt_cli.streaming.cost import Meter
    from rt_cli.streaming.delivery.next_action import ChunkSizes
    from rt_cli.streaming.measure_hooks import MeasureHooks
    from rt_cli.streaming.timing.change_signal import ChangeSignal
    from rt_cli.streaming.transport.wire_recorder import ConnectionLog
    from rt_cli.timeline.tape import Hole, Tape


_DRAIN_S = 10.0
_EMBEDDED_DRAIN_S = 60.0


def drain_timeout_s(settings: DeliverySettings, *, embedded: bool) -> float:
    """Seconds of silence after which a final is given up, as asked for or as fits the endpoint."""
    if settings.drain_timeout_s is not None:
        return settings.drain_timeout_s
    return _EMBEDDED_DRAIN_S if embedded else _DRAIN_S


def dropped(hole: Hole, rate_hz: int) -> Dropped:
    """What is told of a hole."""
    return Dropped(to_ms(hole.start, rate_hz), to_ms(hole.end, rate_hz), hole.reason)


class RunState(Struct, frozen=True):
    """One run."""

    endpoint: Endpoint
    configuration: dict[str, object]
    """The session object that the endpoint is to take."""
    settings: Settings
    tape: Tape
    session: Session
    capture: TapeFeeder
    marks: TurnMarks | None
    """Where turns close; None where the endpoint finds them."""
    changed: ChangeSignal
    """Rung on every change, but where :attr:`sound` is."""
    sound: ChangeSignal
    """Notified when there is more sound, or more room for it, and on every other change."""
    clock: Clock
    sizes: ChunkSizes
    on_event: EventHandler
    meter: Meter
    """Counts what is sent."""
    spool_writer: SpoolWriter | None = None
    """Where a spool is kept."""
    enforce: Callable[[], RtError | None] = lambda: None
    """To be told when *sent* has gone back: more waits than before, and perhaps too much."""
    wait_for_room: Callable[[], bool] = lambda: False
    """Whether an endpoint without room is worth more than the usual wait."""
    send_ranges: SendRanges | None = None
    """What is sent, where not all of it is."""
    probe: MeasureHooks | None = None
    """Of who measures the run."""
    witness: Callable[[], ConnectionLog] | None = None
    """Makes who keeps the next connection."""

    def apply(self, steps: Sequence[Effect]) -> None:
        """Carry out what the session decided, but for what concerns one connection. Raises an ``End``'s error."""
        if self.spool_writer is not None:
            self.spool_writer.write_effects(steps)
        for step in steps:
            match step:
                case Settle(to):
                    self.tape.settle(to)
                    if self.marks is not None:
                        self.marks.forget(to)
                    if self.send_ranges is not None:
                        self.send_ranges.forget(to)
                case Drop(start, end, reason):
                    for hole in self.tape.drop(start, end, reason):
                        self.on_event(dropped(hole, self.tape.rate_hz))
                case Report(event):
                    self.on_event(event)
                case Fail(error):
                    raise error
        self.changed.notify()

    def report_session(self, state: SessionState, *, attempt: int, reason: str | None = None) -> None:
        """Say what became of a connection."""
        self.on_event(
            SessionChanged(
                state=state,
                endpoint=self.endpoint.shown,
                dialect=self.endpoint.dialect.name,
                model=self.endpoint.model,
                rate_hz=self.tape.rate_hz,
                attempt=attempt,
                reason=reason,
            )
        )
