"""Audio on its way to an endpoint with another sample rate: all of it, in order, whatever the chunks are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.protocol.dialects.codec import Codec
from rt_cli.protocol.message import Binary
from rt_cli.protocol.server_events import Ignored
from rt_cli.streaming.delivery.resampled_codec import ResampledCodec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.protocol.server_events import ServerEvent


class Plain(Codec):
    """Audio as it is."""

    def __init__(self) -> None:
        self.read = 0

    def audio_messages(self, pcm: bytes, size: int) -> Sequence[bytes]:
        """In messages of ``size`` bytes."""
        return [Binary(pcm[at : at + size]) for at in range(0, len(pcm), size)]

    def commit_message(self, event_id: str) -> bytes:
        """The id."""
        return event_id.encode()

    def tick(self, read: int, now: float) -> Sequence[ServerEvent]:
        """Notes what is read."""
        del now
        self.read = read
        return ()

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Nothing."""
        del message
        return (Ignored("x"),)


TONE = (np.sin(np.arange(24_000) / 24_000 * 2 * np.pi * 440) * 8_000).astype("<i2").tobytes()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 6_000), min_size=1, max_size=12), st.sampled_from([8_000, 16_000, 48_000]))
def test_every_turn_is_whole(sizes: list[int], rate_hz: int) -> None:
    """What is held back comes before the commit; the next turn begins anew."""
    codec = ResampledCodec(Plain(), 24_000, rate_hz)
    for _ in range(2):
        sent, at = [], 0
        for size in sizes:
            chunk = TONE[at * 2 : (at + size) * 2]
            at += len(chunk) // 2
            if chunk:
                messages = codec.audio_messages(chunk, 960)
                assert all(0 < len(message) <= 960 * rate_hz // 24_000 for message in messages)
                sent += messages
        sent += codec.rest_messages()
        assert codec.rest_messages() == ()
        pcm = b"".join(bytes(message) for message in sent)
        assert len(pcm) % 2 == 0
        assert abs(len(pcm) // 2 - at * rate_hz / 24_000) <= 1
        expected = np.sin(np.arange(len(pcm) // 2) / rate_hz * 2 * np.pi * 440) * 8_000
        middle = slice(rate_hz // 100, -(rate_hz // 100))
        assert np.abs(np.frombuffer(pcm, "<i2")[middle] - expected[middle]).max(initial=0) < 200
    assert codec.commit_message("c") == b"c"


def test_what_is_read_is_counted_at_the_rate_of_the_endpoint() -> None:
    """As its codec counts."""
    inner = Plain()
    ResampledCodec(inner, 24_000, 16_000).tick(2_400, 0.0)
    assert inner.read == 1_600
