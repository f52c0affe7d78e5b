"""Which channels of a sound are heard. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rt_cli.errors import AudioError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

Pick = Literal["mix", "split"] | int
"""All channels averaged; the first two, each for itself; or one of them, counted from 0."""

SIDES = ("left", "right")
"""What the channels of ``split`` are called."""
MOST_CHANNELS = 64
_NAMED: dict[str, Pick] = {"mix": "mix", "split": "split", "left": 0, "right": 1}


def parse_pick(text: str) -> Pick:
    """What ``--channel`` means: mix, left, right, split, or a number from 1.

    Raises:
        UsageError: None of these.
    """
    if (named := _NAMED.get(text)) is not None:
        return named
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_CHANNELS:
        return int(text) - 1
    raise UsageError(f"no channel is called {text!r}", f"it must be mix, left, right, split or 1 to {MOST_CHANNELS}")


def of_channel(path: Path, channel: str | None) -> Path:
    """``talk.left.wav`` for ``talk.wav``, where channels are told apart."""
    return path if channel is None else path.with_name(f"{path.stem}.{channel}{path.suffix}")


def needed(pick: Pick) -> int:
    """How many channels a sound must have."""
    return {"mix": 1, "split": 2}[pick] if isinstance(pick, str) else pick + 1


def width(pick: Pick) -> int:
    """How many channels come out of :func:`choose`."""
    return 2 if pick == "split" else 1


def check(channels: int, pick: Pick, spoken: str = "") -> None:
    """Find out early that a sound has not enough channels.

    Args:
        channels: Of the sound.
        pick: What is to be heard.
        spoken: What the sound is called, and a space.

    Raises:
        AudioError: What is asked for is not in it.
    """
    if channels < needed(pick):
        wanted = "two channels to split" if pick == "split" else f"channel {needed(pick)}"
        has = "1 channel" if channels == 1 else f"{channels} channels"
        raise AudioError(f"{spoken}has {has}, not {wanted}", "choose another with --channel, or mix", code="no_channel")


def choose(frames: NDArray[np.float32], pick: Pick) -> NDArray[np.float32]:
    """The channels that are heard.

    Args:
        frames: Shape ``(frames, channels)``; enough channels, see :func:`check`.
        pick: Which.

    Returns:
        Shape ``(frames,)``, or ``(frames, 2)`` for ``split``.
    """
    if pick == "mix":
        return mix(frames)
    return frames[:, :2] if pick == "split" else frames[:, pick]


def mix(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """The average of the channels: shape ``(frames, channels)`` to ``(frames,)``."""
    import numpy as np

    channels = frames.shape[1]
    if channels == 1:
        return frames[:, 0]
    # Column by column: a reduction over the short axis is ten times slower.
    total = frames[:, 0].copy()
    for channel in range(1, channels):
        total += frames[:, channel]
    return total / np.float32(channels)
