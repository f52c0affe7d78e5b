"""Sound is sent before it is analysed, as far as no turn can close before; the commits stay where they were."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.speech.endpointing import TurnCloses, TurnDetector, TurnOpens
from rt_cli.streaming.capture.turn_marks import TurnMarks
from rt_cli.streaming.delivery.next_action import ChunkSizes, CommitTurn, Finish, GiveUp, Send, Wait, decide

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME, RATE = 768, 24_000
MS = RATE // 1000
LOUD, SOFT = -20.0, -60.0

Frames = list[tuple[float, float]]

_runs = st.tuples(
    st.sampled_from([(0.9, LOUD), (0.9, SOFT), (0.4, LOUD), (0.4, SOFT), (0.0, LOUD), (0.0, SOFT)]), st.integers(1, 30)
)
sounds = st.lists(_runs, max_size=30).map(lambda runs: [frame for frame, count in runs for _ in range(count)])
"""Frames of words, pauses and noise, in runs of different length."""
pieces = st.lists(st.integers(1, 100 * MS), min_size=1, max_size=20)
"""Samples that are captured at once, again and again."""


@dataclass
class Delivery:
    """Sends what it may at once, and commits."""

    known: Callable[[TurnMarks], int]
    """Up to where sound may be sent."""
    marks: TurnMarks = field(default_factory=TurnMarks)
    sent: int = 0
    commits: list[tuple[int, int | None]] = field(default_factory=list)
    """Where each turn was committed, and where it opened."""
    latest: int = 0
    """Most samples that were captured and not sent, at any time."""

    def deliver(self, captured: int, *, ended: bool) -> None:
        """Take all actions that are possible now."""
        while True:
            last = self.commits[-1][0] if self.commits else -1
            action = decide(
                sent=self.sent,
                known=self.known(self.marks),
                captured=captured,
                ended=ended,
                closes=self.marks.closes_after(max(self.sent, last + 1)),
                sizes=ChunkSizes(40 * MS, 100 * MS),
            )
            match action:
                case Send(samples):
                    self.sent += samples
                case CommitTurn():
                    self.commits.append((self.sent, self.marks.opens_in(max(0, last), self.sent)))
                case Wait() | Finish():
                    break
                case other:
                    raise AssertionError(other)
        self.latest = max(self.latest, captured - self.sent)


def deliver(
    known: Callable[[TurnMarks], int],
    frames: Frames,
    sizes: list[int],
    *,
    lag: int,
    silence_ms: int,
    prefix_ms: int,
    max_turn_s: float,
) -> Delivery:
    """Capture a sound in pieces, and analyse it so many samples later."""
    made = Delivery(known)
    detector = TurnDetector(
        FRAME, RATE, threshold=0.5, silence_ms=silence_ms, prefix_ms=prefix_ms, max_turn_s=max_turn_s
    )
    made.marks.earliest_close = detector.earliest_close
    captured = turn = 0
    end = len(frames) * FRAME
    while captured < end:
        captured = min(end, captured + sizes[turn % len(sizes)])
        turn += 1
        made.deliver(captured, ended=False)
        while made.marks.analysed + FRAME <= (captured - lag if captured < end else end):
            made.marks.add(detector.push(*frames[made.marks.analysed // FRAME]))
            made.marks.earliest_close = detector.earliest_close
            made.marks.known(made.marks.analysed + FRAME)
        made.deliver(captured, ended=captured == end == made.marks.analysed)
    return made


@given(
    frames=sounds,
    sizes=pieces,
    lag=st.integers(0, 3 * FRAME),
    silence_ms=st.integers(0, 700),
    prefix_ms=st.integers(0, 500),
    max_turn_s=st.sampled_from([0.5, 1.0, 4.0, 30.0]),
)
def test_commits_and_turns_are_those_of_sound_that_waits_for_its_analysis(
    frames: Frames, sizes: list[int], lag: int, silence_ms: int, prefix_ms: int, max_turn_s: float
) -> None:
    """To the sample, whatever is captured together and however late it is analysed; all sound is sent."""

    def run(known: Callable[[TurnMarks], int]) -> Delivery:
        return deliver(known, frames, sizes, lag=lag, silence_ms=silence_ms, prefix_ms=prefix_ms, max_turn_s=max_turn_s)

    waited, early = run(lambda marks: marks.analysed), run(lambda marks: marks.earliest_close)

    assert early.commits == waited.commits
    assert early.sent == waited.sent == len(frames) * FRAME
    assert early.latest <= waited.latest


def test_speech_is_sent_as_soon_as_a_chunk_of_it_is_captured() -> None:
    """And so is silence but for the last frames of the one that closes the turn."""
    frames = [(0.0, SOFT)] * 50 + [(0.9, LOUD)] * 100
    chunk = [40 * MS]
    in_time = deliver(
        lambda marks: marks.earliest_close, frames, chunk, lag=FRAME, silence_ms=500, prefix_ms=300, max_turn_s=30
    )
    assert in_time.latest == 0


def test_a_turn_without_audio_has_no_marks() -> None:
    """Its audio is given up before it is analysed: nothing of it is left to commit."""
    marks = TurnMarks()
    marks.leave_out(0, 100)
    marks.add([TurnOpens(20), TurnCloses(100), TurnOpens(110), TurnCloses(200)])

    assert marks.closes_after(0) == 200
    assert marks.opens_in(0, 200) == 110


def test_audio_is_given_up_as_far_as_no_turn_closes() -> None:
    """Old audio need not be analysed before it is dropped."""
    marks = TurnMarks()
    marks.earliest_close = 500

    action = decide(
        sent=0,
        known=marks.earliest_close,
        captured=1000,
        ended=False,
        closes=None,
        sizes=ChunkSizes(10, 10),
        oldest=400,
    )
    assert action == GiveUp(400)
