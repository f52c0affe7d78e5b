"""The marks move together, whatever happens in whatever order; effects are executed once and in order."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rt_cli
from rt_cli.audio.speech.endpointing import TurnOpens
from rt_cli.audio.speech.gate import SendRanges
from rt_cli.errors import ConnectionLost
from rt_cli.events import Dropped, Event, Noted, Partial, SpeechBegan, Withdrawn
from rt_cli.protocol.server_events import SpeechStarted, SpeechStopped, TranscriptCompleted, TranscriptDelta
from rt_cli.protocol.session.effects import Acknowledge, Drop, Effect, Fail, Report, Settle
from rt_cli.protocol.session.session import Session
from rt_cli.streaming.capture.turn_marks import TurnMarks
from rt_cli.streaming.cost import Bill, Meter
from rt_cli.streaming.delivery.marks import Marks
from rt_cli.streaming.delivery.sender import Sender
from rt_cli.timeline.tape import Tape
from tests.fakes import FakeClock, Peer, run

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 1000
"""One sample is one millisecond, so that positions are easy to read."""


@dataclass(frozen=True)
class Where:
    """Where everything is, in samples: on the timeline, on the connection, and over all connections."""

    sent: int
    acknowledged: int
    settled: int
    wire: int
    """Of the wire map."""
    position: int
    """Of the wire map."""
    metered: int
    padding: int


class Delivery:
    """Marks with the parts that they move, and a sender whose peer answers no ping by itself."""

    def __init__(self) -> None:
        self.tape = Tape(RATE)
        self.session = Session(rate_hz=RATE, own_turns=False, patience_s=10, silence_ms=100)
        self.meter = Meter(RATE, Bill())
        self.turn_marks = TurnMarks()
        self.send_ranges = SendRanges()
        self.events: list[Event] = []
        self.acknowledged_at_event: list[int] = []
        self.changes = 0
        self.marks = Marks(
            self.tape,
            self.session,
            self.meter,
            rewind_tape=self.tape.rewind,
            on_change=self._change,
            on_event=self._report,
            turn_marks=self.turn_marks,
            send_ranges=self.send_ranges,
        )
        self.connect()

    def connect(self) -> None:
        """Open a connection."""
        peer = Peer()
        peer.answers = False
        self.sender = Sender(peer, FakeClock(), rate_hz=RATE, on_acknowledged=self.marks.acknowledged)
        self.marks.connect(self.sender)

    def capture(self, samples: int) -> None:
        """Capture audio."""
        self.tape.append(bytes(2 * samples))

    def send(self, samples: int) -> None:
        """Send what is captured, so much at most."""
        samples = min(samples, self.tape.captured - self.tape.sent)
        if samples:
            self.sender.audio_at_once([b"audio"], samples)
            self.marks.sent(samples)

    def pad(self, samples: int) -> None:
        """Send silence."""
        self.marks.padded(samples)
        self.sender.audio_at_once([b"silence"], samples)

    def skip(self, samples: int) -> None:
        """Leave captured audio out."""
        self.marks.skipped(min(samples, self.tape.captured - self.tape.sent))

    def give_up(self, samples: int) -> None:
        """Drop captured audio that was not sent."""
        samples = min(samples, self.tape.captured - self.tape.sent)
        self.tape.drop(self.tape.sent, self.tape.sent + samples, "full")
        self.marks.given_up(samples)

    def reconnect(self) -> None:
        """Lose the connection, and open another."""
        self.marks.rewind()
        self.connect()

    def transcribe(self, start: int, length: int, item: str) -> None:
        """Receive a turn, by offsets of the connection."""
        for event in (
            SpeechStarted(item, start),
            SpeechStopped(item, start + length),
            TranscriptCompleted(item, "words"),
        ):
            self.marks.apply(self.session.receive(event, 0.0))

    @property
    def where(self) -> Where:
        """Where everything is."""
        tape, wire = self.tape, self.session.wire
        marks = tape.sent, tape.acknowledged, tape.settled
        return Where(*marks, wire.wire, wire.position, self.meter.sent, self.marks.padding)

    def _change(self) -> None:
        self.changes += 1

    def _report(self, event: Event) -> None:
        self.events.append(event)
        self.acknowledged_at_event.append(self.tape.acknowledged)


def delivery(act: Callable[[Delivery], object]) -> Delivery:
    """Act on a delivery with a second of captured audio, of which half is sent."""

    async def scenario() -> Delivery:
        made = Delivery()
        made.capture(1000)
        made.send(500)
        act(made)
        return made

    return run(scenario())


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        pytest.param(lambda _: None, (500, 0, 0, 500, 500, 500, 0), id="sent"),
        pytest.param(lambda d: d.pad(100), (500, 0, 0, 600, 500, 600, 100), id="padded"),
        pytest.param(lambda d: d.sender.acknowledge(200), (500, 200, 0, 500, 500, 500, 0), id="acknowledged"),
        pytest.param(lambda d: d.sender.acknowledge(900), (500, 500, 0, 500, 500, 500, 0), id="more than sent"),
        pytest.param(
            lambda d: (d.sender.acknowledge(400), d.sender.acknowledge(200)),
            (500, 400, 0, 500, 500, 500, 0),
            id="never back",
        ),
        pytest.param(
            lambda d: (d.pad(100), d.sender.acknowledge(600)), (500, 500, 0, 600, 500, 600, 100), id="padding, too"
        ),
        pytest.param(lambda d: d.skip(300), (800, 0, 0, 500, 800, 500, 0), id="skipped, nothing read"),
        pytest.param(
            lambda d: (d.sender.acknowledge(500), d.skip(300)), (800, 800, 0, 500, 800, 500, 0), id="skipped, all read"
        ),
        pytest.param(
            lambda d: (d.skip(300), d.sender.acknowledge(500)), (800, 800, 0, 500, 800, 500, 0), id="read after a skip"
        ),
        pytest.param(
            lambda d: (d.sender.acknowledge(500), d.give_up(300)), (800, 800, 0, 500, 800, 500, 0), id="given up"
        ),
        pytest.param(
            lambda d: (d.sender.acknowledge(300), d.marks.rewind()), (0, 0, 0, 0, 0, 500, 0), id="rewound to the start"
        ),
        pytest.param(
            lambda d: (d.transcribe(100, 200, "a"), d.reconnect(), d.send(50)),
            (350, 300, 300, 50, 350, 550, 0),
            id="from settled on",
        ),
        pytest.param(lambda d: (d.reconnect(), d.skip(300)), (300, 300, 0, 0, 300, 500, 0), id="skipped before all"),
        pytest.param(
            lambda d: (d.reconnect(), d.give_up(300)),
            (300, 0, 0, 0, 300, 500, 0),
            id="given up before all",
        ),
    ],
)
def test_each_step_moves_all_marks(act: Callable[[Delivery], object], expected: tuple[int, ...]) -> None:
    """Those of the timeline, of the connection and of the bill."""
    assert astuple(delivery(act).where) == expected


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["capture", "lose", "send", "pad", "skip", "give_up", "acknowledge", "transcribe", "drain", "reconnect"]
        ),
        st.integers(0, 400),
        st.integers(0, 400),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=300)
@given(steps=STEPS)
def test_the_marks_agree_after_any_steps(steps: list[tuple[str, int, int]]) -> None:
    """The ledger balances, the marks are in order, and each part says the same as the others."""

    async def scenario() -> None:
        made, sent, padding = Delivery(), 0, 0
        for number, (what, first, second) in enumerate(steps):
            before = made.where
            match what:
                case "lose":
                    made.tape.lose(first, "overflow")
                case "acknowledge":
                    made.sender.acknowledge(first * 5)
                case "transcribe":
                    made.transcribe(first, second, f"item{number}")
                case "drain":
                    made.marks.apply(made.session.drain())
                case "reconnect":
                    made.reconnect()
                case _:
                    getattr(made, what)(first)
            sent += max(0, made.where.sent - before.sent) if what == "send" else 0
            padding += first if what == "pad" else 0
            check(made)
            assert (made.marks.padding, made.meter.sent) == (padding, sent + padding)
            assert made.where.settled >= before.settled
            if what != "reconnect":
                assert made.where.acknowledged >= before.acknowledged
        made.sender.acknowledge(made.sender.sent)
        if made.sender.sent:
            assert made.tape.acknowledged == made.tape.sent, "what is sent can be acknowledged to its end"
        made.reconnect()
        assert made.where.sent == made.where.acknowledged == made.where.settled
        check(made)

    run(scenario())


def check(made: Delivery) -> None:
    """Check what must hold at every moment."""
    ledger, tape = made.marks.ledger(), made.tape
    parts = ledger.settled, ledger.acknowledged, ledger.in_flight, ledger.waiting, ledger.dropped
    assert ledger.captured == tape.captured == sum(parts)
    assert min(parts) >= 0
    assert ledger.padding == made.marks.padding
    assert tape.captured >= tape.sent >= tape.acknowledged >= tape.settled
    assert made.session.settled == tape.settled
    assert made.session.wire.position == tape.sent
    assert made.session.wire.wire == made.sender.sent


class TestEffects:
    """Each kind has its executor here."""

    def test_settle_moves_the_mark_and_releases(self) -> None:
        """Turn marks and ranges before the mark are forgotten."""

        def settle(made: Delivery) -> None:
            made.turn_marks.add([TurnOpens(100), TurnOpens(400)])
            made.marks.apply([Settle(300)])

        made = delivery(settle)
        assert made.tape.settled == 300
        assert made.turn_marks.opens_in(0, 1000) == 400

    def test_a_drop_is_reported_once(self) -> None:
        """Only the part that was no hole before, in milliseconds."""
        made = delivery(lambda d: d.marks.apply([Drop(0, 100, "failed"), Drop(50, 150, "no_final")]))
        assert made.events == [Dropped(0, 100, "failed"), Dropped(100, 150, "no_final")]
        assert made.marks.ledger().dropped == 150

    def test_an_acknowledgement_comes_before_all_other_effects(self) -> None:
        """Whoever sees the event sees the mark."""
        made = delivery(lambda d: d.marks.apply([Report(Noted("first")), Acknowledge(200)]))
        assert (made.events, made.acknowledged_at_event) == ([Noted("first")], [200])
        assert made.sender.acknowledged == 200

    def test_a_failure_ends_the_effects(self) -> None:
        """Those before it are executed, those after it are not."""
        effects: list[Effect] = [Settle(10), Fail(ConnectionLost("planted")), Report(Noted("never"))]
        made = delivery(lambda _: None)
        with pytest.raises(ConnectionLost, match="planted"):
            made.marks.apply(effects)
        assert (made.tape.settled, made.events) == (10, [])

    def test_an_acknowledgement_without_a_connection_is_none(self) -> None:
        """Between two connections nothing is sent that could be read."""
        made = delivery(lambda d: (d.marks.rewind(), d.marks.apply([Acknowledge(200)])))
        assert (made.tape.acknowledged, made.sender.acknowledged) == (0, 0)

    def test_a_rewind_withdraws_partials(self) -> None:
        """The old connection can no longer end them."""

        def speak(made: Delivery) -> None:
            for event in (SpeechStarted("a", 100), TranscriptDelta("a", "wor")):
                made.marks.apply(made.session.receive(event, 0.0))
            made.marks.rewind()

        assert delivery(speak).events == [
            SpeechBegan(1, 100, "a"),
            Partial(1, "wor", 100, item_id="a"),
            Withdrawn(1),
        ]

    @pytest.mark.parametrize(
        "act",
        [
            pytest.param(lambda d: d.marks.apply([]), id="effects"),
            pytest.param(lambda d: d.sender.acknowledge(100), id="acknowledged"),
            pytest.param(lambda d: d.skip(100), id="skipped"),
            pytest.param(lambda d: d.marks.rewind(), id="rewound"),
        ],
    )
    def test_a_change_is_announced(self, act: Callable[[Delivery], object]) -> None:
        """Once."""
        assert delivery(act).changes == 1


@pytest.mark.parametrize(
    "call",
    [
        *(".mark_sent(", ".mark_acknowledged(", "tape.settle(", "tape.drop(", ".ledger(self.padding)"),
        *("wire.sent(", "wire.padded(", "wire.skipped(", "meter.add(", "session.reads(", "session.connect("),
    ],
)
def test_no_other_code_moves_the_marks(call: str) -> None:
    """But for the limit of unsent audio, which makes holes."""
    package = Path(rt_cli.__file__).parent
    callers = {path.name for path in package.rglob("*.py") if call in path.read_text(encoding="utf-8")}
    assert callers - {"overflow_policy.py"} == {"marks.py"}
