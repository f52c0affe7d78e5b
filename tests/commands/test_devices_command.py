"""``rt devices`` as a program: list microphones, and watch them appear and vanish."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.audio.microphone.devices import InputDevice, changes
from rt_cli.cli.list_devices import table
from tests.program import ROOT, ended, rt, start

if TYPE_CHECKING:
    from tests.virtual_microphone import VirtualMicrophone

NO_PORTAUDIO = 'raise OSError("PortAudio library not found")\n'


def device(index: int, name: str, *, is_default: bool = False) -> InputDevice:
    """Return an ALSA device."""
    return InputDevice(index, name, "ALSA", 2, 48_000, is_default=is_default)


YETI, PULSE, LAPTOP = device(0, "Yeti (hw:1,0)"), device(1, "pulse", is_default=True), device(2, "Laptop")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param([YETI, PULSE], [YETI, PULSE], [], id="nothing"),
        pytest.param([PULSE], [PULSE, YETI], [("appeared", "Yeti (hw:1,0)")], id="appeared"),
        pytest.param([YETI, PULSE], [PULSE], [("vanished", "Yeti (hw:1,0)")], id="vanished"),
        pytest.param([YETI, PULSE], [device(5, "Yeti (hw:3,0)"), PULSE], [], id="other numbers"),
        pytest.param([LAPTOP], [LAPTOP, LAPTOP], [("appeared", "Laptop")], id="a twin"),
        pytest.param(
            [PULSE, LAPTOP],
            [device(1, "pulse"), device(2, "Laptop", is_default=True)],
            [("default", "Laptop")],
            id="another default",
        ),
        pytest.param([PULSE], [], [("vanished", "pulse")], id="the default vanished"),
        pytest.param([], [PULSE], [("appeared", "pulse"), ("default", "pulse")], id="the first one"),
    ],
)
def test_changes(before: list[InputDevice], after: list[InputDevice], told: list[tuple[str, str]]) -> None:
    """Vanished and new devices and a new default are changes; another index is none."""
    assert [(change, each.name) for change, each in changes(before, after)] == told


def test_table() -> None:
    """Columns are aligned, default and loopbacks are marked, control characters in names are escaped."""
    lines = table([device(3, "\x1b[31mMonitor of Speakers\x07"), device(12, "pulse", is_default=True)])
    assert lines == [
        "index  name                 host API  channels   rate",
        "    3  Monitor of Speakers  ALSA             2  48000  loopback",
        "   12  pulse                ALSA             2  48000  default",
    ]


def config_of(microphone: VirtualMicrophone, folder: Path, *names: str) -> dict[str, str]:
    """An environment whose sound system has these devices beside the default one."""
    path = folder / "asound.conf"
    text = Path(microphone.environment["ALSA_CONFIG_PATH"]).read_text()
    more = "".join(f'pcm.{name} {{ type pulse hint {{ show on description "{name}" }} }}\n' for name in names)
    changed = folder / "changed.conf"
    changed.write_text(text + more)
    changed.replace(path)
    return {**microphone.environment, "ALSA_CONFIG_PATH": str(path)}


@pytest.mark.microphone
def test_json(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """One line per device with all fields, one of them the default; nothing on stderr."""
    ran = rt("devices", "--json", env=config_of(virtual_microphone, tmp_path, "second"))

    assert (ran.exit, ran.err) == (0, "")
    found = {event["name"]: event for event in ran.of("device")}
    assert {"default", "second"} <= found.keys()
    assert set(found["second"]) == {
        "type", "index", "name", "hostapi", "channels", "rate_hz", "default", "loopback"
    }  # fmt: skip
    assert [event["name"] for event in found.values() if event["default"]] == ["default"]
    assert found["second"]["hostapi"] == "ALSA"


@pytest.mark.microphone
def test_text(virtual_microphone: VirtualMicrophone) -> None:
    """A table."""
    ran = rt("devices", env=virtual_microphone.environment)

    head, *rows = ran.out.splitlines()
    assert (ran.exit, ran.err) == (0, "")
    assert head.split() == ["index", "name", "host", "API", "channels", "rate"]
    assert any(row.endswith("default") for row in rows)


@pytest.mark.microphone
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_watch(virtual_microphone: VirtualMicrophone, tmp_path: Path, end: signal.Signals) -> None:
    """Plugged and unplugged devices are printed; a signal ends the command with exit 0."""
    env = config_of(virtual_microphone, tmp_path)
    with start("devices", "--watch", "--json", env=env) as process:
        assert process.stdout is not None

        def until(kind: str) -> dict[str, Any]:
            assert process.stdout is not None
            for line in process.stdout:
                event: dict[str, Any] = json.loads(line)
                if event["type"] == kind:
                    return event
            raise AssertionError(process.stderr and process.stderr.read())

        try:
            until("device")
            config_of(virtual_microphone, tmp_path, "second")
            appeared = until("appeared")
            config_of(virtual_microphone, tmp_path)
            vanished = until("vanished")
        finally:
            process.send_signal(end)
        ran = ended(process)
    assert (appeared["name"], vanished["name"]) == ("second", "second")
    assert (ran.exit, ran.err) == (0, "")


@pytest.mark.microphone
def test_closed_stdout(virtual_microphone: VirtualMicrophone) -> None:
    """A closed stdout ends the command with exit 0 and no error."""
    process = start("devices", "--watch", env=virtual_microphone.environment)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None

    ran = ended(process)

    assert (ran.exit, ran.err) == (0, "")


def test_no_portaudio(tmp_path: Path) -> None:
    """One line that says what to install."""
    (tmp_path / "sounddevice.py").write_text(NO_PORTAUDIO)
    ran = rt("devices", "--json", env={"PYTHONPATH": str(tmp_path)})

    assert (ran.exit, ran.out) == (3, "")
    (cause,) = ran.causes
    assert "PortAudio" in cause


COMPLETE = "from rt_cli.cli.completion import complete_device; print(complete_device('SEC'))"


@pytest.mark.microphone
def test_completion(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """The shell gets the names that contain the typed text, and no other output."""
    env = {**os.environ, **config_of(virtual_microphone, tmp_path, "second")}
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("[('second', 'ALSA')]\n", "")


def test_completion_without_portaudio(tmp_path: Path) -> None:
    """With a broken sound system the shell gets no completions and no other output."""
    (tmp_path / "sounddevice.py").write_text(NO_PORTAUDIO)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
