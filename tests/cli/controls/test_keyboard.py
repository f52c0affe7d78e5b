"""Keys on a real pseudo-terminal, and the terminal as it was afterwards."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyte
import pytest

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

import termios

from rt_cli.cli.controls.keyboard import command_of
from tests.program import ROOT, RT, noise, write_wav
from tests.servers import polite, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S = 20.0
PROGRAM = Path(__file__).with_name("keys_program.py")


class Job:
    """The keyboard as a job of a tiny shell, on a terminal of its own."""

    def __init__(self, how: str = "shell", *command: str) -> None:
        self.person, self._program = os.openpty()
        self.before = self.mode
        self._go_on = os.pipe()
        self._said = b""
        # Its third descriptor is where it waits for leave to continue the job.
        self.shell = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{self._go_on[0]}; exec "$0" "$@"', sys.executable, str(PROGRAM), how, *command],
            stdin=self._program,
            stdout=subprocess.PIPE,
            pass_fds=[self._go_on[0]],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.pid = int(self.until("job").split()[1])
        if not command:
            self.until("ready")

    @property
    def mode(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self._program)

    @property
    def taken(self) -> bool:
        """Whether keys come one by one, and unseen."""
        return not self.mode[3] & (termios.ICANON | termios.ECHO)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.person, keys.encode())

    def until(self, word: str) -> str:
        """Wait for a line that begins so."""
        assert self.shell.stdout is not None
        while True:
            *lines, self._said = self._said.split(b"\n")
            for index, line in enumerate(lines):
                if line.decode().startswith(word):
                    self._said = b"\n".join([*lines[index + 1 :], self._said])
                    return line.decode()
            assert select.select([self.shell.stdout], [], [], DEADLINE_S)[0], f"no {word}"
            part = os.read(self.shell.stdout.fileno(), 4096)
            assert part, f"no {word}"
            self._said += part

    def go_on(self) -> None:
        """As ``fg`` does."""
        os.write(self._go_on[1], b"\n")

    def close(self) -> None:
        """End what is left of it."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.shell.wait(DEADLINE_S)
        assert self.shell.stdout is not None
        self.shell.stdout.close()
        for descriptor in (self.person, self._program, *self._go_on):
            os.close(descriptor)


@pytest.fixture
def job() -> Iterator[Job]:
    """Running, with the keys."""
    running = Job()
    try:
        yield running
    finally:
        running.close()


@pytest.mark.parametrize(
    ("key", "command"), [(" ", "toggle"), ("m", "mute"), ("M", "mute"), ("q", "quit"), ("Q", "quit"), ("y", None)]
)
def test_what_keys_mean(key: str, command: str | None) -> None:
    """Large or small; the others nothing."""
    assert command_of(key) == command


def test_keys_come_one_by_one(job: Job) -> None:
    """Without Enter and without an echo; at the end the terminal is as it was."""
    assert job.taken
    job.press(" ")
    assert job.until("key") == "key ' '"
    job.press("mx")
    assert [job.until("key"), job.until("key")] == ["key 'm'", "key 'x'"]
    assert job.until("ended") == "ended 0"
    assert job.mode == job.before


def test_stopped_and_continued(job: Job) -> None:
    """Ctrl-Z gives the terminal back, ``fg`` takes the keys again, and that as often as one likes."""
    for _ in range(2):
        job.press("\x1a")
        job.until("stopped")
        assert job.mode == job.before
        job.go_on()
        job.press("m")
        assert job.until("key") == "key 'm'"
        assert job.taken
    job.press("x")
    assert job.until("ended") == "ended 0"
    assert job.mode == job.before


def test_in_the_background_the_terminal_is_left_alone() -> None:
    """Whoever sits in front of it types into something else; ``fg`` changes that."""
    job = Job("background")
    try:
        assert job.mode == job.before
        job.go_on()
        job.press("m")
        assert job.until("key") == "key 'm'"
        assert job.taken
    finally:
        job.close()


@pytest.mark.parametrize(
    ("key", "exit_code"),
    [
        pytest.param("\x1c", -signal.SIGQUIT, id="Ctrl-\\"),
        pytest.param(None, 143, id="hangup"),
        pytest.param("\x03", 130, id="Ctrl-C"),
    ],
)
def test_ended_by_a_signal(job: Job, key: str | None, exit_code: int) -> None:
    """It ends as the signal demands, and the terminal is as it was."""
    if key is None:
        os.kill(job.pid, signal.SIGHUP)
    else:
        job.press(key)
    assert job.until("ended") == f"ended {exit_code}"
    assert job.mode == job.before


def stop_and_go_on(job: Job, word: str) -> None:
    """Ctrl-Z, and ``fg``: a view with a word is on the terminal, then it is not, and then it is again."""
    screen = pyte.Screen(160, 24)
    termios.tcsetwinsize(job.person, (24, 160))
    stream = pyte.ByteStream(screen)

    def shows() -> None:
        while word not in "\n".join(screen.display):
            assert select.select([job.person], [], [], DEADLINE_S)[0], screen.display
            stream.feed(os.read(job.person, 65_536))

    shows()
    job.press("\x1a")
    job.until("stopped")
    while select.select([job.person], [], [], 0)[0]:
        stream.feed(os.read(job.person, 65_536))
    assert word not in "\n".join(screen.display)
    job.go_on()
    shows()


def test_the_view_is_gone_while_the_job_is_stopped(tmp_path: Path) -> None:
    """Ctrl-Z erases the live view, ``fg`` draws it anew, and nothing of the sound is lost."""
    sound = write_wav(tmp_path / "sound.wav", noise(24_000 * 4))
    with scripted(polite("hello")) as server:
        how = ("--url", server.url, "-m", "whisper-1", "--speed", "1", "--status", "live", "--json")
        job = Job("shell", *RT, "send", *how, str(sound))
        try:
            stop_and_go_on(job, "captured")
            assert job.until("ended") == "ended 0"
        finally:
            job.close()
    assert len(server.audio) == 24_000 * 4 * 2


def test_the_table_of_a_bench_is_gone_while_it_is_stopped(tmp_path: Path) -> None:
    """It is drawn as the live view is."""
    sound = write_wav(tmp_path / "sound.wav", noise(24_000))
    with scripted(polite("hello")) as server:
        how = ("--url", server.url, "--turn-detection", "none", "--rounds", "1000", "--status", "live", "--json")
        job = Job("shell", *RT, "bench", *how, str(sound))
        try:
            stop_and_go_on(job, "1 running")
            job.press("\x03")
            assert job.until("ended") == "ended 130"
        finally:
            job.close()
