"""``rt serve`` as a program of its own."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from rt_cli.commands.serve import serve
from rt_cli.errors import UsageError
from tests.fakes import run
from tests.local.client import session, silence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = """
import typer
from rt_cli.commands.serve import serve
app = typer.Typer(add_completion=False)
app.command()(serve)
app()
"""


@contextmanager
def serving(*options: str) -> Iterator[subprocess.Popen[str]]:
    """A running ``rt serve`` on a free port."""
    command = [sys.executable, "-c", PROGRAM, "--port", "0", "--recognizer", "none", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    """What says that it is ready."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def one_session(url: str) -> None:
    """Open a session, send a second of silence, leave."""
    async with session(url) as client:
        await client.append(silence(1))
        await client.barrier()


def test_first_line_is_the_url() -> None:
    """A script reads the URL from the first line and can use it."""
    with serving() as process:
        url = first_line(process)

        assert re.fullmatch(r"ws://127\.0\.0\.1:\d+/v1/realtime", url)
        run(one_session(url))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM are the way to end it: 0, within a second, one line on stderr."""
    with serving() as process:
        first_line(process)
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)

    assert process.returncode == 0
    assert time.monotonic() - began < 2  # the interpreter's own end included
    assert re.fullmatch(r"warning: [^\n]+\n", errors)


def test_json(tmp_path: Path) -> None:
    """With --json every line is an object, the URL first, then sessions; the audio lands where it was asked for."""
    with serving("--json", "--save-audio", str(tmp_path)) as process:
        ready: dict[str, Any] = json.loads(first_line(process))
        run(one_session(ready["url"]))
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.communicate(timeout=10)[0].splitlines()]

    assert ready["type"] == "listening"
    assert [line["type"] for line in lines] == ["session_opened", "session_closed"]
    assert lines[-1]["received_samples"] == 24_000
    assert [path.name for path in tmp_path.iterdir()] == [f"{lines[0]['session']}.wav"]


def test_closed_stdout() -> None:
    """When nobody reads its lines any more, it ends quietly."""

    async def until_it_ends(url: str, process: subprocess.Popen[str]) -> None:
        while process.poll() is None:
            try:
                await one_session(url)
            except (OSError, ConnectionClosed):  # it is about to end
                await asyncio.to_thread(process.wait)

    with serving("--json") as process:
        url = json.loads(first_line(process))["url"]
        assert process.stdout is not None
        process.stdout.close()
        run(until_it_ends(url, process))
        assert process.stderr is not None
        errors = process.stderr.read()

    assert process.returncode == 0
    assert errors.count("\n") == 1


def test_off_loopback() -> None:
    """Nobody else is served."""
    with pytest.raises(UsageError, match="loopback"):
        serve(host="0.0.0.0", port=0, recognizer="none")


def test_port_in_use() -> None:
    """A taken port is a usage error that says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="--port 0"):
        serve(port=taken.getsockname()[1], recognizer="none")


def test_directory_not_writable(tmp_path: Path) -> None:
    """A place for recordings that cannot be written is known before anybody speaks."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write to"):
        serve(port=0, recognizer="none", save_audio=tmp_path / "file")
