"""The judgement on one file: was everything heard, and if not, was it said?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.zoo.sound import WINDOW_S, WIRE_HZ, Places, places

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tests.zoo.changes import Change
    from tests.zoo.formats import Format
    from tests.zoo.hearing import Heard
    from tests.zoo.sound import Part

Word = Literal["exact", "as announced", "said", "refused", "SILENT", "EXIT 0", "FALSE ALARM", "BROKEN"]
BAD: set[Word] = {"SILENT", "EXIT 0", "FALSE ALARM", "BROKEN"}
"""``EXIT 0``: a warning says it, and the exit code does not."""
_TOLERANCE_S = 0.1
_EDGE_S = 0.25
"""The window of a tenth of a second reaches so far into a hole beside it."""
_LEAST_GAIN, _MOST_GAIN = 0.6, 1.25
"""An AMR coder makes tones a quarter softer."""
_DAMAGED_WINDOWS = 6
"""Windows that 200 other bytes change at most: a block of ADPCM, and the windows that overlap it."""
_EXIT_AUDIO, _EXIT_INCOMPLETE = 3, 7


@dataclass(frozen=True)
class Verdict:
    """The judgement, with the numbers behind it."""

    word: Word
    reason: str = ""
    less: bool = False
    """Said, but ``rt`` heard at least half a second less than ffmpeg."""


def judge(form: Format, change: Change, rt: Heard, ffmpeg: Heard, unlike: Collection[float] = ()) -> Verdict:
    """Judge what ``rt`` heard.

    The right length of a whole file is the length of the sound (a decoder that removes the delay and the padding of
    the encoder) or that of ffmpeg's output (where the file does not say how much to remove), to one sample at the wire
    rate. After a change the sound must be at its place in time, or its absence must be said.
    """
    ours, theirs = (places(heard.samples, change.parts, unlike) for heard in (rt, ffmpeg))
    if rt.exit not in {0, _EXIT_AUDIO, _EXIT_INCOMPLETE}:
        return Verdict("BROKEN", f"exit {rt.exit}")
    if rt.exit and not rt.said:
        return Verdict("SILENT", f"exit {rt.exit} without a line")
    complete = not ours.missing and _ends_right(change.parts, rt)
    if rt.exit:
        return _said(form, change, rt, ours, theirs, complete=complete)
    exact = not ours.missing and _exact(change.parts, rt, ffmpeg) and _loud(ours)
    if change.want != "said" and (exact if change.kind == "whole" else complete):
        return Verdict("exact")
    if change.want == "any" and _nobody_can_know(form, change, rt, ffmpeg, ours, theirs):
        return Verdict("as announced")
    return Verdict("EXIT 0" if rt.said else "SILENT", _difference(rt, ours))


def _said(form: Format, change: Change, rt: Heard, ours: Places, theirs: Places, *, complete: bool) -> Verdict:
    if change.pipe and not form.piped and not len(rt.samples):
        return Verdict("refused") if any("ffmpeg" in line for line in rt.said) else Verdict("said")
    unreported = [at for at in ours.missing if not _in_hole(at, rt)]
    if rt.exit == _EXIT_INCOMPLETE and unreported and not form.announces and _ends_right(change.parts, rt):
        return Verdict("said", "without lengths or time stamps the hole is an estimate, here wrong by less than 100 ms")
    if rt.exit == _EXIT_INCOMPLETE and unreported:
        return Verdict("SILENT", f"exit 7, but at {unreported[:5]} s something is missing outside the holes")
    if change.want == "all":
        return Verdict("FALSE ALARM", f"{rt.said[0][:100]}, {_difference(rt, ours)}")
    return Verdict("said", less=not complete and len(ours.missing) > len(theirs.missing) + 5)


def _ends_right(parts: Sequence[Part], heard: Heard) -> bool:
    """Whether the timeline is as long as the sound, to the tolerance of announced lengths for each file in it."""
    return abs(heard.seconds - _end(parts)) <= _TOLERANCE_S * len(parts)


def _loud(ours: Places) -> bool:
    return all(_LEAST_GAIN < gain < _MOST_GAIN for gain in ours.gains)


def _exact(parts: Sequence[Part], rt: Heard, ffmpeg: Heard) -> bool:
    lengths = (round(_end(parts) * WIRE_HZ), len(ffmpeg.samples))
    return any(abs(len(rt.samples) - length) <= 1 for length in lengths)


def _end(parts: Sequence[Part]) -> float:
    return parts[-1].at_s + parts[-1].length_s


def _nobody_can_know(form: Format, change: Change, rt: Heard, ffmpeg: Heard, ours: Places, theirs: Places) -> bool:
    """Whether the bytes do not show that something is missing.

    Plain samples have no check, so damage is only other sound at its place. A cut file without a length is a shorter
    file. Both are heard as ffmpeg hears them.
    """
    if change.kind == "damaged" and not form.checked:
        return _ends_right(change.parts, rt) and len(ours.missing) <= _DAMAGED_WINDOWS
    alike = abs(len(rt.samples) - len(ffmpeg.samples)) <= _TOLERANCE_S * WIRE_HZ
    # ffmpeg conceals the last frame of a cut file, where there is nothing to hear.
    common = min(rt.seconds, ffmpeg.seconds) - _TOLERANCE_S - WINDOW_S
    alike = alike and {at for at in ours.missing if at <= common} <= set(theirs.missing)
    if change.kind == "damaged":
        return alike and not ffmpeg.said
    return alike and change.kind == "cut" and not form.announces


def _in_hole(at: float, heard: Heard) -> bool:
    return any(start - _EDGE_S <= at <= end + _EDGE_S for start, end in heard.holes)


def _difference(rt: Heard, ours: Places) -> str:
    missing = f", missing at {', '.join(f'{at:g}' for at in ours.missing[:4])} s" if ours.missing else ""
    loud = f", as loud as {', '.join(f'{gain:.3g}' for gain in ours.gains)}"
    return f"{len(rt.samples)} samples, late by {list(ours.delays)}{missing} ({len(ours.missing)}){loud}"
