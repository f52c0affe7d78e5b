"""Compare words with a reference. Needs jiwer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Words:
    """Word counts of a comparison with a reference."""

    reference: int
    """Number of words in the reference."""
    substitutions: int
    deletions: int
    insertions: int

    @property
    def error_rate(self) -> float:
        """The word error rate; above 1 with many insertions."""
        return (self.substitutions + self.deletions + self.insertions) / self.reference


def total(counts: Iterable[Words]) -> Words | None:
    """Return the sum of the counts, so that each word counts the same; None without counts."""
    counts = list(counts)
    if not counts:
        return None
    return Words(
        reference=sum(each.reference for each in counts),
        substitutions=sum(each.substitutions for each in counts),
        deletions=sum(each.deletions for each in counts),
        insertions=sum(each.insertions for each in counts),
    )


def compare(reference: str, transcript: str) -> Words:
    """Align two texts; case and punctuation do not count.

    Raises:
        UsageError: The reference has no words, or jiwer is missing.
    """
    jiwer, plain = _jiwer()
    if not (reference_words := plain(reference)):
        raise UsageError("a reference has no words", "give the text that is spoken in the recording")
    aligned = jiwer.process_words(reference_words, plain(transcript))
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
    transforms: Any = jiwer  # only partly typed
    steps = (transforms.ToLowerCase, transforms.RemovePunctuation, transforms.RemoveMultipleSpaces, transforms.Strip)
    return jiwer, transforms.Compose([step() for step in steps])
