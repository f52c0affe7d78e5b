"""Faults of the real endpoint, observed by a real client."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rt_cli.server.faults.grammar import parse
from rt_cli.server.server import serve
from tests.fakes import run
from tests.server.client import COMMITTED, COMPLETED, FAILED, TRANSCRIBE, Client, noise, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

SECOND = noise(1)
QUERY = "?intent=transcription"


@dataclass
class Broken:
    """An endpoint with faults."""

    url: str
    events: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def on_event(self, note: dict[str, Any]) -> None:
        """Callback of the server."""
        self.events.append(note)
        self.news.set()

    async def wait_for_event(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Wait for a log event."""
        while not any(map(wanted, self.events)):
            self.news.clear()
            await self.news.wait()

    @property
    def faults(self) -> list[str]:
        """The reported faults with their events."""
        return [
            " ".join(filter(None, (one["fault"], one.get("event")))) for one in self.events if one["type"] == "fault"
        ]


@asynccontextmanager
async def broken(*specs: str) -> AsyncIterator[Broken]:
    """An endpoint with these faults."""
    watched = Broken("")
    async with serve(recognizer="none", faults=parse(specs), on_event=watched.on_event) as server:
        watched.url = server.url
        yield watched


@asynccontextmanager
async def client(*specs: str) -> AsyncIterator[tuple[Client, Broken]]:
    """A client with transcription and without turn detection."""
    async with broken(*specs) as server, session(server.url) as connected:
        await connected.configure(transcription=TRANSCRIBE, turn_detection=None)
        yield connected, server


async def take_turns(connected: Client, count: int) -> None:
    """Commit this number of turns, each after half a second of audio, without waiting."""
    for _ in range(count):
        await connected.append(SECOND[:24_000])
        await connected.send("input_audio_buffer.commit")


async def one_by_one(connected: Client, count: int) -> None:
    """Like take_turns, but wait for each commit before the next turn."""
    for _ in range(count):
        await take_turns(connected, 1)
        await connected.barrier()


async def ended(socket_: Any) -> ConnectionClosed:
    """Close code and reason, after any number of events."""
    try:
        while True:
            await socket_.recv()
    except ConnectionClosed as closed:
        return closed


async def raw(url: str) -> list[str]:
    """All frames of a session in which the client sends nothing, and the close."""
    frames = []
    async with connect(url + QUERY, compression=None) as socket_:
        try:
            while True:
                frame = await socket_.recv()
                frames.append(str(json.loads(frame)["type"]))
        except ConnectionClosed as closed:
            return [*frames, f"{int(closed.rcvd.code)} {closed.rcvd.reason}" if closed.rcvd else "cut"]


def test_handshakes_are_refused() -> None:
    """The given number of handshakes is refused with JSON and Retry-After; the health check still works."""

    async def scenario() -> None:
        async with broken("status=429/1500msx1", "status=503#2") as server:
            for status, wait in ((429, "2"), (503, None)):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(server.url)
                response = refused.value.response
                assert (response.status_code, response.headers.get("Retry-After")) == (status, wait)
                assert json.loads(response.body or b"")["error"]["message"]
            async with session(server.url):
                assert server.faults == ["status=429/1500msx1", "status=503#2"]

    run(scenario())


def test_delayed_handshake() -> None:
    """The session works after a delayed handshake."""

    async def scenario() -> None:
        async with broken("handshake=300msx1") as server:
            began = time.monotonic()
            async with session(server.url):
                assert time.monotonic() - began >= 0.3

    run(scenario())


@pytest.mark.parametrize(
    ("spec", "frames"),
    [
        ("close=4001:no such model", ["4001 no such model"]),
        ("close=1012@300ms", ["session.created", "1012 "]),
        ("quota", ["error", "1008 insufficient_quota"]),
        ("quota@300ms", ["session.created", "error", "1008 insufficient_quota"]),
        ("expire=300ms", ["session.created", "error", "1001 session expired"]),
    ],
)
def test_closes(spec: str, frames: list[str]) -> None:
    """The close comes at once or later, after the expected events."""

    async def scenario() -> None:
        async with broken(spec) as server:
            assert await raw(server.url) == frames
            assert server.faults == [spec]

    run(scenario())


def test_faults_at_once_keep_their_order() -> None:
    """Faults without a moment happen before the session's first event, in the given order."""

    async def scenario() -> None:
        async with broken("error=one", "garbage=unknown", "error=two", "close=1011") as server:
            assert await raw(server.url) == ["error", "garbage.unknown", "error", "1011 "]

    run(scenario())


def test_an_announced_expiry() -> None:
    """expires_at has the shortened time from the start."""

    async def scenario() -> None:
        async with broken("expire=100s#1") as server:
            for least, most in ((0, 101), (3000, 3601)):
                async with session(server.url) as connected:
                    assert least < connected.seen[0]["session"]["expires_at"] - time.time() < most

    run(scenario())


def shake_hands(url: str) -> socket.socket:
    """A WebSocket handshake without a library; blocking."""
    parts = urlsplit(url)
    peer = socket.create_connection((parts.hostname, parts.port), timeout=10)
    lines = (
        f"GET {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
    )
    peer.sendall("\r\n".join([*lines, "", ""]).encode())
    return peer


def read_all(url: str) -> bytes:
    """All bytes until the end of the connection; raises after a reset."""
    data = b""
    with shake_hands(url) as peer:
        while piece := peer.recv(4096):
            data += piece
    return data


@pytest.mark.parametrize("when", ["", "@300ms"])
def test_cut(when: str) -> None:
    """``rst`` resets, ``fin`` ends in order; neither sends a close frame."""

    async def scenario() -> None:
        async with broken(f"drop=fin{when}") as server:
            data = await asyncio.to_thread(read_all, server.url)
            assert data.startswith(b"HTTP/1.1 101")
            assert (b"session.created" in data) == bool(when)
            assert not data[-40:].count(b"\x88")  # the opcode of a close frame
        async with broken(f"drop{when}") as server:
            with pytest.raises(ConnectionResetError):
                await asyncio.to_thread(read_all, server.url)

    run(scenario())


@pytest.mark.parametrize(
    ("spec", "committed"), [("drop@turn2", 2), ("drop@audio1200ms", 2), ("drop@audio400ms..500ms", 0)]
)
def test_moments_of_a_session(spec: str, committed: int) -> None:
    """Faults happen after a number of turns, or after an amount of audio."""

    async def scenario() -> None:
        async with client(spec) as (connected, server):
            with pytest.raises(ConnectionClosed) as closed:
                await one_by_one(connected, 4)
            assert closed.value.rcvd is None
            assert len(connected.of(COMMITTED)) == committed
            assert server.faults == [spec]
            note = next(note for note in server.events if note["type"] == "fault")
            assert (note["connection"], note["session"]) == (1, connected.seen[0]["session"]["id"])

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "code"),
    [("utf8", 1007), ("frame", 1002), ("huge", 1009), ("json", None), ("deep", None), ("binary", None)],
)
def test_garbage(kind: str, code: int | None) -> None:
    """Some kinds end the connection in the library; after the others the session continues."""

    async def scenario() -> None:
        async with broken(f"garbage={kind}") as server, connect(server.url + QUERY, compression=None) as socket_:
            if code is not None:
                closed = await ended(socket_)
                assert closed.sent is not None
                assert closed.sent.code == code
                return
            garbage = await socket_.recv()
            assert isinstance(garbage, bytes) == (kind == "binary")
            assert json.loads(await socket_.recv())["type"] == "session.created"

    run(scenario())


def test_error_event() -> None:
    """The session continues after the error."""

    async def scenario() -> None:
        async with client("error=rate_limit_exceeded@turn1") as (connected, _):
            await take_turns(connected, 1)
            assert (await connected.until("error"))["error"]["code"] == "rate_limit_exceeded"
            assert await connected.barrier() is not None

    run(scenario())


@pytest.mark.parametrize(
    ("specs", "events", "faults"),
    [
        pytest.param([f"omit={COMMITTED}%2"], {COMMITTED: [1, 3], COMPLETED: [1, 2, 3, 4]}, 2, id="omit"),
        pytest.param(["dup=completedx1"], {COMPLETED: [1, 1, 2, 3, 4]}, 1, id="dup"),
        pytest.param(["reorder=completed"], {COMPLETED: [2, 1, 4, 3]}, 2, id="reorder"),
        pytest.param(["failed%2"], {COMPLETED: [1, 3], FAILED: [2, 4]}, 2, id="failed"),
        pytest.param(["delay=50ms..100ms"], {COMMITTED: [1, 2, 3, 4], COMPLETED: [1, 2, 3, 4]}, 1, id="delay"),
        pytest.param([f"omit={COMMITTED}@turn2"], {COMMITTED: [1, 2], COMPLETED: [1, 2, 3, 4]}, 2, id="from a turn on"),
        pytest.param([f"omit={COMMITTED}#2", "failed~.000001"], {COMPLETED: [1, 2, 3, 4]}, 0, id="not here"),
    ],
)
def test_events(specs: list[str], events: dict[str, list[int]], faults: int) -> None:
    """Omitted, doubled, swapped, replaced or delayed events: the numbers of the turns in order of arrival."""

    async def scenario() -> None:
        async with client(*specs) as (connected, server):
            await one_by_one(connected, 4)
            while len(connected.of(COMPLETED, FAILED)) < 4 + ("dup" in specs[0]):
                await connected.receive()
            added = connected.of("conversation.item.added")
            turns = [event["item"]["id"] for event in added]
            for type_, numbers in events.items():
                assert [turns.index(event["item_id"]) + 1 for event in connected.of(type_)] == numbers
            assert len(server.faults) == faults

    run(scenario())


def test_corrupt() -> None:
    """An event of the type is invalid JSON; other events are valid."""

    async def scenario() -> None:
        async with client("corrupt=committed") as (connected, server):
            await take_turns(connected, 1)
            frame = str(await connected.socket.recv())
            with pytest.raises(json.JSONDecodeError):
                json.loads(frame)
            await connected.barrier()
            assert server.faults == [f"corrupt={COMMITTED} {COMMITTED}"]

    run(scenario())


def test_delayed_session_created() -> None:
    """session.created comes late."""

    async def scenario() -> None:
        async with broken("delay=session.created:400ms") as server:
            began = time.monotonic()
            async with session(server.url):
                assert time.monotonic() - began >= 0.4

    run(scenario())


def test_omitted_session_created() -> None:
    """Without session.created all else works."""

    async def scenario() -> None:
        async with broken("omit=session.created") as server, connect(server.url + QUERY) as socket_:
            connected = Client(socket_)
            assert await connected.barrier() == []

    run(scenario())


def test_a_rejected_update() -> None:
    """A rejected update has no effect and gets an error with its id; the next update works."""

    async def scenario() -> None:
        async with broken("reject=session.update:server_errorx1") as server, session(server.url) as connected:
            update = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
            rejected = await connected.answer("session.update", session=update, event_id="mine")
            assert (rejected["error"]["code"], rejected["error"]["event_id"]) == ("server_error", "mine")
            updated = await connected.answer("session.update", session=update)
            assert updated["session"]["audio"]["input"]["turn_detection"] is None

    run(scenario())


async def answered(socket_: Any) -> bool:
    """True if a ping is answered before the answer to an event."""
    pong = await socket_.ping()
    await Client(socket_).barrier()
    return bool(pong.done())


def test_mute() -> None:
    """Pings get no answer, events do; later pings get answers again."""

    async def scenario() -> None:
        async with broken("mute#1", "mute/300ms#2") as server:
            async with session(server.url) as connected:
                assert not await answered(connected.socket)
            async with session(server.url) as connected:
                while not await answered(connected.socket):
                    pass
            async with session(server.url) as connected:
                assert await answered(connected.socket)

    run(scenario())


def test_a_stall_that_ends() -> None:
    """During the stall nothing is sent or read, then all continues where it stopped."""

    async def scenario() -> None:
        async with client("stall@turn1/800ms") as (connected, server):
            await take_turns(connected, 1)
            await connected.until(COMMITTED)
            began = time.monotonic()
            pong = await connected.socket.ping()
            for _ in range(80):  # 5 MB, more than any buffer on the way
                await connected.append(SECOND)
            await pong
            assert time.monotonic() - began >= 0.7
            await connected.send("input_audio_buffer.commit")
            await connected.until(COMPLETED)
            await connected.until(COMMITTED)
            assert server.faults == ["stall@turn1/800ms"]

    run(scenario())


def test_stall_before_session_created() -> None:
    """A stall without a moment comes before the first event."""

    async def scenario() -> None:
        async with broken("stall/300ms") as server:
            began = time.monotonic()
            async with session(server.url):
                assert time.monotonic() - began >= 0.3

    run(scenario())


@pytest.mark.skipif(not hasattr(__import__("select"), "POLLRDHUP"), reason="only Linux shows who has left unread")
def test_endless_stall_ends_at_disconnect() -> None:
    """A disconnected client frees its stalled connection."""

    async def scenario() -> None:
        async with broken("stall") as server:
            async with connect(server.url + QUERY, close_timeout=0.1):
                pass
            await server.wait_for_event(lambda note: note["type"] == "session_closed")

    run(scenario())


def test_a_stalled_server_ends() -> None:
    """The server ends within a second despite a stall, long delays or mute."""

    async def scenario() -> None:
        async with (
            kept() as sockets,
            broken("stall@100ms", "delay=5m", "mute", "reorder=committed", "close=1001@5m") as server,
        ):
            sockets.append(await connect(server.url + QUERY, close_timeout=0.1))
            await server.wait_for_event(lambda note: note.get("fault") == "stall@100ms")

    run(scenario(), seconds=10)


@asynccontextmanager
async def kept() -> AsyncIterator[list[Any]]:
    """Connections that are closed after their server."""
    sockets: list[Any] = []
    yield sockets
    for each in sockets:
        await each.close()


def test_slow_reading() -> None:
    """Half a megabyte at one megabyte per second takes half a second."""

    async def scenario() -> None:
        async with client("slow=1000kB") as (connected, _):
            began = time.monotonic()
            for _ in range(8):
                await connected.append(SECOND)
            await connected.barrier()
            assert time.monotonic() - began >= 0.5

    run(scenario())


def test_delayed_events_are_limited() -> None:
    """Thousands of delayed events do not fill the memory: the server stops reading."""

    async def scenario() -> None:
        async with broken("delay=500ms") as server, connect(server.url + QUERY, compression=None) as socket_:
            connected = Client(socket_)
            began = time.monotonic()
            for number in range(600):
                await connected.send("no.such.event", event_id=str(number))
            for number in range(-1, 600):
                event = await connected.receive()
                if number >= 0:
                    assert event["error"]["event_id"] == str(number)
            # 256 events wait at once, each for half a second.
            assert time.monotonic() - began >= 1

    run(scenario())


def openai_client(url: str) -> AsyncOpenAI:
    """OpenAI's own library, without its retries."""
    base = url.removesuffix("/realtime")
    return AsyncOpenAI(api_key="none", base_url=base.replace("ws://", "http://"), websocket_base_url=base)


async def seen_by_openai(*specs: str) -> list[str]:
    """The event types and the end of a turn as the official client sees them."""
    seen: list[str] = []
    async with broken(*specs) as server, openai_client(server.url) as openai:
        try:
            async with openai.realtime.connect(extra_query={"intent": "transcription"}) as connection:
                audio_input: Any = {"transcription": TRANSCRIBE, "turn_detection": None}
                await connection.session.update(session={"type": "transcription", "audio": {"input": audio_input}})
                await connection.input_audio_buffer.append(audio="AAAA" * 3200)
                await connection.input_audio_buffer.commit()
                async for event in connection:
                    seen.append(event.type.rpartition(".")[2])
                    if event.type in {COMPLETED, FAILED}:
                        return seen
        except InvalidStatus as refused:
            seen.append(str(refused.response.status_code))
        except ConnectionClosed as closed:
            seen.append(str(closed.rcvd and closed.rcvd.code))
    return seen


@pytest.mark.parametrize(
    ("specs", "seen"),
    [
        ([], ["created", "updated", "committed", "added", "done", "completed"]),
        (["failed"], ["created", "updated", "committed", "added", "done", "failed"]),
        (["dup=committed"], ["created", "updated", "committed", "committed", "added", "done", "completed"]),
        (["close=4001@turn1"], ["created", "updated", "committed", "4001"]),
        (["drop@turn1"], ["created", "updated", "committed", "None"]),
        (["status=401"], ["401"]),
    ],
)
def test_the_official_client(specs: list[str], seen: list[str]) -> None:
    """The official client sees the effect of each fault."""
    assert run(seen_by_openai(*specs)) == seen
