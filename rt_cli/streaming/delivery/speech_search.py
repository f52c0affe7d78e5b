"""Find speech in audio that is on the tape: whether a tail without a turn is really silent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rt_cli.audio.speech.endpointing import ONSET_FRAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.streaming.capture.turn_analysis import Detector
    from rt_cli.timeline.tape import Tape

_PIECE_S = 2.0


async def last_speech(
    tape: Tape, start: int, make_detector: Callable[[int], Detector], *, threshold: float, any_speech: bool = False
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
    """
    detector = await asyncio.to_thread(make_detector, tape.rate_hz)
    # A last frame that is not full would never be judged.
    flush = bytes(2 * detector.frame_samples * ONSET_FRAMES)
    found: int | None = None
    position, run, end = start, 0, tape.sent
    read_to = start
    while read_to < end:
        upto = min(end, read_to + round(_PIECE_S * tape.rate_hz))
        gone = min(max(0, tape.settled - read_to), upto - read_to)
        pcm = bytes(2 * gone) + tape.read(read_to + gone, upto)
        read_to = upto
        for probability in await asyncio.to_thread(detector.push, pcm if upto < end else pcm + flush):
            position += detector.frame_samples
            run = run + 1 if probability >= threshold else 0
            if run >= ONSET_FRAMES:
                found = min(position, end)
                if any_speech:
                    return found
    return found
