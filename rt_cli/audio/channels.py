"""Channel selection. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rt_cli.errors import AudioError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

Pick = Literal["mix", "split"] | int
"""``mix``: the average of all channels; ``split``: the first two, separately; a number: one channel, from 0."""

SIDES = ("left", "right")
"""Names of the channels of ``split``."""
MOST_CHANNELS = 64
_NAMED: dict[str, Pick] = {"mix": "mix", "split": "split", "left": 0, "right": 1}


def parse_pick(text: str) -> Pick:
    """Parse a value of ``--channel``: mix, left, right, split, or a number from 1.

    Raises:
        UsageError: Any other value.
    """
    if (named := _NAMED.get(text)) is not None:
        return named
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_CHANNELS:
        return int(text) - 1
    raise UsageError(f"no channel is called {text!r}", f"it must be mix, left, right, split or 1 to {MOST_CHANNELS}")


def of_channel(path: Path, channel: str | None) -> Path:
    """Insert the channel into a file name: ``talk.left.wav`` for ``talk.wav``. None returns ``path``."""
    return path if channel is None else path.with_name(f"{path.stem}.{channel}{path.suffix}")


def min_channels(pick: Pick) -> int:
    """Smallest number of channels that a source needs for ``pick``."""
    return {"mix": 1, "split": 2}[pick] if isinstance(pick, str) else pick + 1


def width(pick: Pick) -> int:
    """Number of channels that :func:`choose` returns."""
    return 2 if pick == "split" else 1


def check(channels: int, pick: Pick, label: str = "") -> None:
    """Check that a source has enough channels, before decoding starts.

    Args:
        channels: Number of channels of the source.
        pick: The channels to use.
        label: Name of the source for the message, with a space at its end.

    Raises:
        AudioError: The source does not have the channel (``no_channel``).
    """
    if channels < min_channels(pick):
        missing = "two channels to split" if pick == "split" else f"channel {min_channels(pick)}"
        has = "1 channel" if channels == 1 else f"{channels} channels"
        raise AudioError(f"{label}has {has}, not {missing}", "choose another with --channel, or mix", code="no_channel")


def choose(frames: NDArray[np.float32], pick: Pick) -> NDArray[np.float32]:
    """Select channels.

    Args:
        frames: Shape ``(frames, channels)`` with enough channels, see :func:`check`.
        pick: The channels to use.

    Returns:
        Shape ``(frames,)``, or ``(frames, 2)`` for ``split``.
    """
    if pick == "mix":
        return mix(frames)
    return frames[:, :2] if pick == "split" else frames[:, pick]


def mix(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the channels: shape ``(frames, channels)`` to ``(frames,)``."""
    import numpy as np

    channels = frames.shape[1]
    if channels == 1:
        return frames[:, 0]
    # One column at a time, because numpy.mean over the short axis is ten times slower.
    total = frames[:, 0].copy()
    for channel in range(1, channels):
        total += frames[:, channel]
    return total / np.float32(channels)
