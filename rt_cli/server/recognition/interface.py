"""What turns speech into words: the seam between the endpoint and its engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager


class RecognizerFailed(Exception):
    """An item will have no text; the next one may."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What the client says about an item's words; an engine that has no use for one leaves it."""

    language: str | None = None
    """ISO 639-1, as ``en``; None: not said."""
    prompt: str | None = None
    """Words and style to expect."""


NO_HINTS = Hints()


@dataclass(frozen=True, slots=True)
class Word:
    """A word and when it was said, in seconds of the item's own audio."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """All of an item's text as far as it is known."""

    text: str
    final: bool = False
    """It will not change any more, and no other follows."""
    words: tuple[Word, ...] = ()
    """The words with their times, in order; empty where the engine does not tell them."""


class Transcription(Protocol):
    """One item being recognised."""

    async def feed(self, pcm: bytes) -> None:
        """Take s16le at the rate of the item; waits while more than 5 s of audio wait to be recognised.

        Cancelled, it may have taken any part of ``pcm``. Never raises: a failure is told by :meth:`hypotheses`.
        """
        ...

    def pause(self) -> None:
        """Nobody speaks for now: words do not reach across this point."""
        ...

    def finish(self) -> None:
        """No more audio: the final hypothesis is due."""
        ...

    def abandon(self) -> None:
        """No more audio, and nobody wants to know."""
        ...

    def hypotheses(self) -> AsyncIterator[Hypothesis]:
        """The text as it grows, the final one last; read it once.

        Raises:
            RecognizerFailed: There will be no final.
        """
        ...


class RecognizerSession(Protocol):
    """The recogniser of one session."""

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:
        """Begin an item; returns before any model is loaded."""
        ...


class Recognizer(Protocol):
    """The recogniser of a server, shared by its sessions."""

    @property
    def notice(self) -> str:
        """One line: what is to be thought of its words, or why there are none and what to do."""
        ...

    @property
    def languages(self) -> frozenset[str] | None:
        """The languages it knows (ISO 639-1); None: any, or nobody knows."""
        ...

    def session(self) -> AbstractAsyncContextManager[RecognizerSession]:
        """Words for one session; what is open at the end is abandoned."""
        ...
