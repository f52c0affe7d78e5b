"""What a run says of its source: that it is open, that nobody spoke, that it ends. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from rt_cli import __version__
from rt_cli.clock import utc
from rt_cli.events import Noted, SourceOpened, Warned
from rt_cli.settings import auto

if TYPE_CHECKING:
    from rt_cli.audio.source import SourceInfo
    from rt_cli.streaming.job import Job

NO_SPEECH_S = 3.0
"""A live source shorter than this may be without speech: nobody had time for a word."""


def opened(job: Job, info: SourceInfo, wall: float) -> SourceOpened:
    """Return the event of a source that is open.

    Args:
        job: The run.
        info: The source.
        wall: Wall clock, Unix time.
    """
    return SourceOpened(
        source=job.name,
        kind=info.kind,
        rate_hz=info.rate_hz,
        channels=info.channels,
        wire_rate_hz=job.endpoint.dialect.rate_hz,
        duration_ms=None if info.duration_s is None else round(info.duration_s * 1000),
        device=info.name if info.kind == "microphone" else UNSET,
        began=utc(wall),
        rt=__version__,
    )


def no_speech(job: Job, captured: int, *, live: bool) -> Warned | None:
    """Return the warning that a complete run without a final heard nothing; None if that is no wonder.

    Args:
        job: The run.
        captured: Samples at the wire rate.
        live: Whether the source is live.
    """
    seconds = captured / job.endpoint.dialect.rate_hz
    if job.resume is not None or seconds < (NO_SPEECH_S if live else 0.0) or not captured:
        return None
    return Warned("no_speech", f"{job.name}: no speech in {seconds:.1f} s")


def ending(job: Job) -> Noted:
    """Return the message that a first Ctrl-C is answered with."""
    patience_s = auto.drain_timeout_s(job.settings.delivery.drain_timeout_s, embedded=job.endpoint.embedded)
    return Noted(f"ending: waiting for the last words, at most {patience_s:g} s; Ctrl-C again ends without them")
