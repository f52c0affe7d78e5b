"""The last turn and the proof that everything was read: a table, and what holds in every case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rt_cli.streaming.delivery.end_of_audio import MOST_SILENCE_S, QUIET_S, SLOW_S, Ending, next_step

SENT = Ending(quiet_s=0, read=False, cleared=False, clear_sent=False)
READ = replace(SENT, read=True)
SILENT = replace(READ, missed_speech=False)
SPOKEN = replace(READ, missed_speech=True, speaking=True, speech_at_end=True)
REFUSED = replace(SPOKEN, commit="refused")


@pytest.mark.parametrize(
    ("ending", "step", "known"),
    [
        pytest.param(SENT, "wait", "wait", id="the endpoint reads"),
        pytest.param(replace(SENT, quiet_s=SLOW_S), "search", "search", id="an endpoint that answers no pings"),
        pytest.param(READ, "search", "search", id="is there speech in the tail"),
        pytest.param(SPOKEN, "commit", "commit", id="speech at the end"),
        pytest.param(replace(SPOKEN, speech_at_end=False), "wait", "wait", id="the end of the speech is not told yet"),
        pytest.param(
            replace(SPOKEN, speech_at_end=False, quiet_s=QUIET_S), "commit", "commit", id="the end of it is never told"
        ),
        pytest.param(replace(READ, missed_speech=True), "wait", "wait", id="the endpoint may be slow"),
        pytest.param(replace(READ, missed_speech=True, quiet_s=SLOW_S), "commit", "commit", id="it has missed speech"),
        pytest.param(
            replace(READ, missed_speech=True, quiet_s=SLOW_S, awaits_words=True),
            *("wait", "wait"),
            id="it may tell of speech behind the words before it",
        ),
        pytest.param(
            replace(READ, missed_speech=True, quiet_s=SLOW_S, awaits_words=True, left_s=SLOW_S),
            *("commit", "commit"),
            id="it is too late for that",
        ),
        pytest.param(replace(SPOKEN, awaits_words=True), "commit", "commit", id="speech at the end, words before it"),
        pytest.param(
            replace(READ, missed_speech=True, quiet_s=QUIET_S, tells_of_speech=False),
            *("commit", "commit"),
            id="it never tells of speech",
        ),
        pytest.param(replace(SPOKEN, commit="pending"), "wait", "wait", id="the answer to the commit"),
        pytest.param(replace(SPOKEN, commit="pending", quiet_s=QUIET_S), "pad", "pad", id="the commit is ignored"),
        pytest.param(
            replace(SPOKEN, commit="pending", ends_turns=False), "done", "done", id="only the answer is missing"
        ),
        pytest.param(REFUSED, "pad", "pad", id="the commit is refused: silence"),
        pytest.param(replace(REFUSED, padded_s=0.8), "wait", "wait", id="the silence is heard"),
        pytest.param(replace(REFUSED, padded_s=0.8, quiet_s=QUIET_S), "pad", "pad", id="more silence"),
        pytest.param(replace(REFUSED, padded_s=MOST_SILENCE_S, quiet_s=QUIET_S), "done", "done", id="no silence helps"),
        pytest.param(replace(SPOKEN, commit="answered"), "done", "done", id="committed"),
        pytest.param(SILENT, "wait", "pad", id="a silent tail"),
        pytest.param(
            replace(SILENT, quiet_s=QUIET_S, missed_sound=True, awaits_words=True),
            *("wait", "wait"),
            id="sound in which the endpoint may hear speech, behind the words before it",
        ),
        pytest.param(replace(SILENT, quiet_s=QUIET_S, missed_sound=True), "done", "pad", id="it hears none"),
        pytest.param(replace(SILENT, padded_s=0.8), "wait", "clear", id="a silent tail, and closing silence"),
        pytest.param(replace(SILENT, padded_s=0.8, quiet_s=QUIET_S), "done", "clear", id="a moment later"),
        pytest.param(replace(SILENT, padded_s=0.8, clear_sent=True), "wait", "wait", id="the answer to the clear"),
        pytest.param(replace(SILENT, padded_s=0.8, clear_sent=True, cleared=True), "wait", "done", id="cleared"),
        pytest.param(
            replace(SILENT, padded_s=0.8, clear_sent=True, quiet_s=QUIET_S),
            *("done", "done"),
            id="a clear without an answer",
        ),
    ],
)
def test_turns_of_the_endpoint(ending: Ending, step: str, known: str) -> None:
    """What closes the last turn, and what proves that all was read; at any endpoint, and at one that is known."""
    assert next_step(ending, own_turns=False) == step
    assert next_step(ending, own_turns=False, takes_clear=True) == known


def test_no_silence_is_sent_to_our_own_detector() -> None:
    """The embedded endpoint hears no speech where we hear none."""
    assert next_step(SILENT, own_turns=False, takes_clear=True, same_detector=True) == "clear"


@pytest.mark.parametrize(
    ("ending", "step"),
    [
        pytest.param(SENT, "wait", id="the endpoint reads"),
        pytest.param(replace(SENT, read=True), "done", id="read"),
        pytest.param(replace(SENT, commit="pending"), "done", id="the answer to the commit proves it"),
        pytest.param(replace(SENT, quiet_s=SLOW_S), "clear", id="an endpoint that answers no pings"),
        pytest.param(replace(SENT, clear_sent=True), "wait", id="the answer to the clear"),
        pytest.param(replace(SENT, clear_sent=True, cleared=True), "done", id="cleared"),
    ],
)
def test_own_turns(ending: Ending, step: str) -> None:
    """Turns of our own are committed already: only the proof is missing."""
    assert next_step(ending, own_turns=True) == step


ENDINGS = st.builds(
    Ending,
    quiet_s=st.floats(0, 20),
    read=st.booleans(),
    cleared=st.booleans(),
    clear_sent=st.booleans(),
    commit=st.sampled_from(["none", "pending", "answered", "refused"]),
    speaking=st.booleans(),
    padded_s=st.floats(0, 20),
    missed_speech=st.sampled_from([None, False, True]),
    tells_of_speech=st.booleans(),
    ends_turns=st.booleans(),
    awaits_words=st.booleans(),
)


@given(ENDINGS, st.booleans(), st.booleans())
def test_silence_is_never_committed(ending: Ending, own_turns: bool, known: bool) -> None:  # noqa: FBT001 - drawn
    """A commit needs speech that somebody has heard, and is sent once."""
    if next_step(ending, own_turns=own_turns, takes_clear=known) == "commit":
        assert ending.speaking or ending.missed_speech
        assert ending.commit == "none"
        assert not own_turns


@given(ENDINGS, st.booleans(), st.booleans())
def test_no_turn_is_cleared_away(ending: Ending, own_turns: bool, known: bool) -> None:  # noqa: FBT001 - drawn
    """A ``clear`` comes behind the silence that closes a turn."""
    if next_step(ending, own_turns=own_turns, takes_clear=known) == "clear":
        assert own_turns or (ending.padded_s and not ending.speaking)


@given(ENDINGS, st.booleans(), st.booleans())
def test_it_ends(ending: Ending, own_turns: bool, known: bool) -> None:  # noqa: FBT001 - drawn
    """Without any answer of the endpoint the end comes after a few steps."""
    for _ in range(40):
        match next_step(ending, own_turns=own_turns, takes_clear=known):
            case "done":
                return
            case "wait":
                ending = replace(ending, quiet_s=ending.quiet_s + 10, left_s=ending.left_s - 10)
            case "pad":
                commit = "refused" if ending.commit == "pending" else ending.commit
                ending = replace(ending, quiet_s=0, padded_s=ending.padded_s + 1, commit=commit)
            case "search":
                ending = replace(ending, quiet_s=0, missed_speech=True)
            case "commit":
                ending = replace(ending, quiet_s=0, commit="pending")
            case "clear":
                ending = replace(ending, quiet_s=0, clear_sent=True)
    raise AssertionError(ending)
