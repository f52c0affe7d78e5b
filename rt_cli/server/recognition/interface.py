"""What turns speech into words: the seam between the endpoint and its engines."""

from __future__ import annotations

import asyncio
import importlib.util
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEMO_QUALITY = "words by pocketsphinx en-us: demo quality, English only"
NO_WORDS = "no recogniser: turns are found, but their text is empty"


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


class Ears(Protocol):
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

    def ears(self) -> AbstractAsyncContextManager[Ears]:
        """Words for one session; what is open at the end is abandoned."""
        ...


def unavailable() -> str | None:
    """Why pocketsphinx cannot be used here and what to do, in one line; None if it can."""
    if importlib.util.find_spec("pocketsphinx") is not None:
        return None
    return (
        "pocketsphinx is not installed (it has no wheel for some Pythons and machines), so the embedded endpoint makes "
        "turns without words: install Python 3.11 or 3.13, or use a real endpoint with --url"
    )


@asynccontextmanager
async def open_recognizer(
    spec: str, workers: int | None = None, *, model: str | None = None
) -> AsyncIterator[Recognizer]:
    """The recogniser of a server; its processes, threads and connections end with the block.

    Where pocketsphinx is missing there are no words, and the notice says so.

    Args:
        spec: ``pocketsphinx``, ``none``, ``http:URL``, ``sherpa:DIR`` or ``whisper:MODEL``.
        workers: How many items are worked on at once; None: what fits the engine and the machine.
        model: The name that an ``http:`` server has for what shall be used.

    Raises:
        UsageError: The spec is wrong, or what it needs is not there; the message says how to get it.
    """
    from rt_cli.server.recognition.registry import open_engine, parse_spec

    engine = parse_spec(spec)
    if model is not None and engine.kind != "http":
        raise UsageError(f"the recogniser {engine.kind} takes no model by name", "only http:URL does")
    if engine.kind == "none":
        yield _Deaf(NO_WORDS)
    elif engine.kind == "pocketsphinx" and (reason := unavailable()) is not None:
        yield _Deaf(reason)
    else:
        async with open_engine(engine, workers, model) as recognizer:
            yield recognizer


class _Deaf:
    """Every item's text is empty."""

    languages: frozenset[str] | None = None

    def __init__(self, notice: str) -> None:
        self.notice = notice

    @asynccontextmanager
    async def ears(self) -> AsyncIterator[Ears]:
        yield _DeafEars()


class _DeafEars:
    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:  # noqa: ARG002 - the seam's
        return Wordless()


class Wordless:
    """A transcription without an engine: an empty text, or a failure, at the end of the item.

    Args:
        failure: Why there will be no text; None where an empty one is right.
    """

    def __init__(self, failure: str | None = None) -> None:
        self._failure = failure
        self._finished = asyncio.Event()

    async def feed(self, pcm: bytes) -> None:
        """Takes everything at once."""

    def pause(self) -> None:
        """Nothing to pause."""

    def finish(self) -> None:
        """Lets :meth:`hypotheses` end."""
        self._finished.set()

    abandon = finish

    async def hypotheses(self) -> AsyncIterator[Hypothesis]:
        """The empty text, once the item is finished; raises RecognizerFailed instead where there is a failure."""
        await self._finished.wait()
        if self._failure is not None:
            raise RecognizerFailed(self._failure)
        yield Hypothesis("", final=True)
