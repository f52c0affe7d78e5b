"""The scripted user: where its turns begin, and whom it waits for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.talk.user.script import TalkScript, Utterance

PIECE, GRID = 480, 3_840
TURN = Utterance("turn", b"\1\0" * 1_000, 900)


@dataclass
class Partner:
    """An endpoint that begins to reply some samples after each turn, and is heard for some more."""

    answers_at: int
    rests_at: int
    replies_begun: int = 0
    reply_starts_at: int | None = None
    news_at: int = 0

    def rests(self, now: int) -> bool:
        """Return whether it has said everything."""
        return now >= self.rests_at

    def note(self, now: int) -> None:
        """Let the first reply begin."""
        if now >= self.answers_at and not self.replies_begun:
            self.replies_begun, self.reply_starts_at, self.news_at = 1, self.answers_at, self.answers_at


def begins(script: TalkScript, partner: Partner, *, samples: int, piece: int = PIECE) -> list[int]:
    """Return where turns begin."""
    starts: list[int] = []
    before = 0
    for at in range(0, samples, piece):
        partner.note(at)
        pcm = script.next(at, piece, partner)
        if pcm is None:
            break
        speech = [at + place for place in range(len(pcm) // 2) if pcm[2 * place]]
        pairs = zip(speech, [before, *speech], strict=False)
        starts += [place for place, last in pairs if place - last > 1 or not place]
        before = speech[-1] if speech else before
    return starts


@given(rests_at=st.integers(5_000, 20_000))
def test_a_turn_begins_on_the_grid(rests_at: int) -> None:
    """The next place behind the end of the reply, whenever that is: a detector cuts it as in every run."""
    script = TalkScript([TURN, TURN], patience=100_000, grid=GRID)

    first, second = begins(script, Partner(2_000, rests_at), samples=40_000)

    assert (first, second % GRID) == (0, 0)
    assert 0 <= second - rests_at < GRID + PIECE


def test_an_interruption_begins_at_its_sample() -> None:
    """Whatever the grid is."""
    script = TalkScript([TURN, TURN], patience=100_000, interrupt_at=1_234, grid=GRID)

    assert begins(script, Partner(2_000, 30_000), samples=40_000) == [0, 3_234]


def test_a_turn_without_a_reply_is_noted_once() -> None:
    """The next turn follows on the grid."""
    script = TalkScript([TURN, TURN], patience=2_500, grid=GRID)

    starts = begins(script, Partner(100_000, 0), samples=40_000)

    assert starts == [0, GRID]
    assert script.unanswered == ["no reply to turn", "no reply to turn"]


def test_a_reply_without_an_end_is_noted() -> None:
    """It is not said that there was none."""
    script = TalkScript([TURN], patience=2_500)

    assert begins(script, Partner(2_000, 100_000), samples=40_000) == [0]
    assert script.unanswered == ["the reply to turn has no end"]


@pytest.mark.parametrize("piece", [PIECE, 1_000, 7])
def test_the_end_needs_no_grid(piece: int) -> None:
    """The script ends with the last reply."""
    script = TalkScript([TURN], patience=100_000, grid=GRID)
    partner = Partner(2_000, 5_000)

    for at in range(0, 40_000, piece):
        partner.note(at)
        if script.next(at, piece, partner) is None:
            break

    assert 5_000 <= at < 5_000 + piece
