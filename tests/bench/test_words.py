"""Words compared with a reference."""

from __future__ import annotations

import pytest

from rt_cli.bench.words import compare, total
from rt_cli.errors import UsageError


@pytest.mark.parametrize(
    ("heard", "counts"),
    [
        ("He might even have been made amiable himself.", (8, 0, 0, 0)),
        ("he   MIGHT even, have been made amiable; himself", (8, 0, 0, 0)),
        ("he might even have been made miserable himself", (8, 1, 0, 0)),
        ("he might have been made amiable himself", (8, 0, 1, 0)),
        ("he might even have been so made amiable himself", (8, 0, 0, 1)),
        ("", (8, 0, 8, 0)),
    ],
)
def test_counts(heard: str, counts: tuple[int, ...]) -> None:
    """Case, punctuation and blanks do not count; every other difference is one of three kinds."""
    words = compare("He might even have been made amiable himself.\n", heard)
    assert (words.reference, words.substitutions, words.deletions, words.insertions) == counts
    assert words.error_rate == sum(counts[1:]) / 8


def test_long_texts_weigh_more() -> None:
    """The rate over several texts is over all their words."""
    both = total([compare("one two three four five six seven eight nine", "one two three"), compare("ten", "ten")])
    assert both is not None
    assert both.error_rate == 0.6
    assert total([]) is None


def test_reference_without_words() -> None:
    """A reference without words is an error."""
    with pytest.raises(UsageError, match="no words"):
        compare(" ...\n", "something")
