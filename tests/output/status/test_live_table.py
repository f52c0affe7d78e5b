"""The live table on a real pseudo-terminal."""

from __future__ import annotations

import os
import select
import sys
import time

import pyte
import pytest

from rt_cli.output.status.live import REDRAW_S
from rt_cli.output.status.live_table import LiveTable

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

import termios

DEADLINE_S = 20.0
FRAME_END = b"\x1b[?2026l"


def drawn_until(end: int, wanted: bytes) -> bytes:
    """Read the output of a terminal until it has a text."""
    seen, deadline = b"", time.monotonic() + DEADLINE_S
    while wanted not in seen:
        assert select.select([end], [], [], deadline - time.monotonic())[0], f"no {wanted!r} in {seen!r}"
        seen += os.read(end, 65536)
    return seen


def shown(columns: int, height: int, *tables: list[str]) -> tuple[list[str], list[str]]:
    """Return the lines on a terminal that has shown some tables, one after the other, and those after the end."""
    person, program = os.openpty()
    termios.tcsetwinsize(program, (height, columns))
    screen = pyte.Screen(columns, height)
    feed = pyte.ByteStream(screen).feed
    with open(program, "w", encoding="utf-8") as stream:  # noqa: PTH123  # a descriptor
        table = LiveTable(stream)
        for lines in tables:
            table.show(lines)
            feed(drawn_until(person, FRAME_END))
        during = [line.rstrip() for line in screen.display]
        table.close()
        table.close()
        stream.write("after\n")
        stream.flush()
        feed(drawn_until(person, b"after"))
    os.close(person)
    return during, [line.rstrip() for line in screen.display]


@pytest.mark.parametrize(
    ("columns", "height", "expected"),
    [
        (40, 5, ["at once  held", "1        yes", "2        ...", "", ""]),
        (10, 5, ["at once …", "1       …", "2       …", "", ""]),
        (40, 2, ["1        yes", "2        ..."]),
    ],
    ids=["all", "narrow", "low"],
)
def test_the_newest_lines_are_shown_and_then_erased(columns: int, height: int, expected: list[str]) -> None:
    """Each table replaces the one before, whatever the size of the terminal; no line is left at the end."""
    first, second = ["at once  held", "1        ..."], ["at once  held", "1        yes", "2        ..."]

    during, after = shown(columns, height, first, second)

    assert during == expected
    assert after == ["after", *[""] * (height - 1)]


def test_a_stopped_program_leaves_no_table() -> None:
    """Ctrl-Z erases it, nothing is drawn until ``fg``, and then it is drawn anew; as often as one likes."""
    person, program = os.openpty()
    termios.tcsetwinsize(program, (5, 40))
    screen = pyte.Screen(40, 5)
    feed = pyte.ByteStream(screen).feed
    with open(program, "w", encoding="utf-8") as stream:  # noqa: PTH123  # a descriptor
        table = LiveTable(stream)
        table.show(["at once  held", "1        ..."])
        feed(drawn_until(person, FRAME_END))
        for _ in range(2):
            table.leave_terminal()
            while select.select([person], [], [], 0)[0]:
                feed(os.read(person, 65536))
            assert [line.strip() for line in screen.display] == [""] * 5
            table.show(["at once  held", "1        yes"])
            assert not select.select([person], [], [], 3 * REDRAW_S)[0]
            table.enter_terminal()
            feed(drawn_until(person, FRAME_END))
            assert [line.strip() for line in screen.display[:2]] == ["at once  held", "1        yes"]
        table.leave_terminal()
        table.close()
        assert not table.alive
    os.close(person)


def test_a_table_that_nobody_changed_is_drawn_anew() -> None:
    """After ``fg``, too."""
    person, program = os.openpty()
    with open(program, "w", encoding="utf-8") as stream:  # noqa: PTH123  # a descriptor
        table = LiveTable(stream)
        table.show(["the only one"])
        drawn_until(person, b"the only one")
        table.leave_terminal()
        table.enter_terminal()
        drawn_until(person, b"the only one")
        table.close()
    os.close(person)


def test_a_broken_terminal_raises_nothing() -> None:
    """The thread ends without an exception."""
    person, program = os.openpty()
    with open(program, "w", encoding="utf-8") as stream:  # noqa: PTH123  # a descriptor
        table = LiveTable(stream)
        table.show(["first"])
        drawn_until(person, b"first")
        os.close(person)
        table.show(["second"])
        table.close()
    assert not table.alive
