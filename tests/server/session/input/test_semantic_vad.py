"""Semantic VAD: the silence that ends a turn."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.speech.endpointing import SpeechStarts, SpeechStops
from rt_cli.server.session.input.semantic_vad import (
    LONGEST_WAIT_MS,
    Completeness,
    Eagerness,
    SemanticEndpointer,
    completeness,
    wait_ms,
)

FRAME, RATE = 512, 16_000


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "open"),
        ("   ", "open"),
        ("turn the light on", "open"),
        ("turn it off", "open"),
        ("I think that", "open"),
        ("I want to", "unfinished"),
        ("I want to go to the", "unfinished"),
        ("it was red and", "unfinished"),
        ("give me my", "unfinished"),
        ("and then we're", "unfinished"),
        ("and then we’re", "unfinished"),  # noqa: RUF001 - output of some recognisers
        ("Uhm", "unfinished"),
        ("Band", "open"),
        ("Who is it for?", "finished"),
        ("It is done.", "finished"),
        ('He said "no!"', "finished"),
        ("Yes. ", "finished"),
        ("it was...", "unfinished"),
        ("it was…", "unfinished"),
        ("first, second,", "unfinished"),
        ("好的。", "finished"),
        ("مرحبا،", "unfinished"),
    ],
)
def test_completeness(words: str, expected: Completeness) -> None:
    """The last word or the last punctuation mark decides."""
    assert completeness(words) == expected


def test_waits() -> None:
    """Less eager and less complete both mean a longer wait; the longest waits are OpenAI's."""
    table = {
        eagerness: [wait_ms(eagerness, words) for words in ("Done.", "done", "done and")]
        for eagerness in get_args(Eagerness)
    }
    assert table == {
        "low": [1_000, 2_000, 8_000],
        "medium": [500, 1_000, 4_000],
        "auto": [500, 1_000, 4_000],
        "high": [250, 500, 2_000],
    }


WORDS = st.sampled_from(["", "Done.", "done", "done and"])
FRAMES = st.lists(st.tuples(st.sampled_from([0.0, 0.4, 1.0]), st.none() | WORDS), max_size=300)


@given(st.sampled_from(get_args(Eagerness)), FRAMES)
def test_any_speech(eagerness: Eagerness, frames: list[tuple[float, str | None]]) -> None:
    """Starts and stops alternate in order; no turn ends during speech, too early or after the longest wait."""
    endpointer = SemanticEndpointer(FRAME, RATE, eagerness)
    started: int | None = None
    last = quiet = 0
    for number, (probability, words) in enumerate(frames):
        if words is not None:
            endpointer.set_words(words)
        quiet = quiet + 1 if probability < 0.35 else 0
        match endpointer.push(probability):
            case SpeechStarts(at):
                assert started is None
                assert at >= last
                started = at
            case SpeechStops(at):
                assert started is not None
                assert at == (number + 1) * FRAME > started
                assert quiet * FRAME * 1000 >= wait_ms(eagerness, "Done.") * RATE
                last, started = at, None
        longest = -(-LONGEST_WAIT_MS[eagerness] * RATE // (1000 * FRAME))
        assert started is None or quiet < longest
