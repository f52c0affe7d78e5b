"""Whatever the order in which things are sent, read, said, lost and sent again: the marks and the promise hold.

That the ledger balances, that the marks are in order, that settled never goes back, that finals stand in timeline order
with rising numbers and that no two of them share a sample is checked by the run after each step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.protocol.server_events import (
    Committed,
    ErrorEvent,
    ErrorInfo,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
)
from tests.memory import held
from tests.protocol.session.endpoints import Committing, Endpoint, ServerVad, Span, timeline
from tests.protocol.session.run import PATIENCE_S, Run, span

if TYPE_CHECKING:
    from rt_cli.protocol.server_events import ServerEvent

KINDS = pytest.mark.parametrize("kind", [Committing, ServerVad])
# A pause is longer than the silence that ends a turn and the prefix of the next, else two spans were one turn.
LENGTHS = st.lists(st.tuples(st.integers(250, 900), st.integers(60, 900)), min_size=1, max_size=6)
TAILS = st.sampled_from([0, 30, 150, 700])
SENDS = st.tuples(st.just("send"), st.integers(1, 500))
READS = st.tuples(st.just("read"), st.integers(100, 2000))
TELLS = st.tuples(st.just("tell"), st.just(0))
RECONNECTS = st.tuples(st.just("reconnect"), st.just(0))
FINALS = st.tuples(st.sampled_from(["final", "twice"]), st.integers(0, 5))
LOSSES = st.tuples(st.sampled_from(["failed", "never"]), st.integers(0, 5))

Step = tuple[str, int]


def play(endpoint: Endpoint, steps: list[Step]) -> None:
    """Play some steps with little time between them."""
    for what, count in steps:
        match what:
            case "send":
                endpoint.send(count)
            case "read":
                endpoint.read_audio(count)
            case "tell":
                endpoint.send_next()
            case "reconnect":
                endpoint.reconnect()
            case _:
                endpoint.outcome(count, what)
        endpoint.run.wait(0.01)


def transcribed_spans(run: Run, spans: list[Span]) -> list[Span]:
    """Return the spans that lie completely in exactly one final with their text."""
    found = []
    for each in spans:
        texts = [final.text for final in run.finals if final.text == each.text]
        ranges = [span(final) for final in run.finals if span(final)[0] < each.end and each.start < span(final)[1]]
        if texts:
            assert len(texts) == len(ranges) == 1
            assert ranges[0][0] <= each.start
            assert each.end <= ranges[0][1]
            found.append(each)
    return found


@KINDS
@settings(max_examples=300, deadline=None)
@given(
    lengths=LENGTHS,
    tail=TAILS,
    steps=st.lists(st.one_of(SENDS, READS, TELLS, FINALS, RECONNECTS), min_size=10, max_size=60),
)
def test_all_speech_is_in_exactly_one_final(
    kind: type[Endpoint], lengths: list[tuple[int, int]], tail: int, steps: list[Step]
) -> None:
    """With an endpoint that answers, each span of speech is in one final and nothing is dropped."""
    spans, end = timeline(lengths, tail)
    run = Run(own_turns=kind.own_turns)
    endpoint = kind(run, spans, end)
    play(endpoint, steps)
    endpoint.finish()
    endpoint.answer_everything()
    run.wait(1)

    assert run.session.drained
    assert transcribed_spans(run, spans) == spans
    assert [text for text in run.texts if text] == [each.text for each in spans]
    assert run.tape.settled == run.tape.captured == end
    assert not run.holes


@KINDS
@settings(max_examples=300, deadline=None)
@given(
    lengths=LENGTHS,
    tail=TAILS,
    steps=st.lists(st.one_of(SENDS, READS, TELLS, FINALS, LOSSES, RECONNECTS), min_size=10, max_size=60),
)
def test_exactly_the_lost_turns_are_dropped(
    kind: type[Endpoint], lengths: list[tuple[int, int]], tail: int, steps: list[Step]
) -> None:
    """With an endpoint that loses finals, exactly its lost turns are dropped, and all others are printed."""
    spans, end = timeline(lengths, tail)
    run = Run(own_turns=kind.own_turns)
    endpoint = kind(run, spans, end)
    play(endpoint, steps)
    endpoint.finish()
    endpoint.answer_everything()
    run.wait(PATIENCE_S + 1)

    found = transcribed_spans(run, spans)
    gone = [each for each in spans if each not in found]
    assert run.session.drained
    assert set(endpoint.lost) <= set(gone)
    assert len(run.holes) == len(gone)
    for each, hole in zip(gone, run.holes, strict=True):
        assert hole.start <= each.start
        assert each.end <= hole.end
        assert all(other.end <= hole.start or hole.end <= other.start for other in spans if other is not each)
    assert run.tape.settled == run.tape.captured


def _events() -> st.SearchStrategy[ServerEvent]:
    names = st.sampled_from([None, "a", "b", "c", "d", "e", "TODO"])
    offsets = st.one_of(st.none(), st.integers(0, 5000))
    infos = st.builds(
        ErrorInfo,
        code=st.sampled_from(["", "input_audio_buffer_commit_empty", "invalid_value"]),
        event_id=st.sampled_from([None, "rt_commit_1", "rt_commit_2", "rt_commit_7"]),
    )
    return st.one_of(
        st.builds(SpeechStarted, names, offsets),
        st.builds(SpeechStopped, names, offsets),
        st.builds(Committed, names, names),
        st.builds(TranscriptDelta, names, st.sampled_from(["", "x", "yz"])),
        st.builds(TranscriptCompleted, names, st.sampled_from(["", " ", "text"])),
        st.builds(TranscriptFailed, names, infos),
        st.builds(ErrorEvent, infos),
    )


@pytest.mark.parametrize("own_turns", [True, False])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_endpoint_can_break_the_ledger(own_turns: bool, data: st.DataObject) -> None:  # noqa: FBT001 - a parameter of a test
    """For any events in any order, the marks hold and the run ends within its timeout."""
    run = Run(own_turns=own_turns)
    acts = st.one_of(
        st.tuples(st.sampled_from(["send", "speak", "pad", "acknowledge", "give up"]), st.integers(1, 900)),
        st.tuples(st.sampled_from(["commit", "reconnect", "resend"]), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 5, 11, 40])),
    )
    for event, act in data.draw(st.lists(st.tuples(_events(), st.none() | acts), max_size=60)):
        if act is None:
            run.receive(event)
        else:
            _act(run, *act)
    _resend(run)
    run.finish()
    run.wait(2 * PATIENCE_S + 1)

    assert run.session.drained
    assert run.tape.settled == run.tape.captured
    assert len(held(run.session.wire)) <= 600


def _act(run: Run, what: str, count: int) -> None:
    match what:
        case "pad":
            run.session.wire.padded(count)
        case "acknowledge":
            run.acknowledge(count)
        case "reconnect":
            run.reconnect()
        case "give up":
            run.tape.append(bytes(2 * count))
            run.give_up(run.tape.waiting)
        case "wait":
            run.wait(count, every=0.5)
        case _:
            _resend(run)
            if what == "commit" and run.own_turns:
                run.commit()
            elif what == "speak" and run.own_turns:
                run.speak(count)
            elif count:
                run.send(count)


def _resend(run: Run) -> None:
    if run.tape.waiting:
        run.resend(run.tape.waiting)
