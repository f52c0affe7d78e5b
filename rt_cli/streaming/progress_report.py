"""Marks and levels of a run, ten times a second: for the status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import to_ms
from rt_cli.events import Progress

if TYPE_CHECKING:
    from rt_cli.clock import Clock
    from rt_cli.events import EventHandler
    from rt_cli.streaming.capture.capture import TapeFeeder
    from rt_cli.streaming.cost import Meter
    from rt_cli.streaming.delivery.reconnect import Reconnector
    from rt_cli.timeline.tape import Tape

_EVERY_S = 0.1


class ProgressReport:
    """Reports the progress of a run.

    Args:
        tape: The marks.
        capture: The levels.
        delivery: The state of the connection.
        meter: Sent audio and cost.
        clock: The clock.
        on_event: Receives the reports.
    """

    def __init__(
        self,
        tape: Tape,
        capture: TapeFeeder,
        delivery: Reconnector,
        meter: Meter,
        clock: Clock,
        on_event: EventHandler,
    ) -> None:
        self._tape = tape
        self._capture = capture
        self._delivery = delivery
        self._meter = meter
        self._clock = clock
        self._on_event = on_event

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            self.report()
            await self._clock.sleep_until(self._clock.now() + _EVERY_S)

    def report(self) -> None:
        """Report the present state."""
        tape, link = self._tape, self._delivery.link
        rms, peak = self._capture.take_levels()
        round_trip_s = link.round_trip_s if link else None
        self._on_event(
            Progress(
                captured_ms=to_ms(tape.captured, tape.rate_hz),
                acknowledged_ms=to_ms(tape.acknowledged, tape.rate_hz),
                settled_ms=to_ms(tape.settled, tape.rate_hz),
                lag_ms=to_ms(tape.captured - tape.acknowledged, tape.rate_hz),
                rms_dbfs=round(rms, 1),
                peak_dbfs=round(peak, 1),
                round_trip_ms=None if round_trip_s is None else round(round_trip_s * 1000, 3),
                state=link.state if link else "connecting",
                sent_ms=to_ms(self._meter.sent, tape.rate_hz),
                cost=self._meter.cost,
            )
        )
