"""The decoder process: reads audio from stdin, writes hypotheses to stdout, ends when stdin ends.

This file imports nothing of the package and runs by its path, so that no file in the working directory can replace a
module. Both directions carry frames: a kind (one byte), a length (four bytes, little-endian) and a payload of that
length. Answers have the order of the questions. READY comes before all answers, when the model is loaded.

    BEGIN   {rate_hz, voice}     none                          start an utterance; voice is null for a new speaker
    AUDIO   PCM16                ACK, or PARTIAL + text        audio of the utterance
    END                          FINAL + {text, words, voice}  end the utterance; pass voice to the next BEGIN
    DROP                         ACK                           end the utterance without a result
    GO                           as the question before        continue after AGAIN
                                 AGAIN                         instead of an answer: unfinished; send GO or DROP
                                 BROKEN + text                 at any time: fatal error, the process ends

Each process has one decoder. Two decoders in one process would save a fifth of the memory (91 MB instead of 115), but
loading the second one would hold the GIL, and so stop the first one, for 0.6 s, and a crash would end both.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

HEADER = struct.Struct("<cI")
BEGIN, AUDIO, END, DROP, GO = b"b", b"a", b"e", b"d", b"g"
READY, ACK, PARTIAL, FINAL, AGAIN, BROKEN = b"r", b"k", b"h", b"t", b"m", b"x"

MODEL_RATE_HZ = 16_000
ADAPTATION_S = 3
"""Audio after which the decoder has adapted its cepstral mean to a voice. The decoder then decodes this audio again.
Measured on two clips of 3 and 7 s, six variants each: 25 and 73 % correct words without, 100 and 77..82 % with it."""
_HYPOTHESIS_EVERY = MODEL_RATE_HZ * 3 // 20
_STEP_BYTES = MODEL_RATE_HZ // 5 * 2
"""Audio per step of the second decoding: as much as one slice of the schedule."""


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """Build a frame."""
    return HEADER.pack(kind, len(payload)) + payload


class Transcriber:
    """Decodes utterances, one after the other.

    Args:
        decoder: A pocketsphinx decoder at 16 kHz.
    """

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self._default_cmn = decoder.get_cmn(False)
        # start_stream() is deprecated, but nothing else resets the noise estimate of the utterance before.
        self._reset_noise = getattr(decoder, "start_stream", lambda: None)
        self._resample: Any = None
        self._started = False
        self._samples_since_hypothesis = 0
        self._samples_to_adapt = 0
        self._pcm_to_repeat = bytearray()

    def begin(self, rate_hz: int, voice: Mapping[str, Any] | None) -> None:
        """Start an utterance.

        Args:
            rate_hz: Sample rate of the audio; any rate that soxr supports.
            voice: ``voice`` from the FINAL answer to the last utterance of the same speaker; None: new speaker. No
                other state of earlier utterances changes the result.
        """
        import soxr

        self._resample = soxr.ResampleStream(rate_hz, MODEL_RATE_HZ, 1, dtype="int16")
        self._decoder.set_cmn(voice["cmn"] if voice else self._default_cmn)
        self._samples_to_adapt = voice["strange"] if voice else ADAPTATION_S * MODEL_RATE_HZ
        self._samples_since_hypothesis = 0

    def audio(self, pcm: bytes) -> Generator[None, None, bytes]:
        """Decode s16le. Returns PARTIAL with the text so far after every 150 ms of audio or more, else ACK."""
        import numpy as np

        yield from self._decode(self._resample.resample_chunk(np.frombuffer(pcm, "<i2")))
        if self._samples_since_hypothesis < _HYPOTHESIS_EVERY:
            return frame(ACK)
        self._samples_since_hypothesis = 0
        return frame(PARTIAL, self._text().encode())

    def end(self) -> Generator[None, None, bytes]:
        """End the utterance. Returns FINAL with text and voice."""
        import numpy as np

        yield from self._decode(self._resample.resample_chunk(np.zeros(0, "<i2"), last=True))
        if self._pcm_to_repeat:
            yield from self._repeat()
        text = ""
        if self._started:
            self._decoder.end_utt()
            self._started = False
            text = self._text()
        voice = {"cmn": self._decoder.get_cmn(False), "strange": self._samples_to_adapt}
        return frame(FINAL, json.dumps({"text": text, "voice": voice}).encode())

    def drop(self) -> bytes:
        """End the utterance at once, without a result."""
        self._pcm_to_repeat.clear()
        if self._started:
            self._decoder.end_utt()
            self._started = False
        return frame(ACK)

    def _start(self) -> None:
        self._reset_noise()
        self._decoder.start_utt()

    def _decode(self, samples: Any) -> Generator[None, None, None]:
        if not samples.size:
            return
        if not self._started:
            self._start()
            self._started = True
        pcm = samples.astype("<i2").tobytes()
        self._decoder.process_raw(pcm, False, False)
        self._samples_since_hypothesis += samples.size
        if self._samples_to_adapt > 0:
            self._pcm_to_repeat += pcm
            self._samples_to_adapt -= samples.size
            if self._samples_to_adapt <= 0:
                yield from self._repeat()

    def _repeat(self) -> Generator[None, None, None]:
        """Decode the utterance again from its start, with the cepstral mean learned so far."""
        self._decoder.end_utt()
        self._decoder.set_cmn(self._decoder.get_cmn(True))
        self._start()
        pcm = bytes(self._pcm_to_repeat)
        self._pcm_to_repeat.clear()
        for start in range(0, len(pcm), _STEP_BYTES):
            yield
            self._decoder.process_raw(pcm[start : start + _STEP_BYTES], False, False)

    def _text(self) -> str:
        best = self._decoder.hyp()
        return best.hypstr if best else ""


def read_frames(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield frames until the stream ends; drops an incomplete last frame."""
    while len(header := stream.read(HEADER.size)) == HEADER.size:
        kind, length = HEADER.unpack(header)
        payload = stream.read(length)
        if len(payload) < length:
            return
        yield kind, payload


class QuestionHandler:
    """Answers questions step by step."""

    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber = transcriber
        self._steps: Generator[None, None, bytes] | None = None

    def handle(self, kind: bytes, payload: bytes) -> bytes:
        """Execute a question, or one step of it; returns the answer frame, empty for no answer."""
        if kind == BEGIN:
            self._transcriber.begin(**json.loads(payload))
            return b""
        if kind == DROP:
            self._steps = None
            return self._transcriber.drop()
        if kind == AUDIO:
            self._steps = self._transcriber.audio(payload)
        elif kind == END:
            self._steps = self._transcriber.end()
        if self._steps is None:
            msg = f"nothing to go on with after {kind!r}"
            raise ValueError(msg)
        try:
            next(self._steps)
        except StopIteration as done:
            self._steps = None
            return bytes(done.value)
        return frame(AGAIN)


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Load the model, then answer until ``questions`` ends or the reader of ``answers`` is gone."""
    try:
        import numpy as np  # noqa: F401 - import before the first audio
        import soxr  # noqa: F401 - same
        from pocketsphinx import Decoder

        # Without the second pass (fwdflat), the end of an utterance takes a tenth of the time, with equal accuracy.
        handler = QuestionHandler(Transcriber(Decoder(samprate=MODEL_RATE_HZ, fwdflat=False, loglevel="FATAL")))
        answers.write(frame(READY))
        answers.flush()
        for kind, payload in read_frames(questions):
            answers.write(handler.handle(kind, payload))
            answers.flush()
    except BrokenPipeError:
        return
    except Exception as exc:  # noqa: BLE001 - report any error to the server and end
        answers.write(frame(BROKEN, f"{type(exc).__name__}: {exc}".encode()))
        answers.flush()


def main() -> None:
    """Serve stdin and stdout; redirects prints of C code to stderr."""
    # Only the server ends this process, not Ctrl-C. Needed on Windows, which has no process groups.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
