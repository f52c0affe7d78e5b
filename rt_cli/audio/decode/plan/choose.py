"""Choose the plan of a file for libsndfile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.audio.decode.plan import mp3, ogg
from rt_cli.audio.decode.plan.announced import PlainPlan, missing_sound
from rt_cli.audio.decode.plan.flac import FlacPlan, flac_start
from rt_cli.audio.decode.recognise import recognise

if TYPE_CHECKING:
    from rt_cli.audio.decode.plan.plan import DecodePlan


def plan_of(path: str, head: bytes) -> DecodePlan:
    """Return the plan of a file, by its first bytes and, for MP3 and Ogg, a pass over its frames."""
    start = flac_start(path, head)
    if start is not None:
        return FlacPlan(path, start)
    if head.startswith(ogg.MAGIC):
        with Path(path).open("rb", buffering=0) as file:
            pages = ogg.scan(file)
        if pages.links and not pages.mixed and not any(link.other for link in pages.links):
            return ogg.OggPlan(path, pages, Path(path).stat().st_size)
    elif recognise(head) == "MP3":
        with Path(path).open("rb", buffering=0) as file:
            frames = mp3.scan(file)
        if frames.runs:
            return mp3.Mp3Plan(path, frames, missing_sound(path, head))
    return PlainPlan(path, head)
