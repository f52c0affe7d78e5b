"""The last turn of an endpoint that makes the turns, and refuses or ignores commits: silence closes it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Literal

import pytest

from rt_cli.streaming.delivery.end_of_audio import QUIET_S
from tests.exact import ExactDetector, ExactEndpoint, judge, turns
from tests.fakes import run
from tests.habits import Event, Habits, as_it_is
from tests.servers import scripted
from tests.streaming import harness
from tests.streaming.harness import MemorySource, Run, stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Client

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


def test_noise_is_no_speech_once_the_endpoint_tells_of_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was, as long as nobody told of any: our detector looks again, and the noise is not committed."""
    searching = threading.Event()

    class Deaf(ExactDetector):
        def push(self, pcm: bytes) -> list[float]:
            searching.set()
            return [0.0] * len(super().push(pcm))

    async def script(client: Client) -> None:
        await client.greet()
        await asyncio.to_thread(searching.wait, 10)
        await client.say("input_audio_buffer.speech_started", item_id="item_1", audio_start_ms=0)
        await client.say("input_audio_buffer.speech_stopped", item_id="item_1", audio_end_ms=600)
        await client.complete(await client.commit(), "words")
        await client.until("input_audio_buffer.commit")

    monkeypatch.setattr(harness, "ExactDetector", Deaf)
    loud, still = (8000).to_bytes(2, "little") * 9_600, bytes(2 * 12_000)
    with scripted(script) as server:
        result = run(stream(server.url, MemorySource(loud + still + loud + still)), seconds=20)

    assert [final.text for final in result.finals] == ["words"]
    assert "input_audio_buffer.commit" not in [event["type"] for event in server.received]


def test_what_our_detector_does_not_hear_may_be_told_behind_the_words_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An endpoint that works at one turn after the other says nothing of the next one before it has the words."""

    class Deaf(ExactDetector):
        def push(self, pcm: bytes) -> list[float]:
            return [0.0] * len(super().push(pcm))

    async def script(client: Client) -> None:
        await client.greet()
        await client.until("input_audio_buffer.append")
        for number, words in enumerate(("first", "second", "third")):
            at = number * 900
            await client.say("input_audio_buffer.speech_started", item_id=f"item_{number}", audio_start_ms=at)
            await client.say("input_audio_buffer.speech_stopped", item_id=f"item_{number}", audio_end_ms=at + 800)
            await client.say("input_audio_buffer.committed", item_id=f"item_{number}")
            await asyncio.sleep(2 * QUIET_S)  # it works
            await client.complete(f"item_{number}", words)
            await asyncio.sleep(QUIET_S / 10)  # and looks for the next turn
        await client.connection.wait_closed()

    monkeypatch.setattr(harness, "ExactDetector", Deaf)
    loud, still = (8000).to_bytes(2, "little") * 9_600, bytes(2 * 12_000)
    with scripted(script) as server:
        result = run(stream(server.url, MemorySource((loud + still) * 3)), seconds=20)

    assert [final.text for final in result.finals] == ["first", "second", "third"]
    assert (result.summary.exit, result.summary.complete) == (0, True)
