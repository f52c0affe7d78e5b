"""What follows from what an endpoint says, and from what it does not say."""

from __future__ import annotations

import pytest

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
from rt_cli.timeline.tape import Hole
from tests.protocol.session.run import PATIENCE_S, Run

COMMIT_EMPTY = "input_audio_buffer_commit_empty"


def turn(name: str, start: int, end: int, previous: str | None = None) -> list[ServerEvent]:
    """What server VAD says of a turn, up to its commit."""
    return [SpeechStarted(name, start), SpeechStopped(name, end), Committed(name, previous)]


def words(name: str | None, text: str = "") -> TranscriptCompleted:
    """A final; its text is the name where none is given."""
    return TranscriptCompleted(name, text or name or "")


def error(code: str, event_id: str | None = None) -> ErrorEvent:
    """An error event."""
    return ErrorEvent(ErrorInfo(type="invalid_request_error", code=code, message="no", event_id=event_id))


# -- server VAD ------------------------------------------------------------------------------------------------------


def test_a_turn_becomes_a_final() -> None:
    """A final is printed with the range, and settles it."""
    run = Run()
    run.send(3000)
    run.hear(*turn("a", 1000, 2000), TranscriptDelta("a", "hel"), words("a", "hello"))

    assert (run.texts, run.spans) == (["hello"], [(1000, 2000)])
    assert run.session.settled == 2000


def test_speech_settles_the_silence_before_it() -> None:
    """The silence before a turn is settled as soon as the turn begins."""
    run = Run()
    run.send(3000)
    run.hear(SpeechStarted("a", 1000))

    assert run.session.settled == 1000


def test_silence_between_turns_waits_for_the_turn_before() -> None:
    """Silence behind an open turn is settled with it, not when the next one begins, and not when that one ends."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000), SpeechStarted("b", 5000))
    assert run.session.settled == 1000
    run.hear(words("a"))

    assert run.session.settled == 5000


def test_finals_are_held_until_their_turn() -> None:
    """Completions in any order are printed in the order of the timeline."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000), *turn("b", 3000, 4000, "a"), *turn("c", 5000, 6000, "b"))
    run.hear(words("c"), words("b"))
    assert run.texts == []
    run.hear(words("a"))

    assert run.texts == ["a", "b", "c"]


@pytest.mark.parametrize("repeats", [1, 4])
def test_a_repeated_final_is_printed_once(repeats: int) -> None:
    """A final that comes again, while it is held or after it was printed, is ignored."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000), *turn("b", 3000, 4000))
    run.hear(*[words("b")] * repeats, words("a"), *[words("a", "other")] * repeats, *[words("b", "other")] * repeats)

    assert run.texts == ["a", "b"]


def test_overlapping_offsets_are_clipped() -> None:
    """Server offsets include the prefix padding: a turn begins where the one before ended."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 3000), *turn("b", 2800, 4000), words("a"), words("b"))

    assert run.spans == [(1000, 3000), (3000, 4000)]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([*turn("b", 3000, 4000, "a"), *turn("a", 1000, 2000)], id="by offsets"),
        pytest.param([Committed("b", "a"), Committed("a", None)], id="by the previous item, told first"),
        pytest.param([SpeechStarted("b"), SpeechStopped("b"), SpeechStarted("a"), Committed("b", "a")], id="known"),
    ],
)
def test_turns_told_out_of_order(events: list[ServerEvent]) -> None:
    """Turns stand in the order of the timeline whatever the order in which they are told of."""
    run = Run()
    run.send(9000)
    run.hear(*events, Committed("a", None), words("b"))
    assert run.texts == []
    run.hear(words("a"))

    assert run.texts == ["a", "b"]


def test_a_turn_that_moves_takes_back_its_number() -> None:
    """A partial shown under a number that an earlier turn turns out to need is withdrawn."""
    run = Run()
    run.send(9000)
    run.hear(*turn("b", 3000, 4000), TranscriptDelta("b", "bra"), *turn("a", 1000, 2000), TranscriptDelta("a", "al"))
    run.hear(words("a"), words("b"))

    assert run.withdrawn == [1]
    assert [(final.turn, final.text) for final in run.finals] == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("previous", ["TODO", "a", "gone", None])
def test_a_previous_item_that_says_nothing_stalls_nothing(previous: str | None) -> None:
    """Some servers name an item that does not exist, or the item itself."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000, previous), *turn("b", 3000, 4000, previous), words("a"), words("b"))

    assert run.texts == ["a", "b"]


def test_a_failed_turn_is_a_hole() -> None:
    """A turn that the endpoint cannot transcribe is told, is a hole with its range, and holds nobody up."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000), *turn("b", 3000, 4000), words("b"))
    run.hear(TranscriptFailed("a", ErrorInfo(code="audio_unintelligible", message="what?")))

    assert run.all_told(Failed) == [Failed(1, 1000, 2000, "audio_unintelligible", "what?")]
    assert run.holes == [Hole(1000, 2000, "failed")]
    assert [(final.turn, final.text) for final in run.finals] == [(2, "b")]


def test_a_failed_turn_can_end_the_session() -> None:
    """A quota that is used up ends the session though it is told of one item only, or of one that nobody knows."""
    for name in ("a", "stranger"):
        run = Run()
        run.send(3000)
        run.hear(*turn("a", 1000, 2000), TranscriptFailed(name, ErrorInfo(code="insufficient_quota")))

        assert isinstance(run.ends[0].error, RefusedError)


def test_a_missing_final_is_a_hole() -> None:
    """A turn about which nothing is heard loses its final, and the next ones are printed."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000), *turn("b", 3000, 4000), words("b"))
    run.acknowledge()
    run.wait(PATIENCE_S - 1)
    assert run.texts == []
    run.wait(2)

    assert run.texts == ["b"]
    assert run.holes == [Hole(1000, 2000, "no_final")]


def test_words_keep_a_turn_alive() -> None:
    """An endpoint that still sends words of a turn is not given up."""
    run = Run()
    run.send(3000)
    run.hear(*turn("a", 1000, 2000))
    run.acknowledge()
    for _ in range(5):
        run.wait(PATIENCE_S - 1)
        run.hear(TranscriptDelta("a", "x"))
    run.hear(words("a"))

    assert run.texts == ["a"]


def test_a_slow_endpoint_may_work_through_its_turns() -> None:
    """Time runs for a turn only when the one before it has its outcome."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000), *turn("b", 3000, 4000), *turn("c", 5000, 6000))
    run.acknowledge()
    for name in "abc":
        run.wait(PATIENCE_S - 1)
        run.hear(words(name))

    assert run.texts == ["a", "b", "c"]


def test_a_silent_endpoint_is_given_up_once() -> None:
    """Silence is counted in all, not anew for each turn that is missing."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000), *turn("b", 3000, 4000), *turn("c", 5000, 6000))
    run.acknowledge()
    run.wait(PATIENCE_S + 1)

    assert [hole.start for hole in run.holes] == [1000, 3000, 5000]


def test_what_is_not_read_is_not_overdue() -> None:
    """While the endpoint has not read a turn, it is not blamed for saying nothing of it."""
    run = Run(own_turns=True)
    run.speak(2000)
    run.commit()
    run.wait(5 * PATIENCE_S)
    assert not run.holes
    run.acknowledge()
    run.wait(PATIENCE_S + 1)

    assert run.holes == [Hole(0, 2000, "no_final")]


def test_a_turn_that_goes_on_for_minutes_is_not_overdue() -> None:
    """Nobody is given up while speaking."""
    run = Run()
    run.send(3000)
    run.hear(SpeechStarted("a", 1000))
    for _ in range(300):
        run.send(1000)
        run.acknowledge()
        run.wait(1)

    assert not run.holes
    assert run.session.settled == 1000


def test_a_turn_that_never_ends_holds_nobody_up() -> None:
    """A start of speech of which nothing more is heard ends where the next turn begins."""
    run = Run()
    run.send(9000)
    run.acknowledge()
    run.hear(SpeechStarted("a", 1000), *turn("b", 3000, 4000), words("b"))
    run.wait(PATIENCE_S + 1)

    assert run.texts == ["b"]
    assert run.holes == [Hole(1000, 3000, "no_final")]


def test_speech_stopped_of_a_stranger_ends_no_turn() -> None:
    """An end of speech that names another item is not taken for the end of the present one."""
    run = Run()
    run.send(9000)
    run.hear(SpeechStarted("a", 1000), SpeechStopped("x", 1500), SpeechStopped("a", 3000), Committed("a"), words("a"))

    assert run.spans == [(1000, 3000)]


def test_old_silence_is_settled() -> None:
    """Silence that was read long ago is let go, as far back as half a minute."""
    run = Run()
    for _ in range(120):
        run.send(1000)
        run.acknowledge()
        run.wait(1)

    assert 85_000 <= run.session.settled <= 90_000


def test_a_fast_file_is_not_taken_for_old_silence() -> None:
    """An endpoint that reads faster than it listens may be far behind: what it has read proves no silence."""
    run = Run()
    run.send(600_000)
    run.acknowledge()
    run.wait(40)

    assert run.session.settled <= 10_000


# -- endpoints that tell little --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, "x"])
def test_speech_without_ids_and_offsets(name: str | None) -> None:
    """Turns of an endpoint that gives neither are found by order; their ranges are guesses and say so."""
    run = Run()
    for text in ("one", "two"):
        run.send(1000)
        run.hear(SpeechStarted())
        run.send(1000)
        run.hear(SpeechStopped(), Committed(name and name + text), words(name and text, text))

    assert (run.texts, run.spans) == (["one", "two"], [(0, 2000), (2000, 4000)])
    assert all(final.approx for final in run.finals)


def test_a_guess_settles_only_what_is_sure() -> None:
    """What lies before a guessed end may belong to the next turn, so it is heard again after a loss.

    So may what was sent and not read when the end was told, and a second of what was read.
    """
    run = Run()
    run.send(3000)
    run.session.reads(2500)
    run.hear(Committed("a"), words("a"))
    assert run.session.settled == 0
    run.send(2000)
    run.hear(Committed("b"), words("b"))

    assert run.session.settled == 1500


def test_offsets_without_ids_are_not_believed() -> None:
    """They are a wall clock's on the one server that is known to send them."""
    run = Run()
    run.send(2000)
    run.hear(SpeechStarted(None, 1999), SpeechStopped(None, 2000), Committed("a"), words("a"))

    assert (run.spans, run.finals[0].approx) == ([(0, 2000)], True)


@pytest.mark.parametrize("own_turns", [True, False])
def test_ids_that_match_nothing(own_turns: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """Where the words come under other ids than the commits, order tells whose they are."""
    run = Run(own_turns=own_turns)
    for number in range(3):
        if own_turns:
            run.speak(1000)
            run.commit()
            run.hear(Committed(f"committed {number}"))
        else:
            run.send(1000)
            run.hear(SpeechStarted(), SpeechStopped(), Committed(f"committed {number}", "TODO"))
    for number in range(3):
        run.hear(TranscriptDelta(f"words {number}", "w"), words(f"words {number}"), words(f"words {number}"))

    assert run.texts == ["words 0", "words 1", "words 2"]


def test_words_alone_are_a_turn() -> None:
    """An endpoint that says nothing but finals is understood; their ranges are guesses."""
    run = Run()
    run.send(2000)
    run.hear(words(None, "one"))
    run.send(1000)
    run.hear(words("x", "two"))

    assert (run.texts, run.spans) == (["one", "two"], [(0, 2000), (2000, 3000)])


def test_words_over_nothing_are_ignored() -> None:
    """A final for which nothing was sent is nobody's."""
    run = Run()
    run.hear(words("x"))

    assert run.texts == []
    assert run.session.ignored == 1


def test_a_stranger_takes_nobodys_words() -> None:
    """Where ids have been of use, a final under an unknown one is not given to a turn that has another."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000), words("a"), *turn("b", 3000, 4000), words("stranger"), words("b"))

    assert run.texts == ["a", "b"]


def test_unknown_words_begin_no_more_than_one_turn() -> None:
    """An endpoint that invents an id for each word takes no memory and stalls nobody."""
    run = Run()
    run.send(9000)
    for number in range(100):
        run.hear(TranscriptDelta(f"x{number}", "x"))
    assert len(run.session._connection.turns.open) == 1
    run.hear(*turn("a", 5000, 6000), words("a"))
    run.acknowledge()
    run.wait(PATIENCE_S + 1)

    assert run.texts == ["a"]


def test_an_endpoint_cannot_begin_turns_for_ever() -> None:
    """Ten thousand starts of speech leave no more than a thousand turns."""
    run = Run()
    run.send(9000)
    for number in range(10_000):
        run.hear(SpeechStarted(f"x{number}", number % 9000))

    assert len(run.session._connection.turns.open) <= 1000


@pytest.mark.parametrize("event", [Ignored("x"), Malformed("x"), words("x"), SpeechStopped("x"), Committed(None)])
def test_what_means_nothing_is_counted(event: ServerEvent) -> None:
    """With own turns and nothing sent, no event moves anything."""
    run = Run(own_turns=True)
    run.hear(event)

    assert not run.told
    assert run.session.settled == 0


# -- own turns -------------------------------------------------------------------------------------------------------


def test_own_turns_are_exact() -> None:
    """A turn that we commit begins at our speech and ends at our commit, whatever the endpoint tells."""
    run = Run(own_turns=True)
    run.send(500)
    run.speak(1000)
    run.commit()
    run.hear(Committed("a"), words("a"))

    assert run.spans == [(500, 1500)]
    assert not run.finals[0].approx
    assert run.session.settled == 1500


@pytest.mark.parametrize("count", [1, 5])
def test_an_endpoint_without_committed_and_ids(count: int) -> None:
    """Finals that are all an endpoint sends go to our turns one by one, and none is waited for in vain."""
    run = Run(own_turns=True)
    for _ in range(count):
        run.speak(1000)
        run.commit()
    run.drain()
    for number in range(count):
        run.hear(TranscriptDelta(None, "w"), words(None, f"words {number}"))

    assert len(run.texts) == count
    assert run.session.drained
    assert not run.session._connection.commits.pending


def test_deltas_before_the_commit() -> None:
    """Models that stream tell words, and the id they come under, before the turn is committed."""
    run = Run(own_turns=True)
    run.speak(500)
    run.hear(TranscriptDelta("a", "hel"))
    run.send(500)
    run.commit()
    run.speak(500)
    run.hear(Committed("a"), TranscriptDelta("b", "wor"), TranscriptDelta("a", "lo"))
    run.commit()
    run.hear(Committed("b"), words("b", "world"), words("a", "hello"))

    assert run.partials == [(1, "hel"), (2, "wor"), (1, "hello")]
    assert (run.texts, run.spans) == (["hello", "world"], [(0, 1000), (1000, 1500)])


def test_a_repeated_committed_answers_one_commit() -> None:
    """The second commit is not answered by the first one's answer, said twice."""
    run = Run(own_turns=True)
    for _ in range(2):
        run.speak(1000)
        run.commit()
    run.hear(Committed("a"), Committed("a"), Committed("b"), words("b"), words("a"))

    assert run.texts == ["a", "b"]


def test_a_missing_committed_loses_no_words() -> None:
    """The final of a turn whose commit was never answered is found by its order."""
    run = Run(own_turns=True)
    for name in "ab":
        run.speak(1000)
        run.commit()
        run.hear(*([Committed(name)] if name == "a" else []), words(name))

    assert run.texts == ["a", "b"]


@pytest.mark.parametrize("named", [True, False])
def test_an_empty_commit_is_benign(named: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """A commit refused as empty is silence, not a hole, whether or not the error says which it was."""
    run = Run(own_turns=True)
    run.send(50)
    event_id = run.commit(speech=False)
    run.hear(error(COMMIT_EMPTY, event_id if named else None))

    assert not run.holes
    assert run.session.settled == 50


def test_a_refused_commit_fails_its_turn() -> None:
    """A commit that is refused for another reason leaves a hole, and the next turn goes on."""
    run = Run(own_turns=True)
    run.speak(1000)
    event_id = run.commit()
    run.speak(1000)
    run.commit()
    run.hear(error("invalid_audio", event_id), Committed("b"), words("b"))

    assert run.failed == [(1, "invalid_audio")]
    assert run.holes == [Hole(0, 1000, "failed")]
    assert run.texts == ["b"]


def test_a_silent_tail_is_no_turn() -> None:
    """The commit of sound in which our detector heard nothing prints nothing and leaves no hole."""
    for outcome in (words("a", " "), TranscriptFailed("a", ErrorInfo(code="audio_unintelligible")), None):
        run = Run(own_turns=True)
        run.send(1000)
        run.acknowledge()
        run.commit(speech=False)
        run.drain()
        run.hear(Committed("a"), *([outcome] if outcome else []))
        run.wait(PATIENCE_S + 1)

        assert not run.finals
        assert not run.holes
        assert run.session.settled == 1000


def test_without_a_detector_no_silence_is_known() -> None:
    """Where rt does not listen, an hour that was read is not old silence: it is not committed yet."""
    run = Run(own_turns=True, own_detector=False)
    for _ in range(100):
        run.send(1000)
        run.acknowledge()
        run.wait(1)
    assert run.session.settled == 0
    assert not run.session.between_turns
    run.finish()
    run.hear(Committed("a"), words("a"))

    assert run.spans == [(0, 100_000)]


def test_own_silence_waits_for_its_reading() -> None:
    """Silence that our detector found is settled only when the endpoint has read it."""
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
        pytest.param([error("not_implemented", "commit_1")], id="not implemented"),
        pytest.param([Committed("tail", "a"), words("tail", " ")], id="committed"),
    ],
)
def test_the_answer_to_the_last_commit_ends_the_run(answer: list[ServerEvent]) -> None:
    """Under server VAD any answer to our last commit proves that everything was read."""
    run = Run()
    run.send(5000)
    run.hear(*turn("a", 1000, 2000))
    run.finish()
    run.hear(words("a"))
    assert not run.session.drained
    run.hear(*answer)

    assert run.session.drained
    assert run.session.settled == 5000
    assert not run.holes


def test_the_endpoints_own_commit_is_not_the_answer_to_ours() -> None:
    """A turn that the endpoint ended itself just before our last commit does not answer it."""
    for named in (True, False):
        run = Run()
        run.send(3000)
        run.hear(*turn("a", 1000, 2000)[:2]) if named else run.hear(SpeechStarted(), SpeechStopped())
        run.finish()
        run.hear(Committed("a"), words("a"))
        assert not run.session.drained
        run.hear(error(COMMIT_EMPTY))

        assert run.session.drained
        assert run.session.settled == 3000


def test_the_last_commit_ends_the_turn_that_is_spoken() -> None:
    """Speech up to the end of the input is cut by our commit, however late its answer comes."""
    run = Run()
    run.send(3000)
    run.hear(SpeechStarted("a", 1000))
    run.finish()
    run.acknowledge()
    run.wait(PATIENCE_S / 2)
    run.hear(Committed("a"), words("a"))

    assert run.spans == [(1000, 3000)]
    assert not run.finals[0].approx
    assert run.session.drained


def test_a_last_turn_that_is_never_answered_is_a_hole() -> None:
    """Speech that was open at the end is missing when the endpoint falls silent."""
    run = Run()
    run.send(3000)
    run.acknowledge()
    run.hear(SpeechStarted("a", 1000))
    run.finish()
    run.wait(PATIENCE_S + 1)

    assert run.session.drained
    assert run.holes == [Hole(1000, 3000, "no_final")]


def test_a_last_commit_that_is_never_answered_is_silence() -> None:
    """An endpoint that tells of speech, has read everything and told of none has heard none."""
    run = Run()
    run.send(5000)
    run.hear(*turn("a", 1000, 2000), words("a"))
    run.acknowledge()
    run.finish()
    run.wait(PATIENCE_S + 1)

    assert run.session.drained
    assert not run.holes
    assert run.warnings == ["commit_unanswered"]


def test_an_endpoint_that_never_says_a_word_leaves_a_hole() -> None:
    """Where nothing was ever heard of the sound, nothing is known of it."""
    run = Run()
    run.send(5000)
    run.acknowledge()
    run.finish()
    run.wait(PATIENCE_S + 1)

    assert run.session.drained
    assert run.holes == [Hole(0, 5000, "no_final")]


def test_an_end_without_pongs_has_a_deadline() -> None:
    """An endpoint that acknowledges nothing and says nothing is not waited for for ever."""
    for own_turns in (True, False):
        run = Run(own_turns=own_turns)
        run.speak(5000) if own_turns else run.send(5000)
        run.finish()
        run.wait(PATIENCE_S + 1)

        assert run.session.drained
        assert run.holes == [Hole(0, 5000, "no_final")]


def test_nothing_sent_is_drained_at_once() -> None:
    """Without sound there is nothing to wait for."""
    run = Run()
    run.drain()

    assert run.session.drained


# -- connections -----------------------------------------------------------------------------------------------------


def test_a_new_connection_starts_at_settled() -> None:
    """What was not settled is heard again: partials are withdrawn, held finals forgotten, offsets start anew."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000), *turn("b", 3000, 4000), *turn("c", 5000, 6000), words("a"), words("c"))
    run.hear(TranscriptDelta("b", "bra"))
    run.reconnect()
    assert run.withdrawn == [2]
    assert run.session.settled == 3000
    run.resend(6000)
    run.hear(*turn("b2", 0, 1000), *turn("c2", 2000, 3000), words("b2"), words("c2"))

    assert [(final.turn, final.text, final.resumed) for final in run.finals] == [
        (1, "a", False),
        (2, "b2", True),
        (3, "c2", True),
    ]
    assert run.spans == [(1000, 2000), (3000, 4000), (5000, 6000)]


def test_what_is_new_is_not_resumed() -> None:
    """Only what had been sent before says that it was heard again."""
    run = Run()
    run.send(2000)
    run.reconnect()
    run.resend(2000)
    run.send(7000)
    run.hear(*turn("a", 1000, 2000), *turn("b", 3000, 4000), words("a"), words("b"))

    assert [final.resumed for final in run.finals] == [True, False]


def test_numbers_of_finals_are_never_used_again() -> None:
    """A number that was shown but never final may be; one that was final or failed never is."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000), TranscriptFailed("a"), *turn("b", 3000, 4000), TranscriptDelta("b", "x"))
    for _ in range(3):
        run.reconnect()
    run.resend(9000 - run.session.settled)
    run.hear(*turn("b2", 0, 1000), words("b2"))

    assert run.failed == [(1, "failed")]
    assert [final.turn for final in run.finals] == [2]


# -- what is told ----------------------------------------------------------------------------------------------------


def test_latency_counts_from_the_end_of_speech() -> None:
    """The silence that ends a turn is part of the latency; where the end is a guess there is none."""
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000))
    run.now = 3.0
    run.hear(words("a"), Committed("b"), words("b"))

    assert [final.latency_ms for final in run.finals] == [3000 - 1900, None]
    assert run.session.latencies_ms == [1100]


def test_a_tail_is_spoken_to_its_end() -> None:
    """A turn that the end of the input cuts has no silence at its end."""
    run = Run(own_turns=True)
    run.speak(1000)
    run.now = 1.5
    run.finish()
    run.hear(Committed("a"), words("a"))

    assert run.finals[0].latency_ms == 500


def test_errors_are_told() -> None:
    """An error that ends nothing is a warning."""
    run = Run()
    run.hear(error("invalid_value"))

    assert run.warnings == ["invalid_value"]
    assert not run.ends


def test_a_fatal_error_ends_the_session_whatever_it_answers() -> None:
    """A used-up quota is fatal, also as the answer to a commit."""
    run = Run(own_turns=True)
    run.speak(1000)
    run.hear(error("insufficient_quota", run.commit()))

    assert isinstance(run.ends[0].error, RefusedError)


def test_the_last_error_is_not_blamed_for_what_comes_much_later() -> None:
    """Once things go well again an error does not explain a close."""
    run = Run()
    run.send(3000)
    run.hear(error("invalid_value"))
    assert run.session.last_error is not None
    run.hear(*turn("a", 1000, 2000))

    assert run.session.last_error is None


def test_nothing_that_is_told_controls_a_terminal() -> None:
    """Words, languages, codes and messages of an endpoint are made harmless."""
    evil = "\x1b]0;gotcha\x07\x1b[31mred\r\n\x9b2J"
    run = Run()
    run.send(9000)
    run.hear(*turn("a", 1000, 2000), TranscriptDelta("a", evil), TranscriptCompleted("a", evil, evil))
    run.hear(*turn("b", 3000, 4000), TranscriptFailed("b", ErrorInfo(code=evil, message=evil)), error(evil))
    shown = repr([str(each).replace("\n", "") for each in run.told])

    assert "\\x1b" not in shown
    assert "\\x9b" not in shown


def test_days_of_turns_take_no_memory() -> None:
    """Ten thousand turns leave nothing behind but a bounded memory of their ids."""
    run = Run()
    for number in range(10_000):
        run.told.clear()
        run.send(1000)
        start = 1000 * number
        run.hear(*turn(f"item {number}", start + 100, start + 900), words(f"item {number}"))
    turns = run.session._connection.turns

    assert not turns.open
    assert len(turns._finished) <= 2048
    assert len(run.session.wire._wires) == 1
