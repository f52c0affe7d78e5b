"""Recorded sessions replayed to real clients: order, end, and reported differences."""

from __future__ import annotations

import json
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rt_cli.errors import UsageError
from rt_cli.protocol.recording_format import Entry
from rt_cli.server.replay.script import Script, scripts_of
from rt_cli.server.replay.server import ReplayServer, replaying
from tests.fakes import run
from tests.server.replay.test_script import append, client_event, entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.server.replay.test_script import Line

CALL: tuple[Line, ...] = (
    (10, "in", "created"),
    (20, "out", "update"),
    (30, "in", "updated"),
    (40, "out", "append 1000"),
    (50, "in", "heard"),
    (60, "out", "close 1000"),
)


def scripts(*connections: tuple[Line, ...]) -> list[Script]:
    """The scripts of a recording."""
    entries = [Entry("recording")]
    for number, lines in enumerate(connections, 1):
        entries += [Entry("open", number, 0.0), *(entry(*line, number) for line in lines)]
    return scripts_of(entries)[0]


@asynccontextmanager
async def playing(
    parts: list[Script], *, patience_s: float = 10, speed: float = math.inf
) -> AsyncIterator[tuple[ReplayServer, list[str]]]:
    """A replay server and its reported differences."""
    told: list[str] = []

    def on_event(number: int, message: str) -> None:
        told.append(f"{number}: {message}")

    async with replaying(parts, on_event=on_event, patience_s=patience_s, speed=speed) as stage:
        yield stage, told
    assert stage.differences == len(told)


async def next_type(socket: ClientConnection) -> str:
    """The type of the next event."""
    return str(json.loads(await socket.recv())["type"])


async def call(url: str) -> None:
    """Execute the client's side of :data:`CALL`."""
    async with connect(url) as socket:
        assert await next_type(socket) == "created"
        await socket.send(client_event("update"))
        assert await next_type(socket) == "updated"
        for _ in range(4):
            await socket.send(append(250))
        assert await next_type(socket) == "heard"


def test_connection_after_connection() -> None:
    """Connections are replayed in order; after the last one ``over`` is set, without differences."""

    async def scenario() -> None:
        async with playing(scripts(CALL, CALL)) as (stage, told):
            await call(stage.url)
            assert not stage.over.is_set()
            await call(stage.url)
            await stage.over.wait()
            assert (stage.played, told) == (2, [])
            async with connect(stage.url) as socket:
                with pytest.raises(ConnectionClosed, match="1013"):
                    await socket.recv()
            assert told == ["3: the recording has 2 connections"]

    run(scenario())


def test_unexpected_event_is_reported() -> None:
    """The client gets an error with its event id, the user a message; the expected event is still required."""

    async def scenario() -> None:
        async with playing(scripts(CALL)) as (stage, told):
            async with connect(stage.url) as socket:
                assert await next_type(socket) == "created"
                await socket.send(client_event("response.create"))
                event: dict[str, Any] = json.loads(await socket.recv())
                assert event["type"] == "error"
                assert event["error"]["code"] == "not_in_the_recording"
                assert event["error"]["event_id"] == "mine"
                await socket.send(client_event("update"))
                assert await next_type(socket) == "updated"
            await stage.over.wait()
            assert told == [
                "1: the recording has update here, not response.create",
                "1: the client left; missing: 1000 of 1000 bytes of sound",
            ]

    run(scenario())


def test_patience() -> None:
    """A missing event is reported after patience_s, and the replay continues to its end."""

    async def scenario() -> None:
        async with playing(scripts(CALL), patience_s=0.05) as (stage, told):
            async with connect(stage.url) as socket:
                assert [await next_type(socket) for _ in range(3)] == ["created", "updated", "heard"]
                with pytest.raises(ConnectionClosed, match="the recording ends here"):
                    await socket.recv()
            await stage.over.wait()
            assert told == [
                "1: missing: update; went on after 0.05 s without a word",
                "1: missing: 1000 of 1000 bytes of sound; went on after 0.05 s without a word",
            ]

    run(scenario())


@pytest.mark.parametrize(("code", "seen"), [(4001, "4001.*why"), (1005, "1000"), (1006, "no close frame")])
def test_close_of_the_endpoint(code: int, seen: str) -> None:
    """The recorded code and reason, or a lost connection."""

    async def scenario() -> None:
        async with playing(scripts(((0, "in", "created"), (10, "in", f"close {code}")))) as (stage, told):
            async with connect(stage.url) as socket:
                assert await next_type(socket) == "created"
                with pytest.raises(ConnectionClosed, match=seen):
                    await socket.recv()
            await stage.over.wait()
            assert told == []

    run(scenario())


def test_a_refusal() -> None:
    """The recorded HTTP status, then the recorded connection."""
    parts, _ = scripts_of([Entry("failed", 1, 0.0, "", {"status": 529}), Entry("open", 2, 0.0)])

    async def scenario() -> None:
        async with playing(parts) as (stage, told):
            with pytest.raises(InvalidStatus) as caught:
                await connect(stage.url)
            assert caught.value.response.status_code == 529
            async with connect(stage.url):
                pass
            await stage.over.wait()
            assert told == []

    run(scenario())


def test_invalid_messages_are_replayed() -> None:
    """Text that is not JSON, and bytes, are replayed unchanged."""
    lines = [
        Entry("open", 1, 0.0),
        Entry("event", 1, 1.0, "in", {"text": "no JSON \u00fc"}),
        Entry("event", 1, 1.0, "in", {"base64": "AAE="}),
        Entry("event", 1, 1.0, "in", {"event": {"type": "x", "item": {"audio": {"bytes": 3}}}}),
    ]

    async def scenario() -> None:
        async with playing(scripts_of(lines)[0]) as (stage, _), connect(stage.url) as socket:
            assert await socket.recv() == "no JSON \u00fc"
            assert await socket.recv() == b"\0\1"
            assert json.loads(await socket.recv()) == {"type": "x", "item": {"audio": "AAAA"}}

    run(scenario())


def test_the_pace_is_kept() -> None:
    """An answer keeps its recorded delay."""
    slow: tuple[Line, ...] = ((0, "out", "ask"), (300, "in", "answer"))

    async def scenario() -> float:
        async with playing(scripts(slow), speed=1) as (stage, _), connect(stage.url) as socket:
            await socket.send(client_event("ask"))
            async with _timed() as took:
                assert await next_type(socket) == "answer"
        return took[0]

    assert run(scenario()) > 0.25


@asynccontextmanager
async def _timed() -> AsyncIterator[list[float]]:
    import asyncio

    took: list[float] = []
    began = asyncio.get_running_loop().time()
    yield took
    took.append(asyncio.get_running_loop().time() - began)


def test_port_in_use() -> None:
    """A used port is a usage error."""

    async def scenario() -> None:
        async with playing(scripts(CALL)) as (stage, _):
            port = int(stage.url.split(":")[2].split("/")[0])
            with pytest.raises(UsageError, match=f"port {port} is taken"):
                async with replaying([], on_event=lambda *_: None, port=port):
                    pass

    run(scenario())
