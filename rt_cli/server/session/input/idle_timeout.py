"""``idle_timeout_ms``: detects that the user is silent for too long after a reply. Pure.

As OpenAI documents, the time runs from the end of the reply's playback. The clock is the received audio: a client that
sends no audio does not time out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import to_samples

if TYPE_CHECKING:
    from rt_cli.server.session.wire import Event


class IdleTimeout:
    """Measures the silence after the last reply. Positions are samples of received audio."""

    def __init__(self) -> None:
        self._since: int | None = None

    def begin(self, at: int) -> None:
        """Start the timeout at ``at``, where the playback of a reply ends; ``at`` may be in the future."""
        self._since = at

    def end(self) -> None:
        """Stop the timeout: the user speaks, or a response begins."""
        self._since = None

    def restart(self, at: int) -> None:
        """Restart the timeout not earlier than ``at``: the client cleared the audio before."""
        if self._since is not None:
            self._since = max(self._since, at)

    def expire(self, at: int, timeout_ms: int | None, rate_hz: int) -> tuple[int, int] | None:
        """Stop the timeout if it has expired, and return start and end of the silence; else None.

        Args:
            at: Position up to which the audio contains no speech.
            timeout_ms: None: no timeout.
            rate_hz: Sample rate of the audio.
        """
        if self._since is None or timeout_ms is None:
            return None
        start, end = self._since, self._since + to_samples(timeout_ms, rate_hz)
        if at < end:
            return None
        self._since = None
        return start, end


def timeout_triggered(item_id: str, audio_start_ms: int, audio_end_ms: int) -> Event:
    """``input_audio_buffer.timeout_triggered``, sent before the commit of the silence and a response."""
    return {
        "type": "input_audio_buffer.timeout_triggered",
        "item_id": item_id,
        "audio_start_ms": audio_start_ms,
        "audio_end_ms": audio_end_ms,
    }
