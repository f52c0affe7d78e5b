"""The limit of waiting audio: what is dropped, in gaps of which length, and when capture ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.speech.gate import SendRanges
from rt_cli.streaming.capture.gaps import Gaps
from rt_cli.streaming.capture.overflow_policy import OverflowPolicy, first_kept, start_of_newest
from rt_cli.streaming.delivery.next_action import ChunkSizes, GiveUp, Send, decide
from rt_cli.timeline.tape import Hole, Tape

RATE = 1000


@pytest.mark.parametrize(
    ("samples", "blanks", "expected"),
    [
        pytest.param(30, [], 70, id="without blanks"),
        pytest.param(130, [], -30, id="more than there is"),
        pytest.param(30, [(0, 40)], 70, id="a blank before it"),
        pytest.param(30, [(80, 90)], 60, id="a blank within"),
        pytest.param(30, [(60, 70)], 60, id="a blank at its beginning"),
        pytest.param(30, [(90, 100)], 60, id="a blank at the end"),
        pytest.param(30, [(80, 90), (50, 65)], 45, id="two"),
        pytest.param(30, [(60, 90), (70, 80), (85, 95)], 35, id="one in another, one over another"),
        pytest.param(0, [(60, 100)], 60, id="nothing"),
    ],
)
def test_start_of_newest(samples: int, blanks: list[tuple[int, int]], expected: int) -> None:
    """Counted back from the end, without blanks."""
    assert start_of_newest(100, samples, blanks) == expected


@given(
    end=st.integers(0, 200),
    samples=st.integers(0, 250),
    spans=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=6),
)
def test_start_of_newest_matches_a_count_sample_by_sample(end: int, samples: int, spans: list[tuple[int, int]]) -> None:
    """For any blanks; no blank is split."""
    blanks = [(min(span), max(span)) for span in spans if max(span) <= end]
    at = start_of_newest(end, samples, blanks)
    blank = {each for start, stop in blanks for each in range(start, stop)}

    assert len([each for each in range(at, end) if each not in blank]) == samples
    assert at - 1 not in blank


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param({"captured": 100}, 0, id="as much as may wait"),
        pytest.param({"captured": 101}, 20, id="a gap begins: so much at least"),
        pytest.param({"captured": 119, "oldest": 20}, 20, id="that makes room for a while"),
        pytest.param({"captured": 121, "oldest": 20}, 21, id="it grows by what it must"),
        pytest.param({"captured": 150}, 50, id="more than the least at once"),
        pytest.param({"sent": 30, "captured": 131, "oldest": 20}, 50, id="another gap"),
        pytest.param({"sent": 20, "captured": 121, "oldest": 20}, 40, id="another one just behind the last"),
        pytest.param({"sent": 90, "captured": 150}, 50, id="what is sent and unsettled"),
        pytest.param({"captured": 300, "blanks": [(0, 250)]}, -50, id="what does not count"),
        pytest.param({"captured": 300, "blanks": [(10, 150)]}, 200, id="a hole within what is too old"),
        pytest.param({"captured": 300, "blanks": [(50, 200)]}, 50, id="a hole behind it stays"),
        pytest.param({"sent": 60, "captured": 90, "oldest": 70}, 70, id="never back"),
    ],
)
def test_first_kept(state: dict[str, object], expected: int) -> None:
    """Exactly the newest samples are kept, except that a new gap has a minimum length."""
    full: dict[str, object] = {"sent": 0, "oldest": 0, "limit": 100, "least": 20, "blanks": [], **state}
    assert first_kept(**full) == max(expected, 0)  # type: ignore[arg-type]


@dataclass
class Delivery:
    """A tape with waiting audio, and a connection that sends it or does not."""

    memory_s: float = 0.3
    dropped: list[Hole] = field(default_factory=list)
    on_wire: list[int] = field(default_factory=list)
    """Of the present connection."""

    def __post_init__(self) -> None:
        self.tape = Tape(RATE, memory_s=self.memory_s, on_disk=False)
        self.policy = OverflowPolicy(self.tape, "drop-oldest", limit_s=self.memory_s, on_hole=self.dropped.append)

    def capture(self, samples: int) -> None:
        """Append ``samples`` samples, each with its own value."""
        at = self.tape.captured
        self.tape.append(b"".join((each % 30_000 + 1).to_bytes(2, "little") for each in range(at, at + samples)))
        self.policy.enforce()

    def pump(self, steps: int) -> None:
        """Do a number of actions, as far as there are any."""
        tape, sizes = self.tape, ChunkSizes(20, 100)
        for _ in range(steps):
            step = decide(
                sent=tape.sent,
                known=tape.captured,
                captured=tape.captured,
                ended=False,
                closes=None,
                sizes=sizes,
                oldest=tape.oldest,
            )
            match step:
                case Send(samples):
                    at = tape.sent
                    for index, each in enumerate(range(at, at + samples)):
                        value = int.from_bytes(tape.read(at, at + samples)[2 * index : 2 * index + 2], "little")
                        assert value in {0, each % 30_000 + 1}
                        assert value or any(hole.start <= each < hole.end for hole in self.lost)
                    self.on_wire += range(at, at + samples)
                    tape.mark_sent(at + samples)
                case GiveUp(samples):
                    tape.mark_sent(tape.sent + samples)
                case _:
                    return

    def lose(self) -> None:
        """Lose the connection, and with it all audio that it had not settled."""
        self.on_wire.clear()
        self.tape.rewind()
        self.policy.enforce()

    lost: list[Hole] = field(default_factory=list)
    """The gaps that were captured."""


STEPS = st.lists(
    st.tuples(st.sampled_from(["capture", "pump", "gap", "settle", "lose"]), st.integers(1, 120)), max_size=60
)


@given(steps=STEPS)
def test_never_more_than_the_limit_waits_and_nothing_is_both_sent_and_dropped(steps: list[tuple[str, int]]) -> None:
    """For any order of capture, send, settle and loss each sample is either sent or reported as dropped."""
    delivery = Delivery()
    tape = delivery.tape
    for what, count in steps:
        match what:
            case "capture":
                delivery.capture(count)
            case "pump":
                delivery.pump(count % 8)
            case "gap":
                delivery.lost += tape.lose(count, "device_lost")
            case "settle":
                tape.settle(min(tape.settled + count, tape.sent))
                delivery.on_wire = [each for each in delivery.on_wire if each >= tape.settled]
            case _:
                delivery.lose()
        ledger = tape.ledger()
        assert ledger.balanced
        assert ledger.waiting <= RATE * delivery.memory_s
        dropped_samples = {each for hole in delivery.dropped for each in range(hole.start, hole.end)}
        assert dropped_samples.isdisjoint(delivery.on_wire)
    delivery.policy.end()
    delivery.pump(10_000)
    holes = [*delivery.dropped, *delivery.lost]
    dropped = [each for hole in holes for each in range(hole.start, hole.end)]
    assert len(dropped) == len(set(dropped)) == tape.dropped
    rest = set(range(tape.settled, tape.sent)) - set(dropped)
    assert rest <= set(delivery.on_wire)


def test_left_out_audio_does_not_count_as_waiting() -> None:
    """With push to talk minutes of unsent audio leave room; only audio to be sent is counted and dropped."""
    tape, dropped = Tape(RATE, on_disk=False), list[Hole]()
    send_ranges = SendRanges()
    policy = OverflowPolicy(tape, "drop-oldest", limit_s=1, send_ranges=lambda: send_ranges, on_hole=dropped.append)
    tape.append(bytes(2 * 60_000))
    send_ranges.decided(60_000)
    policy.enforce()
    assert (dropped, tape.ledger().dropped) == ([], 0)

    send_ranges.open(60_000)
    tape.append(bytes(2 * 1500))
    send_ranges.close(61_500)
    tape.append(bytes(2 * 60_000))
    send_ranges.decided(121_500)
    policy.enforce()
    assert dropped == [Hole(60_000, 60_500, "full")]
    assert tape.oldest == 60_500


@pytest.mark.parametrize("sent", [0, 500])
def test_fail_drops_nothing(sent: int) -> None:
    """``enforce`` returns the error from the first sample beyond the limit on; audio of gaps does not count."""
    tape, dropped = Tape(RATE, on_disk=False), list[Hole]()
    policy = OverflowPolicy(tape, "fail", limit_s=1, on_hole=dropped.append)
    tape.append(bytes(2 * 500))
    tape.mark_sent(sent)
    tape.lose(5000, "device_lost")
    tape.append(bytes(2 * (500 + sent)))
    assert policy.enforce() is None

    tape.append(bytes(2))
    error = policy.enforce()
    assert error is not None
    assert (error.exit_code, error.code) == (5, "full")
    assert dropped == []
    tape.mark_sent(tape.captured)
    assert policy.enforce() is None


def test_fail_also_if_the_memory_is_full() -> None:
    """A turn that never ends is sent in time, but the tape must keep it."""
    tape = Tape(RATE, limit_bytes=10_000, on_disk=False)
    policy = OverflowPolicy(tape, "fail", limit_s=1, on_hole=lambda _hole: None)
    for _ in range(50):
        assert policy.enforce() is None
        tape.append(bytes(2 * 100))
        tape.mark_sent(tape.captured)
    assert policy.enforce() is None

    tape.append(bytes(2 * 100))
    assert "the memory takes" in str(policy.enforce())


def test_spool_has_no_limit() -> None:
    """For any memory size: the tape moves audio to the disk."""
    tape = Tape(RATE, memory_s=0.1)
    policy = OverflowPolicy(tape, "spool", limit_s=0.1, on_hole=lambda _hole: pytest.fail("given up"))
    for _ in range(100):
        tape.append(bytes(2 * 100))
        assert policy.enforce() is None
    assert tape.ledger().waiting == 10_000
    tape.close()


def test_a_gap_is_reported_in_two_parts() -> None:
    """Its start at once and its growth at its end; another reason or position is another gap."""
    dropped: list[Hole] = []
    gaps = Gaps(dropped.append)
    for start in range(0, 100, 10):
        gaps.add([Hole(start, start + 10, "full")])
    assert dropped == [Hole(0, 10, "full")]

    gaps.add([Hole(100, 110, "overflow")])
    gaps.add([Hole(120, 130, "overflow")])
    gaps.end()
    gaps.end()
    assert dropped[1:] == [Hole(10, 100, "full"), Hole(100, 110, "overflow"), Hole(120, 130, "overflow")]
