"""Events about a turn before its outcome: speech, segments; what the final says beside the words."""

from __future__ import annotations

from msgspec import UNSET

from rt_cli.events import Failed, Partial, SpeechBegan, SpeechEnded, TurnSegment, TurnUsage, Withdrawn
from rt_cli.protocol.server_events import (
    Committed,
    ErrorInfo,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
    TranscriptSegment,
)
from tests.protocol.session.run import Run


def test_speech_has_the_number_and_the_id_of_its_turn() -> None:
    """It begins with the padding of the endpoint, and ends where the endpoint heard it end."""
    run = Run()
    run.send(9000)
    run.receive(SpeechStarted("a", 1000), SpeechStopped("a", 2000), Committed("a"))
    run.receive(SpeechStarted("b", 3000), SpeechStopped("b", 4000), Committed("b"))

    assert run.reported_events(SpeechBegan) == [SpeechBegan(1, 1000, "a"), SpeechBegan(2, 3000, "b")]
    ended = run.reported_events(SpeechEnded)
    assert [(each.turn, each.item_id) for each in ended] == [(1, "a"), (2, "b")]
    assert all(
        begin <= each.at_ms <= end for each, (begin, end) in zip(ended, [(1000, 2000), (3000, 4000)], strict=True)
    )


def test_a_repeated_start_is_not_reported_again() -> None:
    """Nor is one without an offset, of which nobody knows where it is."""
    run = Run()
    run.send(9000)
    run.receive(SpeechStarted("a", 1000), SpeechStarted("a", 1000))
    assert run.reported_events(SpeechBegan) == [SpeechBegan(1, 1000, "a")]

    run = Run()
    run.send(9000)
    run.receive(SpeechStarted("a"), SpeechStopped("a"))
    assert [*run.reported_events(SpeechBegan), *run.reported_events(SpeechEnded)] == []


def test_speech_without_an_outcome_is_withdrawn() -> None:
    """After a cut it will be heard again, under the same number."""
    run = Run()
    run.send(9000)
    run.receive(SpeechStarted("a", 1000))
    run.reconnect()
    run.resend(8000)
    run.receive(SpeechStarted("a2", 0))

    assert run.reported_events(Withdrawn) == [Withdrawn(1)]
    assert [each.turn for each in run.reported_events(SpeechBegan)] == [1, 1]


def test_segments_are_within_their_turn() -> None:
    """Their times count from the start of the turn; one speaker of all segments is that of the final."""
    run = Run()
    run.send(9000)
    run.receive(SpeechStarted("a", 1000), SpeechStopped("a", 4000), Committed("a"))
    run.receive(TranscriptSegment("a", " hello\x1b[31m", "A", 0.5, 1.0), TranscriptSegment("a", "you", "A", 1.5, None))
    run.receive(TranscriptCompleted("a", "hello you"))

    assert run.reported_events(TurnSegment) == [
        TurnSegment(1, "hello", "A", 1500, 2000, "a"),
        TurnSegment(1, "you", "A", 2500, UNSET, "a"),
    ]
    assert [final.speaker for final in run.finals] == ["A"]


def test_a_turn_of_two_speakers_has_none() -> None:
    """Whose words are whose is in the segments alone."""
    for second in ("B", None):
        run = Run()
        run.send(9000)
        run.receive(SpeechStarted("a", 1000), SpeechStopped("a", 4000), Committed("a"))
        run.receive(TranscriptSegment("a", "hello", "A"), TranscriptSegment("a", "you", second))
        run.receive(TranscriptCompleted("a", "hello you"))

        assert [final.speaker for final in run.finals] == [UNSET]


def test_a_final_has_what_the_endpoint_says_beside_the_words() -> None:
    """Its id, its price, how sure it is; absent where the endpoint says nothing."""
    run = Run()
    run.send(9000)
    run.receive(SpeechStarted("a", 1000), SpeechStopped("a", 2000), Committed("a"), TranscriptDelta("a", "he"))
    run.receive(TranscriptCompleted("a", "hello", usage=TurnUsage(total_tokens=9), confidence=0.0))
    run.receive(SpeechStarted("b", 3000), SpeechStopped("b", 4000), Committed("b"), TranscriptCompleted("b", "you"))

    first, second = run.finals
    assert (first.item_id, first.usage, first.confidence) == ("a", TurnUsage(total_tokens=9), 0.0)
    assert (second.item_id, second.usage, second.confidence) == ("b", UNSET, UNSET)
    assert [each.item_id for each in run.reported_events(Partial)] == ["a"]


def test_a_foreign_id_is_printable_and_short() -> None:
    """An endpoint may put anything there."""
    name = "\x1b[2J" + "i" * 1_000
    run = Run()
    run.send(9000)
    run.receive(SpeechStarted(name, 1000), SpeechStopped(name, 2000), Committed(name))
    run.receive(TranscriptFailed(name, ErrorInfo(code="x")))

    assert [each.item_id for each in run.reported_events(Failed)] == ["i" * 200]
