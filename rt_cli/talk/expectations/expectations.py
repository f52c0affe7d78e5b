"""What a test expects of a conversation, and what became of it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.talk.expectations.difference import difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rt_cli.conversation_events import LatencyMeasured, ReplyEnded

_SHOWN_CHARS = 120


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """One expectation and its outcome."""

    name: str
    """The option that states it."""
    problem: str | None
    """What is wrong; None if it holds."""


@dataclass(frozen=True, slots=True)
class Expectations:
    """The options that state expectations."""

    texts: tuple[str, ...] = ()
    """Each is said in some reply; case and spaces do not count."""
    no_texts: tuple[str, ...] = ()
    """None of them is said in any reply."""
    tools: tuple[str, ...] = ()
    """Each was run."""
    max_latency_ms: int | None = None
    """No reply begins later after the end of the user's speech."""
    words: str | None = None
    """The first reply says these words."""
    max_difference: float = 0.0
    """Share of the words that may differ."""

    def checks(
        self, replies: Sequence[ReplyEnded], tools: Sequence[str], latencies: Sequence[LatencyMeasured]
    ) -> list[ExpectationResult]:
        """Return every expectation with its outcome.

        Args:
            replies: All replies, in order.
            tools: Names of the tools that were run.
            latencies: All latencies.
        """
        return [
            *(ExpectationResult(f"--expect {text!r}", self._missing(text, replies)) for text in self.texts),
            *(ExpectationResult(f"--expect-not {text!r}", self._said(text, replies)) for text in self.no_texts),
            *(ExpectationResult(f"--expect-tool {name}", self._not_run(name, tools)) for name in self.tools),
            *self._latency_checks(latencies),
            *self._word_checks(replies),
        ]

    def _missing(self, text: str, replies: Sequence[ReplyEnded]) -> str | None:
        if any(_plain(text) in _plain(reply.text) for reply in replies):
            return None
        if not replies:
            return "there was no reply"
        said = [reply.text.strip() for reply in replies if reply.text.strip()]
        return f"no reply says it, but: {_shown('; '.join(said))}" if said else "no reply has a word"

    def _said(self, text: str, replies: Sequence[ReplyEnded]) -> str | None:
        number = next((at for at, reply in enumerate(replies, 1) if _plain(text) in _plain(reply.text)), None)
        return None if number is None else f"reply {number} says it: {_shown(replies[number - 1].text)}"

    def _not_run(self, name: str, tools: Sequence[str]) -> str | None:
        if name in tools:
            return None
        return f"it was not run, but: {', '.join(dict.fromkeys(tools))}" if tools else "no tool was run"

    def _latency_checks(self, latencies: Sequence[LatencyMeasured]) -> Iterator[ExpectationResult]:
        if self.max_latency_ms is None:
            return
        name = f"--max-latency {self.max_latency_ms / 1000:g}s"
        if not latencies:
            yield ExpectationResult(name, "no latency was measured")
        for number, latency in enumerate(latencies, 1):
            ms = latency.voice_to_voice_ms
            problem = None
            if ms is None or ms > self.max_latency_ms:
                problem = "the reply cannot be heard" if ms is None else f"the reply begins after {ms} ms"
            yield ExpectationResult(f"{name}, reply {number}", problem)

    def _word_checks(self, replies: Sequence[ReplyEnded]) -> Iterator[ExpectationResult]:
        if self.words is None:
            return
        said = replies[0].text if replies else ""
        share = difference(self.words, said)
        problem = f"{share:.0%} of the words differ: {_shown(said)}" if share > self.max_difference else None
        yield ExpectationResult("what was said", problem)


def _shown(text: str) -> str:
    return " ".join(text.split())[:_SHOWN_CHARS]


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()
