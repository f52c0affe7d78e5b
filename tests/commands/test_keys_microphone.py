"""Terminal keys of ``rt stream --mic``, with a real microphone and its own terminal."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

import termios

from tests.program import DATA, ROOT, RT, Ran, assert_accounted, needs_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.virtual_microphone import VirtualMicrophone

pytestmark = [pytest.mark.microphone, needs_words]

DEADLINE_S = 30.0
SPEECH = DATA / "sense_0930.wav"
_ON_ITS_OWN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class TerminalRun:
    """A run on a terminal; its results go into a pipe."""

    def __init__(self, process: subprocess.Popen[bytes], person: int, program: int) -> None:
        self.process = process
        self.seen = b""
        self.events: list[dict[str, Any]] = []
        self._person = person
        self._program = program
        self._rest = b""

    @property
    def mode(self) -> list[Any]:
        """Return the mode of the terminal."""
        return termios.tcgetattr(self._program)

    def press(self, key: str) -> None:
        """Type a key."""
        os.write(self._person, key.encode())

    def wait_for_text(self, word: str) -> None:
        """Wait until a text is on the screen."""
        start = len(self.seen)
        while word.encode() not in self.seen[start:]:
            assert self._read(), f"no {word}: {self.seen[-500:]!r}"

    def event(self, **fields: object) -> dict[str, Any]:
        """Wait for an event with these fields."""
        return self._find_event(0, fields)

    def event_after(self, earlier: dict[str, Any], **fields: object) -> dict[str, Any]:
        """Wait for such an event after another one."""
        return self._find_event(self.events.index(earlier) + 1, fields)

    def _find_event(self, start: int, fields: dict[str, object]) -> dict[str, Any]:
        while True:
            for event in self.events[start:]:
                if fields.items() <= event.items():
                    return event
            assert self._read(), (fields, self.events)

    def ended(self) -> Ran:
        """Wait for the end of the process."""
        while self._read():
            pass
        self.process.wait(DEADLINE_S)
        return Ran(self.process.returncode, "\n".join(map(json.dumps, self.events)), self.seen.decode(errors="replace"))

    def _read(self) -> bool:
        """Read more output. False at the end of the results."""
        assert self.process.stdout is not None
        out = self.process.stdout.fileno()
        ready, _, _ = select.select([out, self._person], [], [], DEADLINE_S)
        assert ready, f"the program says nothing: {self.events}"
        if self._person in ready:
            self.seen += os.read(self._person, 65_536)
        if out in ready:
            part = os.read(out, 65_536)
            *lines, self._rest = (self._rest + part).split(b"\n")
            self.events += [json.loads(line) for line in lines]
            return bool(part)
        return True


@contextmanager
def terminal_run(microphone: VirtualMicrophone, *options: str) -> Iterator[TerminalRun]:
    """A run that ends with the block."""
    person, program = os.openpty()
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            _ON_ITS_OWN_TERMINAL,
            *RT,
            "stream",
            "--mic",
            "--local",
            "--json",
            "--status",
            "live",
            *options,
        ],
        cwd=ROOT,
        stdin=program,
        stdout=subprocess.PIPE,
        stderr=program,
        env={**os.environ, **microphone.environment, "TERM": "xterm-256color"},
    )
    try:
        yield TerminalRun(process, person, program)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        os.close(person)
        os.close(program)


def test_mute_and_quit(virtual_microphone: VirtualMicrophone) -> None:
    """Muted speech is in no final; ``q`` works like a first Ctrl-C, and the terminal mode is restored."""
    with terminal_run(virtual_microphone) as person:
        before = person.mode
        person.event(type="session", state="ready")
        person.wait_for_text("m mute")
        assert person.mode != before
        person.press("m")
        muted = person.event(type="control", muted=True, talking=None)
        person.wait_for_text("MUTED")
        virtual_microphone.play(SPEECH).wait(DEADLINE_S)
        person.press("m")
        person.event_after(muted, type="control", muted=False)
        virtual_microphone.play(SPEECH).wait(DEADLINE_S)
        person.event(type="final")
        person.press("q")
        ran = person.ended()
        assert person.mode == before
    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err
    texts = [final["text"] for final in ran.of("final") if final["text"]]
    assert len(texts) == 1
    assert "might even have been" in texts[0]
    assert_accounted(ran.summary)


def test_push_to_talk(virtual_microphone: VirtualMicrophone) -> None:
    """Only speech between two spaces is sent, from its first word on."""
    with terminal_run(virtual_microphone, "--ptt") as person:
        person.event(type="session", state="ready")
        person.wait_for_text("space talk")
        virtual_microphone.play(SPEECH).wait(DEADLINE_S)
        person.press(" ")
        began = person.event(type="control", talking=True)
        virtual_microphone.play(SPEECH).wait(DEADLINE_S)
        person.press(" ")
        person.event_after(began, type="control", talking=False)
        person.event(type="final")
        person.press("q")
        ran = person.ended()
    (final,) = ran.of("final")
    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err
    assert "might even have been" in final["text"]
    assert final["start_ms"] == pytest.approx(began["at_ms"] - 300, abs=2)
    assert ran.summary["gated_ms"] >= began["at_ms"] - 301
    assert_accounted(ran.summary)


def test_third_signal_restores_the_terminal(virtual_microphone: VirtualMicrophone) -> None:
    """The third signal ends the process at once, and the terminal mode is restored."""
    with terminal_run(virtual_microphone) as person:
        before = person.mode
        person.event(type="session", state="ready")
        person.wait_for_text("q end")
        for _ in range(3):
            person.process.send_signal(signal.SIGINT)
        person.process.wait(DEADLINE_S)
        assert person.mode == before
