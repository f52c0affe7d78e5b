"""Effects of the session for events of an endpoint, and for missing events."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from rt_cli.errors import RefusedError
from rt_cli.events import Failed
from rt_cli.protocol.server_events import (
    Committed,
    ErrorEvent,
    ErrorInfo,
    Ignored,
    Malformed,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
)
from rt_cli.protocol.session.turn_list import Turn
from rt_cli.timeline.tape import Hole
from tests.memory import held, held_count
from tests.protocol.session.run import PATIENCE_S, Run

COMMIT_EMPTY = "input_audio_buffer_commit_empty"


def turn(name: str, start: int, end: int, previous: str | None = None) -> list[ServerEvent]:
    """Return the events of server VAD for a turn, up to ``committed``."""
    return [SpeechStarted(name, start), SpeechStopped(name, end), Committed(name, previous)]


def words(name: str | None, text: str = "") -> TranscriptCompleted:
    """Return a final; its default text is the name."""
    return TranscriptCompleted(name, text or name or "")


def error(code: str, event_id: str | None = None) -> ErrorEvent:
    """An error event."""
    return ErrorEvent(ErrorInfo(type="invalid_request_error", code=code, message="no", event_id=event_id))


# -- server VAD ------------------------------------------------------------------------------------------------------


def test_a_turn_becomes_a_final() -> None:
    """The final has the range of the turn, and settles it."""
    run = Run()
    run.send(3000)
    run.receive(*turn("a", 1000, 2000), TranscriptDelta("a", "hel"), words("a", "hello"))

    assert (run.texts, run.spans) == (["hello"], [(1000, 2000)])
    assert run.session.settled == 2000


def test_speech_settles_the_silence_before_it() -> None:
    """The silence before a turn is settled as soon as the turn begins."""
    run = Run()
    run.send(3000)
    run.receive(SpeechStarted("a", 1000))

    assert run.session.settled == 1000


def test_silence_between_turns_waits_for_the_turn_before() -> None:
    """Silence after an open turn is settled with that turn, not earlier."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000), SpeechStarted("b", 5000))
    assert run.session.settled == 1000
    run.receive(words("a"))

    assert run.session.settled == 5000


def test_finals_are_held_until_their_turn() -> None:
    """Completions in any order are printed in timeline order."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000), *turn("b", 3000, 4000, "a"), *turn("c", 5000, 6000, "b"))
    run.receive(words("c"), words("b"))
    assert run.texts == []
    run.receive(words("a"))

    assert run.texts == ["a", "b", "c"]


@pytest.mark.parametrize("repeats", [1, 4])
def test_a_repeated_final_is_printed_once(repeats: int) -> None:
    """A repeated completion, before or after the print, is ignored."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000), *turn("b", 3000, 4000))
    run.receive(*[words("b")] * repeats, words("a"), *[words("a", "other")] * repeats, *[words("b", "other")] * repeats)

    assert run.texts == ["a", "b"]


def test_overlapping_offsets_are_clipped() -> None:
    """Server offsets include the prefix padding: a turn starts at the end of the previous one."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 3000), *turn("b", 2800, 4000), words("a"), words("b"))

    assert run.spans == [(1000, 3000), (3000, 4000)]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([*turn("b", 3000, 4000, "a"), *turn("a", 1000, 2000)], id="by offsets"),
        pytest.param([Committed("b", "a"), Committed("a", None)], id="by the previous item, told first"),
        pytest.param([SpeechStarted("b"), SpeechStopped("b"), SpeechStarted("a"), Committed("b", "a")], id="known"),
    ],
)
def test_turns_reported_out_of_order(events: list[ServerEvent]) -> None:
    """Turns are in timeline order for any order of their events."""
    run = Run()
    run.send(9000)
    run.receive(*events, Committed("a", None), words("b"))
    assert run.texts == []
    run.receive(words("a"))

    assert run.texts == ["a", "b"]


def test_a_turn_that_moves_takes_back_its_number() -> None:
    """A partial is withdrawn if an earlier turn needs its number."""
    run = Run()
    run.send(9000)
    run.receive(Committed("b", "a"), TranscriptDelta("b", "bra"), Committed("a"), TranscriptDelta("a", "al"))
    run.receive(words("a"), words("b"))

    assert run.withdrawn == [1]
    assert [(final.turn, final.text) for final in run.finals] == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("previous", ["TODO", "a", "gone", None])
def test_a_useless_previous_item_delays_nothing(previous: str | None) -> None:
    """Some servers name an item that does not exist, or the item itself."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000, previous), *turn("b", 3000, 4000, previous), words("a"), words("b"))

    assert run.texts == ["a", "b"]


def test_a_failed_turn_is_a_hole() -> None:
    """A failed turn is reported, drops its range, and does not delay later turns."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000), *turn("b", 3000, 4000), words("b"))
    run.receive(TranscriptFailed("a", ErrorInfo(code="audio_unintelligible", message="what?")))

    assert run.reported_events(Failed) == [Failed(1, 1000, 2000, "audio_unintelligible", "what?", item_id="a")]
    assert run.holes == [Hole(1000, 2000, "failed")]
    assert [(final.turn, final.text) for final in run.finals] == [(2, "b")]


def test_a_failed_turn_can_end_the_session() -> None:
    """A used-up quota ends the session, even if the error is about one item, known or unknown."""
    for name in ("a", "stranger"):
        run = Run()
        run.send(3000)
        run.receive(*turn("a", 1000, 2000), TranscriptFailed(name, ErrorInfo(code="insufficient_quota")))

        assert isinstance(run.ends[0].error, RefusedError)


def test_a_missing_final_is_a_hole() -> None:
    """A turn without events times out, and the later finals are printed."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000), *turn("b", 3000, 4000), words("b"))
    run.acknowledge()
    run.wait(PATIENCE_S - 1)
    assert run.texts == []
    run.wait(2)

    assert run.texts == ["b"]
    assert run.holes == [Hole(1000, 2000, "no_final")]


def test_deltas_keep_a_turn_alive() -> None:
    """A turn with new deltas does not time out."""
    run = Run()
    run.send(3000)
    run.receive(*turn("a", 1000, 2000))
    run.acknowledge()
    for _ in range(5):
        run.wait(PATIENCE_S - 1)
        run.receive(TranscriptDelta("a", "x"))
    run.receive(words("a"))

    assert run.texts == ["a"]


def test_a_slow_endpoint_may_work_through_its_turns() -> None:
    """The timeout of a turn starts when the previous turn has its outcome."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000), *turn("b", 3000, 4000), *turn("c", 5000, 6000))
    run.acknowledge()
    for name in "abc":
        run.wait(PATIENCE_S - 1)
        run.receive(words(name))

    assert run.texts == ["a", "b", "c"]


def test_a_silent_endpoint_is_given_up_once() -> None:
    """All missing turns share one timeout."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000), *turn("b", 3000, 4000), *turn("c", 5000, 6000))
    run.acknowledge()
    run.wait(PATIENCE_S + 1)

    assert [hole.start for hole in run.holes] == [1000, 3000, 5000]


def test_an_unread_turn_does_not_time_out() -> None:
    """The timeout starts when the endpoint has read the whole turn."""
    run = Run(own_turns=True)
    run.speak(2000)
    run.commit()
    run.wait(5 * PATIENCE_S)
    assert not run.holes
    run.acknowledge()
    run.wait(PATIENCE_S + 1)

    assert run.holes == [Hole(0, 2000, "no_final")]


def test_a_long_open_turn_does_not_time_out() -> None:
    """Speech that has not ended does not time out."""
    run = Run()
    run.send(3000)
    run.receive(SpeechStarted("a", 1000))
    for _ in range(300):
        run.send(1000)
        run.acknowledge()
        run.wait(1)

    assert not run.holes
    assert run.session.settled == 1000


def test_a_turn_without_an_end_delays_nothing() -> None:
    """A turn with only a start ends where the next turn starts."""
    run = Run()
    run.send(9000)
    run.acknowledge()
    run.receive(SpeechStarted("a", 1000), *turn("b", 3000, 4000), words("b"))
    run.wait(PATIENCE_S + 1)

    assert run.texts == ["b"]
    assert run.holes == [Hole(1000, 3000, "no_final")]


def test_speech_stopped_for_an_unknown_item_ends_no_turn() -> None:
    """An end of speech that names another item is not taken for the end of the present one."""
    run = Run()
    run.send(9000)
    run.receive(
        SpeechStarted("a", 1000), SpeechStopped("x", 1500), SpeechStopped("a", 3000), Committed("a"), words("a")
    )

    assert run.spans == [(1000, 3000)]


def test_old_silence_is_settled() -> None:
    """Silence that was read more than half a minute ago is settled."""
    run = Run()
    for _ in range(120):
        run.send(1000)
        run.acknowledge()
        run.wait(1)

    assert 85_000 <= run.session.settled <= 90_000


def test_loud_audio_is_no_silence_before_the_endpoint_has_reported_a_turn() -> None:
    """Behind a proxy that answers pings nobody may be listening; once there was a turn, the endpoint's word counts."""
    run = Run(loud_at=25_000)
    for _ in range(120):
        run.send(1000)
        run.acknowledge()
        run.wait(1)

    assert 24_000 <= run.session.settled <= 25_000

    run.receive(*turn("a", 119_000, 119_500, "at last"))
    assert run.session.settled >= 119_000


def test_a_fast_file_does_not_count_as_old_silence() -> None:
    """An endpoint may read far ahead of its speech detection: read audio is not proof of silence."""
    run = Run()
    run.send(600_000)
    run.acknowledge()
    run.wait(40)

    assert run.session.settled <= 10_000


# -- endpoints that tell little --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, "x"])
def test_speech_without_ids_and_offsets(name: str | None) -> None:
    """Such turns are matched by order; their ranges are guesses with ``approx`` set."""
    run = Run()
    for text in ("one", "two"):
        run.send(1000)
        run.receive(SpeechStarted())
        run.send(1000)
        run.receive(SpeechStopped(), Committed(name and name + text), words(name and text, text))

    assert (run.texts, run.spans) == (["one", "two"], [(0, 2000), (2000, 4000)])
    assert all(final.approx for final in run.finals)


@pytest.mark.parametrize(("seconds", "settled"), [(1.0, 7500), (0.0, 4500)], ids=["long ago", "at once"])
def test_a_guessed_end_settles_up_to_its_lower_bound(seconds: float, settled: int) -> None:
    """Audio before a guessed end may belong to the next turn, so it is sent again after a loss.

    So may what was sent and not read when the end was told, and a second of what was read; more of what was read within
    a moment, because pings are answered before the audio is processed.
    """
    run = Run()
    run.send(9000)
    run.session.reads(8500)
    run.wait(seconds)
    run.receive(Committed("a"), words("a"))
    assert run.session.settled == 0
    run.send(2000)
    run.receive(Committed("b"), words("b"))

    assert run.session.settled == settled


def test_offsets_without_ids_are_ignored() -> None:
    """The only known server that sends them sends wall clock time."""
    run = Run()
    run.send(2000)
    run.receive(SpeechStarted(None, 1999), SpeechStopped(None, 2000), Committed("a"), words("a"))

    assert (run.spans, run.finals[0].approx) == ([(0, 2000)], True)


@pytest.mark.parametrize("own_turns", [True, False])
def test_ids_that_match_nothing(own_turns: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """If transcripts have other ids than the commits, they are matched by order."""
    run = Run(own_turns=own_turns)
    for number in range(3):
        if own_turns:
            run.speak(1000)
            run.commit()
            run.receive(Committed(f"committed {number}"))
        else:
            run.send(1000)
            run.receive(SpeechStarted(), SpeechStopped(), Committed(f"committed {number}", "TODO"))
    for number in range(3):
        run.receive(TranscriptDelta(f"words {number}", "w"), words(f"words {number}"), words(f"words {number}"))

    assert run.texts == ["words 0", "words 1", "words 2"]


def test_a_transcript_alone_is_a_turn() -> None:
    """An endpoint that sends only finals works; their ranges are guesses."""
    run = Run()
    run.send(2000)
    run.receive(words(None, "one"))
    run.send(1000)
    run.receive(words("x", "two"))

    assert (run.texts, run.spans) == (["one", "two"], [(0, 2000), (2000, 3000)])


def test_a_transcript_without_audio_is_ignored() -> None:
    """A final without any sent audio belongs to no turn."""
    run = Run()
    run.receive(words("x"))

    assert run.texts == []
    assert run.session.ignored == 1


def test_an_unknown_id_takes_no_turn() -> None:
    """Once ids have matched, a final with an unknown id is not matched to a turn with another id."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000), words("a"), *turn("b", 3000, 4000), words("stranger"), words("b"))

    assert run.texts == ["a", "b"]


def test_unknown_transcripts_begin_at_most_one_turn() -> None:
    """An endpoint with a new id for each delta neither uses memory nor blocks other turns."""
    run = Run()
    run.send(9000)
    for number in range(100):
        run.receive(TranscriptDelta(f"x{number}", "x"))
    assert held_count(run.session, Turn) == 1
    run.receive(*turn("a", 5000, 6000), words("a"))
    run.acknowledge()
    run.wait(PATIENCE_S + 1)

    assert run.texts == ["a"]


def test_the_number_of_open_turns_is_limited() -> None:
    """Ten thousand starts of speech leave no more than a thousand turns."""
    run = Run()
    run.send(9000)
    for number in range(10_000):
        run.receive(SpeechStarted(f"x{number}", number % 9000))

    assert held_count(run.session, Turn) <= 1000


@pytest.mark.parametrize("event", [Ignored("x"), Malformed("x"), words("x"), SpeechStopped("x"), Committed(None)])
def test_meaningless_events_are_counted(event: ServerEvent) -> None:
    """With own turns and no sent audio, no event has an effect."""
    run = Run(own_turns=True)
    run.receive(event)

    assert not run.reported
    assert run.session.settled == 0


# -- own turns -------------------------------------------------------------------------------------------------------


def test_own_turns_are_exact() -> None:
    """A turn committed by ``rt`` starts at its detected speech and ends at its commit, whatever the endpoint sends."""
    run = Run(own_turns=True)
    run.send(500)
    run.speak(1000)
    run.commit()
    run.receive(Committed("a"), words("a"))

    assert run.spans == [(500, 1500)]
    assert not run.finals[0].approx
    assert run.session.settled == 1500


@pytest.mark.parametrize("count", [1, 5])
def test_an_endpoint_without_committed_and_ids(count: int) -> None:
    """If an endpoint sends only finals, they are matched to our turns one by one, and no turn times out."""
    run = Run(own_turns=True)
    for _ in range(count):
        run.speak(1000)
        run.commit()
    run.drain()
    for number in range(count):
        run.receive(TranscriptDelta(None, "w"), words(None, f"words {number}"))

    assert len(run.texts) == count
    assert run.session.drained
    assert run.session.last_commit != "pending"


def test_deltas_before_the_commit() -> None:
    """Streaming models send deltas, under their own ids, before the turn is committed."""
    run = Run(own_turns=True)
    run.speak(500)
    run.receive(TranscriptDelta("a", "hel"))
    run.send(500)
    run.commit()
    run.speak(500)
    run.receive(Committed("a"), TranscriptDelta("b", "wor"), TranscriptDelta("a", "lo"))
    run.commit()
    run.receive(Committed("b"), words("b", "world"), words("a", "hello"))

    assert run.partials == [(1, "hel"), (2, "wor"), (1, "hello")]
    assert (run.texts, run.spans) == (["hello", "world"], [(0, 1000), (1000, 1500)])


def test_a_repeated_committed_answers_one_commit() -> None:
    """A repeated ``committed`` does not answer the next commit."""
    run = Run(own_turns=True)
    for _ in range(2):
        run.speak(1000)
        run.commit()
    run.receive(Committed("a"), Committed("a"), Committed("b"), words("b"), words("a"))

    assert run.texts == ["a", "b"]


def test_a_missing_committed_loses_no_final() -> None:
    """The final of a turn without ``committed`` is matched by order."""
    run = Run(own_turns=True)
    for name in "ab":
        run.speak(1000)
        run.commit()
        run.receive(*([Committed(name)] if name == "a" else []), words(name))

    assert run.texts == ["a", "b"]


@pytest.mark.parametrize("named", [True, False])
def test_an_empty_commit_is_benign(named: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """A commit refused as empty is silence, not a hole, whether or not the error says which it was."""
    run = Run(own_turns=True)
    run.send(50)
    event_id = run.commit(speech=False)
    run.receive(error(COMMIT_EMPTY, event_id if named else None))

    assert not run.holes
    assert run.session.settled == 50


def test_a_refused_commit_fails_its_turn() -> None:
    """A refusal other than an empty buffer drops the range of the turn; the next turn continues."""
    run = Run(own_turns=True)
    run.speak(1000)
    event_id = run.commit()
    run.speak(1000)
    run.commit()
    run.receive(error("invalid_audio", event_id), Committed("b"), words("b"))

    assert run.failed == [(1, "invalid_audio")]
    assert run.holes == [Hole(0, 1000, "failed")]
    assert run.texts == ["b"]


def test_a_silent_tail_is_no_turn() -> None:
    """The commit of a last part without speech prints nothing and drops nothing."""
    for outcome in (words("a", " "), TranscriptFailed("a", ErrorInfo(code="audio_unintelligible")), None):
        run = Run(own_turns=True)
        run.send(1000)
        run.acknowledge()
        run.commit(speech=False)
        run.drain()
        run.receive(Committed("a"), *([outcome] if outcome else []))
        run.wait(PATIENCE_S + 1)

        assert not run.finals
        assert not run.holes
        assert run.session.settled == 1000


def test_without_a_detector_silence_is_not_settled() -> None:
    """Without its own detector, ``rt`` does not settle uncommitted audio as old silence."""
    run = Run(own_turns=True, own_detector=False)
    for _ in range(100):
        run.send(1000)
        run.acknowledge()
        run.wait(1)
    assert run.session.settled == 0
    assert not run.session.between_turns
    run.finish()
    run.receive(Committed("a"), words("a"))

    assert run.spans == [(0, 100_000)]


def test_own_silence_waits_until_it_is_read() -> None:
    """Silence found by our detector is settled only after the endpoint has read it."""
    run = Run(own_turns=True)
    run.send(1000)
    run.speak(1000)
    run.wait(1)
    assert run.session.settled == 0
    run.acknowledge(600)
    run.wait(1)
    assert run.session.settled == 600
    run.acknowledge()
    run.wait(1)

    assert run.session.settled == 1000


# -- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([error(COMMIT_EMPTY)], id="empty"),
        pytest.param([error("not_implemented")], id="not implemented, of no event"),
        pytest.param([error("not_implemented", "rt_commit_1")], id="not implemented"),
        pytest.param([Committed("tail", "a"), words("tail", " ")], id="committed"),
    ],
)
def test_the_answer_to_the_last_commit_ends_the_run(answer: list[ServerEvent]) -> None:
    """With server VAD any answer to our last commit proves that everything was read."""
    run = Run()
    run.send(5000)
    run.receive(*turn("a", 1000, 2000))
    run.finish()
    run.receive(words("a"))
    assert not run.session.drained
    run.receive(*answer)

    assert run.session.drained
    assert run.session.settled == 5000
    assert not run.holes


def test_the_endpoints_own_commit_is_not_the_answer_to_ours() -> None:
    """A turn that the endpoint ended just before our last commit does not answer that commit."""
    for named in (True, False):
        run = Run()
        run.send(3000)
        run.receive(*turn("a", 1000, 2000)[:2]) if named else run.receive(SpeechStarted(), SpeechStopped())
        run.finish()
        run.receive(Committed("a"), words("a"))
        assert not run.session.drained
        run.receive(error(COMMIT_EMPTY))

        assert run.session.drained
        assert run.session.settled == 3000


def test_the_last_commit_ends_the_open_turn() -> None:
    """Our commit ends speech at the end of the input, however late its answer comes."""
    run = Run()
    run.send(3000)
    run.receive(SpeechStarted("a", 1000))
    run.finish()
    run.acknowledge()
    run.wait(PATIENCE_S / 2)
    run.receive(Committed("a"), words("a"))

    assert run.spans == [(1000, 3000)]
    assert not run.finals[0].approx
    assert run.session.drained


def test_a_last_turn_without_an_answer_is_dropped() -> None:
    """An open turn at the end has no final if the endpoint falls silent."""
    run = Run()
    run.send(3000)
    run.acknowledge()
    run.receive(SpeechStarted("a", 1000))
    run.finish()
    run.wait(PATIENCE_S + 1)

    assert run.session.drained
    assert run.holes == [Hole(1000, 3000, "no_final")]


def test_a_last_commit_without_an_answer_is_silence() -> None:
    """The endpoint reports speech, has read everything and reported none: there was none."""
    run = Run()
    run.send(5000)
    run.receive(*turn("a", 1000, 2000), words("a"))
    run.acknowledge()
    run.finish()
    run.wait(PATIENCE_S + 1)

    assert run.session.drained
    assert not run.holes
    assert run.warnings == ["commit_unanswered"]


def test_an_endpoint_without_any_event_drops_the_audio() -> None:
    """Without any event, silence cannot be assumed."""
    run = Run()
    run.send(5000)
    run.acknowledge()
    run.finish()
    run.wait(PATIENCE_S + 1)

    assert run.session.drained
    assert run.holes == [Hole(0, 5000, "no_final")]


def test_an_end_without_pongs_has_a_deadline() -> None:
    """An endpoint without acknowledgements and events is given up."""
    for own_turns in (True, False):
        run = Run(own_turns=own_turns)
        run.speak(5000) if own_turns else run.send(5000)
        run.finish()
        run.wait(PATIENCE_S + 1)

        assert run.session.drained
        assert run.holes == [Hole(0, 5000, "no_final")]


def test_nothing_sent_is_drained_at_once() -> None:
    """Without audio there is nothing to wait for."""
    run = Run()
    run.drain()

    assert run.session.drained


# -- connections -----------------------------------------------------------------------------------------------------


def test_a_new_connection_starts_at_settled() -> None:
    """Unsettled audio is sent again: partials are withdrawn, held finals discarded, offsets start at zero."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000), *turn("b", 3000, 4000), *turn("c", 5000, 6000), words("a"), words("c"))
    run.receive(TranscriptDelta("b", "bra"))
    run.reconnect()
    assert run.withdrawn == [2, 3]
    assert run.session.settled == 3000
    run.resend(6000)
    run.receive(*turn("b2", 0, 1000), *turn("c2", 2000, 3000), words("b2"), words("c2"))

    assert [(final.turn, final.text, final.resumed) for final in run.finals] == [
        (1, "a", UNSET),
        (2, "b2", True),
        (3, "c2", True),
    ]
    assert run.spans == [(1000, 2000), (3000, 4000), (5000, 6000)]


def test_new_audio_is_not_resumed() -> None:
    """Only finals with audio sent before have ``resumed`` set."""
    run = Run()
    run.send(2000)
    run.reconnect()
    run.resend(2000)
    run.send(7000)
    run.receive(*turn("a", 1000, 2000), *turn("b", 3000, 4000), words("a"), words("b"))

    assert [final.resumed for final in run.finals] == [True, UNSET]


def test_numbers_of_finals_are_never_used_again() -> None:
    """The number of a withdrawn turn may be used again; that of a final or failed turn never is."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000), TranscriptFailed("a"), *turn("b", 3000, 4000), TranscriptDelta("b", "x"))
    for _ in range(3):
        run.reconnect()
    run.resend(9000 - run.session.settled)
    run.receive(*turn("b2", 0, 1000), words("b2"))

    assert run.failed == [(1, "failed")]
    assert [final.turn for final in run.finals] == [2]


# -- what is told ----------------------------------------------------------------------------------------------------


def test_latency_counts_from_the_end_of_speech() -> None:
    """The latency includes the silence that ends a turn; a guessed end has no latency."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000))
    run.now = 3.0
    run.receive(words("a"), Committed("b"), words("b"))

    assert [final.latency_ms for final in run.finals] == [3000 - 1900, UNSET]
    assert run.session.latencies.newest_ms == [1100]


def test_a_tail_has_no_silence_at_its_end() -> None:
    """The speech of a turn cut by the end of the input lasts to its end."""
    run = Run(own_turns=True)
    run.speak(1000)
    run.now = 1.5
    run.finish()
    run.receive(Committed("a"), words("a"))

    assert run.finals[0].latency_ms == 500


def test_errors_are_reported_as_warnings() -> None:
    """An error that does not end the session is a warning."""
    run = Run()
    run.receive(error("invalid_value"))

    assert run.warnings == ["invalid_value"]
    assert not run.ends


def test_a_fatal_error_ends_the_session_whatever_it_answers() -> None:
    """A used-up quota is fatal, also as the answer to a commit."""
    run = Run(own_turns=True)
    run.speak(1000)
    run.receive(error("insufficient_quota", run.commit()))

    assert isinstance(run.ends[0].error, RefusedError)


def test_the_last_error_is_reset_by_a_success() -> None:
    """An error before a successful event does not explain a later close."""
    run = Run()
    run.send(3000)
    run.receive(error("invalid_value"))
    assert run.session.last_error is not None
    run.receive(*turn("a", 1000, 2000))

    assert run.session.last_error is None


def test_reported_texts_have_no_control_characters() -> None:
    """Texts, languages, codes and messages of an endpoint are sanitized."""
    evil = "\x1b]0;gotcha\x07\x1b[31mred\r\n\x9b2J"
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 1000, 2000), TranscriptDelta("a", evil), TranscriptCompleted("a", evil, evil))
    run.receive(*turn("b", 3000, 4000), TranscriptFailed("b", ErrorInfo(code=evil, message=evil)), error(evil))
    shown = repr([str(each).replace("\n", "") for each in run.reported])

    assert "\\x1b" not in shown
    assert "\\x9b" not in shown


def test_days_of_turns_take_no_memory() -> None:
    """Ten thousand turns leave only a limited number of ids in memory."""
    run = Run()
    for number in range(10_000):
        run.reported.clear()
        run.send(1000)
        start = 1000 * number
        run.receive(*turn(f"item {number}", start + 100, start + 900), words(f"item {number}"))

    assert held_count(run.session, Turn) == 0
    assert len(held(run.session)) <= 5 * 2048


def test_turns_that_are_given_up_together_are_one_loss() -> None:
    """A flood of tiny turns without finals is no flood of losses; a final between them parts two."""
    run = Run()
    run.send(4000)
    for number in range(30):
        run.receive(SpeechStarted(f"i{number}", 100 * number), SpeechStopped(f"i{number}", 100 * number + 100))
        run.receive(Committed(f"i{number}"))
    run.receive(words("i15", "one"))
    run.apply(run.session.drain())
    run.wait(2 * PATIENCE_S + 1)

    assert run.texts == ["one"]
    assert [(hole.start, hole.end) for hole in run.holes] == [(0, 1500), (1600, 3000)]
