"""Standard streams that are closed, a terminal, or closed by their reader."""

from __future__ import annotations

import asyncio
import itertools
import os
import shlex
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from tests.program import ROOT, RT, ended, start, write_wav
from tests.servers import Client, polite, scripted

SECOND = bytes(48_000)


@pytest.mark.parametrize("command", ["send", "stream"])
def test_stdin_is_a_terminal(command: str) -> None:
    """A terminal as stdin is an error at once."""
    ours, theirs = os.openpty()
    try:
        ran = ended(start(command, "--url", "ws://127.0.0.1:9", "-", stdin=theirs), seconds=10)
    finally:
        os.close(ours)
        os.close(theirs)
    assert ran.exit == 3
    assert ran.causes == ["rt: stdin is a terminal, not sound: pipe sound into it"]


def test_stdin_is_closed() -> None:
    """``<&-``: without stdin."""
    command = shlex.join([*RT, "send", "--url", "ws://127.0.0.1:9", "-"])
    with subprocess.Popen(["sh", "-c", f"exec {command} <&-"], cwd=ROOT, stderr=subprocess.PIPE) as process:
        ran = ended(process)
    assert (ran.exit, ran.causes) == (3, ["rt: stdin is closed: pipe sound into it"])


@pytest.mark.parametrize("form", ["text", "json"])
def test_stdout_closed_before_the_start(form: str, tmp_path: Path) -> None:
    """Without a reader of stdout: exit 0 without an error, for each kind of output."""
    sound = write_wav(tmp_path / "sound.wav", SECOND)
    reader, writer = os.pipe()
    os.close(reader)
    with scripted(polite("hello")) as server:
        try:
            ran = ended(
                start("send", "--url", server.url, "-m", "gpt-4o-transcribe", str(sound), "-o", form, stdout=writer)
            )
        finally:
            os.close(writer)
    assert (ran.exit, ran.causes) == (0, [])
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("options", ["--version", "--help", "send --help", "config show"])
def test_help_with_closed_stdout(options: str) -> None:
    """``rt --help | true``: no error, and exit 0."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = ended(start(*options.split(), stdout=writer))
    finally:
        os.close(writer)
    assert (ran.exit, ran.err) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
@pytest.mark.parametrize(
    "options",
    [
        *("--version", "--help", "config show", "doctor --no-mic --local", "doctor --no-mic --local --json"),
        *("serve --port 0 --recognizer none", "serve --port 0 --recognizer none --json"),
        *(
            "replay --serve --port 0 {recording}",
            "bench --url ws://127.0.0.1:9 --retry-for 0 --connect-timeout 1 {sound}",
        ),
    ],
)
def test_help_with_full_disk(options: str, tmp_path: Path) -> None:
    """One line, exit 2, and no bug report."""
    recording = tmp_path / "session.ndjson"
    with scripted(polite("hello")) as server:
        sound = write_wav(tmp_path / "sound.wav", SECOND)
        assert ended(start("send", "--url", server.url, "--record", str(recording), str(sound))).exit == 0
    options = options.format(recording=recording, sound=sound)
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        ran = ended(start(*options.split(), stdout=full))
    finally:
        os.close(full)
    assert (ran.exit, len(ran.causes)) == (2, 1), ran.err
    assert "No space left" in ran.causes[0]
    assert "report" not in ran.err


@pytest.mark.parametrize("options", ["config show", "config show --json", "config path", "devices --json"])
def test_without_stdout(options: str) -> None:
    """``>&-``: without stdout, no bug report."""
    command = shlex.join([*RT, *options.split()])
    with subprocess.Popen(["sh", "-c", f"exec {command} >&-"], cwd=ROOT, stderr=subprocess.PIPE) as process:
        ran = ended(process)
    assert ran.exit in {0, 3}
    assert "report" not in ran.err


def test_stdout_closed_after_the_first_line() -> None:
    """``rt stream - | head -1``: a live run ends with 0 when stdout is closed."""
    told = threading.Event()

    async def talks_on(client: Client) -> None:
        await client.greet()
        for number in itertools.count():
            await client.complete(await client.commit(), f"text {number}")
            await client.until("input_audio_buffer.append")
            if number == 0:
                await asyncio.to_thread(told.wait, 10)

    with scripted(talks_on) as server:
        command = ("stream", "--url", server.url, "-m", "gpt-4o-transcribe", "-")
        with start(*command, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            feeder = threading.Thread(target=_feed, args=(process.stdin,))
            feeder.start()
            assert process.stdout.readline() == b"text 0\n"
            process.stdout.close()
            told.set()
            process.wait(10)
            feeder.join(10)
            assert process.stderr is not None
            err = process.stderr.read().decode()
    assert process.returncode == 0, err
    assert "rt:" not in err
    assert "Traceback" not in err


def _feed(pipe: IO[bytes]) -> None:
    """Write sound until the pipe is closed."""
    with suppress(BrokenPipeError), pipe:
        while True:
            pipe.write(SECOND[:4800])
            pipe.flush()
            time.sleep(0.05)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param("send --nonsense", id="usage"),
        pytest.param("send --url ws://127.0.0.1:9 nowhere.wav", id="run"),
        pytest.param("serve --host 0.0.0.0", id="serve"),
    ],
)
def test_stderr_closed_before_the_start(options: str) -> None:
    """``2>&-``: messages do not end up in stdout."""
    command = shlex.join([*RT, *options.split()])
    with subprocess.Popen(
        ["sh", "-c", f"exec {command} 2>&-"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        ran = ended(process)
    assert ran.exit in {2, 3}
    assert ran.out == ""
