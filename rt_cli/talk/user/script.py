"""The scripted user: when the next turn begins, and with which sample. Pure.

A turn begins when the reply to the one before it was heard to its end; or, to interrupt, a fixed time after the first
sample of that reply. Between turns there is silence, as from a microphone.

Only an interruption begins at any sample. Every other turn begins on a grid, so that a detector cuts it into the same
frames in every run: else the same turn would end up to a frame earlier or later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.format import BYTES_PER_SAMPLE, silence

if TYPE_CHECKING:
    from collections.abc import Sequence

GRID_MS = 160
"""The least that is whole pieces of 20 ms, and whole frames of 32 ms, which most detectors have."""


class ConversationView(Protocol):
    """What the user notices of the conversation. Positions are samples of the timeline."""

    @property
    def replies_begun(self) -> int:
        """Number of replies whose first sound or word has come."""
        ...

    @property
    def reply_starts_at(self) -> int | None:
        """Position of the first sample of the last reply with sound; None before the first one."""
        ...

    def rests(self, now: int) -> bool:
        """Return whether nobody speaks or is about to."""
        ...

    @property
    def news_at(self) -> int:
        """Position of the last thing that happened."""
        ...


@dataclass(frozen=True, slots=True)
class Utterance:
    """A turn of the user, as sound."""

    name: str
    pcm: bytes
    """int16 mono at the rate of the timeline."""
    speech_end: int
    """Samples up to the end of its last sound that is louder than its noise."""

    @property
    def samples(self) -> int:
        """Its length."""
        return len(self.pcm) // BYTES_PER_SAMPLE


def missing_reply(name: str, *, begun: bool) -> str:
    """Say what became of a turn whose reply did not come, or, if it has begun, has no end."""
    return f"the reply to {name} has no end" if begun else f"no reply to {name}"


class TalkScript:
    """Says the turns one after the other.

    Args:
        utterances: The turns.
        patience: Longest wait for a reply, or for more of one, samples.
        interrupt_at: Samples of a reply after which the next turn interrupts it; None waits for its end.
        grid: Samples; a turn that interrupts nothing begins at a multiple.
    """

    def __init__(
        self, utterances: Sequence[Utterance], *, patience: int, interrupt_at: int | None = None, grid: int = 1
    ) -> None:
        self.unanswered: list[str] = []
        """What became of turns whose reply did not come, or has no end."""
        self.speech_ends: list[int] = []
        """Positions at which the user's speech ended, of the turns that have begun."""
        self._utterances = list(utterances)
        self._patience = patience
        self._interrupt_at = interrupt_at
        self._grid = grid
        self._current: Utterance | None = None
        self._spoken = 0
        """Samples of the present turn that are said."""
        self._began_at = self._ended_at = 0
        self._replies_before = 0
        self._ended = self._impatient = False
        self._last = ""

    def next(self, start: int, samples: int, view: ConversationView) -> bytes | None:
        """Return what the user says from a position on; None at the end, when the last reply was heard.

        Args:
            start: Position of the first sample.
            samples: Length.
            view: The conversation at the end of these samples.
        """
        pcm = bytearray()
        while len(pcm) < samples * BYTES_PER_SAMPLE:
            at = start + len(pcm) // BYTES_PER_SAMPLE
            left = start + samples - at
            if self._current is not None:
                pcm += self._speak(self._current, at, left)
                continue
            begins_at = self._begins_at(at, view)
            if begins_at is None and self._ended:
                return bytes(pcm) or None
            pause = left if begins_at is None else min(left, begins_at - at)
            pcm += silence(pause)
            if pause < left:
                self._begin(at + pause, view)
        return bytes(pcm)

    def said(self, samples: int) -> None:
        """Note that the user has said something else, up to a position: the wait for the reply begins."""
        self.speech_ends.append(samples)
        self._ended_at = samples

    def speech_end_before(self, at: int) -> int | None:
        """Return where the user's last speech before a position ended; None without one."""
        return max((end for end in self.speech_ends if end <= at), default=None)

    def awaited(self, view: ConversationView) -> list[str]:
        """Return the turn that is said and whose reply the user still waits for, if there is one, as if unanswered."""
        waits = self._last and self._current is None and not self._ended
        return [missing_reply(self._last, begun=False)] if waits and view.replies_begun <= self._replies_before else []

    def _begin(self, at: int, view: ConversationView) -> None:
        self._current, self._spoken = self._utterances.pop(0), 0
        self._began_at, self._impatient = at, False
        self._replies_before = view.replies_begun
        self.speech_ends.append(at + self._current.speech_end)

    def _speak(self, utterance: Utterance, at: int, left: int) -> bytes:
        size = min(left, utterance.samples - self._spoken)
        start = self._spoken * BYTES_PER_SAMPLE
        self._spoken += size
        if self._spoken == utterance.samples:
            self._current, self._ended_at = None, at + size
            self._last = utterance.name
        return utterance.pcm[start : start + size * BYTES_PER_SAMPLE]

    def _begins_at(self, at: int, view: ConversationView) -> int | None:
        """Return where the next turn begins, not before ``at``; None if it does not begin yet, or never."""
        if not self.speech_ends:
            return self._next_or_end(at)
        replied = view.replies_begun > self._replies_before
        if replied and self._interrupt_at is not None and self._utterances and view.reply_starts_at is not None:
            begins_at = view.reply_starts_at + self._interrupt_at
            if view.reply_starts_at >= self._began_at and not view.rests(at):
                return max(at, begins_at)
        if replied and view.rests(at):
            return self._next_or_end(at)
        if not self._impatient and at - max(self._ended_at, view.news_at) > self._patience:
            self._impatient = True
            self.unanswered.append(missing_reply(self._last, begun=replied))
        return self._next_or_end(at) if self._impatient else None

    def _next_or_end(self, at: int) -> int | None:
        self._ended = not self._utterances
        return None if self._ended else -(-at // self._grid) * self._grid
