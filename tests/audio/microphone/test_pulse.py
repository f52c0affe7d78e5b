"""The queries to a sound server, with and without one."""

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
    """sources_of() returns the sources of one process; outputs without a process are ignored."""
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
    """default_source() returns the name, or None."""
    assert default_source(info) == name


def test_variable_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PULSE_SOURCE of the user is kept."""
    monkeypatch.setenv("PULSE_SOURCE", "mine")
    with DefaultSource() as source:
        source.pin()

    assert os.environ["PULSE_SOURCE"] == "mine"


def test_without_pactl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without ``pactl`` no source is pinned and watch_moves() returns."""
    monkeypatch.delenv("PULSE_SOURCE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with DefaultSource() as source:
        source.pin()
    moves: list[None] = []
    run(watch_moves(lambda: moves.append(None)))

    assert ("PULSE_SOURCE" in os.environ, moves) == (False, [])


def test_without_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a server no source is pinned and watch_moves() returns."""
    monkeypatch.delenv("PULSE_SOURCE", raising=False)
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path / 'nobody'}")
    with DefaultSource() as source:
        source.pin()
    moves: list[None] = []
    run(watch_moves(lambda: moves.append(None)))

    assert ("PULSE_SOURCE" in os.environ, moves) == (False, [])


def test_cancelled_watch_ends_its_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cancelling watch_moves() ends its ``pactl`` process."""
    listener = tmp_path / "pactl"
    note = tmp_path / "pid"
    listener.write_text(f'#!/bin/sh\necho $$ > "{note}.$1.new"\nmv "{note}.$1.new" "{note}.$1"\nexec sleep 60\n')
    listener.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    async def scenario() -> int:
        watch = asyncio.create_task(watch_moves(lambda: None))
        pid = tmp_path / "pid.subscribe"
        while not pid.exists():  # noqa: ASYNC110  # a file has no event
            await asyncio.sleep(0.01)
        watch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watch
        return int(pid.read_text())

    with pytest.raises(ProcessLookupError):
        os.kill(run(scenario()), 0)
