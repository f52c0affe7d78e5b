"""Find speech in audio that is on the tape: whether a tail without a turn is really silent."""

from __future__ import annotations

import asyncio
from array import array
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, FULL_SCALE, levels_dbfs
from rt_cli.audio.speech.endpointing import ONSET_FRAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.streaming.capture.turn_analysis import Detector
    from rt_cli.timeline.tape import Tape

_PIECE_S = 2.0
_END_S, _END_DBFS = 0.2, -52.0
"""Where the endpoint says that speech goes on, less is enough to believe it."""
_SILENT_PEAK = 3
"""Steps of 65536: dither of silence."""
LOUD_DBFS = -45.0
"""A frame from this level on is no silence: noise of rooms and microphones lies below."""


async def last_speech(
    tape: Tape,
    start: int,
    make_detector: Callable[[int], Detector],
    *,
    threshold: float,
    any_speech: bool = False,
    any_sound: bool = False,
) -> int | None:
    """Return the timeline position at which the last speech between ``start`` and *sent* ends; None without speech.

    Speech is ``ONSET_FRAMES`` frames in a row at or above ``threshold``, as for turns. The model loads and runs in a
    thread. Cancellation leaves nothing behind.

    Args:
        tape: The audio; what is settled meanwhile counts as searched.
        start: Timeline position.
        make_detector: Makes the speech detector. Argument: rate in Hz.
        threshold: Probability, 0..1.
        any_speech: Return at the first speech, with its position.
        any_sound: What is louder than silence, or has left the tape, counts as speech, too: for a caller whom nobody
            else tells of speech.
    """
    # What made room for newer audio can be searched no more.
    found = tape.gone_from(start) if any_sound else None
    if await _is_silent(tape, start) or (found is not None and any_speech):
        return found
    detector = await asyncio.to_thread(make_detector, tape.rate_hz)
    # A last frame that is not full would never be judged.
    flush = bytes(2 * detector.frame_samples * ONSET_FRAMES)
    position, run, end = start, 0, tape.sent
    read_to = start
    while read_to < end:
        upto = min(end, read_to + round(_PIECE_S * tape.rate_hz))
        pcm = tape.read_settled_as_silence(read_to, upto)
        if any_sound and (loud := _loud_end(pcm, detector.frame_samples)) is not None:
            found = read_to + loud
            if any_speech:
                return found
        for probability in await asyncio.to_thread(detector.push, pcm if upto < end else pcm + flush):
            position += detector.frame_samples
            run = run + 1 if probability >= threshold else 0
            if run >= ONSET_FRAMES:
                found = max(found or 0, min(position, end))
                if any_speech:
                    return found
        read_to = upto
    return found


async def last_sound(tape: Tape, start: int) -> int | None:
    """Return where the last sound between ``start`` and *sent* ends that is louder than noise; None without one.

    Needs no model. Cancellation leaves nothing behind.
    """
    if await _is_silent(tape, start):
        return None
    frame, end = tape.rate_hz * 32 // 1000, tape.sent
    while end > start:
        begin = max(start, end - round(_PIECE_S * tape.rate_hz))
        if (loud := _loud_end(tape.read_settled_as_silence(begin, end), frame)) is not None:
            return begin + loud
        end = begin
        await asyncio.sleep(0)
    return None


async def _is_silent(tape: Tape, start: int) -> bool:
    """Return whether all samples are next to zero. Needs neither model nor numpy, as the end of most files."""
    read_to = start
    while read_to < tape.sent:
        upto = min(tape.sent, read_to + round(_PIECE_S * tape.rate_hz))
        samples = array("h", tape.read_settled_as_silence(read_to, upto))
        if samples and (max(samples) > _SILENT_PEAK or min(samples) < -_SILENT_PEAK):
            return False
        read_to = upto
        await asyncio.sleep(0)
    return True


def _loud_end(pcm: bytes, frame_samples: int) -> int | None:
    """Return the end of the last frame that reaches :data:`LOUD_DBFS` (RMS), in samples; None without one."""
    size = frame_samples * BYTES_PER_SAMPLE
    for at in reversed(range(0, len(pcm), size)):
        frame = pcm[at : at + size]
        if levels_dbfs(frame)[0] >= LOUD_DBFS:
            return (at + len(frame)) // BYTES_PER_SAMPLE
    return None


class QuietPrefix:
    """Finds out how far audio on the tape is quiet: nobody but the endpoint may call what is loud silence.

    Args:
        tape: The audio.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._upto = 0
        self._loud_at: int | None = None

    def reaches(self, end: int) -> bool:
        """Return whether nothing between *settled* and ``end`` is louder than noise (RMS of 32 ms)."""
        start = max(self._upto, self._tape.settled)
        if self._loud_at is not None and self._tape.settled <= self._loud_at:
            return False
        self._loud_at, frame = None, self._tape.rate_hz * 32 // 1000
        while start < end:
            upto = min(end, start + frame)
            if _loud_end(self._tape.read(start, upto), frame) is not None:
                self._loud_at = start
                return False
            self._upto = start = upto
        return True


def ends_loud(tape: Tape) -> bool:
    """Return whether the last part of what was sent is louder than silence; needs neither model nor numpy."""
    start = max(tape.settled, tape.sent - round(_END_S * tape.rate_hz))
    samples = array("h", tape.read(start, tape.sent))
    power = sum(sample * sample for sample in samples) / max(1, len(samples))
    return power >= (FULL_SCALE * 10 ** (_END_DBFS / 20)) ** 2
