"""Attacks on the endpoint: each gets its answer, and afterwards the server still serves a good client."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rt_cli.server.access.limits import Limits
from rt_cli.server.server import LocalServer, serve
from rt_cli.server.session.session import ServerSession
from tests.fakes import run
from tests.server.client import session, silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "a-token-of-the-tests"
KEY = {"api-key": TOKEN}
OLD_LIBRARY = int(version("websockets").partition(".")[0]) < 17
UPGRADE = (
    b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)


async def good_client(server: LocalServer, **options: Any) -> None:
    """A well-behaved client: a second of audio, and an answer."""
    async with session(server.url, **options) as client:
        await client.append(silence(1))
        assert (await client.answer("input_audio_buffer.clear"))["type"] == "input_audio_buffer.cleared"


@asynccontextmanager
async def attacked(**options: Any) -> AsyncIterator[LocalServer]:
    """A server that must serve a good client at the end of the block."""
    async with serve(**{"recognizer": "none", **options}) as server:
        yield server
        await good_client(server, additional_headers=KEY if options.get("token") else None)


async def raw(server: LocalServer, data: bytes) -> bytes:
    """All answer bytes to some request bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def close_of(client: ClientConnection) -> tuple[int | None, list[dict[str, Any]]]:
    """Close code and reason of a connection, and the events before."""
    said = []
    with suppress(ConnectionClosed):
        while True:
            said.append(json.loads(await client.recv()))
    return client.close_code, said


def test_foreign_origin() -> None:
    """A page of another site gets 403, for a session and for an ephemeral key."""

    async def scenario() -> tuple[int, bytes]:
        async with attacked() as server:
            with pytest.raises(InvalidStatus) as refused:
                await connect(server.url, origin="https://evil.example")  # type: ignore[arg-type]  # an Origin is a str
            post = b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n\r\n"
            return refused.value.response.status_code, await raw(server, post)

    status, posted = run(scenario())
    assert status == 403
    assert posted.startswith(b"HTTP/1.1 403 ")


def test_another_site_under_a_name_that_leads_here() -> None:
    """A host name of an attacker that resolves to this machine is not allowed as origin."""

    async def scenario() -> bytes:
        async with attacked() as server:
            return await raw(
                server, UPGRADE.replace(b"Host: x", b"Host: e.example\r\nOrigin: http://e.example") + b"\r\n"
            )

    assert run(scenario()).startswith(b"HTTP/1.1 403 ")


def test_without_the_token() -> None:
    """Without or with a wrong token the session ends as at OpenAI, HTTP gets 401; no answer has the key."""
    seen: list[dict[str, Any]] = []

    async def scenario() -> list[tuple[int | None, list[dict[str, Any]]]]:
        async with attacked(token=TOKEN, on_event=seen.append) as server:
            ends = []
            for headers in ({}, {"Authorization": "Bearer sk-guessed"}):
                async with connect(server.url, additional_headers=headers) as client:
                    ends.append(await close_of(client))
            assert (await raw(server, b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 401 ")
            return ends

    missing, wrong = run(scenario())
    assert (missing[0], wrong[0]) == (3000, 3000)
    assert [event["error"]["code"] for event in missing[1] + wrong[1]] == [None, "invalid_api_key"]
    assert "guessed" not in json.dumps([missing, wrong, seen])
    refused = [(event["status"], event["code"]) for event in seen if event["type"] == "refused"]
    assert refused == [(3000, "missing_api_key"), (3000, "invalid_api_key"), (401, None)]


def test_a_thousand_connections() -> None:
    """Above the limit of silent connections the oldest are cut, and a good client gets in."""

    async def scenario() -> int:
        limits = Limits(handshakes=20, handshake_s=60)
        async with attacked(limits=limits) as server:
            silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(300)]
            await asyncio.gather(*(reader.read() for reader, _ in silent[:-20]))  # cut: each reads EOF
            alive = [reader for reader, _ in silent if not reader.at_eof()]
            await good_client(server)
            for _, writer in silent:
                writer.close()
            return len(alive)

    assert run(scenario()) == 20


def test_a_hundred_clients_at_once() -> None:
    """A hundred good clients at the same instant are all served."""

    async def scenario() -> None:
        async with serve(recognizer="none", limits=Limits(sessions=100)) as server:
            together = asyncio.Barrier(100)

            async def client() -> None:
                async with session(server.url) as client:
                    await together.wait()
                    await client.barrier()

            await asyncio.gather(*(client() for _ in range(100)))

    run(scenario(), 60)


def test_a_thousand_sessions() -> None:
    """Sessions above the limit get 1013 with the reason; after disconnects new ones are accepted."""

    async def scenario() -> list[tuple[int | None, str]]:
        async with attacked(limits=Limits(sessions=2)) as server, session(server.url), session(server.url):
            extra = [await connect(server.url) for _ in range(100)]
            return [((await close_of(client))[0], client.close_reason or "") for client in extra]

    assert set(run(scenario())) == {(1013, "2 sessions are open")}


def test_slow_loris() -> None:
    """An incomplete request is cut at the deadline, without an answer."""
    beginnings = [
        b"",
        b"GE",
        b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\n",
        b"POST /v1/realtime/client_secrets HTTP/1.1\r\nContent-Length: 99\r\n\r\n{",
    ]

    async def scenario() -> list[bytes]:
        async with attacked(limits=Limits(handshake_s=1)) as server:
            return await asyncio.gather(*(raw(server, beginning) for beginning in beginnings))

    assert set(run(scenario())) == {b""}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", 414, id="endless path"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000 + b"\r\n\r\n", 431, id="endless header"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 431, id="endless headers"),
        pytest.param(b"POST / HTTP/1.1\r\nX: " + b"x" * 20_000, 431, id="endless header of a POST"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n", 413, id="endless body"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="TLS where none is spoken"),
        pytest.param(UPGRADE.replace(b"AAAA", b"!!!!") + b"\r\n", 400, id="no WebSocket key"),
        pytest.param(UPGRADE.replace(b"GET", b"PUT") + b"\r\n", 405, id="another method"),
    ],
)
def test_malformed_requests(request_: bytes, status: int) -> None:
    """A malformed or too large request gets its status only."""

    async def scenario() -> bytes:
        async with attacked() as server:
            return await raw(server, request_)

    answer = run(scenario())
    if status in {414, 431} and OLD_LIBRARY and not answer:  # the old library only closes
        return
    assert answer.startswith(b"HTTP/1.1 %d " % status)


def test_huge_append() -> None:
    """A message of 100 MB is rejected with 1009 as soon as its length is known."""

    async def scenario() -> int | None:
        async with attacked() as server:
            client = await connect(server.url, compression=None)
            sending = asyncio.ensure_future(client.send("x" * 100_000_000))
            await client.wait_closed()
            await asyncio.wait([sending])
            sending.exception()
            return client.close_code

    assert run(scenario()) == 1009


def test_huge_append_in_fragments() -> None:
    """The limit counts the sum of all fragments."""

    async def scenario() -> int | None:
        async with attacked(limits=Limits(message_bytes=1_000_000)) as server:
            client = await connect(server.url, compression=None)
            with suppress(ConnectionClosed):
                await client.send("x" * 10_000 for _ in range(1_000))
            await client.wait_closed()
            return client.close_code

    assert run(scenario()) == 1009


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("[" * 1_000_000, id="deep nesting"),
        pytest.param('{"type":' * 100_000, id="deep objects"),
        pytest.param("9" * 100_000, id="huge number"),
        pytest.param('{"type":"' + "x" * 1_000_000 + '"}', id="huge type"),
        pytest.param(bytes(1_000_000), id="binary"),
        pytest.param('{"type":"input_audio_buffer.append","audio":"' + "!" * 1_000_000 + '"}', id="no base64"),
    ],
)
def test_hostile_messages(message: str | bytes) -> None:
    """Each message gets a short error, and the session continues."""

    async def scenario() -> str:
        async with attacked() as server, session(server.url) as client:
            await client.socket.send(message)
            answer = await client.receive()
            await client.barrier()
            assert answer["type"] == "error"
            return json.dumps(answer)

    assert len(run(scenario())) < 1_000


def test_a_client_that_never_reads() -> None:
    """The server stops reading from the client, keeps little data, and cuts the connection later."""
    seen: list[dict[str, Any]] = []

    async def scenario() -> float:
        async with attacked(limits=Limits(ping_s=0.5), on_event=seen.append) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(UPGRADE + b"\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads, too
            question = b'{"type":"session.update","session":{"type":"realtime"}}'
            frame = bytes([0x81, 0x80 | len(question), 0, 0, 0, 0]) + question
            sent = 0
            with suppress(ConnectionError):
                while True:
                    writer.write(frame * 1_000)
                    await writer.drain()
                    sent += 1_000
            writer.close()
            return sent * len(frame) / 1e6

    assert run(scenario(), 60) < 50  # MB: the buffers of two sockets
    assert seen[-1]["type"] == "session_closed"


def test_a_client_that_is_gone() -> None:
    """A half-open connection, or a client without pongs, is closed with 1011."""

    async def scenario() -> bytes:
        async with attacked(limits=Limits(ping_s=0.3)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(UPGRADE + b"\r\n")
            said = await reader.read()
            writer.close()
            return said

    assert b"\x88" in (said := run(scenario()))
    assert said[said.rindex(b"no answer to pings") - 2 :][:2] == (1011).to_bytes(2, "big")


def test_clients_that_answer_pings_stay() -> None:
    """A silent client whose library answers pings is not closed."""

    async def scenario() -> None:
        async with serve(recognizer="none", limits=Limits(ping_s=0.2)) as server, session(server.url) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await client.receive()
            await client.barrier()

    run(scenario())


def test_clients_that_vanish() -> None:
    """A hundred connections that are cut at every stage leave nothing behind."""

    async def scenario() -> None:
        async with attacked() as server:
            before = asyncio.all_tasks()
            for stage in (b"", UPGRADE[:40], UPGRADE + b"\r\n", UPGRADE + b"\r\n" + b"\x81\xfe\xff"):
                for _ in range(25):
                    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                    writer.write(stage)
                    await writer.drain()
                    writer.transport.abort()
            await good_client(server)  # all earlier connections have been accepted, too
            await asyncio.wait(asyncio.all_tasks() - before)

    run(scenario())


def test_audio_without_end() -> None:
    """15 minutes of uncommitted audio are kept; more is rejected, and clear makes space."""
    ten_minutes = base64.b64encode(silence(600, 8_000)).decode()

    async def scenario() -> str:
        async with attacked() as server, session(server.url) as client:
            await client.configure(turn_detection=None, format={"type": "audio/pcm", "rate": 8_000})
            await client.send("input_audio_buffer.append", audio=ten_minutes)
            refused = await client.answer("input_audio_buffer.append", audio=ten_minutes)
            assert (await client.answer("input_audio_buffer.clear"))["type"] == "input_audio_buffer.cleared"
            return str(refused["error"]["code"])

    assert run(scenario(), 60) == "input_audio_buffer_full"


def test_a_session_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug ends only its session, with 1011, and is reported."""
    seen: list[dict[str, Any]] = []

    async def broken(_session: ServerSession, _messages: object) -> None:
        raise ZeroDivisionError("planted")

    async def scenario() -> int | None:
        async with attacked(on_event=seen.append) as server:
            with monkeypatch.context() as patch:
                patch.setattr(ServerSession, "run", broken)
                client = await connect(server.url)
                return (await close_of(client))[0]

    assert run(scenario()) == 1011
    assert [event["message"] for event in seen if event["type"] == "warning"] == [
        "a session failed, which is a bug: ZeroDivisionError('planted')"
    ]
