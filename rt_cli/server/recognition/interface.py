"""Interface between the endpoint and its speech recognition engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager


class RecognizerFailed(Exception):
    """The item gets no text; later items are not affected."""


@dataclass(frozen=True, slots=True)
class Hints:
    """Hints from the client about the words of an item. An engine ignores hints that it does not support."""

    language: str | None = None
    """ISO 639-1, for example ``en``; None: unknown."""
    prompt: str | None = None
    """Expected words and style."""


NO_HINTS = Hints()


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The text of an item so far."""

    text: str
    final: bool = False
    """True for the last hypothesis of the item."""
    heard_s: float | None = None
    """Seconds of audio in a text that may still change; None: unknown, or the engine only appends."""


class Transcription(Protocol):
    """The recognition of one item."""

    async def feed(self, pcm: bytes) -> None:
        """Add s16le at the rate of the item; waits while more than 5 s of audio are unrecognised.

        After cancellation, any part of ``pcm`` may have been added. Never raises: :meth:`hypotheses` raises failures.
        """
        ...

    def pause(self) -> None:
        """Mark a pause: no word crosses this point."""
        ...

    def finish(self) -> None:
        """End the audio; the final hypothesis follows."""
        ...

    def abandon(self) -> None:
        """Stop the recognition; the result is not needed."""
        ...

    def hypotheses(self) -> AsyncIterator[Hypothesis]:
        """Iterate over the hypotheses; the final one is the last. Call once.

        Raises:
            RecognizerFailed: The item gets no text.
        """
        ...


class RecognizerSession(Protocol):
    """The recogniser's side of one session."""

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:
        """Start the recognition of an item; does not wait for a model to load."""
        ...


class Recognizer(Protocol):
    """The recogniser of a server, shared by its sessions."""

    @property
    def notice(self) -> str:
        """One line for people: quality of the words, or why there are none and what to do."""
        ...

    @property
    def languages(self) -> frozenset[str] | None:
        """Languages of the recogniser (ISO 639-1); None: any, or unknown."""
        ...

    def session(self) -> AbstractAsyncContextManager[RecognizerSession]:
        """Open the recogniser for one session; the end of the block abandons open items."""
        ...
