"""A measured transcription: a recording at real time, through the same code as ``rt stream``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rt_cli.bench.recording import RecordingSource
from rt_cli.bench.stopwatch import Stopwatch
from rt_cli.streaming.job import Job
from rt_cli.streaming.streamer import Streamer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.audio.source import Warn
    from rt_cli.bench.level import SessionResult, Tally
    from rt_cli.bench.levels import Place
    from rt_cli.bench.recording import Recording
    from rt_cli.clock import Clock
    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.settings import Settings
    from rt_cli.streaming.cost import Bill


class TranscriptionSessions:
    """Makes the sessions of a bench.

    Args:
        endpoint: The endpoint.
        session: The session to ask it for.
        settings: Of all sessions.
        recordings: Assigned to the sessions in rotation.
        bill: Shared by all sessions.
        clock: The time.
        piece_s: Length of the blocks of the source, seconds.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        session: SessionRequest,
        settings: Settings,
        recordings: Sequence[Recording],
        *,
        bill: Bill | None,
        clock: Clock,
        piece_s: float,
    ) -> None:
        self._endpoint = endpoint
        self._session = session
        self._settings = settings
        self._recordings = recordings
        self._bill = bill
        self._clock = clock
        self._piece_s = piece_s

    def open(self, place: Place, measures: Tally) -> TranscriptionSession:
        """Return a session, which has not begun."""
        recording = self._recordings[(place.number + place.round - 2) % len(self._recordings)]
        source = RecordingSource(recording, self._clock, max(1, round(self._piece_s * recording.rate_hz)))
        stopwatch = Stopwatch(source, self._clock, measures)
        job = Job(
            recording.name,
            partial(_open_source, source),
            self._endpoint,
            self._session,
            self._settings,
            bill=self._bill,
            probe=stopwatch,
        )
        return TranscriptionSession(place, recording, stopwatch, Streamer(job, self._clock, stopwatch.on_event))


class TranscriptionSession:
    """One session.

    Args:
        place: Which one it is.
        recording: Its sound.
        stopwatch: Measures it.
        streamer: Its run.
    """

    def __init__(self, place: Place, recording: Recording, stopwatch: Stopwatch, streamer: Streamer) -> None:
        self._place = place
        self._recording = recording
        self._stopwatch = stopwatch
        self._streamer = streamer

    async def run(self) -> SessionResult:
        """Run it to its end. Cancellation ends it without a result."""
        summary = await self._streamer.run()
        if summary.complete:
            self._stopwatch.measure_pace(self._recording.seconds)
        return self._stopwatch.result(self._recording.name, self._recording.reference, summary, self._place)

    def interrupt(self, exit_code: int) -> None:
        """End it: what was said is transcribed; the second call ends it at once."""
        self._streamer.interrupt(exit_code)


async def _open_source(source: RecordingSource, _rate_hz: int, _warn: Warn) -> RecordingSource:
    return source
