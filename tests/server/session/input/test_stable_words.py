"""Deltas: they add up to the transcript, a sent word is never taken back, and no stable word is lost."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rt_cli.server.session.input.stable_words import STABLE_AFTER_S, StableWords

TEXTS = st.lists(st.sampled_from(["he", "might", "even", "have", "你", "好", "\u3000", "\n", ""]), max_size=8).map(
    " ".join
) | st.text(max_size=20)
STEP_S = 0.2
HYPOTHESES = st.lists(st.tuples(TEXTS, st.none() | st.floats(0, 20)))


@pytest.mark.parametrize(
    ("hypotheses", "final", "expected"),
    [
        pytest.param(["he"], "", [""], id="one hypothesis proves nothing"),
        pytest.param(["he", "he"], "he", ["", "he", ""], id="two agree"),
        pytest.param(["he", "he might"], "he might", ["", "he", " might"], id="the rest comes at the end"),
        pytest.param(["he my", "he might", "he might even"], "he might", ["", "he", " might", ""], id="revised word"),
        pytest.param(["a b", "a b", "a c d", "a c d"], "a c d", ["", "a b", "", " d", ""], id="sent too early"),
        pytest.param(["eh mr", "eh mr"], "mr john", ["", "eh mr", " john"], id="a word that was none"),
        pytest.param(["b c", "b c"], "a b c d", ["", "b c", " d"], id="a word that was not heard"),
        pytest.param(["a b c", "a b c"], "x y", ["", "a b c", ""], id="nothing in common"),
        pytest.param(["made a", "made a"], "made amiable", ["", "made a", "miable"], id="half a word"),
        pytest.param(["你好", "你好吗"], "你好吗?", ["", "你好", "吗?"], id="no spaces"),
        pytest.param(["你好", "你好"], "您好吗", ["", "你好", "吗"], id="no spaces, revised"),
        pytest.param(["a  b"], " a  b\nc ", ["", "a  b\nc"], id="spaces of the final stay"),
        pytest.param(["a b", "a b"], "", ["", "a b", ""], id="a final without words"),
        pytest.param(["", ""], "", ["", "", ""], id="no words"),
    ],
)
def test_deltas(hypotheses: list[str], final: str, expected: list[str]) -> None:
    """Without times, a word is sent when two hypotheses in a row agree on it and on all words before it."""
    deltas = StableWords()

    assert expected[: len(hypotheses)] == [deltas.push(text) for text in hypotheses]
    assert expected[len(hypotheses) :] in ([], [deltas.finish(final)])


def test_a_word_is_sent_when_it_is_old_enough() -> None:
    """Its age is counted in audio, from the hypothesis that brought it; a word that changes begins anew."""
    deltas = StableWords()
    texts = ["he", "he a", "he a real", "he a real", "he a real boy", "he a real boy", "he a real boy", "he a real boy"]
    told = [deltas.push(text, STEP_S * number) for number, text in enumerate(texts)]

    assert told == [""] * 7 + ["he"]
    assert [deltas.push("he amiable", 8 * STEP_S), deltas.push("he amiable", 8 * STEP_S + STABLE_AFTER_S)] == [
        "",
        " amiable",
    ]
    assert deltas.finish("he amiable himself") == " himself"


@given(HYPOTHESES, TEXTS)
@example([("a b", None), ("a b", None), ("b", None), ("b", None)], "a b c")
@example([("a", 0.0), ("a", 5.0), ("b", 6.0), ("b", 9.0)], "b a")
def test_deltas_add_up(hypotheses: list[tuple[str, float | None]], final: str) -> None:
    """Together they are the transcript, which is the final text unless that contradicts what was sent."""
    deltas = StableWords()
    sent = ""
    for text, heard_s in hypotheses:
        sent += deltas.push(text, heard_s)
        assert deltas.transcript == sent
    whole = sent + deltas.finish(final)

    assert deltas.transcript == whole
    if final.strip().startswith(sent):
        assert whole == final.strip()


@given(st.lists(st.sampled_from("abcdef"), min_size=1), st.lists(st.sampled_from("abcdef")))
def test_the_end_of_the_final_is_never_lost(told: list[str], rest: list[str]) -> None:
    """Words after a word that was misheard follow once, and in order."""
    deltas = StableWords()
    text = "x " + " ".join(told)
    for _ in range(2):
        deltas.push(text)
    assert deltas.finish(" ".join([*told, *map(str.upper, rest)])) == "".join(f" {word.upper()}" for word in rest)


def test_a_long_turn() -> None:
    """The work for one hypothesis stays small, also after a contradiction at the start of thousands of words."""
    deltas, words = StableWords(), [f"word{number}" for number in range(5_000)]
    for _ in range(2):
        deltas.push("wrong " + " ".join(words[:20]))
    began = time.process_time()
    for end in range(20, 5_000, 20):
        deltas.push(" ".join(words[:end]))
        deltas.push(f"{' '.join(words[: end - 3])} changed")
    delta = deltas.finish(" ".join(words))

    assert deltas.transcript == "wrong " + " ".join(words)
    assert delta
    assert time.process_time() - began < 10
