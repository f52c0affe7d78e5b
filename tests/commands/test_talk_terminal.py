"""``rt talk`` at a terminal: the user types, and allows tools or does not."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.program import RT, ended, served, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("pseudo terminals are POSIX", allow_module_level=True)

import pty

DEADLINE_S = 40.0


@pytest.fixture(scope="module")
def text() -> Iterator[str]:
    """The URL of an endpoint that replies in writing, and calls the tools that are named."""
    with served("--recognizer", "none", "--reply", "text") as (url, _):
        yield url


@pytest.fixture
def tools(tmp_path: Path) -> str:
    """A file of two tools that are to be confirmed."""
    file = tmp_path / "tools.json"
    commands = {"open": ["echo", "the", "door"], "shut": ["echo", "the", "window"]}
    declared = [{"name": name, "command": command, "confirm": "always"} for name, command in commands.items()]
    file.write_text(json.dumps(declared))
    return str(file)


def typed(arguments: Sequence[str], talk: Sequence[tuple[str, bytes]]) -> tuple[int, str]:
    """Run ``rt talk`` at a terminal.

    Args:
        arguments: Of the command.
        talk: What is waited for on the terminal, and what is typed then.

    Returns:
        Exit code, and all that was on the terminal.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(RT[0], [*RT, "talk", *arguments])  # noqa: S606 - the program under test
    said, seen = b"", 0
    until = time.monotonic() + DEADLINE_S
    waiting = list(talk)
    try:
        while time.monotonic() < until:
            if waiting and (place := said.find(waiting[0][0].encode(), seen)) >= 0:
                seen = place + len(waiting[0][0])
                os.write(terminal, waiting.pop(0)[1])
            if select.select([terminal], [], [], 0.1)[0]:
                piece = os.read(terminal, 10_000)
                if not piece:
                    break
                said += piece
        else:
            os.kill(pid, signal.SIGKILL)
    except OSError:
        pass  # the terminal has ended
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    assert not waiting, said.decode()
    return status, said.decode()


def test_typed_lines_are_not_drawn_over(text: str) -> None:
    """No live view, whose frames would hide what is typed; at the end the number of replies."""
    status, said = typed(
        ("--url", text, "--no-audio"),
        [("Ctrl-D ends", b"hello\n"), ("You said: hello", b"goodbye\n"), ("You said: goodbye", b"\x04")],
    )

    assert status == 0
    assert "\x1b[J" not in said
    assert "done: typed: 2 replies, " in said


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (b"y\n", "The tool says: the door"),
        (b"\n", "the user did not allow it"),
        (b"no\n", "the user did not allow it"),
    ],
)
def test_an_answer_is_no_line_of_the_conversation(text: str, tools: str, answer: bytes, reply: str) -> None:
    """The line after the question is the answer, whoever reads the terminal."""
    status, said = typed(
        ("--url", text, "--no-audio", "--tools", tools),
        [("Ctrl-D ends", b"open\n"), ("run it? [y/N]", answer), (reply, b"bye\n"), ("You said: bye", b"\x04")],
    )

    assert status == 0
    assert "echo the door" in said
    assert said.count("You said:") == 1


def test_one_question_at_a_time(text: str, tools: str) -> None:
    """Each answer is of the call that was shown last."""
    status, said = typed(
        ("--url", text, "--no-audio", "--tools", tools),
        [
            ("Ctrl-D ends", b"open and shut\n"),
            ("echo the door\r\nrun it? [y/N]", b"y\n"),
            ("echo the window\r\nrun it? [y/N]", b"n\n"),
            ("The tool says: ", b"\x04"),
        ],
    )

    outputs = said.partition("The tool says: ")[2].partition("\r\n")[0]
    assert status == 0
    assert "the door" in outputs
    assert '{"error": "the user did not allow it"}' in outputs
    assert "the window" not in outputs


def test_without_a_terminal_it_is_said_at_the_start(text: str, tools: str) -> None:
    """Such a tool will not be run."""
    process = start(*("talk", "--url", text, "--no-audio", "--tools", tools), stdin=subprocess.PIPE, session=True)
    ran = ended(process, stdin=b"open\n")

    assert ran.exit == 0
    assert "warning: the tool open will not be run: there is no terminal to ask at before" in ran.err.splitlines()
    assert "nobody is there to allow it" in ran.out
