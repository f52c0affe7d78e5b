"""One connection from opening to end, against real servers."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest

from rt_cli.errors import EXIT_OK
from rt_cli.events import Errored, Event, Final, Warned
from tests.fakes import run
from tests.servers import Client, Script, Server, never_answers, polite, scripted, stops_reading
from tests.streaming.harness import RATE, MemorySource, Run, make_streamer, settings, stream

if TYPE_CHECKING:
    from collections.abc import Callable

SOUND = bytes(range(256)) * (RATE * 2 // 256)
"""Most of a second."""


def delivered(script: Script, **delivery: object) -> tuple[Run, Server]:
    """Deliver to a script; return the run, and the events that the script received."""
    with scripted(script) as server:
        done = run(stream(server.url, MemorySource(SOUND), settings(**delivery)))
    assert done.summary is not None
    assert done.summary.ledger.balanced
    return done, server


def errors(done: Run) -> list[Errored]:
    """The error that ended the run."""
    return [each for each in done.events if isinstance(each, Errored)]


def test_configuration_then_audio_then_commit() -> None:
    """In this order, all audio once."""
    done, server = delivered(polite("hello"))
    assert server.kinds() == ["session.update", "input_audio_buffer.append", "input_audio_buffer.commit"]
    assert server.audio == SOUND
    assert done.states == ["ready", "closed"]


def test_nothing_is_sent_before_the_greeting() -> None:
    """Some endpoints reject events before ``session.created``."""

    async def slow(client: Client) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.connection.recv(), 0.3)
        await polite("hello")(client)

    done, _ = delivered(slow)
    assert [final.text for final in done.finals] == ["hello"]


def test_audio_is_held_until_the_endpoint_is_configured() -> None:
    """Audio captured in the meantime follows, from its first sample."""

    async def slow(client: Client) -> None:
        await client.say("session.created", session={})
        await client.until("session.update")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.connection.recv(), 0.3)
        await client.say("session.updated", session={})
        await client.until("input_audio_buffer.commit")
        await client.complete(await client.commit(), "hello")
        await client.until("nothing")

    _, server = delivered(slow)
    assert server.audio == SOUND


def test_unknown_events_are_ignored() -> None:
    """Before, between and after known events; texts that are no events, too."""

    async def chatty(client: Client) -> None:
        await client.connection.send("hello")
        await client.connection.send(b"\x00\xff")
        await client.say("provider.welcome")
        await client.greet()
        await client.connection.send("[]")
        await client.say("rate_limits.updated", rate_limits=[])
        await client.say("session.updated", session={})
        await client.until("input_audio_buffer.commit")
        item = await client.commit()
        await client.say("conversation.item.odd", item_id=item)
        await client.complete(item, "hello")
        await client.until("nothing")

    done, _ = delivered(chatty)
    assert done.summary is not None
    assert done.summary.exit == EXIT_OK
    assert [final.text for final in done.finals] == ["hello"]


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_a_close_after_the_last_final_is_no_error(code: int) -> None:
    """Whatever its close code."""

    async def done_talking(client: Client) -> None:
        await client.greet()
        await client.until("input_audio_buffer.commit")
        await client.complete(await client.commit(), "hello")
        await client.close(code)

    done, _ = delivered(done_talking)
    assert done.summary is not None
    assert done.summary.exit == EXIT_OK
    assert done.summary.reconnects == 0


@pytest.mark.parametrize(
    ("expires_at", "warned"),
    [
        pytest.param(lambda now: now - 3600, True, id="past"),
        pytest.param(lambda now: now + 1, True, id="a second"),
        pytest.param(lambda _: 1800, True, id="relative"),
        pytest.param(lambda now: (now + 1800) * 1000, False, id="milliseconds"),
        pytest.param(lambda _: "2030-01-01T00:00:00Z", False, id="text"),
        pytest.param(lambda now: now + 1800, False, id="half an hour"),
    ],
)
def test_an_expiry_of_another_clock_is_ignored(
    expires_at: Callable[[float], object],
    warned: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    """With one warning, and without another connection."""

    async def script(client: Client) -> None:
        session = {"expires_at": expires_at(time.time())}
        await client.say("session.created", session=session)
        await client.until("session.update")
        await client.say("session.updated", session=session)
        await client.until("input_audio_buffer.commit")
        await asyncio.sleep(1.5)
        await client.complete(await client.commit(), "hello")
        await client.until("nothing")

    done, server = delivered(script)
    assert server.clients == 1
    assert [final.text for final in done.finals] == ["hello"]
    assert done.warnings.count("expiry") == warned


def test_a_missing_greeting_quotes_the_last_error() -> None:
    """A non-fatal error event is the best explanation."""

    async def grumbles(client: Client) -> None:
        await client.fail("strange", "we do not do that here")
        await client.until("nothing")

    done, _ = delivered(grumbles, connect_timeout_s=0.3)
    (error,) = errors(done)
    assert error.code == "no_session"
    assert "we do not do that here" in error.message


def test_a_non_fatal_error_event_is_a_warning() -> None:
    """The run reports it and loses nothing."""

    async def complains(client: Client) -> None:
        await client.greet()
        await client.until("input_audio_buffer.append")
        await client.fail("odd", "that was \x1b[31modd\x1b[0m")
        await client.until("input_audio_buffer.commit")
        await client.complete(await client.commit(), "hello")
        await client.until("nothing")

    done, _ = delivered(complains)
    assert done.summary is not None
    assert done.summary.exit == EXIT_OK
    warnings = [each.message for each in done.events if isinstance(each, Warned)]
    assert "the endpoint says: that was odd" in warnings


def test_error_event_is_the_cause_of_the_close_that_follows() -> None:
    """One error, and not the one of the close code."""

    async def refuses(client: Client) -> None:
        await client.greet()
        await client.until("input_audio_buffer.append")
        await client.fail("insufficient_quota", "You exceeded your quota")
        await client.close(1000)

    done, _ = delivered(refuses)
    (error,) = errors(done)
    assert error.code == "insufficient_quota"
    assert done.summary is not None
    assert done.summary.exit == 4


@pytest.mark.parametrize("script", [never_answers, stops_reading], ids=["waits for an answer", "cannot write"])
def test_cancelling_closes_the_connection_within_a_second(script: Script) -> None:
    """In every phase of the connection."""

    async def scenario(server: Server) -> float:
        done = Run()
        sound = MemorySource(SOUND * 30)
        running = asyncio.create_task(make_streamer(done, server.url, sound, settings(drain_timeout_s=60.0)).run())
        await asyncio.to_thread(server.wait_for, "input_audio_buffer.append")
        began = time.monotonic()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return time.monotonic() - began

    with scripted(script) as server:
        assert run(scenario(server)) < 1.5


class Attentive(list[Event]):
    """A list of events that signals the first final."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def append(self, event: Event) -> None:
        """Append an event."""
        super().append(event)
        if isinstance(event, Final):
            self.heard.set()


def test_final_is_reported_on_arrival() -> None:
    """Not at the end of the run: this endpoint goes on only after its first final was reported."""
    events = Attentive()

    async def in_two_parts(client: Client) -> None:
        await client.greet()
        await client.until("input_audio_buffer.append")
        await client.say("input_audio_buffer.speech_started", item_id="a", audio_start_ms=0)
        await client.say("input_audio_buffer.speech_stopped", item_id="a", audio_end_ms=200)
        await client.say("input_audio_buffer.committed", item_id="a", previous_item_id=None)
        await client.complete("a", "first")
        assert await asyncio.to_thread(events.heard.wait, 10)
        await client.until("input_audio_buffer.commit")
        await client.say("input_audio_buffer.committed", item_id="b", previous_item_id="a")
        await client.complete("b", "second")
        await client.until("nothing")

    done = Run(events)
    with scripted(in_two_parts) as server:
        run(make_streamer(done, server.url, MemorySource(SOUND)).run())
    assert [final.text for final in done.finals] == ["first", "second"]
