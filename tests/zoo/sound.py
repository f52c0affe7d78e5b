"""A sound whose every tenth of a second is recognisable, and where each of them is in what was heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

WIRE_HZ = 24_000
LENGTH_S = 6.0
"""Length of the sound in one file."""
HOP_S = 0.05
WINDOW_S = 0.2
STEP_S = 0.1
_LIKE = 0.5
"""Least correlation of a window that counts as heard. Windows of other places correlate below 0.2."""
_SHIFT_S = 0.12
"""Longest delay of an encoder and a decoder together."""


@dataclass(frozen=True)
class Part:
    """A part of the right timeline."""

    at_s: float
    """Where the part begins on the timeline."""
    sound_s: float = 0.0
    """Where it begins in the sound."""
    length_s: float = LENGTH_S


def sound(start_s: float, length_s: float, rate_hz: int) -> NDArray[np.float64]:
    """Return the sound: a tone of its own for every 50 ms, between 350 and 2900 Hz.

    Args:
        start_s: Place in the endless sound, a multiple of 50 ms.
        length_s: Seconds.
        rate_hz: Sample rate.

    Returns:
        Samples within [-0.5, 0.5], shape ``(frames,)``.
    """
    time = np.arange(round(length_s * rate_hz)) / rate_hz + start_s
    hop = np.floor(time / HOP_S + 1e-9).astype(int)
    tones = np.random.default_rng(0).uniform(350, 2900, 2_000)
    phase = (time - hop * HOP_S) / HOP_S
    loud: NDArray[np.float64] = 0.5 * np.sqrt(np.sin(np.pi * phase).clip(0)) * np.sin(2 * np.pi * tones[hop] * time)
    return loud


@dataclass(frozen=True)
class Places:
    """Which tenths of a second were heard at their places."""

    missing: tuple[float, ...]
    """Times of the windows that hold another sound, seconds on the right timeline."""
    delays: tuple[int, ...]
    """By how much each part is late, samples at the wire rate. 0 for a part that was not heard."""
    gains: tuple[float, ...]
    """How loud each part was heard, as a factor."""


def places(heard: NDArray[np.float64], parts: Sequence[Part], unlike: Collection[float] = ()) -> Places:
    """Compare what was heard with the right timeline.

    A part may be late by the delay of a codec, but by the same time everywhere, because a hole must not move what
    follows it.

    Args:
        heard: Samples at the wire rate.
        parts: The right timeline.
        unlike: Times in the sound, seconds, that the coder itself makes unrecognisable.
    """
    missing, delays, gains = [], [], []
    for part in parts:
        right = sound(part.sound_s, part.length_s, WIRE_HZ)
        delay = _delay(heard, right, round(part.at_s * WIRE_HZ))
        delays.append(delay)
        gains.append(_gain(heard, right, round(part.at_s * WIRE_HZ) + delay))
        at = 0.0
        while at + WINDOW_S <= part.length_s + 1e-9:
            first = round(at * WIRE_HZ)
            begin = round(part.at_s * WIRE_HZ) + delay + first
            wanted = right[first : first + round(WINDOW_S * WIRE_HZ)]
            if round(part.sound_s + at, 2) not in unlike and _correlation(heard, wanted, begin) < _LIKE:
                missing.append(round(part.at_s + at, 2))
            at += STEP_S
    return Places(tuple(missing), tuple(delays), tuple(gains))


def _delay(heard: NDArray[np.float64], right: NDArray[np.float64], at: int) -> int:
    """Return by how much most of a part is late: the delay at which it correlates best."""
    reach = round(_SHIFT_S * WIRE_HZ)
    begin = max(0, at - reach)
    near = heard[begin : at + len(right) + reach]
    if not len(near):
        return 0
    size = 1 << (len(near) + len(right)).bit_length()
    product = np.fft.irfft(np.fft.rfft(near, size) * np.conj(np.fft.rfft(right, size)), size)
    delays = np.arange(-reach, reach + 1)
    return int(delays[product[(at - begin + delays) % size].argmax()])


def _gain(heard: NDArray[np.float64], right: NDArray[np.float64], begin: int) -> float:
    found = heard[max(0, begin) : max(0, begin + len(right))]
    return float(np.sqrt(np.sum(found**2) / np.sum(right**2)))


def _correlation(heard: NDArray[np.float64], wanted: NDArray[np.float64], begin: int) -> float:
    """Return the correlation of a window at its place, within two milliseconds; samples outside count as silence."""
    slack = WIRE_HZ // 500
    found = heard[max(0, begin - slack) : max(0, begin + len(wanted) + slack)]
    found = np.pad(found, (max(0, slack - begin), 0))
    found = np.pad(found, (0, max(0, len(wanted) + 2 * slack - len(found))))[: len(wanted) + 2 * slack]
    products = np.correlate(found, wanted)
    energy = np.sqrt(np.sum(wanted**2) * np.sum(found**2)) or 1.0
    return float(products.max() / energy)
