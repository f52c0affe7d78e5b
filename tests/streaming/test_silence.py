"""An endpoint that invents words for silence gets none; a word at the very end is heard. See ``tests/silence.py``."""

from __future__ import annotations

import pytest

from tests.fakes import run
from tests.silence import CASES, run_case

SOME = [
    ("file", "server_vad", "kills", "long silence"),
    ("file", "client", "rollovers", "a last word"),
    ("live source", "server_vad", "rollovers", "long silence"),
    ("live source", "client", "kills", "short silence"),
    ("rt send", "server_vad", "none", "a last word"),
    ("rt stream -", "client", "none", "long silence"),
]


@pytest.mark.parametrize("case", SOME, ids=[", ".join(case) for case in SOME])
def test_no_words_for_silence(case: tuple[str, ...]) -> None:
    """All the words that were spoken, and no other."""
    heard = run(run_case([", ".join(each) for each in CASES].index(", ".join(case))), seconds=60)
    assert not heard.invented
    assert heard.right, heard
