"""Markdown on a terminal, and anywhere else."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len

from rt_cli.output.markdown import column_widths, rendered

LONG = "rt send --save-transcript x.srt x.wav   # " + "so long that it is as wide as no terminal, or nearly none " * 3
TEXT = f"""# a: b

One **bold** word and `--code`.

| option | |
|---|---|
| `-x` | it is long enough to be wrapped at the edge of a terminal that is not too wide for it |

```sh
rt send x.wav   # "quoted"

    {LONG}
```
"""


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_elsewhere_it_stays_as_it_is(stream: io.StringIO | None) -> None:
    """In a pipe, in a file, and where there is no stdout."""
    assert rendered(TEXT, stream) == TEXT


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_on_a_terminal_it_is_laid_out(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """No marks, all words, no wider than the terminal or a hundred columns."""
    monkeypatch.setenv("COLUMNS", str(columns))

    shown = rendered(TEXT, Terminal())

    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert "\x1b[" in shown
    assert "\x1b]" not in shown
    assert {"|", "`", "**", "#  "} & set(plain) == set()
    lines = plain.splitlines()
    code = [line.rstrip() for line in lines if "rt send" in line]
    assert code == ['  rt send x.wav   # "quoted"', f"      {LONG.rstrip()}"], "a line of code stays one, to be copied"
    assert " ".join(plain.split()).count("wrapped") == 1
    assert max(cell_len(line) for line in lines if LONG not in f"{line} ") <= min(columns, 100)
    assert re.search(r"\x1b\[[\d;]*4[0-8][;m]", shown) is None, "a background"


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bold stays, colours go."""
    monkeypatch.setenv("NO_COLOR", "1")

    shown = rendered(TEXT, Terminal())

    assert re.findall(r"\x1b\[(?:[\d;]*;)?(?:3[0-8]|9[0-7])[;m]", shown) == []
    assert "\x1b[1m" in shown


@pytest.mark.parametrize(
    ("columns", "room", "widths"),
    [
        ([["a", "bb"], ["ccc"]], 80, [2, 3]),
        ([["-x", "--long"], ["ab " * 30], ["send, stream"]], 40, [6, 25, 9]),
        ([["-x"], ["ab " * 30], ["cd " * 10]], 42, [2, 29, 11]),
        ([["x" * 30], ["y"]], 10, [9, 1]),
        ([[""], ["", ""]], 10, [1, 1]),
    ],
    ids=["all fits", "the longest gets the rest", "by their text", "no room for a word", "empty"],
)
def test_columns_are_as_wide_as_they_need(columns: list[list[str]], room: int, widths: list[int]) -> None:
    """Words stay whole while there is room, and nothing is wider than it has to be."""
    assert column_widths(columns, room) == widths


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_nothing_of_a_table_is_cut(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Every letter of every cell is there, in lines that fit."""
    monkeypatch.setenv("COLUMNS", str(columns))
    table = f"| option | | commands |\n|---|---|---|\n| `--{'o' * 23}` | {'many words ' * 20}q | {'z' * 30} |\n"

    plain = re.sub(r"\x1b\[[\d;]*m", "", rendered(table, Terminal()))

    assert {letter: plain.count(letter) for letter in "zq…"} == {"z": 30, "q": 1, "…": 0}
    assert plain.count("o") == table.count("o")
    assert max(map(cell_len, plain.splitlines())) <= min(columns, 100)
