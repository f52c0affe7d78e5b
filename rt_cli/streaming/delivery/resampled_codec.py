"""A codec for another sample rate than that of the tape: the endpoint was recognised after capture had begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import pcm16_to_float
from rt_cli.audio.resample import Resampler
from rt_cli.protocol.dialects.codec import Codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.protocol.conversation.actions import Action
    from rt_cli.protocol.endpoint.negotiation import Proposal
    from rt_cli.protocol.server_events import ServerEvent


def codec_of(proposal: Proposal, tape_hz: int) -> Codec:
    """Return the codec of a connection, which takes audio at the rate of the tape."""
    request = proposal.request
    codec = proposal.endpoint.dialect.codec(request)
    return codec if request.rate_hz == tape_hz else ResampledCodec(codec, tape_hz, request.rate_hz)


class ResampledCodec(Codec):
    """Resamples audio on its way to another codec. Offsets of the endpoint are times, which stay the same.

    Args:
        codec: The codec of the endpoint.
        tape_hz: Sample rate of the audio.
        wire_hz: Sample rate of the endpoint.
    """

    def __init__(self, codec: Codec, tape_hz: int, wire_hz: int) -> None:
        self._codec = codec
        self._rates = tape_hz, wire_hz
        self._resampler: Resampler | None = None
        self._size = 0

    def session_messages(self, event_id: str) -> Sequence[bytes]:
        """Return those of the codec."""
        return self._codec.session_messages(event_id)

    def audio_messages(self, pcm: bytes, size: int) -> Sequence[bytes]:
        """Encode audio at the rate of the tape; the last 20 ms are held back."""
        if self._resampler is None:
            self._resampler = Resampler(*self._rates)
        self._size = max(2, size * self._rates[1] // self._rates[0] // 2 * 2)
        resampled = self._resampler.push(pcm16_to_float(pcm))
        return self._codec.audio_messages(resampled, self._size) if resampled else ()

    def rest_messages(self) -> Sequence[bytes]:
        """Encode what was held back: what follows is another turn."""
        if self._resampler is None:
            return self._codec.rest_messages()
        rest, self._resampler = self._resampler.flush(), None
        messages = self._codec.audio_messages(rest, self._size) if rest else ()
        return (*messages, *self._codec.rest_messages())

    def commit_message(self, event_id: str) -> bytes:
        """Return that of the codec."""
        return self._codec.commit_message(event_id)

    def clear_message(self, event_id: str) -> bytes:
        """Return that of the codec."""
        return self._codec.clear_message(event_id)

    def end_message(self, event_id: str) -> bytes:
        """Return that of the codec."""
        return self._codec.end_message(event_id)

    def action_message(self, action: Action) -> bytes:
        """Return that of the codec."""
        return self._codec.action_message(action)

    def tick(self, read: int, now: float) -> Sequence[ServerEvent]:
        """Return what the codec says, whose samples are those of the wire."""
        return self._codec.tick(read * self._rates[1] // self._rates[0], now)

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Return what the codec says."""
        return self._codec.decode(message)
