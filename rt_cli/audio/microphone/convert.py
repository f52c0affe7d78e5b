"""Conversion of device frames to blocks at the wire rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.channels import check, choose, width
from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.audio.source import Block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.resample import Resampler


class WireConverter:
    """Converts device frames to blocks for the timeline. Position and length of holes stay exact to the sample.

    Args:
        rate_hz: Rate of the device.
        channels: Number of channels of the device.
        wire_rate_hz: Rate of the timeline.
        pick: The channels to use; for ``split`` the blocks hold two interleaved channels.

    Raises:
        AudioError: The device has not enough channels.
    """

    def __init__(self, rate_hz: int, channels: int, wire_rate_hz: int, pick: Pick = "mix") -> None:
        check(channels, pick)
        self._channels = channels
        self._pick = pick
        self._rate_hz = rate_hz
        self._wire_rate_hz = wire_rate_hz
        self._resampler = self._new_resampler()
        self._frames = 0
        self._samples = 0

    def convert(self, lost: int, data: bytes) -> Iterator[Block]:
        """Convert audio without a hole in it.

        Args:
            lost: Frames lost directly before ``data``.
            data: Interleaved float32, whole frames; may be empty.
        """
        import numpy as np

        if lost:
            # The audio in the resampler is from before the hole.
            yield from self.flush()
            self._resampler = self._new_resampler()
        self._frames += lost
        hole = max(0, round(self._frames * self._wire_rate_hz / self._rate_hz) - self._samples) if lost else 0
        frames = np.frombuffer(data, dtype=np.float32).reshape(-1, self._channels)
        self._frames += len(frames)
        selected = choose(frames, self._pick)
        yield from self._block(self._resampler.push(selected) if len(selected) else b"", hole)

    def flush(self) -> Iterator[Block]:
        """Yield the rest of the audio in the resampler."""
        yield from self._block(self._resampler.flush(), 0)

    def _new_resampler(self) -> Resampler:
        from rt_cli.audio.resample import Resampler

        return Resampler(self._rate_hz, self._wire_rate_hz, width(self._pick), live=True)

    def _block(self, pcm: bytes, lost: int) -> Iterator[Block]:
        if pcm or lost:
            block = Block(pcm, lost)
            self._samples += lost + len(pcm) // (BYTES_PER_SAMPLE * width(self._pick))
            yield block
