"""The README's picture: its content, and that it can be drawn."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

from tests.picture import DATA, PICTURE, picture, run
from tests.program import ROOT, needs_words

if TYPE_CHECKING:
    import pyte


def words(svg: str) -> str:
    """Return the text of a picture."""
    texts = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314  # our own file
    return " ".join(" ".join("".join(text.itertext()) for text in texts).split())


def test_the_picture_is_small_and_says_nothing_of_the_machine() -> None:
    """No path and no external resource; the README contains it."""
    svg = PICTURE.read_text(encoding="utf-8")

    assert len(svg) < 60_000
    assert str(ROOT) not in svg
    assert not re.search(r"(?:src|href|url)\W{1,3}http", svg)
    for fact in ("he might even have been made amiable himself", "ready", "dBFS", "captured", "eta"):
        assert fact in words(svg)
    assert "tests/data/live.svg" in (ROOT / "README.md").read_text(encoding="utf-8")


@needs_words
def test_it_is_drawn_from_a_real_run() -> None:
    """A run that has just started is drawn in the same way."""

    def ready(screen: pyte.Screen) -> bool:
        return any(row.startswith("* ready") for row in screen.display)

    svg = picture(run(("send", "--local", "--speed", "1", "sense_0930.wav"), DATA, ready))

    assert "* ready sense_0930.wav (file)" in words(svg)
