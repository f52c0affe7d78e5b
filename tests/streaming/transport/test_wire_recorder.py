"""The recording holds all traffic of a real connection in both directions; and what happens on disk errors."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection

from rt_cli.disk.serial_thread import SerialThread
from rt_cli.errors import RtError, UsageError
from rt_cli.events import Warned
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.protocol.openai.encode import append_event
from rt_cli.protocol.recording_format import entries
from rt_cli.settings import EndpointSettings
from rt_cli.streaming.transport.connection import Connection, connect
from rt_cli.streaming.transport.wire_recorder import WireRecorder
from tests.fakes import run
from tests.memory import part_of
from tests.servers import Client, Server, answering, scripted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rt_cli.events import Event
    from tests.servers import Script

KEY = "canary/5e9f1c7ab2d84+8f0e"
full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")


def never(event: Event) -> None:
    """Fail: no event is expected."""
    raise AssertionError(event)


def record(path: Path, on_event: Callable[[Event], None] = never, **options: Any) -> WireRecorder:
    """Begin a recording."""
    return WireRecorder(path, on_event, **({"audio": False, "replace": False} | options))


def kept(path: Path) -> list[dict[str, Any]]:
    """The lines, parsed."""
    assert all(entry.type != "torn" for entry in entries(path.read_bytes().splitlines(keepends=True), "it"))
    return [json.loads(line) for line in path.read_text().splitlines()]


def recorded(
    path: Path, script: Script, use: Callable[[Connection], Awaitable[None]], *, audio: bool = False
) -> list[dict[str, Any]]:
    """The lines of one connection to a scripted endpoint, without the head."""

    async def scenario(server: Server) -> None:
        endpoint = resolve(EndpointSettings(), f"{server.url}/?token={KEY}", KEY)
        connection = await connect(endpoint, timeout_s=5, wire_log=log.connection(endpoint, "a.wav"))
        await use(connection)
        await connection.close()

    log = record(path, audio=audio)
    with scripted(script) as server:
        run(scenario(server))
    log.close()
    assert log.error is None
    assert KEY not in path.read_text()
    return kept(path)[1:]


async def talks(client: Client) -> None:
    """Send one of each kind of message."""
    await client.until("hello")
    await client.connection.send(f'{{"type":"x","key":"{KEY}","text":"\\ud800 \u00fc"}}')
    await client.connection.send(["frag", "ments \u00fc"])
    await client.connection.send(b"\0\1")
    await client.connection.send('{"type":"y","item":{"content":[{"audio":"AAECAw=="}]},"n":NaN}')
    await client.connection.send('{"type":"z","item":{"content":[{"audio":"AAECAw=="}]}}')
    await (await client.connection.ping())
    await client.next()
    await client.next()
    await client.next()
    await client.close(4001, f"enough of {KEY}")


async def listens(connection: Connection) -> None:
    """Use all operations of a connection."""
    await connection.send([b'{"type":"hello"}'])
    for _ in range(5):
        await connection.receive()
    await connection.ping_at_once()
    await (await connection.ping())
    connection.send_at_once([append_event(bytes(6)), append_event(bytes(7))])
    await connection.send([b'{"type":"bye"}'])
    with pytest.raises(RtError):
        await connection.receive()


@pytest.mark.parametrize("audio", [False, True])
def test_everything_is_kept(tmp_path: Path, audio: bool) -> None:  # noqa: FBT001 - a parameter
    """In order of time; the key appears nowhere."""
    opened, *lines = recorded(tmp_path / "a", talks, listens, audio=audio)
    assert opened["type"] == "open"
    assert opened["source"] == "a.wav"
    assert opened["url"].endswith("?token=***&intent=transcription")
    assert ["Authorization", "***"] in opened["request"]
    assert ["Upgrade", "websocket"] in [[name, value.lower()] for name, value in opened["response"]]

    times = [line["ms"] for line in (opened, *lines)]
    assert times == sorted(times)
    assert {line["connection"] for line in lines} == {1}
    found = [
        (line["direction"], *(line.get(name) for name in ("event", "text", "base64") if name in line))
        for line in lines
        if line["type"] == "event"
    ]
    short: Callable[[str, int], object] = lambda text, size: text if audio else {"bytes": size}  # noqa: E731
    append = partial(dict, type="input_audio_buffer.append")
    assert found == [
        ("out", {"type": "hello"}),
        ("in", {"type": "x", "key": "***", "text": "\ud800 \u00fc"}),
        ("in", "fragments \u00fc"),
        ("in", "AAE="),
        ("in", '{"type":"y","item":{"content":[{"audio":"AAECAw=="}]},"n":NaN}'),
        ("in", {"type": "z", "item": {"content": [{"audio": short("AAECAw==", 4)}]}}),
        ("out", append(audio=short("AAAAAAAA", 6))),
        ("out", append(audio=short("AAAAAAAAAA==", 7))),
        ("out", {"type": "bye"}),
    ]
    pings = sorted((line["type"], line["direction"]) for line in lines if line["type"] in {"ping", "pong"})
    assert pings == sorted([("ping", "out"), ("pong", "in")] * 2 + [("ping", "in"), ("pong", "out")])
    assert [(line["direction"], line["code"], line["reason"]) for line in lines if line["type"] == "close"] == [
        ("in", 4001, "enough of ***")
    ]


def test_which_side_ended_it(tmp_path: Path) -> None:
    """This side, by a close or a cut, or the network."""

    async def reads(client: Client) -> None:
        await client.until("nothing")

    async def hangs_up(client: Client) -> None:
        client.cut()

    async def closes(connection: Connection) -> None:
        await connection.close(1000, "done")

    async def aborts(connection: Connection) -> None:
        connection.abort()

    async def waits(connection: Connection) -> None:
        with pytest.raises(RtError):
            await connection.receive()

    for name, script, use, first in (
        ("a", reads, closes, ("out", 1000, "done")),
        ("b", reads, aborts, ("out", 1006, "")),
        ("c", hangs_up, waits, ("in", 1006, "")),
    ):
        lines = recorded(tmp_path / name, script, use)
        closed = [line for line in lines if line["type"] == "close"]
        assert (closed[0]["direction"], closed[0]["code"], closed[0]["reason"]) == first


def test_failed_openings(tmp_path: Path) -> None:
    """An HTTP refusal with its status, and a port without a listener; the repeated key is masked."""

    async def scenario(url: str) -> None:
        endpoint = resolve(EndpointSettings(), url, KEY)
        with pytest.raises(RtError):
            await connect(endpoint, timeout_s=5, wire_log=log.connection(endpoint, "a.wav"))

    log = record(tmp_path / "a")
    with answering(503, f"no room for {KEY}") as server:
        run(scenario(server.url))
    run(scenario(server.url))
    log.close()
    first, second = kept(tmp_path / "a")[1:]
    assert (first["type"], first["connection"], first["status"]) == ("failed", 1, 503)
    assert (second["type"], second["connection"], second.get("status")) == ("failed", 2, None)
    assert "nothing listens" in second["message"]
    assert KEY not in (tmp_path / "a").read_text()


def test_a_slow_disk_is_not_waited_for(tmp_path: Path) -> None:
    """Lines beyond the limit are left out; the file states where and how many, with one warning."""
    events: list[Event] = []
    log = record(tmp_path / "a", events.append, limit_bytes=1000)
    go = threading.Event()

    def slow() -> bytes:
        assert go.wait(30)
        return b""

    log.note(slow)
    for size in (300, 300, 300, 10, 10, 900):
        log.note(lambda: b'{"type":"dropped","lines":0}\n', size)
    go.set()
    written = threading.Event()
    part_of(log, SerialThread).do(written.set)
    assert written.wait(30)
    log.note(lambda: b'{"type":"dropped","lines":-1}\n')
    log.note(lambda: b"never", 2000)
    log.close()
    lines = kept(tmp_path / "a")
    before = sum(line.get("lines") == 0 for line in lines)
    assert 1 <= before < 6
    assert [line.get("lines") for line in lines[1 + before :]] == [6 - before, -1, 1]
    assert events == [Warned("record", f"{tmp_path / 'a'} does not hold the whole session: the disk is too slow")]
    assert log.error is None


@full_disk
def test_a_full_disk_is_reported_once_and_at_the_end() -> None:
    """The run continues."""
    events: list[Event] = []
    log = record(Path("/dev/full"), events.append)
    while not events:
        log.note(lambda: b"x")
        os.sched_yield()
    log.note(lambda: b"x")
    log.close()
    reason = "/dev/full does not hold the whole session: No space left on device"
    assert events == [Warned("record", reason)]
    assert log.error is not None
    assert (log.error.message, log.error.exit_code) == (reason, 2)


def test_files_that_are_refused(tmp_path: Path) -> None:
    """Before anything is sent; unless a file may be replaced."""
    (tmp_path / "old").write_text("mine")
    with pytest.raises(UsageError, match="exists: choose another name, or --force"):
        record(tmp_path / "old")
    assert (tmp_path / "old").read_text() == "mine"
    with pytest.raises(UsageError, match="No such file or directory"):
        record(tmp_path / "no" / "a")
    log = record(tmp_path / "old", replace=True)
    log.note(lambda: b"")
    log.close()
    assert kept(tmp_path / "old")[0]["type"] == "recording"
    record(tmp_path / "new").close()
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600, "what was said is nobody else's business"


def test_without_a_recording_the_connection_is_the_plain_one(tmp_path: Path) -> None:
    """No recording code is in its path."""

    async def scenario(server: Server) -> None:
        endpoint = resolve(EndpointSettings(), server.url, None)
        log = record(tmp_path / "a")
        plain = await connect(endpoint, timeout_s=5)
        watched = await connect(endpoint, timeout_s=5, wire_log=log.connection(endpoint, "x"))
        kinds = [type(part_of(connection, ClientConnection)) for connection in (plain, watched)]
        await asyncio.gather(plain.close(), watched.close())
        log.close()
        assert kinds[0] is not kinds[1]
        for name in ("send", "write_at_once", "process_event", "ping_at_once"):
            assert getattr(kinds[0], name) is not getattr(kinds[1], name)

    async def reads(client: Client) -> None:
        await client.until("nothing")

    with scripted(reads) as server:
        run(scenario(server))


def test_an_earlier_recording_stays_until_something_is_recorded(tmp_path: Path) -> None:
    """``--force`` replaces a file where there is something in its place: not if the run ends before it connects."""
    path = tmp_path / "s.jsonl"
    path.write_text("of before\n" * 100)
    WireRecorder(path, lambda _: None, audio=False, replace=True).close()
    kept = path.read_text()
    recorder = WireRecorder(path, lambda _: None, audio=False, replace=True)
    recorder.note(lambda: b"")
    recorder.close()

    assert kept == "of before\n" * 100
    assert [json.loads(line)["type"] for line in path.read_text().splitlines()] == ["recording"]
