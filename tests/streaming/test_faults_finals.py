"""Finals that come twice, out of order, with a foreign id, too early or never do not disturb the others."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from rt_cli.events import Failed, Partial, Withdrawn
from tests.exact import ExactEndpoint, Verdict, judge, turns
from tests.fakes import run
from tests.habits import Event, Habits
from tests.streaming.harness import MemorySource, Run, settings, stream, with_turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.settings import TurnDetection

COUNT = 7
NEVER = 3
"""The number of the turn whose final never comes, or fails."""


def is_final(event: Event) -> bool:
    """Whether an event is a final."""
    return str(event["type"]).endswith("transcription.completed")


def four_times() -> Callable[[Event], list[Event]]:
    """Repeat each final."""
    return lambda event: [event] * (4 if is_final(event) else 1)


def swapped() -> Callable[[Event], list[Event]]:
    """Swap the finals of every two turns."""
    held: list[Event] = []

    def says(event: Event) -> list[Event]:
        if not is_final(event) or int(event["item_id"].rpartition("_")[2]) == 0:
            return [event]
        held.append(event)
        if len(held) < 2 and event["transcript"] and not last_of_all(event):
            return []
        together = held[::-1]
        held.clear()
        return together

    return says


def last_of_all(event: Event) -> bool:
    """Whether no final of speech follows this one."""
    return bool(event["transcript"].endswith(f"-{turns(COUNT)[1][-1][-1]}"))


def strangers() -> Callable[[Event], list[Event]]:
    """After each final but the last, add one of an unknown item."""
    numbers = itertools.count()

    def says(event: Event) -> list[Event]:
        if not is_final(event) or not event["transcript"] or last_of_all(event):
            return [event]
        return [event, event | {"item_id": f"foreign_{next(numbers)}", "transcript": "?"}]

    return says


def before_committed() -> Callable[[Event], list[Event]]:
    """Send words and final before the ``committed`` of their item."""
    held: list[Event] = []

    def says(event: Event) -> list[Event]:
        if event["type"] == "input_audio_buffer.committed":
            held.append(event)
            return []
        if not is_final(event):
            return [event]
        together = [event, *held]
        held.clear()
        return together

    return says


def never() -> Callable[[Event], list[Event]]:
    """Leave out the final of one turn."""
    numbers = itertools.count(1)
    return lambda event: [] if is_final(event) and next(numbers) == NEVER else [event]


def failing() -> Callable[[Event], list[Event]]:
    """Fail the transcription of one turn."""
    numbers = itertools.count(1)

    def says(event: Event) -> list[Event]:
        if not is_final(event) or next(numbers) != NEVER:
            return [event]
        error = {"type": "server_error", "code": "audio_unintelligible", "message": "cannot make it out"}
        kind = "conversation.item.input_audio_transcription.failed"
        return [{"type": kind, "item_id": event["item_id"], "content_index": 0, "error": error}]

    return says


def run_with(
    habits: Habits, turn_detection: TurnDetection = "server_vad", *, drain_s: float = 1.0, speed: float = 10.0
) -> tuple[Run, Verdict]:
    """One run with seven turns."""
    pcm, spans = turns(COUNT)

    async def scenario() -> Run:
        async with ExactEndpoint(habits).serving() as endpoint:
            chosen = with_turns(settings(drain_timeout_s=drain_s, speed=speed), turn_detection)
            return await stream(endpoint.url, MemorySource(pcm), chosen)

    result = run(scenario(), seconds=30)
    return result, judge([final.text for final in result.finals], spans)


@pytest.mark.parametrize("turn_detection", ["server_vad", "client"])
@pytest.mark.parametrize("says", [four_times, swapped, strangers, before_committed])
def test_strange_finals_disturb_nobody(
    says: Callable[[], Callable[[Event], list[Event]]], turn_detection: TurnDetection
) -> None:
    """Each turn is printed once, in order of the audio."""
    result, verdict = run_with(Habits(says=says), turn_detection)

    assert verdict.perfect
    assert [final.turn for final in result.finals if final.text] == list(range(1, COUNT + 1))
    assert (result.summary.exit, result.summary.complete) == (0, True)


@pytest.mark.parametrize("turn_detection", ["server_vad", "client"])
def test_a_final_that_never_comes_is_a_hole_with_its_range(turn_detection: TurnDetection) -> None:
    """Exit 7 after the drain timeout; the six others are printed."""
    result, verdict = run_with(Habits(says=never), turn_detection)

    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == (7200, 0, 0)
    assert [hole.reason for hole in result.dropped] == ["no_final"]
    assert 600 <= result.dropped[0].end_ms - result.dropped[0].start_ms <= 1100
    assert result.dropped[0].start_ms <= 2000
    assert result.dropped[0].end_ms >= 2600
    assert (result.summary.exit, len(result.finals)) == (7, COUNT - 1)


@pytest.mark.parametrize("turn_detection", ["server_vad", "client"])
def test_a_failed_turn_is_told_and_the_others_go_on(turn_detection: TurnDetection) -> None:
    """The event has its number, its range and the reason."""
    result, verdict = run_with(Habits(says=failing), turn_detection)
    failed = [each for each in result.events if isinstance(each, Failed)]

    assert [(each.turn, each.code) for each in failed] == [(NEVER, "audio_unintelligible")]
    assert [hole.reason for hole in result.dropped] == ["failed"]
    assert (verdict.lost, verdict.doubled) == (7200, 0)
    assert result.summary.exit == 7


def test_partials_of_a_lost_connection_are_withdrawn() -> None:
    """The session ended before the final: the partial is void, and the audio is sent again."""
    result, verdict = run_with(Habits(lifetime_s=0.6, announced=False, final_delay_s=0.25), drain_s=3.0)

    assert verdict.perfect
    shown = {each.turn for each in result.events if isinstance(each, Partial)}
    withdrawn = {each.turn for each in result.events if isinstance(each, Withdrawn)}
    assert withdrawn
    assert withdrawn <= shown
    assert result.summary.complete
