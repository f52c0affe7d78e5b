"""The connection against real servers: no object and no error of the WebSocket library leaves it."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from websockets import exceptions
from websockets.datastructures import Headers
from websockets.frames import Close
from websockets.http11 import Response

from rt_cli.errors import (
    ConnectionLost,
    EndpointError,
    RefusedError,
    RtError,
    UnreachableError,
    UsageError,
)
from rt_cli.protocol.endpoint.endpoint import Endpoint, resolve
from rt_cli.protocol.server_events import ErrorInfo
from rt_cli.settings import EndpointSettings
from rt_cli.streaming.transport.connection import Connection, connect
from rt_cli.streaming.transport.map_errors import from_connect
from tests.fakes import run
from tests.servers import (
    CERTIFICATE,
    Client,
    Script,
    Server,
    answering,
    for_ever,
    never_creates,
    nobody,
    scripted,
    silent,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

KEY = "secret-of-no-known-shape"
LARGE = b'"' + b"x" * 20_000_000 + b'"'
"""More than all buffers between here and there hold."""


def endpoint(url: str, key: str | None = None) -> Endpoint:
    """An endpoint at a URL."""
    return resolve(EndpointSettings(url=url), url, key)


def with_connection(script: Script, use: Callable[[Connection], Awaitable[None]], *, key: str | None = None) -> Server:
    """Connect to a script and use the connection."""

    async def scenario(url: str) -> None:
        connection = await connect(endpoint(url, key), timeout_s=5)
        try:
            await use(connection)
        finally:
            await connection.close()

    with scripted(script) as server:
        run(scenario(server.url))
    return server


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1000, ConnectionLost),
        (1001, ConnectionLost),
        (1002, EndpointError),
        (1003, EndpointError),
        (1007, EndpointError),
        (1008, RefusedError),
        (1009, EndpointError),
        (1011, ConnectionLost),
        (1012, ConnectionLost),
        (1013, ConnectionLost),
        (3000, RefusedError),
        (4000, EndpointError),
        (4999, EndpointError),
    ],
)
def test_close_code_of_the_peer(code: int, kind: type[RtError]) -> None:
    """The error for each close code, with the reason of the peer."""

    async def closes(client: Client) -> None:
        await client.close(code, "as it likes")

    async def use(connection: Connection) -> None:
        with pytest.raises(RtError) as caught:
            await connection.receive()
        assert type(caught.value) is kind
        assert str(code) in caught.value.message
        assert "as it likes" in caught.value.message

    with_connection(closes, use)


@pytest.mark.parametrize("how", ["reset", "no close frame"])
def test_connection_is_cut(how: str) -> None:
    """No close of the peer: a lost connection, worth a retry."""

    async def cuts(client: Client) -> None:
        if how == "reset":
            client.cut()
        else:
            client.connection.transport.close()
        await for_ever()

    async def use(connection: Connection) -> None:
        with pytest.raises(ConnectionLost) as caught:
            await connection.receive()
        assert not caught.value.final
        with pytest.raises(ConnectionLost):
            await connection.send([b'{"type":"x"}'])
        with pytest.raises(ConnectionLost):
            await connection.ping()

    with_connection(cuts, use)


def test_last_error_says_more_than_a_close() -> None:
    """An ``error`` event before the close is the cause."""

    async def closes(client: Client) -> None:
        await client.close(1000)

    async def use(connection: Connection) -> None:
        with pytest.raises(RefusedError, match="no such key"):
            await connection.receive(ErrorInfo(code="invalid_api_key", message="no such key"))

    with_connection(closes, use)


def test_a_close_of_this_side_is_a_lost_connection() -> None:
    """A reader during the close gets ConnectionLost, not a refusal of the peer."""

    async def use(connection: Connection) -> None:
        reading = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        await connection.close()
        with pytest.raises(ConnectionLost):
            await reading

    with_connection(never_creates, use)


def test_secrets_that_the_peer_repeats() -> None:
    """Neither a message nor a close reason contains the key."""

    async def repeats(client: Client) -> None:
        await client.say("odd", key=KEY)
        await client.close(4000, f"got {KEY}")

    async def use(connection: Connection) -> None:
        assert KEY not in await connection.receive()
        with pytest.raises(EndpointError) as caught:
            await connection.receive()
        assert KEY not in str(caught.value)

    server = with_connection(repeats, use, key=KEY)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_short_key_is_not_searched_for() -> None:
    """A key of a few letters could be part of any word."""

    async def says(client: Client) -> None:
        await client.say("a", text="abc")
        await for_ever()

    async def use(connection: Connection) -> None:
        assert "abc" in await connection.receive()

    with_connection(says, use, key="a")


def test_handshake_headers() -> None:
    """User agent, no compression; no key header without a key, no Origin."""

    async def use(_connection: Connection) -> None:
        pass

    (headers,) = with_connection(never_creates, use).headers
    assert headers["user-agent"].startswith("rt/")
    assert not {"authorization", "origin", "sec-websocket-extensions", "openai-beta"} & set(headers)


def test_inbound_byte_is_noted() -> None:
    """Any byte counts, also of a pong."""

    async def use(connection: Connection) -> None:
        before = connection.inbound_at
        pong = await connection.ping()
        await pong
        assert before < connection.inbound_at <= time.monotonic()

    with_connection(never_creates, use)


def test_pong_fails_if_the_peer_closes() -> None:
    """A waiter for a pong gets an error."""
    pinged = threading.Event()

    async def goes(client: Client) -> None:
        client.connection.transport.pause_reading()
        await client.say("deaf_now")
        await asyncio.to_thread(pinged.wait, 10)
        client.cut()

    async def use(connection: Connection) -> None:
        await connection.receive()
        pong = await connection.ping()
        pinged.set()
        with pytest.raises(exceptions.ConnectionClosed):
            await pong

    with_connection(goes, use)


def test_a_round_trip_fails_if_the_peer_closes() -> None:
    """With an error of ours."""

    async def goes(client: Client) -> None:
        client.connection.transport.pause_reading()
        await client.say("deaf_now")
        client.cut()

    async def use(connection: Connection) -> None:
        await connection.receive()
        with pytest.raises(ConnectionLost):
            await connection.round_trip()

    with_connection(goes, use)


def test_close_does_not_wait_for_a_peer_that_reads_nothing() -> None:
    """With a full write buffer a close frame is never sent: after a second the connection is cut."""

    async def deaf(client: Client) -> None:
        client.connection.transport.pause_reading()
        await client.say("deaf_now")
        await for_ever()

    async def use(connection: Connection) -> None:
        await connection.receive()
        writing = asyncio.create_task(connection.send([LARGE]))
        await asyncio.sleep(0)
        began = time.monotonic()
        await connection.close()
        assert 0.9 < time.monotonic() - began < 2
        await writing
        with pytest.raises(ConnectionLost):
            await connection.send([b"{}"])

    with_connection(deaf, use)


def test_close_while_a_write_is_flushed() -> None:
    """Cutting a connection that has just ended is no error, whatever its buffer holds."""

    async def use(connection: Connection) -> None:
        writing = asyncio.create_task(connection.send([LARGE]))
        await asyncio.sleep(0)
        await connection.close()
        connection.abort()
        await asyncio.wait((writing,))
        writing.exception()

    # The server finds the message too large, and ends the connection while the rest is still on its way.
    with_connection(never_creates, use)


def test_large_messages_pass() -> None:
    """More than the default of the library, one MiB."""

    async def says(client: Client) -> None:
        await client.say("large", text="x" * 3_000_000)
        await for_ever()

    async def use(connection: Connection) -> None:
        assert len(await connection.receive()) > 3_000_000

    with_connection(says, use)


@pytest.mark.parametrize(
    ("peer", "kind", "code"),
    [
        pytest.param(nobody, UnreachableError, "connection_refused", id="nobody"),
        pytest.param(silent, UnreachableError, "timeout", id="silence"),
        pytest.param(lambda: answering(401), RefusedError, "http_401", id="401"),
        pytest.param(lambda: answering(404), EndpointError, "http_404", id="404"),
        pytest.param(lambda: scripted(never_creates, secure=True), UnreachableError, "tls_certificate", id="TLS"),
    ],
)
def test_failed_opening(peer: Any, kind: type[RtError], code: str) -> None:
    """Each failure has its class and its code, and leaves nothing open."""

    async def scenario(url: str) -> None:
        with pytest.raises(kind) as caught:
            await connect(endpoint(url), timeout_s=0.5)
        assert caught.value.code == code

    with peer() as server:
        run(scenario(server.url))


def test_retry_after_is_read() -> None:
    """The seconds of the header."""

    async def scenario(url: str) -> None:
        with pytest.raises(UnreachableError) as caught:
            await connect(endpoint(url), timeout_s=5)
        assert caught.value.retry_after_s == 17

    with answering(503, Retry_After="17") as server:
        run(scenario(server.url))


def test_private_authority() -> None:
    """With ``--cacert`` a private endpoint is trusted."""

    async def scenario(url: str) -> None:
        connection = await connect(resolve(EndpointSettings(url=url, cacert=str(CERTIFICATE)), url, None), timeout_s=5)
        await connection.close()

    with scripted(never_creates, secure=True) as server:
        run(scenario(server.url))
    assert server.clients == 1


def test_cancelled_opening_leaves_nothing() -> None:
    """A cancelled connect leaves no socket open; ResourceWarnings are errors here."""

    async def scenario(url: str) -> None:
        opening = asyncio.create_task(connect(endpoint(url), timeout_s=60))
        await asyncio.sleep(0.05)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    with silent() as server:
        run(scenario(server.url))


def _library_errors() -> Iterator[type[Exception]]:
    """Every exception class of the library, without its deprecated names."""
    # Not inspect.getmembers: it would ask for the deprecated names, too.
    for found in vars(exceptions).values():
        if isinstance(found, type) and issubclass(found, Exception):
            yield found


def _example(kind: type[Exception]) -> Exception:
    """An instance of an exception; most take a text, some have more arguments."""
    response = Response(418, "I'm a teapot", Headers(), b"short and stout")
    special: dict[str, tuple[Any, ...]] = {
        "ConnectionClosed": (Close(1000, ""), None),
        "ConnectionClosedOK": (Close(1000, ""), Close(1000, ""), True),
        "ConnectionClosedError": (None, None),
        "InvalidURI": ("ws://", "no host"),
        "InvalidProxy": ("ftp://", "scheme"),
        "InvalidStatus": (response,),
        "InvalidProxyStatus": (response,),
        "InvalidHeader": ("Upgrade", "x"),
        "InvalidHeaderFormat": ("Upgrade", "x", "y", 1),
        "InvalidHeaderValue": ("Upgrade", "x"),
        "InvalidOrigin": ("x",),
        "InvalidUpgrade": ("Upgrade", "x"),
        "DuplicateParameter": ("x",),
        "InvalidParameterName": ("x",),
        "InvalidParameterValue": ("x", "y"),
        "PayloadTooBig": (1, 2),
    }
    return kind(*special.get(kind.__name__, ("as it says",)))


@pytest.mark.parametrize("kind", list(_library_errors()))
def test_every_error_of_the_library_is_mapped(kind: type[Exception]) -> None:
    """No library error leaves the opening, and only a wrong URL is a usage error."""
    error = from_connect(_example(kind), endpoint("ws://127.0.0.1:1"), 1.0)
    assert isinstance(error, RtError)
    assert error.exit_code in {2, 4, 5, 6}
    if issubclass(kind, exceptions.InvalidHandshake):
        assert not isinstance(error, UsageError)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), "tls", id="TLS"),
        pytest.param(
            OSError("Multiple exceptions: [Errno 111] Connect call refused, ..."), "connection_refused", id="dual stack"
        ),
        pytest.param(OSError(113, "No route to host"), "network", id="no route"),
        pytest.param(ConnectionResetError(), "network", id="hung up"),
    ],
)
def test_errors_of_the_system(error: Exception, code: str) -> None:
    """They have a code and a message."""
    meaning = from_connect(error, endpoint("ws://127.0.0.1:1"), 1.0)
    assert meaning.code == code
    assert "()" not in str(meaning)
    assert "None" not in str(meaning)


def test_a_proxy_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the proxy; an endpoint on this machine has no proxy."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    away, near = endpoint("wss://speech.example"), endpoint("wss://127.0.0.1:1")
    assert "HTTPS_PROXY" in str(from_connect(ConnectionRefusedError(), away, 1.0))
    assert "HTTPS_PROXY" not in str(from_connect(ConnectionRefusedError(), near, 1.0))


def test_the_password_of_a_proxy_is_not_repeated() -> None:
    """The library quotes a URL that it cannot use."""
    error = from_connect(
        exceptions.InvalidProxy("ftp://me:s3cr3t@proxy.example", "scheme"), endpoint("wss://x.example"), 1
    )
    assert "proxy.example" in str(error)
    assert "s3cr3t" not in str(error)
