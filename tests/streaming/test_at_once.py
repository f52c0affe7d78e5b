"""Writes without awaiting: together, and in order with the writes of the library."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import ClientConnection

from rt_cli.errors import ConnectionLost
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.settings import EndpointSettings
from rt_cli.streaming.transport.connection import Connection, connect
from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.memory import part_of
from tests.servers import Client, Script, Server, for_ever, scripted
from tests.streaming.harness import MemorySource, Run, settings, stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.exact import Verdict


def with_connection(script: Script, use: Callable[[Connection], Awaitable[None]]) -> Server:
    """Connect to a script and use the connection."""

    async def scenario(url: str) -> None:
        connection = await connect(resolve(EndpointSettings(url=url), url, None), timeout_s=5)
        try:
            await use(connection)
        finally:
            await connection.close()

    with scripted(script) as server:
        run(scenario(server.url))
    return server


def numbered(number: int, size: int = 0) -> bytes:
    """A message with a number."""
    return json.dumps({"type": "test", "number": number, "padding": "x" * size}).encode()


def numbers(server: Server) -> list[int]:
    """The numbers of messages."""
    return [event["number"] for event in server.received]


async def until_last(client: Client) -> None:
    """Read up to the last message."""
    while (await client.next())["number"] != -1:
        pass


def count_writes(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the sizes of all further writes."""
    sizes: list[int] = []
    transport = part_of(connection, ClientConnection).transport
    write = transport.write

    def counting(data: bytes) -> None:
        sizes.append(len(data))
        write(data)

    monkeypatch.setattr(transport, "write", counting)
    return sizes


def test_messages_that_go_together_are_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written when the call returns, the ping after them, too."""

    async def use(connection: Connection) -> None:
        sizes = count_writes(connection, monkeypatch)
        connection.send_at_once([numbered(0)])
        connection.send_at_once([numbered(1), numbered(2), numbered(3)])
        assert len(sizes) == 2
        pong = connection.ping_at_once([numbered(4), numbered(5)])
        assert len(sizes) == 3
        await pong
        connection.send_at_once([numbered(-1)])

    assert numbers(with_connection(until_last, use)) == [0, 1, 2, 3, 4, 5, -1]


@pytest.mark.parametrize("seed", range(20))
def test_order_holds_for_all_ways_of_sending(seed: int) -> None:
    """At once, awaited, with both kinds of pings and loop iterations between."""
    chance = random.Random(seed)

    async def use(connection: Connection) -> None:
        pongs: list[Awaitable[object]] = []
        for number in range(60):
            way = chance.randrange(4)
            message = numbered(number, chance.randrange(3000))
            if way == 0 or not connection.ready:
                await connection.send([message])
            elif way == 1:
                connection.send_at_once([message])
                pongs.append(await connection.ping())
            elif way == 2:
                pongs.append(connection.ping_at_once([message]))
            else:
                connection.send_at_once([message])
            if way == 3:
                await asyncio.sleep(0)
        connection.send_at_once([numbered(-1)])
        for pong in pongs:
            await pong

    assert numbers(with_connection(until_last, use)) == [*range(60), -1]


def test_a_message_goes_before_a_close() -> None:
    """A close in the same loop iteration loses no message."""

    async def use(connection: Connection) -> None:
        connection.send_at_once([numbered(-1)])
        await connection.close()

    assert numbers(with_connection(until_last, use)) == [-1]


def test_a_pong_proves_all_before_its_ping() -> None:
    """The pong comes only after the peer has read the messages before the ping."""

    async def use(connection: Connection) -> None:
        await connection.ping_at_once([numbered(number, 50_000) for number in range(10)])
        connection.send_at_once([numbered(-1)])

    assert len(numbers(with_connection(until_last, use))) == 11


def test_cut_after_a_write() -> None:
    """A cut in the same loop iteration: a waiter for a pong gets an error, and nothing more is written."""

    async def use(connection: Connection) -> None:
        pong = connection.ping_at_once([numbered(0)])
        connection.abort()
        done, _ = await asyncio.wait((asyncio.ensure_future(pong),), timeout=5)
        assert done
        assert not connection.ready
        with pytest.raises(ConnectionLost):
            await connection.send([numbered(2)])

    with_connection(lambda _client: for_ever(), use)


def test_nothing_at_once_while_the_buffer_is_full() -> None:
    """A peer that does not read: writes at once are refused, so that they cannot bypass the window."""

    async def deaf(client: Client) -> None:
        client.connection.transport.pause_reading()
        await client.say("deaf_now")
        await for_ever()

    async def use(connection: Connection) -> None:
        await connection.receive()
        for number in range(1000):
            if not connection.ready:
                break
            connection.send_at_once([numbered(number, 100_000)])
            await asyncio.sleep(0)
        else:
            raise AssertionError("a hundred megabytes went into buffers")

    with_connection(deaf, use)


def test_a_write_that_fails_is_a_lost_connection_not_the_end_of_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent within the capture of a piece fails in the delivery, which connects anew."""
    pcm, spans = turns(4)
    send_at_once, calls = Connection.send_at_once, 0

    def failing(connection: Connection, messages: Sequence[bytes]) -> None:
        nonlocal calls
        calls += 1
        if calls == 20:
            raise ConnectionLost("planted")
        send_at_once(connection, messages)

    monkeypatch.setattr(Connection, "send_at_once", failing)

    async def scenario() -> tuple[Run, Verdict]:
        async with ExactEndpoint().serving() as endpoint:
            result = await stream(endpoint.url, MemorySource(pcm, live=True, speed=4), settings())
        return result, judge([final.text for final in result.finals], spans)

    result, verdict = run(scenario(), seconds=30)
    assert verdict.perfect
    assert result.states == ["ready", "lost", "resumed", "closed"]
    assert result.summary.exit == 0
