"""What refuses a handshake, in any form: HTTP answers that the library cannot read, and headers of strangers."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection
from websockets.datastructures import Headers
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.http11 import Response

from rt_cli.errors import EndpointError, RtError, UnreachableError
from rt_cli.protocol.endpoint.endpoint import Endpoint, resolve
from rt_cli.protocol.sanitize import printable
from rt_cli.settings import EndpointSettings
from rt_cli.streaming.transport.connection import connect
from rt_cli.streaming.transport.map_errors import LONGEST_WAIT_S, from_connect, read_answer, retry_after
from tests.fakes import run
from tests.memory import part_of
from tests.servers import Client, blurting, for_ever, scripted


def endpoint(url: str = "ws://127.0.0.1:1") -> Endpoint:
    """An endpoint at a URL."""
    return resolve(EndpointSettings(url=url), url, None)


def refused(data: bytes, *, timeout_s: float = 5) -> RtError:
    """Connect to a peer that answers with these bytes, and return the error."""

    async def scenario(url: str) -> RtError:
        with pytest.raises(RtError) as caught:
            await connect(endpoint(url), timeout_s=timeout_s)
        return caught.value

    errors = []
    with blurting(data) as server:

        async def keep() -> None:
            errors.append(await scenario(server.url))

        run(keep())
    return errors[0]


LARGE = b"x" * 3_000_000


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 503 Busy\r\nContent-Length: 3000000\r\n\r\n" + LARGE, id="large"),
        pytest.param(b"HTTP/1.1 503 Busy\r\n\r\n" + LARGE, id="large, until the end"),
        pytest.param(
            b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2DC6C0\r\n" + LARGE, id="large, in chunks"
        ),
        pytest.param(b"HTTP/1.1 503 Busy\r\nContent-Length: 50\r\n\r\nno", id="cut"),
        pytest.param(b"HTTP/1.0 503 Busy\r\n\r\nno", id="old version"),
        pytest.param(b"HTTP/1.1 503\r\n\r\nno", id="no reason phrase"),
        pytest.param(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: gzip\r\n\r\nno", id="compressed"),
        pytest.param(b"HTTP/1.1 503 Busy\r\nno header\r\n\r\nno", id="broken header"),
        pytest.param(b"HTTP/1.1 503 Busy\r\n" + b"X-Many: x\r\n" * 500 + b"\r\nno", id="many headers"),
        pytest.param(b"HTTP/1.1 503 Busy\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\nno", id="long header"),
        pytest.param(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nno", id="two lengths"),
        pytest.param(
            b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nRetry-After: x\r\nContent-Length: 0\r\n\r\n", id="two waits"
        ),
    ],
)
def test_503_is_503_in_any_form(answer: bytes) -> None:
    """The status decides, whatever is wrong with the rest."""
    error = refused(answer)
    assert (type(error), error.code) == (UnreachableError, "http_503")
    assert len(str(error)) < 500


def test_status_of_an_answer_without_end() -> None:
    """At the deadline the status is known."""

    async def scenario() -> RtError:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\nthe key")
            await reader.read(-1)
            writer.close()
            await writer.wait_closed()
            closed.set()

        closed = asyncio.Event()
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(RtError) as caught:
                await connect(endpoint(f"ws://127.0.0.1:{port}"), timeout_s=0.3)
            await closed.wait()
            return caught.value

    errors = []

    async def keep() -> None:
        errors.append(await scenario())

    run(keep())
    assert (errors[0].exit_code, errors[0].code) == (4, "http_401")
    assert "the key" in errors[0].message


@pytest.mark.parametrize("value", ["0", "17", "2.5", " 17 "])
def test_seconds(value: str) -> None:
    """A number of seconds, without a sign."""
    assert retry_after(value) == float(value)


@pytest.mark.parametrize(
    "value",
    [
        *("", "-5", "1e400", "nan", "NaN", "inf", "Infinity", "soon", "1_000", "0x10", "\xb2", "5 s", "1,5", "+3"),
        *("Fri, 99 Foo 2026 00:00:00 GMT", "Mon, 01 Jan 99999 00:00:00 GMT", "Mon, 01 Jan 2026 99:99:99 GMT"),
        *("Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 +99999999999"),
    ],
)
def test_garbage_is_no_wait(value: str) -> None:
    """What is no wait is as if the header were not there, or is no wait at all."""
    assert retry_after(value) in {None, 0.0}


def test_dates() -> None:
    """A date in the future is a wait, one in the past is none, one beyond the calendar is bounded."""
    soon = datetime.now(UTC) + timedelta(seconds=90)
    assert retry_after(format_datetime(soon, usegmt=True)) == pytest.approx(90, abs=3)
    assert retry_after(soon.strftime("%a, %d %b %Y %H:%M:%S -0000")) == pytest.approx(90, abs=3)
    assert retry_after("Sun, 06 Nov 1994 08:49:37 GMT") == 0
    assert retry_after("Fri, 31 Dec 9999 23:59:59 GMT") == LONGEST_WAIT_S
    assert retry_after("9" * 400) == LONGEST_WAIT_S


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,12} [A-Z][a-z]{2} \d{1,12} \d+:\d+:\d+ ?([+-]\d*|GMT)?"))
def test_any_wait_is_finite(value: str) -> None:
    """No text raises, and none waits for ever."""
    wait_s = retry_after(value)
    assert wait_s is None or (0 <= wait_s <= LONGEST_WAIT_S and math.isfinite(wait_s))


NAMES = st.sampled_from(["Retry-After", "Location", "Content-Type", "WWW-Authenticate", "X-Any"])
VALUES = st.text(st.characters(max_codepoint=255)) | st.sampled_from(
    ["7", "1e400", "nan", "Mon, 01 Jan 99999 00:00:00 GMT"]
)


@given(st.integers(100, 599), st.lists(st.tuples(NAMES, VALUES), max_size=6), st.binary(max_size=3000))
def test_any_answer_gives_an_error_of_ours(status: int, fields: list[tuple[str, str]], body: bytes) -> None:
    """Repeated headers, strange values, any body: one error with an exit code."""
    headers = Headers()
    for name, value in fields:
        headers.set_insecure(name, value)  # as the library does with what it receives
    error = from_connect(InvalidStatus(Response(status, "x", headers, body)), endpoint(), 1)
    assert error.exit_code in {4, 5, 6}
    assert len(str(error)) < 1000
    assert str(error) == printable(str(error))


LINES = st.lists(st.from_regex(rb"[\w -]{0,9}:?.{0,9}", fullmatch=True) | st.binary(max_size=9), max_size=4)


@given(st.binary(max_size=300) | LINES.map(lambda lines: b"\r\n".join((b"HTTP/1.1 503 x", *lines))))
def test_any_bytes_give_an_error_of_ours(answer: bytes) -> None:
    """Also if they are no HTTP."""
    error = from_connect(InvalidMessage("x"), endpoint(), 1, answer)
    assert error.exit_code in {4, 5, 6}
    read_answer(answer)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://speaches.example/v1/realtime", True),
        ("wss://speaches.example/v1/realtime?model=whisper", False),
        ("wss://api.openai.com", False),
    ],
)
def test_403_names_a_missing_model(url: str, expected: bool) -> None:  # noqa: FBT001 - a parameter
    """Only where the URL has none, and where it may have one."""
    error = from_connect(InvalidStatus(Response(403, "x", Headers(), b"")), endpoint(url), 1)
    assert error.exit_code == 4
    assert ("?model=" in str(error)) is expected


def test_a_message_above_the_limit_is_named() -> None:
    """It is not the network, and another connection would get it again."""

    async def says(client: Client) -> None:
        await client.connection.send("x" * (33 << 20))
        await for_ever()

    async def scenario(url: str) -> None:
        connection = await connect(endpoint(url), timeout_s=5)
        try:
            with pytest.raises(EndpointError, match="32 MiB") as caught:
                await connection.receive()
            assert caught.value.code == "message_too_big"
        finally:
            await connection.close()

    with scripted(says) as server:
        run(scenario(server.url))


def test_a_message_in_endless_pieces_is_named() -> None:
    """Empty fragments have no size, and fill the memory all the same."""

    async def says(client: Client) -> None:
        frames = b"\x01\x01x" + b"\x00\x00" * 200_000
        client.connection.transport.write(frames)
        await for_ever()

    async def scenario(url: str) -> None:
        connection = await connect(endpoint(url), timeout_s=5)
        try:
            with pytest.raises(EndpointError, match="fragments"):
                await connection.receive()
        finally:
            await connection.close()

    with scripted(says) as server:
        run(scenario(server.url))


def test_pongs_that_nobody_reads_do_not_pile_up() -> None:
    """A peer that pings and does not read gets the last pong; the memory stays."""
    pings = 400_000

    async def says(client: Client) -> None:
        client.connection.transport.pause_reading()
        ping = b"\x89\x7d" + b"p" * 125
        for _ in range(pings // 1000):
            client.connection.transport.write(ping * 1000)
            while client.connection.transport.get_write_buffer_size() > 1 << 20:  # noqa: ASYNC110 - nothing notifies
                await asyncio.sleep(0.01)
        await for_ever()

    async def scenario(url: str) -> None:
        connection = await connect(endpoint(url), timeout_s=5)
        websocket = part_of(connection, ClientConnection)
        reading = asyncio.create_task(connection.receive())
        try:
            before, quiet = 0.0, time.monotonic()
            while websocket.inbound_at != before or time.monotonic() - quiet < 0.5:
                if websocket.inbound_at != before:
                    before, quiet = websocket.inbound_at, time.monotonic()
                await asyncio.sleep(0.05)
            assert not websocket.writable
            assert websocket.transport.get_write_buffer_size() < 1 << 20
        finally:
            reading.cancel()
            connection.abort()

    with scripted(says) as server:
        run(scenario(server.url))


def test_a_flood_of_messages_leaves_others_their_turn() -> None:
    """Thousands of messages arrive in one read; a timer still fires every few milliseconds."""

    async def says(client: Client) -> None:
        message = b"\x81\x0e" + b'{"type": "an"}'
        for _ in range(40):
            client.connection.transport.write(message * 5000)
        await client.close(1000)

    async def scenario(url: str) -> None:
        connection = await connect(endpoint(url), timeout_s=5)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        messages = 0
        try:
            while messages < 200_000:
                await connection.receive()
                messages += 1
            assert turns > messages / 40
        finally:
            counting.cancel()
            await connection.close()

    with scripted(says) as server:
        run(scenario(server.url))
