"""Words against a reference. Wants jiwer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Words:
    """What became of the words of a reference."""

    reference: int
    """How many it has."""
    substitutions: int
    deletions: int
    insertions: int

    @property
    def error_rate(self) -> float:
        """The word error rate; above 1 where more was heard than said."""
        return (self.substitutions + self.deletions + self.insertions) / self.reference


def together(counts: Iterable[Words]) -> Words | None:
    """The sum, so that long texts weigh more; None of nothing."""
    counts = list(counts)
    if not counts:
        return None
    return Words(
        reference=sum(each.reference for each in counts),
        substitutions=sum(each.substitutions for each in counts),
        deletions=sum(each.deletions for each in counts),
        insertions=sum(each.insertions for each in counts),
    )


def compare(reference: str, heard: str) -> Words:
    """Align two texts; case and punctuation do not count.

    Raises:
        UsageError: The reference has no words, or jiwer is missing.
    """
    jiwer, plain = _jiwer()
    if not (said := plain(reference)):
        raise UsageError("a reference has no words", "give the text that is spoken in the recording")
    aligned = jiwer.process_words(said, plain(heard))
    return Words(
        reference=aligned.hits + aligned.substitutions + aligned.deletions,
        substitutions=aligned.substitutions,
        deletions=aligned.deletions,
        insertions=aligned.insertions,
    )


@cache
def _jiwer() -> tuple[Any, Any]:
    try:
        import jiwer
    except ImportError:
        raise UsageError("a reference needs jiwer, which is not installed", "pip install 'rt-cli[bench]'") from None
    transforms: Any = jiwer  # half of it is typed
    steps = (transforms.ToLowerCase, transforms.RemovePunctuation, transforms.RemoveMultipleSpaces, transforms.Strip)
    return jiwer, transforms.Compose([step() for step in steps])
