"""The keys of ``rt stream --mic``, with a real microphone and on a terminal of its own."""

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


class Sitting:
    """Somebody in front of the terminal; results go into a pipe."""

    def __init__(self, process: subprocess.Popen[bytes], person: int, program: int) -> None:
        self.process = process
        self.seen = b""
        self.events: list[dict[str, Any]] = []
        self._person = person
        self._program = program
        self._rest = b""

    @property
    def mode(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self._program)

    def press(self, key: str) -> None:
        """Type."""
        os.write(self._person, key.encode())

    def sees(self, word: str) -> None:
        """Wait until it is on the screen."""
        start = len(self.seen)
        while word.encode() not in self.seen[start:]:
            assert self._read(), f"no {word}: {self.seen[-500:]!r}"

    def told(self, **fields: object) -> dict[str, Any]:
        """Wait for an event with these fields."""
        return self._told(0, fields)

    def told_after(self, earlier: dict[str, Any], **fields: object) -> dict[str, Any]:
        """Wait for such an event behind another."""
        return self._told(self.events.index(earlier) + 1, fields)

    def _told(self, start: int, fields: dict[str, object]) -> dict[str, Any]:
        while True:
            for event in self.events[start:]:
                if fields.items() <= event.items():
                    return event
            assert self._read(), (fields, self.events)

    def ended(self) -> Ran:
        """Wait for the end."""
        while self._read():
            pass
        self.process.wait(DEADLINE_S)
        return Ran(self.process.returncode, "\n".join(map(json.dumps, self.events)), self.seen.decode(errors="replace"))

    def _read(self) -> bool:
        """Read what comes next; False when results have come to their end."""
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
def sitting(microphone: VirtualMicrophone, *options: str) -> Iterator[Sitting]:
    """A run; nothing of it outlives the block."""
    person, program = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_ITS_OWN_TERMINAL, *RT, "stream", "--mic", "--local", "--json", *options],
        cwd=ROOT,
        stdin=program,
        stdout=subprocess.PIPE,
        stderr=program,
        env={**os.environ, **microphone.environment, "TERM": "xterm-256color"},
    )
    try:
        yield Sitting(process, person, program)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        os.close(person)
        os.close(program)


def test_mute_and_quit(virtual_microphone: VirtualMicrophone) -> None:
    """What is said while muted is in no final; ``q`` is a first Ctrl-C, and the terminal is as it was."""
    with sitting(virtual_microphone) as person:
        before = person.mode
        person.told(type="session", state="ready")
        person.sees("m mute")
        assert person.mode != before
        person.press("m")
        muted = person.told(type="control", muted=True, talking=None)
        person.sees("MUTED")
        virtual_microphone.play(SPEECH).wait(DEADLINE_S)
        person.press("m")
        person.told_after(muted, type="control", muted=False)
        virtual_microphone.play(SPEECH).wait(DEADLINE_S)
        person.told(type="final")
        person.press("q")
        ran = person.ended()
        assert person.mode == before
    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err
    texts = [final["text"] for final in ran.of("final") if final["text"]]
    assert len(texts) == 1
    assert "might even have been" in texts[0]
    assert_accounted(ran.summary)


def test_push_to_talk(virtual_microphone: VirtualMicrophone) -> None:
    """Only what is said between two spaces is sent, and heard from its first word on."""
    with sitting(virtual_microphone, "--ptt") as person:
        person.told(type="session", state="ready")
        person.sees("space talk")
        virtual_microphone.play(SPEECH).wait(DEADLINE_S)
        person.press(" ")
        began = person.told(type="control", talking=True)
        virtual_microphone.play(SPEECH).wait(DEADLINE_S)
        person.press(" ")
        person.told_after(began, type="control", talking=False)
        person.told(type="final")
        person.press("q")
        ran = person.ended()
    (final,) = ran.of("final")
    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err
    assert "might even have been" in final["text"]
    assert final["start_ms"] == pytest.approx(began["at_ms"] - 300, abs=2)
    assert ran.summary["gated_ms"] >= began["at_ms"] - 301
    assert_accounted(ran.summary)


def test_the_third_signal_gives_the_terminal_back(virtual_microphone: VirtualMicrophone) -> None:
    """It ends everything at once, but not so."""
    with sitting(virtual_microphone) as person:
        before = person.mode
        person.told(type="session", state="ready")
        person.sees("q end")
        for _ in range(3):
            person.process.send_signal(signal.SIGINT)
        person.process.wait(DEADLINE_S)
        assert person.mode == before
