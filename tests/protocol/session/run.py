"""A session and its tape as a streamer works them, which checks after each step what must always hold."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from rt_cli.events import Failed, Final, Partial, Warned, Withdrawn
from rt_cli.protocol.server_events import SessionCreated, SessionUpdated
from rt_cli.protocol.session.effects import Acknowledge, Drop, Fail, Report, Settle
from rt_cli.protocol.session.session import Session
from rt_cli.timeline.tape import Hole, Tape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.events import Event
    from rt_cli.protocol.server_events import ServerEvent
    from rt_cli.protocol.session.effects import Effect

RATE = 1000
"""Samples are milliseconds, so that positions can be read."""
PATIENCE_S = 10.0
SILENCE_MS = 100

T = TypeVar("T", bound="Event")


class Run:
    """One run, with a clock that stands still unless it is told to pass.

    Args:
        own_turns: As for the session.
        own_detector: As for the session.
    """

    def __init__(self, *, own_turns: bool = False, own_detector: bool = True) -> None:
        self.own_turns = own_turns
        self.tape = Tape(RATE, memory_s=1e6)
        self.session = Session(
            rate_hz=RATE,
            own_turns=own_turns,
            own_detector=own_detector,
            patience_s=PATIENCE_S,
            silence_ms=SILENCE_MS,
            heard_at=lambda at: at / RATE,
        )
        self.now = 0.0
        self.told: list[Event] = []
        self.holes: list[Hole] = []
        self.ends: list[Fail] = []
        self._commits = 0
        self.configure()

    # -- what a streamer does ---------------------------------------------------------------------------------------

    def configure(self) -> None:
        """The endpoint greets and takes the configuration."""
        self.hear(SessionCreated())
        self.hear(SessionUpdated())

    def send(self, samples: int) -> None:
        """Capture and send."""
        self.tape.append(bytes(2 * samples))
        self.resend(samples)

    def resend(self, samples: int) -> None:
        """Send what is captured."""
        self.tape.mark_sent(self.tape.sent + samples)
        self.session.wire.sent(samples)

    def give_up(self, samples: int) -> None:
        """So much of what is captured has waited for too long, and is passed over."""
        self.tape.forget(self.tape.sent + samples)
        self.holes += self.tape.drop(self.tape.sent, self.tape.oldest, "full")
        if not self.session.wire.wire:
            self.session.begins(self.tape.oldest)
        self.session.wire.skipped(self.tape.oldest - self.tape.sent)
        self.tape.mark_sent(self.tape.oldest)

    def speak(self, samples: int) -> None:
        """Send sound in which our own detector hears speech."""
        self.session.speech_opens(self.tape.sent, self.now)
        self.send(samples)

    def commit(self, *, speech: bool = True, tail: bool = False) -> str:
        """Send a commit; returns its event id."""
        self._commits += 1
        event_id = f"commit_{self._commits}"
        self.session.committing(event_id, self.now, speech=speech, tail=tail)
        return event_id

    def finish(self) -> str:
        """Send the last commit."""
        event_id = self.commit(tail=True)
        self.drain()
        return event_id

    def drain(self) -> None:
        """Nothing more is sent."""
        self.apply(self.session.drain())

    def reconnect(self) -> None:
        """Lose the connection and open another."""
        self.tape.rewind()
        self.apply(self.session.connect())
        assert self.session.wire.position == self.tape.sent == self.tape.settled
        self.configure()
        if self.tape.sent < self.tape.oldest:
            self.give_up(0)

    def acknowledge(self, wire: int | None = None) -> None:
        """The endpoint has read so much of what was sent on this connection, or everything."""
        wiremap = self.session.wire
        self.tape.mark_acknowledged(wiremap.timeline(wiremap.wire if wire is None else wire))

    def hear(self, *events: ServerEvent) -> None:
        """The endpoint says something."""
        for event in events:
            self.apply(self.session.receive(event, self.now))

    def wait(self, seconds: float, every: float = 0.25) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + every)
            self.apply(self.session.tick(self.now, self.tape.acknowledged))

    def apply(self, steps: Sequence[Effect]) -> None:
        """Carry out what the session decided, and check what must hold at every instant."""
        before = self.tape.settled
        for step in steps:
            match step:
                case Settle(to):
                    self.tape.settle(to)
                case Drop(start, end, reason):
                    self.holes += self.tape.drop(start, end, reason)
                case Acknowledge(wire):
                    self.acknowledge(wire)
                case Report(event):
                    self.told.append(event)
                case Fail():
                    self.ends.append(step)
            assert self.tape.ledger().balanced
        assert before <= self.tape.settled == self.session.settled
        assert self.tape.captured >= self.tape.sent >= self.tape.acknowledged >= self.tape.settled
        self._check_finals()

    def _check_finals(self) -> None:
        finals = self.finals
        for earlier, later in pairwise(finals):
            assert earlier.turn < later.turn
            assert earlier.approx or span(earlier)[1] <= span(later)[0]

    # -- what came of it --------------------------------------------------------------------------------------------

    def all_told(self, kind: type[T]) -> list[T]:
        """The events of one kind."""
        return [each for each in self.told if isinstance(each, kind)]

    @property
    def finals(self) -> list[Final]:
        """In the order in which they were printed."""
        return self.all_told(Final)

    @property
    def texts(self) -> list[str]:
        """Of the finals."""
        return [final.text for final in self.finals]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Of the finals."""
        return [span(final) for final in self.finals]

    @property
    def partials(self) -> list[tuple[int, str]]:
        """Number and text."""
        return [(partial.turn, partial.text) for partial in self.all_told(Partial)]

    @property
    def withdrawn(self) -> list[int]:
        """Numbers."""
        return [each.turn for each in self.all_told(Withdrawn)]

    @property
    def failed(self) -> list[tuple[int, str]]:
        """Number and code."""
        return [(each.turn, each.code) for each in self.all_told(Failed)]

    @property
    def warnings(self) -> list[str]:
        """Codes."""
        return [each.code for each in self.all_told(Warned)]


def span(final: Final) -> tuple[int, int]:
    """Its range in samples."""
    assert final.start_ms is not None
    assert final.end_ms is not None
    return final.start_ms, final.end_ms
