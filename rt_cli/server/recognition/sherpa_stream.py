"""Decoding of one item by a streaming transducer of sherpa-onnx. Blocks: call in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr

from rt_cli.audio.format import pcm16_to_float
from rt_cli.protocol.sanitize import printable
from rt_cli.server.recognition.base.text import CJK, whole_words
from rt_cli.server.recognition.interface import Hypothesis, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sherpa_onnx import OnlineRecognizer

_RATE_HZ = 16_000
_TAIL_S = 0.66
"""Silence appended at the end, because the model looks ahead."""
_WORD_BEGINS = (" ", "▁")


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
        self._samples = 0
        self._final_texts: list[str] = []
        self._words: list[Word] = []

    def push(self, pcm: bytes) -> Hypothesis:
        """Decode s16le samples and return the text so far."""
        self._accept(self._resampler.resample_chunk(pcm16_to_float(pcm)))
        return Hypothesis(self._text())

    def finish(self) -> Hypothesis:
        """End the audio and return the final text with word times. No push() afterwards."""
        self._accept(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        self._stream.accept_waveform(_RATE_HZ, np.zeros(int(_TAIL_S * _RATE_HZ), np.float32))
        self._stream.input_finished()
        self._decode()
        self._finish_segment()
        return Hypothesis(" ".join(self._final_texts), final=True, words=tuple(self._words))

    def _accept(self, samples: NDArray[np.float32]) -> None:
        self._samples += len(samples)
        self._stream.accept_waveform(_RATE_HZ, samples)
        self._decode()
        if self._engine.is_endpoint(self._stream):
            self._finish_segment()

    def _decode(self) -> None:
        while self._engine.is_ready(self._stream):
            self._engine.decode_stream(self._stream)

    def _finish_segment(self) -> None:
        """Store the text so far and reset the stream, so that cost does not grow with the length of the item."""
        result = self._engine.get_result_all(self._stream)
        if text := printable(result.text).strip():
            self._final_texts.append(text)
            starts = [result.start_time + time_s for time_s in result.timestamps]
            self._words += words_of(result.tokens, starts, self._samples / _RATE_HZ)
        self._engine.reset(self._stream)

    def _text(self) -> str:
        text = whole_words(printable(self._engine.get_result(self._stream)).strip())
        return " ".join([*self._final_texts, text] if text else self._final_texts)


def words_of(tokens: Sequence[str], starts_s: Sequence[float], end_s: float) -> list[Word]:
    """Build words from a model's tokens. Pure.

    Args:
        tokens: Tokens in order; a token with a leading space, or with the space sign, starts a word.
        starts_s: Start of each token in seconds, one per token.
        end_s: End of the audio in seconds. A word ends where the next one starts, because the model has no ends.
    """
    words: list[tuple[str, float]] = []
    for token, start_s in zip(tokens, starts_s, strict=False):
        text = printable(token.lstrip("".join(_WORD_BEGINS)))
        if not words or token.startswith(_WORD_BEGINS) or text >= CJK:
            words.append((text, start_s))
        else:
            words[-1] = (words[-1][0] + text, words[-1][1])
    ends = [*(start_s for _, start_s in words), end_s][1:]
    return [
        Word(text, min(start_s, end_s), min(max(start_s, stop_s), end_s))
        for (text, start_s), stop_s in zip(words, ends, strict=True)
        if text
    ]
