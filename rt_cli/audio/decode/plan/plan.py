"""The interface of a plan: in which parts a decoder reads a file, and what the file announces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rt_cli.audio.decode.plan.file_part import FilePart


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file that decodes in one go."""

    file: FilePart | None = None
    """None for the whole file, opened by its name."""
    end: int | None = None
    """Position of its last frame, by a count that goes on from part to part: holes are seen by it. None for unknown."""
    end_rate_hz: int = 0
    """Rate of that count; 0 for the rate of the file."""
    follows: bool = False
    """The count goes on from the part before."""
    lost: int = 0
    """Frames lost directly before this part."""
    expected: int | None = None
    """Frames of the part, if they are known."""


class DecodePlan(Protocol):
    """The parts of a file, in order."""

    frames: int
    """Frames that the file announces; 0 for none, or if they are unknown."""
    behind: int
    """Bytes behind the sound that may be sound and cannot be read."""
    cut: str
    """How the end of the file shows that there was more, for the error at its end. Empty if it does not."""
    note: str
    """A warning that costs no sound. Empty for none."""

    def first(self) -> Part:
        """Return the part to open first."""
        ...

    def intact(self, heard: int) -> int:
        """Return how many frames of the present part are at their place, after the decoder has failed.

        Args:
            heard: Frames of the present part that were decoded.
        """
        ...

    def following(self, heard: int, *, failed: bool) -> Part | None:
        """Return the part behind the present one; None at the end.

        Args:
            heard: Frames of the present part that were decoded.
            failed: The decoder could not go on.
        """
        ...

    def missing(self, heard: int) -> int:
        """Return how many announced frames are missing.

        Args:
            heard: Frames of the whole file, holes included.
        """
        ...
