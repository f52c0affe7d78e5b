"""The last turn and the proof that everything was read: a table, and what holds in every case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rt_cli.streaming.delivery.end_of_audio import MOST_SILENCE_S, QUIET_S, SLOW_S, Ending, next_step

SENT = Ending(quiet_s=0, read=False, cleared=False, clear_sent=False, commit_sent=False)
PADDED = replace(SENT, padded_s=0.8)
READ = replace(PADDED, read=True)
SEARCHED = replace(READ, missed_speech=False)


@pytest.mark.parametrize(
    ("ending", "step", "known"),
    [
        pytest.param(SENT, "wait", "pad", id="sent"),
        pytest.param(PADDED, "wait", "wait", id="the endpoint reads"),
        pytest.param(replace(PADDED, quiet_s=SLOW_S), "search", "search", id="an endpoint that answers no pings"),
        pytest.param(replace(SENT, read=True, speaking=True), "pad", "pad", id="silence closes the last turn"),
        pytest.param(replace(READ, speaking=True), "wait", "wait", id="speech goes on"),
        pytest.param(replace(READ, speaking=True, quiet_s=QUIET_S), "pad", "pad", id="speech goes on: more silence"),
        pytest.param(
            replace(READ, speaking=True, quiet_s=QUIET_S, padded_s=MOST_SILENCE_S),
            *("commit", "commit"),
            id="no silence helps",
        ),
        pytest.param(replace(SENT, read=True), "search", "pad", id="is there speech in the tail"),
        pytest.param(replace(SENT, read=True, missed_speech=True), "pad", "pad", id="speech of the tail"),
        pytest.param(replace(READ, missed_speech=True), "wait", "wait", id="the endpoint may be slow"),
        pytest.param(replace(READ, missed_speech=True, quiet_s=SLOW_S), "commit", "commit", id="it has missed speech"),
        pytest.param(
            replace(READ, missed_speech=True, quiet_s=QUIET_S, tells_of_speech=False),
            *("commit", "commit"),
            id="it never tells",
        ),
        pytest.param(SEARCHED, "wait", "clear", id="a silent tail"),
        pytest.param(replace(SEARCHED, quiet_s=QUIET_S), "done", "clear", id="a silent tail, a moment later"),
        pytest.param(replace(SEARCHED, clear_sent=True), "wait", "wait", id="the answer to the clear"),
        pytest.param(replace(SEARCHED, clear_sent=True, cleared=True), "wait", "done", id="cleared"),
        pytest.param(
            replace(SEARCHED, clear_sent=True, quiet_s=QUIET_S), "done", "done", id="a clear without an answer"
        ),
        pytest.param(replace(READ, commit_sent=True), "done", "done", id="committed"),
    ],
)
def test_turns_of_the_endpoint(ending: Ending, step: str, known: str) -> None:
    """What closes the last turn, and what proves that all was read; at an endpoint that answers ``clear``, and not."""
    assert next_step(ending, own_turns=False) == step
    assert next_step(ending, own_turns=False, takes_clear=True) == known


@pytest.mark.parametrize(
    ("ending", "step"),
    [
        pytest.param(SENT, "wait", id="the endpoint reads"),
        pytest.param(replace(SENT, read=True), "done", id="read"),
        pytest.param(replace(SENT, commit_sent=True), "done", id="the answer to the commit proves it"),
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
    commit_sent=st.booleans(),
    speaking=st.booleans(),
    padded_s=st.floats(0, 20),
    missed_speech=st.sampled_from([None, False, True]),
    tells_of_speech=st.booleans(),
)


@given(ENDINGS, st.booleans(), st.booleans())
def test_silence_is_never_committed(ending: Ending, own_turns: bool, clear: bool) -> None:  # noqa: FBT001 - drawn
    """A commit needs speech that somebody has heard, and is sent once."""
    if next_step(ending, own_turns=own_turns, takes_clear=clear) == "commit":
        assert ending.speaking or ending.missed_speech
        assert not ending.commit_sent
        assert not own_turns


@given(ENDINGS, st.booleans(), st.booleans())
def test_no_turn_is_cleared_away(ending: Ending, own_turns: bool, clear: bool) -> None:  # noqa: FBT001 - drawn
    """A ``clear`` comes behind the silence that closes a turn."""
    if next_step(ending, own_turns=own_turns, takes_clear=clear) == "clear":
        assert own_turns or (ending.padded_s and not ending.speaking)


@given(ENDINGS, st.booleans(), st.booleans())
def test_it_ends(ending: Ending, own_turns: bool, clear: bool) -> None:  # noqa: FBT001 - drawn
    """Without any answer of the endpoint the end comes after a few steps."""
    for _ in range(40):
        match next_step(ending, own_turns=own_turns, takes_clear=clear):
            case "done":
                return
            case "wait":
                ending = replace(ending, quiet_s=ending.quiet_s + 10)
            case "pad":
                ending = replace(ending, quiet_s=0, padded_s=ending.padded_s + 1)
            case "search":
                ending = replace(ending, quiet_s=0, missed_speech=True)
            case "commit":
                ending = replace(ending, quiet_s=0, commit_sent=True)
            case "clear":
                ending = replace(ending, quiet_s=0, clear_sent=True)
    raise AssertionError(ending)
