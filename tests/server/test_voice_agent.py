"""The complete voice agent over a real connection: chat server, espeak-ng, tools, barge-in, echo of a human voice."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.server.replies.registry import open_replier
from tests.fakes import run
from tests.server.chat_server import ChatServer, Exchange, chat_server
from tests.server.client import Client, endpoint, recording, silence
from tests.server.replies.test_voice_worker import loudness, needs_espeak

pytest.importorskip("httpx", reason="the extra http is not installed")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.server.chat_server import Script

TOOL = {"type": "function", "name": "clock", "description": "The time.", "parameters": {"type": "object"}}


@asynccontextmanager
async def agent(script: Script, **settings: Any) -> AsyncIterator[tuple[Client, ChatServer]]:
    """A client in a conversation with espeak-ng and a chat server."""
    async with (
        chat_server(script) as server,
        open_replier("voice", llm=server.url) as replier,
        endpoint("?model=any", replier=replier) as client,
    ):
        await client.converse(**settings)
        yield client, server


def sound(client: Client) -> bytes:
    """All audio of the assistant so far."""
    return b"".join(base64.b64decode(event["delta"]) for event in client.of("response.output_audio.delta"))


@needs_espeak
def test_a_tool_is_called_and_its_result_is_spoken() -> None:
    """Two responses: a tool call, then spoken text that uses the result."""

    async def think(exchange: Exchange) -> None:
        await exchange.head()
        last = exchange.body["messages"][-1]
        if last["role"] == "tool":
            await exchange.delta(content=f"It is {last['content']}. ")
            await exchange.delta(content="Good evening.")
            await exchange.end()
        else:
            function = {"name": exchange.body["tools"][0]["function"]["name"], "arguments": '{"zone": "UTC"}'}
            await exchange.delta(tool_calls=[{"index": 0, "id": "call_1", "function": function}])
            await exchange.end("tool_calls")

    async def scenario() -> None:
        async with agent(think, tools=[TOOL], instructions="Be brief.") as (client, server):
            await client.say("What time is it?")
            await client.send("response.create")
            done = (await client.until("response.done"))["response"]
            (call,) = done["output"]
            assert (call["type"], call["name"], call["call_id"]) == ("function_call", "clock", "call_1")
            assert sound(client) == b""

            output = {"type": "function_call_output", "call_id": "call_1", "output": "five past six"}
            await client.send("conversation.item.create", item=output)
            await client.send("response.create")
            done = (await client.until("response.done"))["response"]
            assert done["status"] == "completed"
            assert done["output"][0]["content"][0]["transcript"] == "It is five past six. Good evening."
            assert len(sound(client)) / 48_000 > 1
            assert loudness(sound(client)) > 500

            roles = [message["role"] for message in server.seen[1].body["messages"]]
            assert roles == ["system", "user", "assistant", "tool"]

    run(scenario(), 40)


@needs_espeak
def test_a_cancelled_reply_ends_everywhere() -> None:
    """The cancellation stops the events, the voice and the chat request; the next reply is spoken."""

    async def talk(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.delta(content="Once upon a time there was a fox. ")
        if len(exchange.body["messages"]) == 1:
            await exchange.gone()
        await exchange.end()

    async def scenario() -> None:
        async with agent(talk) as (client, server):
            await client.say("Tell me a story.")
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            await client.send("response.cancel")
            done = (await client.until("response.done"))["response"]
            assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
            await server.left.wait()

            before = len(sound(client))
            await client.say("And now?")
            await client.send("response.create")
            assert (await client.until("response.done"))["response"]["status"] == "completed"
            assert len(sound(client)) - before > 48_000

    run(scenario(), 40)


@needs_espeak
def test_a_chat_server_that_fails_fails_the_response() -> None:
    """The response has the reason, and the session continues."""

    async def refuse(exchange: Exchange) -> None:
        await exchange.whole("500 Internal Server Error", '{"error": "out of memory"}')

    async def scenario() -> None:
        async with agent(refuse) as (client, _):
            await client.say("Hello?")
            for _ in range(2):
                await client.send("response.create")
                done = (await client.until("response.done"))["response"]
                assert done["status"] == "failed"
                assert "out of memory" in done["status_details"]["error"]["message"]

    run(scenario(), 40)


def test_echo_of_a_human_turn() -> None:
    """A turn is detected, and echo returns its audio."""

    async def scenario() -> None:
        async with (
            open_replier("echo") as replier,
            endpoint("?model=any", replier=replier) as client,
            asyncio.timeout(30),
        ):
            await client.converse(input={"turn_detection": {"type": "server_vad"}})
            said = recording("sense_0930")
            await client.append(said + silence(2))
            assert (await client.until("response.done"))["response"]["status"] == "completed"
            echoed = sound(client)
            # The turn includes prefix and final silence; the echo has all of its samples.
            assert len(echoed) > 0.7 * len(said)
            assert echoed in silence(1) + said + silence(2)

    run(scenario(), 40)
