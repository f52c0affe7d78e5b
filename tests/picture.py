"""Draw the README's picture of the live view: a real run on a pseudo-terminal, in the middle of it, as SVG.

python -m tests.picture                  # tests/data/live.svg
python -m tests.picture FILE
"""

from __future__ import annotations

import io
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS, ROWS = 104, 14
DATA = Path(__file__).parent / "data"
PICTURE = DATA / "live.svg"
COMMAND = ("send", "--local", "--speed", "1", "sense_0930.wav", "sense_0870.wav")
DEADLINE_S = 120.0
_NAMES = {"brown": "yellow"}
"""Colours with another name in Rich."""


def run(command: tuple[str, ...], folder: Path, until: Callable[[pyte.Screen], bool]) -> pyte.Screen:
    """Run ``rt`` on a terminal, and stop it when the screen has the wanted state.

    Raises:
        TimeoutError: The screen never had that state.
    """
    import fcntl

    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    process, terminal = pty.fork()
    if process == 0:
        hidden = {"CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "COLORTERM"}
        environ = {name: value for name, value in os.environ.items() if name not in hidden}
        os.chdir(folder)
        os.execve(sys.executable, [sys.executable, "-m", "rt_cli", *command], environ | {"TERM": "xterm-256color"})  # noqa: S606
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        deadline = time.monotonic() + DEADLINE_S
        while not until(screen):
            ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("\n".join(screen.display))
            stream.feed(os.read(terminal, 65536))
        return screen
    finally:
        os.close(terminal)  # the terminal is closed
        os.waitpid(process, 0)


def in_the_middle(screen: pyte.Screen) -> bool:
    """Return whether a final is above, and the second recording is in progress."""
    shown = "\n".join(screen.display)
    share = re.search(r" (\d+)%  eta \d", shown)
    return (
        bool(share) and 60 <= int(share[1]) <= 90 and re.search(r"^  \d+: (\w+ ){6}", shown, re.MULTILINE) is not None
    )


def as_text(screen: pyte.Screen) -> list[Text]:
    """Return the rows of a screen with their styles, up to the last row that is not empty."""
    rows = []
    for number in range(len("\n".join(screen.display).rstrip().split("\n"))):
        row = Text(no_wrap=True)
        chars = [screen.buffer[number][column] for column in range(screen.columns)]
        for style, run_of_it in groupby(chars, style_of):
            row.append("".join(char.data for char in run_of_it), style)
        row.rstrip()
        rows.append(row)
    return rows


def style_of(char: pyte.screens.Char) -> Style:
    """Return the Rich style of a character."""
    color = None if char.fg == "default" else Color.parse(_NAMES.get(char.fg, char.fg))
    return Style(color=color, bold=char.bold or None, italic=char.italics or None)


def picture(screen: pyte.Screen) -> str:
    """Return the screen as SVG, below its command."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "dim"), (f"rt {' '.join(COMMAND)}", "bold")))
    for row in as_text(screen):
        console.print(row)
    # Remove web fonts: use the reader's own monospace font.
    form = re.sub(r"\s*@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="rt", unique_id="rt", code_format=form)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    drawn = picture(run(COMMAND, DATA, in_the_middle))
    target.write_text("\n".join(line.rstrip() for line in drawn.splitlines()) + "\n", encoding="utf-8")
    print(f"{target}: {target.stat().st_size} bytes")
