"""What answers a turn: one seam, and the two answers that need nothing, one's own voice and a fixed sentence."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rt_cli.audio.format import BYTES_PER_SAMPLE, FULL_SCALE, to_samples
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence

ReplyName = Literal["none", "text", "echo", "voice"]

OUTPUT_RATE_HZ = 24_000
PIECE_MS = 200
"""The longest piece of audio in one part."""
NO_WORDS = "I heard you, but there are no words for it."
"""Said as text where a turn has no transcript."""
_PIECE_BYTES = to_samples(PIECE_MS, OUTPUT_RATE_HZ) * BYTES_PER_SAMPLE


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """All that a reply may depend on."""

    items: Sequence[Mapping[str, Any]] = ()
    """The context as protocol items, oldest first; user audio parts carry ``transcript`` where it is known."""
    instructions: str | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: Any = "auto"
    spoken: bool = True
    """Audio with its transcript is wanted; else text only."""
    heard: bytes = b""
    """s16le of the turn to answer; empty where it was written, or there is none."""
    heard_rate_hz: int = OUTPUT_RATE_HZ
    voice: str | None = None
    speed: float = 1.0
    """0.25 to 1.5."""
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Words of the reply, in order: its text, or the transcript of its audio."""

    delta: str


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound of the reply: s16le at 24 kHz, at most 200 ms of it."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A function call, whole."""

    call_id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the source of the words counted; the last part where it is given."""

    input_tokens: int
    output_tokens: int
    truncated: bool = False
    """The reply was cut short at ``max_output_tokens``."""


Part = Text | Audio | Call | Usage


class ReplyFailed(Exception):
    """There is no (more of a) reply; the message is for the client."""


class Replier(Protocol):
    """What answers turns, shared by the sessions of a server."""

    @property
    def needs_words(self) -> bool:
        """Whether the turn's transcript must be final before :meth:`reply`; where text only is wanted it always is."""
        ...

    @property
    def notice(self) -> str | None:
        """One line for people: quality, licence."""
        ...

    def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """The parts of a reply, as early as they are known and faster than they are spoken.

        Closed or cancelled, it ends its work at once, wherever that is done.

        Raises:
            ReplyFailed: In the place of the next part.
        """
        ...


@asynccontextmanager
async def open_replier(
    name: ReplyName, *, reply_text: str | None = None, llm: str | None = None, llm_model: str | None = None
) -> AsyncIterator[Replier | None]:
    """The replier of a server; what it started ends with the block.

    Args:
        name: ``none`` yields None.
        reply_text: What ``text`` and ``voice`` say, see :class:`Template`.
        llm: URL of an OpenAI-compatible chat server that says what ``text`` and ``voice`` say instead.
        llm_model: The model it is asked for; without one it chooses.

    Raises:
        UsageError: The options do not fit together, or an extra is not installed.
    """
    _check(name, reply_text, llm, llm_model)
    async with AsyncExitStack():
        if name == "none":
            yield None
            return
        if name == "echo":
            yield Echo()
            return
        raise UsageError(f"--reply {name} is not built yet")


def _check(name: ReplyName, reply_text: str | None, llm: str | None, llm_model: str | None) -> None:
    if llm is not None and name == "echo":
        raise UsageError("echo says your turn back", "--llm needs --reply text or voice")
    if llm is not None and name == "none":
        raise UsageError("--reply none says nothing", "--llm needs --reply text or voice")
    if reply_text is not None and name in {"echo", "none"}:
        raise UsageError(f"--reply-text does not go with --reply {name}", "it needs --reply text or voice")
    if reply_text is not None and llm is not None:
        raise UsageError("--reply-text and --llm both say what to reply", "give one of them")
    if llm_model is not None and llm is None:
        raise UsageError("--llm-model names a model of the chat server", "give --llm URL with it")


class Echo:
    """The caller's own turn, back again."""

    needs_words = False
    notice = None

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """The words as far as they are known, then the sound."""
        words = last_words(request.items)
        if not request.spoken:
            yield Text(words or NO_WORDS)
            return
        if words:
            yield Text(words)
        for pcm in _pieces(request.heard, request.heard_rate_hz):
            yield Audio(pcm)
            await asyncio.sleep(0)  # a long turn is nobody else's stutter


def last_words(items: Sequence[Mapping[str, Any]]) -> str:
    """What the user said or wrote last; empty where nobody knows."""
    for item in reversed(items):
        if item.get("type") == "message" and item.get("role") == "user":
            parts = item.get("content") or ()
            return " ".join(text for part in parts if (text := part.get("text") or part.get("transcript")))
    return ""


def _pieces(pcm: bytes, rate_hz: int) -> Iterator[bytes]:
    """s16le at ``rate_hz`` as pieces at the output rate, all but the last of them 200 ms."""
    import numpy as np

    from rt_cli.audio.resample import Resampler

    resampler = Resampler(rate_hz, OUTPUT_RATE_HZ)
    step = to_samples(PIECE_MS, rate_hz) * BYTES_PER_SAMPLE
    ready = bytearray()
    for start in range(0, len(pcm), step):
        block = np.frombuffer(pcm[start : start + step], "<i2").astype(np.float32) / np.float32(FULL_SCALE)
        ready += resampler.push(block)
        while len(ready) >= _PIECE_BYTES:
            yield bytes(ready[:_PIECE_BYTES])
            del ready[:_PIECE_BYTES]
    ready += resampler.flush()
    for start in range(0, len(ready), _PIECE_BYTES):
        yield bytes(ready[start : start + _PIECE_BYTES])
