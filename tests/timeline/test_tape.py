"""The marks stay in order, the ledger always balances, and each hole counts once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.errors import RtError
from rt_cli.timeline.tape import Hole, Tape
from tests.memory import held_bytes

RATE = 1000


def test_a_new_tape_is_empty() -> None:
    """A tape without captured samples has none settled, dropped or waiting."""
    assert Tape(RATE).ledger().captured == 0


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        pytest.param(lambda _tape: None, (0, 0, 0, 100), id="captured"),
        pytest.param(lambda tape: tape.mark_sent(60), (0, 0, 60, 40), id="sent"),
        pytest.param(lambda tape: (tape.mark_sent(60), tape.mark_acknowledged(50)), (0, 50, 10, 40), id="acknowledged"),
        pytest.param(
            lambda tape: (tape.mark_sent(60), tape.mark_acknowledged(99)), (0, 60, 0, 40), id="more than sent"
        ),
        pytest.param(lambda tape: tape.settle(30), (30, 0, 0, 70), id="settled unsent"),
        pytest.param(lambda tape: (tape.mark_sent(60), tape.settle(30), tape.rewind()), (30, 0, 0, 70), id="rewound"),
    ],
)
def test_the_ledger_counts_the_samples_between_the_marks(act: object, expected: tuple[int, int, int, int]) -> None:
    """Settled, acknowledged, in flight and waiting are the distances between neighbouring marks."""
    tape = Tape(RATE)
    tape.append(bytes(200))
    act(tape)  # type: ignore[operator]
    ledger = tape.ledger()

    assert (ledger.settled, ledger.acknowledged, ledger.in_flight, ledger.waiting) == expected
    assert ledger.balanced


def test_adjacent_holes_of_one_reason_are_merged() -> None:
    """A tape that is full for hours stores one hole, not one per chunk."""
    tape = Tape(RATE, limit_bytes=200)
    tape.append(bytes(200))
    for _ in range(1000):
        assert tape.append(bytes(20))

    assert tape.holes == [(100, 10_100)]


def test_a_hole_is_counted_once() -> None:
    """drop() of a range that contains a hole counts the samples of that hole only once."""
    tape = Tape(RATE)
    tape.append(bytes(200))
    tape.lose(50, "overflow")
    tape.append(bytes(200))

    assert tape.drop(90, 160, "failed") == [Hole(90, 100, "failed"), Hole(150, 160, "failed")]
    assert tape.dropped == 70


def test_the_settled_mark_can_be_inside_a_hole() -> None:
    """If *settled* is in the middle of a hole, the first half counts as dropped, not as settled."""
    tape = Tape(RATE)
    tape.append(bytes(200))
    tape.drop(40, 60, "no_final")
    tape.settle(50)
    ledger = tape.ledger()

    assert (ledger.settled, ledger.dropped, ledger.waiting) == (40, 20, 40)


def test_forget_releases_memory() -> None:
    """forget() releases sent and unsent audio; the ledger still counts it, and it is no longer waiting."""
    tape = Tape(RATE, memory_s=0.1, on_disk=False)
    for _ in range(10_000):
        tape.append(bytes(20))
        tape.mark_sent(max(tape.sent, tape.captured - 300))
        tape.forget(tape.captured - 200)
        assert tape.captured % 1000 or held_bytes(tape) <= 2 * 200 + 20 + (1 << 18)
    ledger = tape.ledger()

    assert (tape.oldest, tape.waiting) == (99_800, 200)
    assert (ledger.in_flight, ledger.waiting, ledger.dropped) == (99_700, 300, 0)
    assert ledger.balanced


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda tape: tape.read(0, 101), id="read beyond captured"),
        pytest.param(lambda tape: (tape.settle(10), tape.read(5, 20)), id="read what is settled"),
        pytest.param(lambda tape: tape.settle(101), id="settle beyond captured"),
        pytest.param(lambda tape: tape.mark_sent(101), id="send beyond captured"),
        pytest.param(lambda tape: (tape.mark_sent(20), tape.mark_sent(10)), id="send back"),
    ],
)
def test_marks_out_of_order_raise(act: object) -> None:
    """A mark that would break the order raises an error and moves no mark."""
    tape = Tape(RATE)
    tape.append(bytes(200))

    with pytest.raises(RtError):
        act(tape)  # type: ignore[operator]
    assert tape.ledger().balanced


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "lose", "send", "acknowledge", "settle", "drop", "give up", "rewind"]),
        st.integers(0, 200),
        st.integers(0, 200),
    ),
    max_size=80,
)


@settings(deadline=None)
@given(steps=STEPS)
def test_the_ledger_always_balances(steps: list[tuple[str, int, int]]) -> None:
    """After any calls in any order, each captured sample has exactly one state; a list of samples is the model."""
    tape = Tape(RATE, memory_s=0.05, limit_bytes=2000)
    dropped: set[int] = set()
    settled = 0
    for what, first, second in steps:
        holes: list[Hole] = []
        match what:
            case "append":
                holes = tape.append(b"\x01\x02" * first)
            case "lose":
                holes = tape.lose(first, "overflow")
            case "send":
                tape.mark_sent(min(tape.sent + first, tape.captured))
            case "acknowledge":
                tape.mark_acknowledged(first + second)
            case "settle":
                tape.settle(min(tape.settled + first, tape.captured))
            case "drop":
                holes = tape.drop(first, first + second, "failed")
            case "give up":
                tape.forget(tape.sent + first)
                holes = tape.drop(tape.sent, tape.oldest, "full")
            case _:
                holes = tape.rewind()
        for hole in holes:
            fresh = set(range(hole.start, hole.end))
            assert fresh.isdisjoint(dropped)
            dropped |= fresh
        ledger = tape.ledger()
        assert ledger.balanced
        assert tape.captured >= tape.sent >= tape.acknowledged >= tape.settled >= settled
        assert ledger.dropped == len(dropped)
        assert ledger.settled == len(set(range(tape.settled)) - dropped)
        assert ledger.waiting == len(set(range(tape.sent, tape.captured)) - dropped)
        assert tape.waiting == len(range(max(tape.sent, tape.oldest), tape.captured))
        settled = tape.settled
    tape.close()


def acknowledged_beyond_room() -> Tape:
    """A tape with room for 100 samples, all 250 sent and acknowledged, 20 settled: the first 150 are gone."""
    tape = Tape(RATE, limit_bytes=200)
    for start in range(0, 250, 10):
        assert tape.append(numbered(start, start + 10)) == []
        tape.mark_sent(tape.captured)
        tape.mark_acknowledged(tape.captured)
    tape.settle(20)
    return tape


def numbered(start: int, end: int) -> bytes:
    """Samples with the value of their position."""
    return b"".join(at.to_bytes(2, "little") for at in range(start, end))


def test_acknowledged_audio_leaves_for_new_audio_without_a_hole() -> None:
    """All of it settles: nothing was dropped."""
    tape = acknowledged_beyond_room()
    assert tape.dropped == 0
    tape.settle(250)
    assert (tape.rewind(), tape.dropped, tape.ledger().settled) == ([], 0, 250)


def test_a_lost_connection_makes_a_hole_of_what_is_gone() -> None:
    """Only from settled on, and only once; the rest is sent again."""
    tape = acknowledged_beyond_room()
    assert tape.rewind() == [Hole(20, 150, "full")]
    assert (tape.oldest, tape.sent, tape.dropped) == (150, 20, 130)
    assert tape.read(150, 250) == numbered(150, 250)
    assert tape.rewind() == []
    assert tape.ledger().balanced


def test_unsent_audio_never_leaves() -> None:
    """Without acknowledged audio, new audio is the hole."""
    tape = Tape(RATE, limit_bytes=200)
    tape.append(bytes(200))
    tape.mark_sent(100)
    assert tape.append(bytes(20)) == [Hole(100, 110, "full")]


def test_what_is_gone_can_be_refilled() -> None:
    """It is readable as far as it is refilled, then the rest of the tape is; no hole is made."""
    tape = acknowledged_beyond_room()
    assert tape.rewind(again=True) == []
    assert (tape.missing, tape.readable) == ((20, 150), 20)
    tape.refill(numbered(20, 80))
    assert (tape.missing, tape.readable) == ((80, 150), 80)
    assert tape.read(20, 80) == numbered(20, 80)
    tape.mark_sent(80)
    tape.mark_acknowledged(80)
    tape.refill(numbered(80, 999))
    assert (tape.missing, tape.readable) == ((150, 150), 150)
    tape.mark_sent(150)
    assert tape.readable == 250
    assert tape.read(100, 200) == numbered(100, 200)
    assert tape.end_refill() == []
    assert (tape.dropped, tape.ledger().balanced) == (0, True)


def test_what_cannot_be_refilled_is_a_hole() -> None:
    """From what is unsent on."""
    tape = acknowledged_beyond_room()
    tape.rewind(again=True)
    tape.refill(numbered(20, 80))
    tape.mark_sent(60)
    assert tape.end_refill() == [Hole(60, 150, "full")]
    assert (tape.readable, tape.oldest) == (250, 150)


def test_settling_beyond_the_refilled_audio() -> None:
    """What is settled is not missing."""
    tape = acknowledged_beyond_room()
    tape.rewind(again=True)
    tape.settle(100)
    assert tape.missing == (100, 150)
    tape.refill(numbered(100, 150))
    assert tape.read(100, 250) == numbered(100, 250)
