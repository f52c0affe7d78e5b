"""Deltas: a sent word is never taken back, and no stable word is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.session.input.stable_words import StableWords

TEXTS = st.lists(st.sampled_from(["he", "might", "even", "have"]), max_size=6).map(" ".join)


@pytest.mark.parametrize(
    ("hypotheses", "final", "expected"),
    [
        pytest.param(["he"], "", [""], id="one hypothesis proves nothing"),
        pytest.param(["he", "he"], "he", ["", "he", ""], id="two agree"),
        pytest.param(["he", "he might"], "he might", ["", "he", " might"], id="the rest comes at the end"),
        pytest.param(["he my", "he might", "he might even"], "he might", ["", "he", " might", ""], id="revised word"),
        pytest.param(["a b", "a b", "a c d", "a c d"], "a c d", ["", "a b", "", "", ""], id="told too early: silent"),
        pytest.param(["", ""], "", ["", "", ""], id="no words"),
    ],
)
def test_deltas(hypotheses: list[str], final: str, expected: list[str]) -> None:
    """A word is sent when two hypotheses in a row agree on it and on all words before it."""
    deltas = StableWords()

    assert expected[: len(hypotheses)] == [deltas.push(text) for text in hypotheses]
    assert expected[len(hypotheses) :] in ([], [deltas.finish(final)])


@given(st.lists(TEXTS), TEXTS)
def test_concatenation(hypotheses: list[str], final: str) -> None:
    """All deltas together are the beginning of a hypothesis, and the final text if that begins with them."""
    deltas = StableWords()
    before = "".join(deltas.push(text) for text in hypotheses)
    whole = before + deltas.finish(final)

    assert not before or any(text.split()[: len(before.split())] == before.split() for text in hypotheses)
    if final.split()[: len(before.split())] == before.split():
        assert final == whole
    else:
        assert before == whole
