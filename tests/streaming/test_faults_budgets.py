"""How long a run retries an endpoint: always within a budget, and without an end while there is progress."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.habits import Habits
from tests.servers import answering, polite, says_then_closes, scripted
from tests.streaming.harness import MemorySource, Run, settings, stream, with_turns

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from rt_cli.settings import Settings
    from tests.servers import Client, Script

SOUND, SPANS = turns(2)


def sent(url: str, chosen: Settings | None = None) -> Run:
    """One run with one turn, without turn detection."""

    async def scenario() -> Run:
        return await stream(url, MemorySource(SOUND), with_turns(chosen or settings(), "none"))

    return run(scenario(), seconds=30)


def once(fault: Script, *texts: str) -> Script:
    """A fault for the first client, a good endpoint for the others."""
    clients = 0

    async def script(client: Client) -> None:
        nonlocal clients
        clients += 1
        await (fault if clients == 1 else polite(*texts))(client)

    return script


async def greets_and_drops(client: Client) -> None:
    """Accept a session and end it at once."""
    await client.greet()
    await client.close(1012, "restart")


async def runs_out_of_quota(client: Client) -> None:
    """Report a used-up quota at the first audio, and close."""
    await client.greet()
    await client.until("input_audio_buffer.append")
    await client.fail("insufficient_quota", type="insufficient_quota")
    await client.close(1008, "quota")


def closing(code: int) -> Script:
    """Close at the first audio."""

    async def script(client: Client) -> None:
        await client.greet()
        await client.until("input_audio_buffer.append")
        await client.close(code, "as the script says")

    return script


def test_an_endpoint_that_greets_and_drops_is_left_after_three() -> None:
    """Three connections without progress end the run."""
    with scripted(greets_and_drops) as server:
        result = sent(server.url)

    assert server.clients == 3
    assert (result.summary.exit, result.summary.reconnects) == (5, 2)


def test_an_endpoint_that_drops_again_and_again_is_kept_while_there_is_progress() -> None:
    """A restart every half second, thirty and more of them."""
    pcm, spans = turns(30, speech_ms=300, silence_ms=300)

    async def scenario() -> None:
        habits = Habits(lifetime_s=0.5, announced=False, closing=1012)
        async with ExactEndpoint(habits).serving() as endpoint:
            result = await stream(endpoint.url, MemorySource(pcm), settings(speed=1.5))
        assert judge([final.text for final in result.finals], spans).perfect
        assert result.summary.complete
        assert result.summary.reconnects >= 15

    run(scenario(), seconds=60)


@pytest.mark.parametrize(
    "script", [says_then_closes("insufficient_quota", 1008), runs_out_of_quota], ids=["at first", "later"]
)
def test_a_used_up_quota_ends_it_at_once(script: Script) -> None:
    """Exit 4 and no second connection."""
    with scripted(script) as server:
        result = sent(server.url)

    assert server.clients == 1
    assert (result.summary.exit, result.summary.reconnects) == (4, 0)


def test_retry_after_is_waited_for() -> None:
    """The run waits for a Retry-After of one second and then delivers all audio."""
    asked: list[float] = []

    def answer(connection: ServerConnection, _request: Request) -> Response | None:
        asked.append(time.monotonic())
        if len(asked) > 1:
            return None
        response = connection.respond(429, "slow down")
        response.headers["Retry-After"] = "1"
        return response

    with scripted(polite("all of it"), answer=answer) as server:
        result = sent(server.url)

    assert 1.0 <= asked[1] - asked[0] <= 2.0
    assert ([final.text for final in result.finals], result.summary.exit) == (["all of it"], 0)


def test_before_the_first_session_the_connect_timeout_is_all_there_is() -> None:
    """An endpoint that was never ready has no longer budget."""
    chosen = settings()
    chosen = replace(chosen, delivery=replace(chosen.delivery, connect_timeout_s=1.0))
    with answering(503, "starting") as server:
        result = sent(server.url, chosen)

    assert result.summary.exit == 5
    assert result.summary.wall_ms <= 4000


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1014, 3008])
def test_a_close_that_may_pass_is_survived(code: int) -> None:
    """The next session gets all audio again."""
    with scripted(once(closing(code), "all of it")) as server:
        result = sent(server.url)

    assert ([final.text for final in result.finals], result.summary.exit) == (["all of it"], 0)
    assert (server.clients, result.states) == (2, ["ready", "lost", "resumed", "closed"])


@pytest.mark.long
@pytest.mark.parametrize("code", [1013, 4429])
def test_an_endpoint_without_room_is_given_five_seconds(code: int) -> None:
    """An overloaded endpoint is not retried at once."""
    with scripted(once(closing(code), "all of it")) as server:
        result = sent(server.url)

    assert ([final.text for final in result.finals], result.summary.exit) == (["all of it"], 0)
    assert result.summary.wall_ms >= 5000


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [(code, 6) for code in (1002, 1003, 1007, 1009, 1010, 3005, 4005)]
    + [(code, 4) for code in (1008, 3000, 3003, 4401, 4403)],
)
def test_a_close_that_cannot_pass_ends_it_at_once(code: int, exit_code: int) -> None:
    """No second connection, and the ledger counts all captured audio."""
    with scripted(closing(code)) as server:
        result = sent(server.url)

    assert (server.clients, result.summary.exit, result.summary.complete) == (1, exit_code, False)
    assert result.summary.ledger.balanced


def test_a_close_that_may_be_about_the_model_has_one_try_without_it_in_the_url() -> None:
    """Compatible servers close with 4000 where they take no model there."""
    with scripted(closing(4000)) as server:
        result = sent(server.url)

    assert (server.clients, result.summary.exit, result.summary.complete) == (2, 6, False)
    assert result.summary.ledger.balanced
