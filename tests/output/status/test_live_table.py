"""The live table on a real pseudo-terminal."""

from __future__ import annotations

import os
import select
import sys
import time

import pytest

from rt_cli.output.status.live_table import LiveTable

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

DEADLINE_S = 20.0


def drawn_until(end: int, wanted: bytes) -> bytes:
    """Read the output of a terminal until it has a text."""
    seen, deadline = b"", time.monotonic() + DEADLINE_S
    while wanted not in seen:
        assert select.select([end], [], [], deadline - time.monotonic())[0], f"no {wanted!r} in {seen!r}"
        seen += os.read(end, 65536)
    return seen


def test_the_newest_lines_are_shown_and_then_erased() -> None:
    """Each set of lines replaces the one before; no line is left at the end."""
    person, program = os.openpty()
    with open(program, "w", encoding="utf-8") as stream:  # noqa: PTH123  # a descriptor
        table = LiveTable(stream)
        table.show(["at once  held", "1        ..."])
        drawn_until(person, b"1        ...")
        table.show(["at once  held", "1        yes"])
        replaced = drawn_until(person, b"1        yes")
        assert b"\x1b[1A" in replaced  # one line up: over the old lines
        table.close()
        table.close()
        stream.write("after\n")
        stream.flush()
        last = drawn_until(person, b"after")
    # Both lines are erased after their last drawing.
    assert last.rpartition(b"yes")[2].count(b"\x1b[2K") == 2
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
