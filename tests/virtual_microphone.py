"""A microphone on a machine without one: a PulseAudio server of our own whose only source hears what we play.

PortAudio asks for the devices once per process, so whoever uses the microphone runs in a process of its own, with
:attr:`VirtualMicrophone.environment`.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SINK = "rt_speaker"
SOURCE = "rt_microphone"
OTHER_SINK = "other_speaker"
OTHER_SOURCE = "other_microphone"
_PROGRAMS = ("pulseaudio", "paplay", "pactl")
_DEADLINE_S = 10.0

_ALSA_CONFIG = """\
</usr/share/alsa/alsa.conf>
pcm.!default {
    type pulse
    hint { show on description "virtual microphone" }
}
ctl.!default { type pulse }
"""


@dataclass
class VirtualMicrophone:
    """A running PulseAudio server."""

    environment: dict[str, str]
    """Variables that let a program record this microphone only; add them to its environment."""
    server: subprocess.Popen[bytes]
    _players: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def unpinned(self) -> dict[str, str]:
        """The same environment without a selected source: the server's default applies."""
        return {name: value for name, value in self.environment.items() if name not in {"PULSE_SOURCE", "PULSE_SINK"}}

    def play(self, wav: Path, sink: str = SINK) -> subprocess.Popen[bytes]:
        """Play a recording into the microphone; the process ends with the recording."""
        player = subprocess.Popen(
            ["paplay", "--latency-msec=400", f"--device={sink}", str(wav)], env=self._full(), stdin=subprocess.DEVNULL
        )
        self._players.append(player)
        return player

    def load_source(self) -> None:
        """Plug in the microphone as the default source."""
        self._load(SINK, SOURCE)
        self.control("set-default-sink", SINK)
        self.control("set-default-source", SOURCE)

    def unload_source(self) -> None:
        """Unplug the microphone, with its sink: the server would move recorders to the sink's monitor."""
        self._unload(f"sink_name={SINK}")

    def unload_source_alone(self) -> None:
        """Unplug the microphone; the server silently moves recorders to another source."""
        self._unload(f"source_name={SOURCE}")

    @contextmanager
    def other(self) -> Iterator[None]:
        """A second microphone that records ``OTHER_SINK``, during the block."""
        self._load(OTHER_SINK, OTHER_SOURCE)
        try:
            yield
        finally:
            self._unload(f"sink_name={OTHER_SINK}")

    def _load(self, sink: str, source: str) -> None:
        self.control("load-module", "module-null-sink", f"sink_name={sink}", "rate=48000", "channels=2")
        self.control(
            "load-module", "module-remap-source", f"source_name={source}", f"master={sink}.monitor", "channels=1"
        )

    def _unload(self, argument: str) -> None:
        for line in self.control("list", "short", "modules").splitlines():
            if argument in line.split():
                self.control("unload-module", line.split()[0])

    def control(self, *arguments: str) -> str:
        """Run ``pactl``, and return its output."""
        done = subprocess.run(
            ["pactl", *arguments], env=self._full(), capture_output=True, text=True, timeout=_DEADLINE_S, check=True
        )
        return done.stdout

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the server's process for a while: it exists and does not answer."""
        self.server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.server.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the server and all players."""
        for process in (*self._players, self.server):
            process.terminate()
        for process in (*self._players, self.server):
            try:
                process.wait(_DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _full(self) -> dict[str, str]:
        return {**os.environ, **self.environment}


@pytest.fixture(scope="session")
def virtual_microphone() -> Iterator[VirtualMicrophone]:
    """A microphone that records the sound of :meth:`VirtualMicrophone.play`; skips the test if it is not available."""
    missing = _missing()
    if missing:
        pytest.skip(f"no virtual microphone: {', '.join(missing)} not installed")
    # Not pytest's tmp_path: the path of a Unix socket may have about 100 characters.
    with tempfile.TemporaryDirectory(prefix="rt-mic-") as folder:
        microphone = _start(Path(folder))
        try:
            _await_server(microphone)
            microphone.load_source()
            yield microphone
        finally:
            microphone.stop()


def _missing() -> list[str]:
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if ctypes.util.find_library("portaudio") is None:
        missing.append("PortAudio (libportaudio2)")
    if not any(Path("/usr").glob("lib*/**/alsa-lib/libasound_module_pcm_pulse.so")):
        missing.append("ALSA's PulseAudio plugin (libasound2-plugins)")
    return missing


def _start(folder: Path) -> VirtualMicrophone:
    socket = folder / "native"
    config = folder / "asound.conf"
    config.write_text(_ALSA_CONFIG)
    environment = {
        "PULSE_SERVER": f"unix:{socket}",
        "PULSE_RUNTIME_PATH": str(folder),
        "PULSE_STATE_PATH": str(folder),
        "PULSE_COOKIE": str(folder / "cookie"),
        "PULSE_SINK": SINK,
        "PULSE_SOURCE": SOURCE,
        "ALSA_CONFIG_PATH": str(config),
    }
    # The server does not start with PULSE_SERVER set.
    own = {name: value for name, value in {**os.environ, **environment}.items() if name != "PULSE_SERVER"}
    server = subprocess.Popen(
        [
            *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
            *("--realtime=no", "--high-priority=no", f"--log-target=file:{folder / 'log'}"),
            *("-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}"),
        ],
        env=own,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return VirtualMicrophone(environment, server)


def _await_server(microphone: VirtualMicrophone) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        try:
            microphone.control("info")
            return
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            if microphone.server.poll() is not None or time.monotonic() > deadline:
                pytest.skip("no virtual microphone: the PulseAudio server does not start here")
            time.sleep(0.05)  # the server has no readiness signal
