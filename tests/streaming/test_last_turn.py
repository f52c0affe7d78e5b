"""The last turn of an endpoint that makes the turns, and refuses or ignores commits: silence closes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.habits import Event, Habits, as_it_is
from tests.streaming.harness import MemorySource, Run, stream

if TYPE_CHECKING:
    from collections.abc import Callable

SOUND, SPANS = turns(3, silence_ms=400)
UP_TO_THE_END = SOUND[: -400 * 24 * 2]
"""Without the silence behind the last turn."""


def without_speech_events() -> Callable[[Event], list[Event]]:
    """Say nothing of the start and the end of speech."""
    return lambda event: [] if ".speech_" in event["type"] else [event]


@pytest.mark.parametrize("says", [lambda: as_it_is, without_speech_events], ids=["events", "no events"])
@pytest.mark.parametrize("commits", ["answered", "refused", "ignored"])
def test_it_is_heard(
    commits: Literal["answered", "refused", "ignored"], says: Callable[[], Callable[[Event], list[Event]]]
) -> None:
    """Also if the endpoint tells of no speech: it has ended turns by itself."""

    async def scenario() -> Run:
        async with ExactEndpoint(Habits(commits=commits, says=says)).serving() as endpoint:
            return await stream(endpoint.url, MemorySource(UP_TO_THE_END))

    result = run(scenario(), seconds=20)
    assert judge([final.text for final in result.finals], SPANS).perfect
    assert (result.summary.exit, result.summary.complete) == (0, True)
