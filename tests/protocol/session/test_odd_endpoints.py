"""Endpoints that refuse, change or repeat: each kind with the right value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from rt_cli.events import Final
from rt_cli.protocol.openai.decode import decode
from rt_cli.protocol.server_events import (
    BufferCleared,
    Committed,
    ErrorEvent,
    ErrorInfo,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
    TranscriptSnapshot,
)
from rt_cli.protocol.session.refusals import MOST_REFUSALS
from rt_cli.timeline.tape import Hole
from tests.protocol.session.run import Run

REFUSAL = ErrorEvent(ErrorInfo(type="invalid_request_error", code="invalid_value", message="no such audio"))
WORDS = "conversation.item.input_audio_transcription"


def turn(item: str | None, start: int, end: int, text: str) -> list[ServerEvent]:
    """All events of a turn; offsets in milliseconds, which are samples here."""
    return [
        SpeechStarted(item, start),
        SpeechStopped(item, end),
        Committed(item),
        TranscriptCompleted(item, text),
    ]


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_refused_audio_is_a_hole() -> None:
    """From the last acknowledgement before the refusal to the first one behind it."""
    run = Run()
    run.send(1000)
    run.acknowledge()
    run.wait(0.5)
    run.send(1000)
    run.receive(REFUSAL)
    run.acknowledge(1500)
    run.wait(0.5)
    run.send(1000)
    run.acknowledge()
    run.wait(0.5)

    assert run.holes == [Hole(1000, 1500, "refused")]
    assert run.tape.ledger().dropped == 500


def test_refused_audio_that_was_read_before_is_a_hole() -> None:
    """Of all that the endpoint may have read and not processed: the pong of the audio came before the refusal."""
    run = Run()
    for _ in range(5):
        run.send(1000)
        run.acknowledge()
        run.wait(1.0)
    run.receive(REFUSAL)

    assert run.holes == [Hole(4000, 5000, "refused")]
    run.wait(1.0)
    assert run.tape.ledger().dropped == 1000


def test_a_refusal_while_a_commit_waits_may_be_that_of_the_commit() -> None:
    """No audio behind it was lost."""
    run = Run()
    run.send(1000)
    run.acknowledge()
    run.wait(1.0)
    run.receive(*turn("item 1", 100, 900, "one"))
    run.commit()
    run.receive(REFUSAL)
    run.wait(1.0)

    assert not run.holes


def test_a_refusal_that_waited_for_words_is_a_hole_from_what_was_answered_before() -> None:
    """The pongs came long before it, the answer to the next commit behind it: the audio lies between two commits."""
    run = Run(own_turns=True)
    run.speak(900)
    run.commit()
    run.receive(Committed("item 1"))
    run.send(100)
    run.speak(2000)
    run.commit()
    run.send(1000)
    run.acknowledge(3500)
    run.wait(0.5)
    run.receive(TranscriptCompleted("item 1", transcript="one"), REFUSAL)
    assert run.holes == []
    run.receive(Committed("item 2"), TranscriptCompleted("item 2", transcript="two"))

    assert run.texts == ["one", "two"]
    assert run.holes == [Hole(1000, 3000, "refused")]


def test_a_refusal_that_waited_for_words_where_all_is_read() -> None:
    """No pong is to come: all that was read since then is the hole."""
    run = Run(own_turns=True)
    run.speak(900)
    run.commit()
    run.receive(Committed("item 1"))
    run.send(100)
    run.speak(2000)
    run.commit()
    run.acknowledge()
    run.wait(0.5)
    run.receive(TranscriptCompleted("item 1", transcript="one"), REFUSAL)

    assert run.holes == [Hole(1000, 3000, "refused")]


def test_a_refusal_before_the_answer_to_a_commit_is_not_that_of_the_commit() -> None:
    """Where the endpoint makes the turns, only the answer tells. Of two refusals, one at most is that of the commit."""
    run = Run()
    run.send(1000)
    run.receive(*turn("item 1", 100, 900, "one"))
    run.send(1000)
    run.receive(SpeechStarted("item 2", 1100))
    run.acknowledge()
    run.wait(1.0)
    run.commit()
    run.receive(REFUSAL)
    assert run.holes == []
    run.receive(Committed("item 2"))
    assert run.holes == [Hole(1100, 2000, "refused")]

    run.send(1000)
    run.commit()
    run.acknowledge()
    run.wait(0.5)
    run.receive(REFUSAL, REFUSAL)
    assert run.holes[1:] == [Hole(2000, 3000, "refused")]


def test_a_turn_that_repeats_the_start_of_another_has_speech_if_we_heard_it() -> None:
    """One id for all, offsets from the last commit, as long a pause: the failure is a hole."""
    run = Run()
    run.send(1000)
    run.receive(*turn("item", 150, 800, "one"))
    run.send(1000)
    run.receive(SpeechStarted("item", 150))
    run.commit()
    run.receive(Committed("item"), TranscriptFailed("item", error=ErrorInfo(code="unintelligible")))

    assert [hole.reason for hole in run.holes] == ["failed"]


def test_offsets_behind_refused_audio_are_guesses() -> None:
    """The endpoint counts without it, or with it. What was said before keeps its place; a new connection is new."""
    run = Run()
    run.send(1000)
    run.receive(*turn("item 1", 100, 900, "one"))
    run.send(1000)
    run.receive(REFUSAL)
    run.send(2000)
    run.acknowledge()
    run.receive(*turn("item 2", 1200, 2000, "two"))
    run.reconnect()
    run.resend(run.tape.captured - run.tape.sent)
    run.send(1000)
    run.receive(*turn("item 3", 2000, 2800, "three"))

    assert [final.approx is True for final in run.finals] == [False, True, False]
    assert run.finals[1].end_ms == 4000


def test_what_an_error_that_ends_the_connection_settles_is_settled() -> None:
    """The marks of the session and of the tape stay the same: offsets of the next connection count from there."""
    run = Run(own_turns=True)
    run.send(2000)
    run.acknowledge(1000)
    run.wait(0.25)
    run.session.speech_opens(1800, run.now)
    effects = run.session.receive(ErrorEvent(ErrorInfo(code="session_expired", message="expired")), run.now)

    assert run.session.settled > run.tape.settled
    assert [type(effect).__name__ for effect in effects] == ["Settle", "Fail"]


def test_the_same_refusal_again_and_again_ends_the_run() -> None:
    """With exit 6. The output merges the warnings before it."""
    run = Run()
    for _ in range(MOST_REFUSALS):
        run.send(100)
        run.receive(REFUSAL)

    assert [end.error.exit_code for end in run.ends] == [6]
    assert run.warnings == ["invalid_value"] * (MOST_REFUSALS - 1)
    assert run.holes == [Hole(0, 100 * MOST_REFUSALS, "refused")]


def test_a_turn_between_refusals_shows_that_audio_is_taken() -> None:
    """Refusals count in a row only."""
    run = Run()
    for number in range(2 * MOST_REFUSALS):
        run.send(100)
        run.receive(REFUSAL, SpeechStarted(f"item {number}", number * 100), Committed(f"item {number}"))

    assert not run.ends


@pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded", "conversation_already_has_active_response"])
def test_other_errors_drop_nothing(code: str) -> None:
    """They are not about audio."""
    run = Run()
    run.send(1000)
    run.receive(ErrorEvent(ErrorInfo(type="invalid_request_error", code=code, message="no")))
    run.acknowledge()
    run.wait(0.5)

    assert not run.holes
    assert run.warnings == [code]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        ErrorInfo(code="input_audio_buffer_commit_empty", message="no"),
        ErrorInfo(code="buffer_empty"),
        ErrorInfo(code="invalid_value", message="Error committing the audio: buffer too small, expected 100 ms."),
        ErrorInfo(type="invalid_request_error", message="Nothing to commit: the audio buffer is empty"),
        ErrorInfo(message="There is no audio in the buffer"),
    ],
)
def test_an_empty_buffer_in_which_we_heard_speech_is_a_hole(error: ErrorInfo, *, named: bool) -> None:
    """The endpoint has lost the audio of that turn, and of no other; whatever it calls that."""
    run = Run(own_turns=True)
    run.speak(1000)
    event_id = run.commit()
    run.receive(ErrorEvent(replace(error, event_id=event_id if named else None)))
    run.speak(1000)
    run.commit()
    run.receive(Committed("b"), TranscriptCompleted("b", "words"))

    assert run.holes == [Hole(0, 1000, "failed")]
    assert [(final.start_ms, final.text) for final in run.finals] == [(1000, "words")]


@pytest.mark.parametrize("moment", ["before speech", "during speech", "behind a turn"])
def test_a_turn_without_a_commit_of_ours_is_ignored(moment: str) -> None:
    """Where rt makes the turns, nobody else does."""
    run = Run(own_turns=True)
    unasked = [each for number in range(3) for each in turn(f"x{number}", 0, 500, "junk")[2:]]
    if moment == "before speech":
        run.receive(*unasked)
    run.speak(1000)
    if moment == "during speech":
        run.receive(*unasked)
    run.commit()
    run.receive(Committed("a"), TranscriptCompleted("a", "one"))
    if moment == "behind a turn":
        run.send(500)
        run.receive(*unasked)
    run.speak(1000)
    run.commit()
    run.receive(Committed("b"), TranscriptCompleted("b", "two"))

    assert run.texts == ["one", "two"]
    assert run.session.ignored == 6
    assert not run.holes


# -- transcripts -------------------------------------------------------------------------------------------------------


def events(*messages: dict[str, Any]) -> list[ServerEvent]:
    """Decoded messages about one item."""
    return [decode(json.dumps({"item_id": "a", **message})) for message in messages]


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        pytest.param([{"type": f"{WORDS}.completed", "transcript": "words"}], "words", id="as it should be"),
        pytest.param(
            [
                {"type": f"{WORDS}.completed", "transcript": "wor", "status": "in_progress"},
                {"type": f"{WORDS}.completed", "transcript": "words and", "status": "in_progress"},
                {"type": f"{WORDS}.completed", "transcript": "words and more", "status": "completed"},
            ],
            "words and more",
            id="snapshots",
        ),
        pytest.param(
            [{"type": f"{WORDS}.delta", "delta": "words"}, {"type": f"{WORDS}.completed"}], "words", id="no transcript"
        ),
        pytest.param(
            [{"type": f"{WORDS}.delta", "delta": "words"}, {"type": f"{WORDS}.completed", "transcript": None}],
            "words",
            id="null",
        ),
        pytest.param(
            [{"type": f"{WORDS}.delta", "delta": "words"}, {"type": f"{WORDS}.completed", "text": "others"}],
            "words",
            id="another name",
        ),
        pytest.param([{"type": f"{WORDS}.completed", "text": "words"}], "words", id="another name, no delta"),
        pytest.param(
            [{"type": f"{WORDS}.delta", "delta": "words"}, {"type": f"{WORDS}.completed", "transcript": ""}],
            "",
            id="an empty string stays empty",
        ),
        pytest.param(
            [
                {"type": f"{WORDS}.delta", "delta": "one", "content_index": 0},
                {"type": f"{WORDS}.delta", "delta": "two", "content_index": 1},
                {"type": f"{WORDS}.completed", "transcript": "One.", "content_index": 0},
                {"type": f"{WORDS}.completed", "transcript": "Two.", "content_index": 1},
            ],
            "One. Two.",
            id="two parts",
        ),
        pytest.param(
            [
                {"type": f"{WORDS}.delta", "delta": chr(0xD83D)},
                {"type": f"{WORDS}.delta", "delta": chr(0xDE00)},
                {"type": f"{WORDS}.completed"},
            ],
            "\U0001f600",
            id="a pair in two deltas",
        ),
    ],
)
def test_the_final_is_the_last_word(messages: list[dict[str, Any]], text: str) -> None:
    """Whatever the events before it were."""
    run = Run()
    run.send(3000)
    run.receive(SpeechStarted("a", 0), SpeechStopped("a", 1000), Committed("a"), *events(*messages))

    assert run.texts == [text]


def test_a_further_part_of_a_printed_item_is_printed() -> None:
    """Its range is in a final already: it stands at the end of it."""
    run = Run()
    run.send(3000)
    run.receive(*turn("a", 0, 1000, "one"), TranscriptCompleted("a", "two", content_index=1))

    assert [(final.text, final.start_ms, final.end_ms) for final in run.finals] == [
        ("one", 0, 1000),
        ("two", 1000, 1000),
    ]


def test_a_snapshot_replaces_the_partial() -> None:
    """It does not append."""
    run = Run()
    run.send(3000)
    run.receive(SpeechStarted("a", 0), TranscriptSnapshot("a", "he"), TranscriptSnapshot("a", "hello"))

    assert run.partials == [(1, "he"), (1, "hello")]


def test_an_empty_delta_is_no_sign_of_a_turn() -> None:
    """It begins no turn, and restarts no timer."""
    run = Run()
    run.send(3000)
    run.receive(TranscriptDelta("a", ""))

    assert not run.partials
    assert not run.session.committed_turns


# -- offsets and ids ---------------------------------------------------------------------------------------------------


def test_offsets_that_restart_with_each_buffer() -> None:
    """Every one of them counts from the end of the turn before."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 100, 2000, "one"), *turn("b", 100, 1500, "two"), *turn("c", 300, 2500, "three"))

    assert run.spans == [(100, 2000), (2100, 3500), (3800, 6000)]
    assert run.session.settled == 6000


def test_much_prefix_padding_is_no_restart() -> None:
    """A turn that begins 900 ms before the end of the one before it, as it was asked to."""
    run = Run(prefix_ms=1000)
    run.send(9000)
    run.receive(*turn("a", 100, 2000, "one"), *turn("b", 1100, 4000, "two"), *turn("c", 3100, 6000, "three"))

    assert run.spans == [(100, 2000), (2000, 4000), (4000, 6000)]


@pytest.mark.parametrize("scale", [0, 0.001], ids=["they stand still", "seconds"])
def test_offsets_that_leave_a_turn_no_room_are_not_believed(scale: float) -> None:
    """The ranges are guesses that cover the audio."""
    run = Run()
    for number in range(3):
        run.send(3000)
        run.acknowledge()
        run.wait(0.5)
        start, end = (round((3000 * number + at) * scale) for at in (100, 2000))
        run.receive(*turn(f"item {number}", start, end, "words"))

    assert run.spans == [(0, 3000), (3000, 6000), (6000, 9000)]
    assert all(final.approx for final in run.finals)


def test_offsets_that_restart_are_known_on_the_next_connection() -> None:
    """The base is that of the connection."""
    run = Run()
    run.send(9000)
    run.receive(*turn("a", 100, 2000, "one"), *turn("b", 100, 1500, "two"))
    run.reconnect()
    run.resend(5500)
    run.receive(*turn("c", 100, 2000, "three"), *turn("d", 2500, 3000, "four"))

    assert run.spans[2:] == [(3600, 5500), (8000, 8500)]


def test_an_offset_beyond_the_audio_is_not_believed() -> None:
    """A wall clock ran on while nothing was sent: the range is a guess."""
    run = Run()
    run.send(3000)
    run.receive(*turn("a", 60_000, 61_000, "one"))

    assert [final.approx for final in run.finals] == [True]
    assert run.session.settled <= 3000


def test_one_id_for_all_items() -> None:
    """Every turn is printed."""
    run = Run()
    run.send(9000)
    for number, text in enumerate(("one", "two", "three")):
        run.receive(*turn("x", 100 + 3000 * number, 2000 + 3000 * number, text))

    assert run.texts == ["one", "two", "three"]
    assert run.spans == [(100, 2000), (3100, 5000), (6100, 8000)]


def test_one_id_for_all_items_and_finals_that_come_late() -> None:
    """Outcomes belong to the oldest turn with the id that has none."""
    run = Run()
    run.send(9000)
    for number in range(3):
        run.receive(*turn("x", 100 + 3000 * number, 2000 + 3000 * number, "")[:3])
    run.receive(*(TranscriptCompleted("x", text) for text in ("one", "two", "three")))

    assert run.texts == ["one", "two", "three"]


def test_one_id_for_all_turns_of_our_own() -> None:
    """Commits are answered in order."""
    run = Run(own_turns=True)
    for text in ("one", "two", "three"):
        run.speak(1000)
        run.commit()
        run.receive(Committed("x"), TranscriptCompleted("x", text))

    assert run.texts == ["one", "two", "three"]


def test_only_speech_started_has_an_id() -> None:
    """The other events are about the oldest turn that waits for them."""
    run = Run()
    run.send(9000)
    for number, text in enumerate(("one", "two")):
        start = 100 + 3000 * number
        run.receive(SpeechStarted(f"i{number}", start), SpeechStopped(None, start + 1900), Committed(None))
        run.receive(TranscriptCompleted(None, text))

    assert run.texts == ["one", "two"]
    assert run.spans == [(100, 2000), (3100, 5000)]


def test_a_stop_that_is_taken_back() -> None:
    """Speech goes on in the same turn."""
    run = Run()
    run.send(9000)
    run.receive(SpeechStarted("a", 100), SpeechStopped("a", 1000), SpeechStarted("a", 1200), SpeechStopped("a", 3000))
    run.receive(Committed("a"), TranscriptCompleted("a", "one"))

    assert run.reported_events(Final)[0].text == "one"
    assert run.spans == [(100, 3000)]


# -- who makes the turns, and the end ----------------------------------------------------------------------------------


def test_speech_started_while_we_make_the_turns() -> None:
    """The endpoint makes them: a new connection, on which its turns count."""
    run = Run(own_turns=True)
    run.speak(1000)
    run.receive(SpeechStarted("a", 100))
    assert [end.error.code for end in run.ends] == ["endpoint_makes_turns"]
    run.reconnect()
    run.resend(1000)
    run.receive(*turn("a", 100, 900, "one"))

    assert run.texts == ["one"]


def test_the_answer_to_a_clear_proves_that_all_was_read() -> None:
    """Also an error that refuses it."""
    for answer in (BufferCleared(), ErrorEvent(ErrorInfo(code="unknown_event", event_id="event_TODO"))):
        run = Run()
        run.send(1000)
        run.session.clearing("rt_clear")
        run.receive(answer)

        assert run.session.cleared
        assert run.tape.acknowledged == 1000
        assert not run.warnings
