"""What a sound server says of who records from what."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from rt_cli.audio.microphone.pulse import DefaultSource, default_source, sources_of, watch_moves
from tests.fakes import run

if TYPE_CHECKING:
    from pathlib import Path

OUTPUTS = """\
Source Output #3
\tDriver: protocol-native.c
\tClient: 12
\tSource: 1
\tProperties:
\t\tapplication.name = "ALSA plug-in [python3.11]"
\t\tapplication.process.id = "4711"

Source Output #4
\tSource: 2
\tProperties:
\t\tapplication.process.id = "815"

Source Output #0
\tDriver: module-remap-source.c
\tOwner Module: 9
\tSource: 0
"""


@pytest.mark.parametrize(
    ("process_id", "sources"),
    [
        pytest.param(4711, {1}, id="ours"),
        pytest.param(815, {2}, id="another one"),
        pytest.param(1, set(), id="nobody"),
    ],
)
def test_sources_of(process_id: int, sources: set[int]) -> None:
    """Each process has its own; what has no process belongs to nobody."""
    assert sources_of(process_id, OUTPUTS) == sources


@pytest.mark.parametrize(
    ("info", "name"),
    [
        pytest.param("Server Name: x\nDefault Source: usb.mono\nCookie: 1\n", "usb.mono", id="named"),
        pytest.param("Default Source: \n", None, id="none"),
        pytest.param("", None, id="no server"),
    ],
)
def test_default_source(info: str, name: str | None) -> None:
    """Its name, where there is one."""
    assert default_source(info) == name


def test_user_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has chosen a source keeps it."""
    monkeypatch.setenv("PULSE_SOURCE", "mine")
    with DefaultSource() as source:
        source.pin()

    assert os.environ["PULSE_SOURCE"] == "mine"


def test_nobody_to_ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without ``pactl`` nothing is pinned and nothing watched."""
    monkeypatch.delenv("PULSE_SOURCE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with DefaultSource() as source:
        source.pin()
    moves: list[None] = []
    run(watch_moves(lambda: moves.append(None)))

    assert ("PULSE_SOURCE" in os.environ, moves) == (False, [])


def test_server_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server that is not there ends the watch, and pins nothing."""
    monkeypatch.delenv("PULSE_SOURCE", raising=False)
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path / 'nobody'}")
    with DefaultSource() as source:
        source.pin()
    moves: list[None] = []
    run(watch_moves(lambda: moves.append(None)))

    assert ("PULSE_SOURCE" in os.environ, moves) == (False, [])


def test_cancelled_watch_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program that the watch listens to ends with it."""
    listener = tmp_path / "pactl"
    note = tmp_path / "pid"
    listener.write_text(f'#!/bin/sh\necho $$ > "{note}.$1.new"\nmv "{note}.$1.new" "{note}.$1"\nexec sleep 60\n')
    listener.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    async def scenario() -> int:
        watch = asyncio.create_task(watch_moves(lambda: None))
        pid = tmp_path / "pid.subscribe"
        while not pid.exists():  # noqa: ASYNC110  # a file tells nobody when it is there
            await asyncio.sleep(0.01)
        watch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watch
        return int(pid.read_text())

    with pytest.raises(ProcessLookupError):
        os.kill(run(scenario()), 0)
