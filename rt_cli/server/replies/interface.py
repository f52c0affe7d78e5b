"""Interface between responses and repliers, and the parts of a reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rt_cli.audio.format import BYTES_PER_SAMPLE, pcm16_to_float, to_samples

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence


OUTPUT_RATE_HZ = 24_000
PIECE_MS = 200
"""The longest piece of audio in one part."""
_PIECE_BYTES = to_samples(PIECE_MS, OUTPUT_RATE_HZ) * BYTES_PER_SAMPLE


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """The input of a reply."""

    items: Sequence[Mapping[str, Any]] = ()
    """The context as protocol items, oldest first. User audio parts have ``transcript`` if it is known."""
    instructions: str | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: Any = "auto"
    with_audio: bool = True
    """True: the reply is audio with a transcript; False: text only."""
    audio: bytes = b""
    """s16le of the user's last turn; empty if the turn is text, or if there is no turn."""
    audio_rate_hz: int = OUTPUT_RATE_HZ
    voice: str | None = None
    speed: float = 1.0
    """0.25 to 1.5."""
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of the reply's text, or of the transcript of its audio."""

    delta: str


@dataclass(frozen=True, slots=True)
class Audio:
    """The next piece of the reply's audio: s16le at 24 kHz, at most 200 ms."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A complete function call."""

    call_id: str
    name: str
    arguments: str
    """JSON text from the model."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts from the language model; if present, the last part."""

    input_tokens: int
    output_tokens: int
    truncated: bool = False
    """The reply was truncated at ``max_output_tokens``."""


Part = Text | Audio | Call | Usage


class ReplyFailed(Exception):
    """The reply cannot be created or continued; the message is for the client."""


class Replier(Protocol):
    """Creates the replies of a server; shared by all sessions."""

    @property
    def needs_words(self) -> bool:
        """True if :meth:`reply` needs final transcripts. For text replies and with tools they are always final."""
        ...

    @property
    def notice(self) -> str | None:
        """One line for people about quality and licence; None: no notice."""
        ...

    def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """Yield the parts of a reply as soon as they exist, faster than real time.

        Closing or cancellation stops the work at once, also in other processes and on servers.

        Raises:
            ReplyFailed: There is no further part.
        """
        ...


def last_words(items: Sequence[Mapping[str, Any]]) -> str:
    """Text or transcript of the user's last message; empty if unknown."""
    for item in reversed(items):
        if is_by_user(item):
            parts = item.get("content") or ()
            return " ".join(text for part in parts if (text := part.get("text") or part.get("transcript")))
    return ""


def is_by_user(item: Mapping[str, Any]) -> bool:
    """True if the item is a message of the user."""
    return item.get("type") == "message" and item.get("role") == "user"


class Pieces:
    """Converts audio at any rate to pieces at the output rate, at most 200 ms each.

    Args:
        rate_hz: Sample rate of the input, see :class:`rt_cli.audio.resample.Resampler`.
    """

    def __init__(self, rate_hz: int) -> None:
        from rt_cli.audio.resample import Resampler

        self._resampler = Resampler(rate_hz, OUTPUT_RATE_HZ)

    def push(self, pcm: bytes) -> Iterator[bytes]:
        """Convert whole samples of s16le; about 20 ms stay in the resampler."""
        block = pcm16_to_float(pcm)
        return _cut(self._resampler.push(block))

    def flush(self) -> Iterator[bytes]:
        """Return the rest."""
        return _cut(self._resampler.flush())


def _cut(pcm: bytes) -> Iterator[bytes]:
    return (pcm[start : start + _PIECE_BYTES] for start in range(0, len(pcm), _PIECE_BYTES))
