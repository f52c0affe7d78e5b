"""A session with its tape, driven as by a streamer; checks the invariants after each step."""

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
"""One sample is one millisecond, so that positions are easy to read."""
PATIENCE_S = 10.0
SILENCE_MS = 100

T = TypeVar("T", bound="Event")


class Run:
    """One run; its clock advances only in :meth:`wait`.

    Args:
        own_turns: As for the session.
        own_detector: As for the session.
        prefix_ms: As for the session.
        loud_at: Timeline position from which on the audio is louder than noise.
    """

    def __init__(
        self,
        *,
        own_turns: bool = False,
        own_detector: bool = True,
        prefix_ms: int = 300,
        loud_at: float = float("inf"),
    ) -> None:
        self.own_turns = own_turns
        self.tape = Tape(RATE, memory_s=1e6)
        self.session = Session(
            rate_hz=RATE,
            own_turns=own_turns,
            own_detector=own_detector,
            patience_s=PATIENCE_S,
            silence_ms=SILENCE_MS,
            prefix_ms=prefix_ms,
            heard_at=lambda at: at / RATE,
            is_quiet=lambda upto: upto <= loud_at,
        )
        self.now = 0.0
        self.reported: list[Event] = []
        self.holes: list[Hole] = []
        self.ends: list[Fail] = []
        self._commits = 0
        self.configure()

    # -- actions of a streamer --------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Receive session.created and session.updated."""
        self.receive(SessionCreated())
        self.receive(SessionUpdated())

    def send(self, samples: int) -> None:
        """Capture and send samples."""
        self.tape.append(bytes(2 * samples))
        self.resend(samples)

    def resend(self, samples: int) -> None:
        """Send samples that are captured already."""
        self.tape.mark_sent(self.tape.sent + samples)
        self.session.wire.sent(samples)

    def give_up(self, samples: int) -> None:
        """Drop captured samples that have waited too long."""
        self.tape.forget(self.tape.sent + samples)
        self.holes += self.tape.drop(self.tape.sent, self.tape.oldest, "full")
        if not self.session.wire.wire:
            self.session.begins(self.tape.oldest)
        self.session.wire.skipped(self.tape.oldest - self.tape.sent)
        self.tape.mark_sent(self.tape.oldest)

    def speak(self, samples: int) -> None:
        """Send audio in which our own detector finds speech."""
        self.session.speech_opens(self.tape.sent, self.now)
        self.send(samples)

    def commit(self, *, speech: bool = True, tail: bool = False) -> str:
        """Send a commit; returns its event id."""
        self._commits += 1
        event_id = f"rt_commit_{self._commits}"
        self.session.committing(event_id, self.now, speech=speech, tail=tail)
        return event_id

    def finish(self) -> str:
        """Send the last commit."""
        event_id = self.commit(speech=self.session.own_turns, tail=True)
        self.drain()
        return event_id

    def drain(self) -> None:
        """End sending."""
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
        """Acknowledge the first ``wire`` samples of this connection, or all."""
        wiremap = self.session.wire
        self.tape.mark_acknowledged(wiremap.timeline(wiremap.wire if wire is None else wire))

    def receive(self, *events: ServerEvent) -> None:
        """Receive events of the endpoint."""
        for event in events:
            self.apply(self.session.receive(event, self.now))

    def wait(self, seconds: float, every: float = 0.25) -> None:
        """Advance the clock with regular ticks."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + every)
            self.apply(self.session.tick(self.now, self.tape.acknowledged))

    def apply(self, effects: Sequence[Effect]) -> None:
        """Carry out effects, and check the invariants after each one."""
        before = self.tape.settled
        for effect in effects:
            match effect:
                case Settle(to):
                    self.tape.settle(to)
                case Drop(start, end, reason):
                    self.holes += self.tape.drop(start, end, reason)
                case Acknowledge(wire):
                    self.acknowledge(wire)
                case Report(event):
                    self.reported.append(event)
                case Fail():
                    self.ends.append(effect)
            assert self.tape.ledger().balanced
        assert before <= self.tape.settled == self.session.settled
        assert self.tape.captured >= self.tape.sent >= self.tape.acknowledged >= self.tape.settled
        self._check_finals()

    def _check_finals(self) -> None:
        finals = self.finals
        for earlier, later in pairwise(finals):
            assert earlier.turn < later.turn
            assert earlier.approx or span(earlier)[1] <= span(later)[0]

    # -- results ----------------------------------------------------------------------------------------------------

    def reported_events(self, kind: type[T]) -> list[T]:
        """Return the reported events of one class."""
        return [each for each in self.reported if isinstance(each, kind)]

    @property
    def finals(self) -> list[Final]:
        """Finals in the order in which they were printed."""
        return self.reported_events(Final)

    @property
    def texts(self) -> list[str]:
        """Texts of the finals."""
        return [final.text for final in self.finals]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Ranges of the finals, in samples."""
        return [span(final) for final in self.finals]

    @property
    def partials(self) -> list[tuple[int, str]]:
        """Number and text of the partials."""
        return [(partial.turn, partial.text) for partial in self.reported_events(Partial)]

    @property
    def withdrawn(self) -> list[int]:
        """Numbers of the withdrawn turns."""
        return [each.turn for each in self.reported_events(Withdrawn)]

    @property
    def failed(self) -> list[tuple[int, str]]:
        """Number and code of the failed turns."""
        return [(each.turn, each.code) for each in self.reported_events(Failed)]

    @property
    def warnings(self) -> list[str]:
        """Codes of the warnings."""
        return [each.code for each in self.reported_events(Warned)]


def span(final: Final) -> tuple[int, int]:
    """Return the range of a final in samples."""
    assert final.start_ms is not None
    assert final.end_ms is not None
    return final.start_ms, final.end_ms
