"""Deltas: what is told is never taken back, and nothing that holds is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.session.input.stable_words import StableWords

TEXTS = st.lists(st.sampled_from(["he", "might", "even", "have"]), max_size=6).map(" ".join)


@pytest.mark.parametrize(
    ("hypotheses", "final", "told"),
    [
        pytest.param(["he"], "", [""], id="one hypothesis proves nothing"),
        pytest.param(["he", "he"], "he", ["", "he", ""], id="two agree"),
        pytest.param(["he", "he might"], "he might", ["", "he", " might"], id="the rest comes at the end"),
        pytest.param(["he my", "he might", "he might even"], "he might", ["", "he", " might", ""], id="revised word"),
        pytest.param(["a b", "a b", "a c d", "a c d"], "a c d", ["", "a b", "", "", ""], id="told too early: silent"),
        pytest.param(["", ""], "", ["", "", ""], id="no words"),
    ],
)
def test_told(hypotheses: list[str], final: str, told: list[str]) -> None:
    """A word is told when two hypotheses in a row agree on it and on all before it."""
    deltas = StableWords()

    assert told[: len(hypotheses)] == [deltas.push(text) for text in hypotheses]
    assert told[len(hypotheses) :] in ([], [deltas.finish(final)])


@given(st.lists(TEXTS), TEXTS)
def test_concatenation(hypotheses: list[str], final: str) -> None:
    """What was told, put together, is words of some hypothesis, and the final text if that begins with them."""
    deltas = StableWords()
    before = "".join(deltas.push(text) for text in hypotheses)
    whole = before + deltas.finish(final)

    assert not before or any(text.split()[: len(before.split())] == before.split() for text in hypotheses)
    if final.split()[: len(before.split())] == before.split():
        assert final == whole
    else:
        assert before == whole
