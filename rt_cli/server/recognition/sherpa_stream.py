"""Decoding of one item by a streaming transducer of sherpa-onnx. Blocks: call in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr

from rt_cli.audio.format import pcm16_to_float
from rt_cli.protocol.sanitize import printable
from rt_cli.server.recognition.base.text import whole_words
from rt_cli.server.recognition.interface import Hypothesis

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sherpa_onnx import OnlineRecognizer

_RATE_HZ = 16_000
_TAIL_S = 0.66
"""Silence appended at the end, because the model looks ahead."""


class SherpaStream:
    """The decoder state of an item.

    Args:
        engine: The model, shared by concurrent items.
        rate_hz: Sample rate of the audio.
    """

    def __init__(self, engine: OnlineRecognizer, rate_hz: int) -> None:
        self._engine = engine
        self._stream = engine.create_stream()
        # Not the resampler of sherpa-onnx, which writes to stderr.
        self._resampler = soxr.ResampleStream(rate_hz, _RATE_HZ, 1, dtype="float32", quality="HQ")
        self._final_texts: list[str] = []

    def push(self, pcm: bytes) -> Hypothesis:
        """Decode s16le samples and return the text so far."""
        self._accept(self._resampler.resample_chunk(pcm16_to_float(pcm)))
        return Hypothesis(self._text())

    def finish(self) -> Hypothesis:
        """End the audio and return the final text. No push() afterwards."""
        self._accept(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        self._stream.accept_waveform(_RATE_HZ, np.zeros(int(_TAIL_S * _RATE_HZ), np.float32))
        self._stream.input_finished()
        self._decode()
        self._finish_segment()
        return Hypothesis(" ".join(self._final_texts), final=True)

    def _accept(self, samples: NDArray[np.float32]) -> None:
        self._stream.accept_waveform(_RATE_HZ, samples)
        self._decode()
        if self._engine.is_endpoint(self._stream):
            self._finish_segment()

    def _decode(self) -> None:
        while self._engine.is_ready(self._stream):
            self._engine.decode_stream(self._stream)

    def _finish_segment(self) -> None:
        """Store the text so far and reset the stream, so that cost does not grow with the length of the item."""
        if text := printable(self._engine.get_result(self._stream)).strip():
            self._final_texts.append(text)
        self._engine.reset(self._stream)

    def _text(self) -> str:
        text = whole_words(printable(self._engine.get_result(self._stream)).strip())
        return " ".join([*self._final_texts, text] if text else self._final_texts)
