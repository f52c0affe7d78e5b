"""What answers a turn: one seam, and the two answers that need nothing, one's own voice and a fixed sentence."""

from __future__ import annotations

import asyncio
import string
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
"""Said where a turn has no transcript, and nobody chose other words."""
DEFAULT_TEMPLATE = "You said: {transcript}"
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
    async with AsyncExitStack() as stack:
        if name == "none":
            yield None
        elif name == "echo":
            yield Echo()
        else:
            author = await _open_author(stack, reply_text, llm, llm_model)
            if name == "voice":
                from rt_cli.server.replies.voice import open_voice

                author = await stack.enter_async_context(open_voice(author))
            yield author


async def _open_author(
    stack: AsyncExitStack, reply_text: str | None, llm: str | None, llm_model: str | None
) -> Replier:
    if llm is None:
        return Recited(None if reply_text is None else Template(reply_text))
    from rt_cli.server.replies.chat import open_chat

    return await stack.enter_async_context(open_chat(llm, llm_model))


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
        pieces = Pieces(request.heard_rate_hz)
        step = to_samples(PIECE_MS, request.heard_rate_hz) * BYTES_PER_SAMPLE
        for start in range(0, len(request.heard), step):
            for pcm in pieces.push(request.heard[start : start + step]):
                yield Audio(pcm)
            await asyncio.sleep(0)  # a long turn is nobody else's stutter
        for pcm in pieces.flush():
            yield Audio(pcm)


class Template:
    """A sentence with gaps.

    ``{transcript}`` is the user's last words, ``{turn}`` how many messages the user has in the conversation,
    ``{instructions}`` the session's; ``{{`` is a brace.

    Args:
        text: The sentence.

    Raises:
        UsageError: It is empty, or has other gaps.
    """

    GAPS = ("transcript", "turn", "instructions")

    def __init__(self, text: str) -> None:
        hint = "gaps are {transcript}, {turn} and {instructions}; {{ is a brace"
        try:
            parsed = [(name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(text)]
        except ValueError as exc:
            raise UsageError(f"--reply-text cannot be read: {exc}", hint) from None
        for name, spec, conversion in parsed:
            if name is not None and (name not in self.GAPS or spec or conversion):
                raise UsageError(f"--reply-text has the gap {{{name}}}", hint)
        if not text.strip():
            raise UsageError("--reply-text is empty", "--reply none says nothing")
        self.text = text
        self.needs_words = any(name == "transcript" for name, _, _ in parsed)

    def fill(self, request: ReplyRequest) -> str:
        """What it says to a request."""
        return self.text.format(
            transcript=last_words(request.items),
            turn=sum(_by_user(item) for item in request.items),
            instructions=request.instructions or "",
        )


class Recited:
    """A fixed sentence; its words only, also where audio is wanted: an audio reply has a transcript and no sound.

    Args:
        template: None says what was heard, or that there are no words for it.
    """

    notice = None

    def __init__(self, template: Template | None) -> None:
        self._chosen = template is not None
        self._template = template or Template(DEFAULT_TEMPLATE)
        self.needs_words = self._template.needs_words

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """One text."""
        wordless = not self._chosen and not last_words(request.items)
        text = NO_WORDS if wordless else self._template.fill(request)
        if text.strip():
            yield Text(text)


def last_words(items: Sequence[Mapping[str, Any]]) -> str:
    """What the user said or wrote last; empty where nobody knows."""
    for item in reversed(items):
        if _by_user(item):
            parts = item.get("content") or ()
            return " ".join(text for part in parts if (text := part.get("text") or part.get("transcript")))
    return ""


def _by_user(item: Mapping[str, Any]) -> bool:
    return item.get("type") == "message" and item.get("role") == "user"


class Pieces:
    """Sound at any rate as pieces at the output rate, none longer than 200 ms.

    Args:
        rate_hz: Of what is pushed, see :class:`rt_cli.audio.resample.Resampler`.
    """

    def __init__(self, rate_hz: int) -> None:
        from rt_cli.audio.resample import Resampler

        self._resampler = Resampler(rate_hz, OUTPUT_RATE_HZ)

    def push(self, pcm: bytes) -> Iterator[bytes]:
        """Take s16le, whole samples of it, and give what is ready; some 20 ms stay inside."""
        import numpy as np

        block = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(FULL_SCALE)
        return _cut(self._resampler.push(block))

    def flush(self) -> Iterator[bytes]:
        """Give the rest."""
        return _cut(self._resampler.flush())


def _cut(pcm: bytes) -> Iterator[bytes]:
    return (pcm[start : start + _PIECE_BYTES] for start in range(0, len(pcm), _PIECE_BYTES))
