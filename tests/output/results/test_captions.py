"""Captions, read back by independent parsers."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import srt
import webvtt
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET

from rt_cli.events import Final, Partial, Warned
from rt_cli.output.results.captions import (
    COLUMNS,
    MAX_CUE_MS,
    MIN_CUE_MS,
    CaptionOutput,
    Cue,
    CueCutter,
    clock,
    columns_of,
)
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from rt_cli.events import Event
    from rt_cli.output.line_writer import OnWritten
    from rt_cli.output.results.captions import CaptionFormat

LONG = (
    "The quick brown fox jumps over the lazy dog, and then it rests. It had been a long day for everybody who was "
    "there; nobody wanted to go home, though. So they stayed."
)


def cues(*finals: Final) -> list[Cue]:
    """Return the cues of a run."""
    cutter = CueCutter()
    return [cue for final in finals for cue in cutter.cut(final)]


def written(kind: CaptionFormat, *events: Event) -> str:
    """Return the output of a run."""
    lines: list[str] = []
    output = CaptionOutput(lambda line, **_: lines.append(line), kind)
    for event in events:
        output.on_event(event)
    return "".join(f"{line}\n" for line in lines)


def words(text: str) -> str:
    """Return a text without white space, because captions choose their own line ends."""
    return "".join(printable(text).split())


TEXTS = (
    st.text(max_size=150)
    | st.text("ab .,!?\n<>&-:0123;'\"\x1b", max_size=150)
    | st.text("一二三。，「」abc ", max_size=120)  # noqa: RUF001 - signs of their own
    | st.lists(st.text("abcdefgh", min_size=1, max_size=12), max_size=60).map(" ".join)
    | st.just("1\n00:00:01,000 --> 00:00:02,000\nno cue")
)
TIMES = st.just(UNSET) | st.integers(0, 400_000_000)
FINALS = st.lists(st.tuples(TEXTS, TIMES, st.none() | st.integers(-1000, 60_000)), max_size=5).map(
    lambda drawn: [
        Final(turn, text, start, UNSET if start is UNSET or length is None else start + length)
        for turn, (text, start, length) in enumerate(drawn, 1)
    ]
)


def test_a_short_final_is_one_cue() -> None:
    """The cue has the times of the turn."""
    assert cues(Final(1, " hello there ", 1_000, 2_500)) == [Cue(1_000, 2_500, ("hello there",))]


def test_a_long_final_is_cut_where_sentences_end() -> None:
    """Each cue has at most two lines of similar width; the times follow the text."""
    made = cues(Final(1, LONG, 0, 12_000))

    assert [cue.lines for cue in made] == [
        ("The quick brown fox jumps over", "the lazy dog, and then it rests."),
        ("It had been a long day for everybody", "who was there; nobody wanted to go home,"),
        ("though. So they stayed.",),
    ]
    assert made[0].start_ms == 0
    assert made[-1].end_ms == 12_000
    assert [after.start_ms for after in made[1:]] == [before.end_ms for before in made[:-1]]


@pytest.mark.parametrize(
    ("finals", "expected"),
    [
        pytest.param([Final(1, "yes", 500, 600)], [(500, 1_500)], id="too short to read"),
        pytest.param(
            [Final(1, "yes", 500, 600), Final(2, "no", 900, 1_000)], [(500, 1_500), (1_500, 2_500)], id="late"
        ),
        pytest.param([Final(1, "yes", 0, 20_000)], [(0, 7_000)], id="one word, long silence"),
        pytest.param([Final(1, "yes and no")], [(0, 1_000)], id="without times"),
        pytest.param([Final(1, "a", 5_000, 7_000), Final(2, "x" * 40)], [(5_000, 7_000), (7_000, 9_400)], id="after"),
        pytest.param([Final(1, "a", 5_000)], [(5_000, 6_000)], id="without an end"),
        pytest.param([Final(1, "a", 5_000, 3_000)], [(5_000, 6_000)], id="ends before it begins"),
        pytest.param([Final(1, "  "), Final(2, "\x1b[31m")], [], id="no words"),
    ],
)
def test_times(finals: list[Final], expected: list[tuple[int, int]]) -> None:
    """Cues have readable durations and never overlap."""
    assert [(cue.start_ms, cue.end_ms) for cue in cues(*finals)] == expected


def test_slow_words_are_not_shown_before_they_are_said() -> None:
    """A turn of half a minute with few words is also split by time."""
    made = cues(Final(1, "one two three four five six seven eight", 0, 28_000))

    assert len(made) >= 4
    assert all(cue.end_ms - cue.start_ms <= MAX_CUE_MS for cue in made)


def test_scripts_without_spaces_are_split_between_characters() -> None:
    """Wide characters take two columns, and no line begins with closing punctuation."""
    made = cues(Final(1, "今日は天気がいいですね。" * 8, 0, 20_000))

    assert len(made) > 1
    for line in (line for cue in made for line in cue.lines):
        assert columns_of(line) <= COLUMNS
        assert not line.startswith("。")


@given(FINALS)
@example([Final(1, "x" * 500, 0, 1)])
def test_cues_are_readable_and_in_order(finals: list[Final]) -> None:
    """For any finals: no overlap, one to seven seconds, two lines of 42 columns, no word lost."""
    made = cues(*finals)

    for cue in made:
        assert MIN_CUE_MS <= cue.end_ms - cue.start_ms <= MAX_CUE_MS
        assert 1 <= len(cue.lines) <= 2
        assert all(line.strip() == line and line and columns_of(line) <= COLUMNS for line in cue.lines)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(made))
    assert words("".join("".join(cue.lines) for cue in made)) == "".join(words(final.text) for final in finals)


@given(FINALS)
def test_an_srt_parser_reads_the_cues_back(finals: list[Final]) -> None:
    """Numbers from 1, times and text are those of the cues."""
    made = cues(*finals)
    parsed = list(srt.parse(written("srt", *finals)))

    assert [cue.index for cue in parsed] == list(range(1, len(made) + 1))
    assert [(srt_ms(cue.start), srt_ms(cue.end)) for cue in parsed] == [(cue.start_ms, cue.end_ms) for cue in made]
    assert [cue.content.split("\n") for cue in parsed] == [list(cue.lines) for cue in made]


@given(FINALS)
def test_a_vtt_parser_reads_the_cues_back(finals: list[Final]) -> None:
    """Header, times, and unescaped text are those of the cues."""
    made = cues(*finals)
    parsed = list(webvtt.from_buffer(io.StringIO(written("vtt", *finals, Warned("x", "y")))))

    assert [(cue.start, cue.end) for cue in parsed] == [(clock(cue.start_ms), clock(cue.end_ms)) for cue in made]
    read = [[unescaped(line) for line in cue.raw_text.split("\n")] for cue in parsed]
    assert read == [list(cue.lines) for cue in made]


def srt_ms(time: object) -> int:
    """Convert a time of the SRT parser to milliseconds."""
    return round(time.total_seconds() * 1000)  # type: ignore[attr-defined]  # a timedelta


def unescaped(text: str) -> str:
    """Return the displayed text of a WebVTT cue."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def test_markup_does_not_reach_a_vtt_player() -> None:
    """Markup is escaped, and no line of text looks like a time."""
    page = written("vtt", Final(1, "<b>a</b> & b --> c\x1b[31m\x07", 0, 2_000))

    assert page == "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n&lt;b&gt;a&lt;/b&gt; &amp; b --&gt; c\n\n"


def test_a_run_without_words_is_a_valid_file() -> None:
    """WebVTT has a header, SRT is empty."""
    assert written("vtt", Warned("x", "y")) == "WEBVTT\n\n"
    assert written("srt", Warned("x", "y"), Partial(1, "hel"), Final(1, " ")) == ""


def test_a_final_is_printed_when_its_last_cue_is() -> None:
    """``on_printed`` is called once, after the last cue was written."""
    waiting: list[OnWritten] = []
    printed: list[int] = []

    def write_line(_line: str, *, droppable: bool = False, on_written: OnWritten = None) -> None:
        assert not droppable
        waiting.append(on_written)

    CaptionOutput(write_line, "srt", printed.append).on_event(Final(7, LONG, 0, 12_000))
    *first, last = waiting

    assert first == [None, None]
    assert last is not None
    last()
    assert printed == [7]


@pytest.mark.parametrize(
    ("ms", "expected"), [(0, "00:00:00.000"), (3_723_004, "01:02:03.004"), (360_000_000, "100:00:00.000")]
)
def test_clock(ms: int, expected: str) -> None:
    """Hours are always present."""
    assert clock(ms) == expected
