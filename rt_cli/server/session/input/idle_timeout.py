"""When nobody has said anything for too long since a reply: ``idle_timeout_ms``. Pure.

As OpenAI documents it, the time runs from the end of a reply's playback. It is counted on the timeline of the audio
received, so a client that stops sending is never timed out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import to_samples

if TYPE_CHECKING:
    from rt_cli.server.session.wire import Event


class IdleTimeout:
    """The silence since the last reply. Positions are samples."""

    def __init__(self) -> None:
        self._since: int | None = None

    def begin(self, at: int) -> None:
        """A reply has been played to its end at ``at``, which may lie ahead: silence is awaited from there on."""
        self._since = at

    def end(self) -> None:
        """Somebody speaks, or is answered."""
        self._since = None

    def restart(self, at: int) -> None:
        """The silence so far does not count: the client threw it away."""
        if self._since is not None:
            self._since = max(self._since, at)

    def over(self, at: int, timeout_ms: int | None, rate_hz: int) -> tuple[int, int] | None:
        """The stretch of silence that has been too long, told once.

        Args:
            at: Audio up to here holds no speech.
            timeout_ms: None: nothing is too long.
            rate_hz: Of the audio.
        """
        if self._since is None or timeout_ms is None:
            return None
        start, end = self._since, self._since + to_samples(timeout_ms, rate_hz)
        if at < end:
            return None
        self._since = None
        return start, end


def timeout_triggered(item_id: str, audio_start_ms: int, audio_end_ms: int) -> Event:
    """``input_audio_buffer.timeout_triggered``: this silence was too long; its commit and a response follow."""
    return {
        "type": "input_audio_buffer.timeout_triggered",
        "item_id": item_id,
        "audio_start_ms": audio_start_ms,
        "audio_end_ms": audio_end_ms,
    }
