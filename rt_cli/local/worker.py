"""The recogniser's own process: audio in on stdin, hypotheses out on stdout, gone when stdin ends.

Stands alone, so that it can be run by its path: nothing in the working directory can take the place of a module.
Both directions carry frames: a kind (one byte), a length (four, little-endian), and that many bytes. Answers come in
the order of the questions.

    RESET   nothing         none                     the next audio has nothing to do with what was before
    OPEN    rate, Hz, text  none                     an item begins
    AUDIO   PCM16           ACK, or PARTIAL + text   more of the item
    PAUSE   nothing         none                     nobody speaks for now
    FINISH  nothing         FINAL + text             the item is complete
                            BROKEN + text            at any time: it cannot go on, and ends
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.Struct("<cI")
RESET, OPEN, AUDIO, PAUSE, FINISH = b"r", b"o", b"a", b"p", b"f"
ACK, PARTIAL, FINAL, BROKEN = b"k", b"h", b"t", b"x"

MODEL_RATE_HZ = 16_000
LONGEST_S = 30
"""The decoder's memory and its last step grow with an utterance: a longer one is cut, at the cost of a word."""
STRANGER_S = 3
"""Speech after which the decoder knows a voice and its loudness; what it heard before that it reads again. Measured on
two clips of 3 and 7 s in six variants each: 25 and 73 % of the words are right without, 100 and 77..82 % with it."""
_HYPOTHESIS_EVERY = MODEL_RATE_HZ * 3 // 20


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """Write a frame."""
    return HEADER.pack(kind, len(payload)) + payload


class Transcriber:
    """Items, one after the other, through one decoder.

    Args:
        decoder: A pocketsphinx decoder at 16 kHz.
    """

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self._fresh_cmn = decoder.get_cmn(False)
        self._resample: Any = None
        self._texts: list[str] = []
        self._samples = 0
        self._unseen = 0
        self._strange = 0
        self._misread = bytearray()
        self.reset()

    def reset(self) -> None:
        """Forget the voice and the room: what one session said must not change what another reads."""
        self._decoder.set_cmn(self._fresh_cmn)
        self._strange = STRANGER_S * MODEL_RATE_HZ
        self._misread.clear()

    def open(self, rate_hz: int) -> None:
        """Begin an item whose audio comes at ``rate_hz``."""
        import soxr

        self._resample = soxr.ResampleStream(rate_hz, MODEL_RATE_HZ, 1, dtype="int16")
        self._texts = []

    def audio(self, pcm: bytes) -> str | None:
        """Take s16le; every 150 ms of audio or more, return all of the item's text so far."""
        import numpy as np

        self._decode(self._resample.resample_chunk(np.frombuffer(pcm, "<i2")))
        if self._unseen < _HYPOTHESIS_EVERY:
            return None
        self._unseen = 0
        text = self._text(self._hypothesis())
        if self._samples >= LONGEST_S * MODEL_RATE_HZ:
            self._end_utterance()
        return text

    def pause(self) -> None:
        """End the utterance; the next audio of the item starts another."""
        import numpy as np

        self._decode(self._resample.resample_chunk(np.zeros(0, "<i2"), last=True))
        self._resample.clear()
        self._end_utterance()

    def finish(self) -> str:
        """End the item and return its text."""
        self.pause()
        return self._text("")

    def _decode(self, samples: Any) -> None:
        if not samples.size:
            return
        if not self._samples:
            self._decoder.start_utt()
        pcm = samples.astype("<i2").tobytes()
        self._decoder.process_raw(pcm, False, False)
        self._samples += samples.size
        self._unseen += samples.size
        if self._strange > 0:
            self._misread += pcm
            self._strange -= samples.size
            if self._strange <= 0:
                self._reread()

    def _reread(self) -> None:
        """Begin the utterance again, with the cepstral mean that it taught us."""
        self._decoder.end_utt()
        self._decoder.set_cmn(self._decoder.get_cmn(True))
        self._decoder.start_utt()
        self._decoder.process_raw(bytes(self._misread), False, False)
        self._misread.clear()

    def _end_utterance(self) -> None:
        if self._misread:
            self._reread()
        if self._samples:
            self._decoder.end_utt()
            self._texts.append(self._hypothesis())
        self._samples = self._unseen = 0

    def _hypothesis(self) -> str:
        best = self._decoder.hyp()
        return best.hypstr if best else ""

    def _text(self, last: str) -> str:
        return " ".join(text for text in (*self._texts, last) if text)


def read_frames(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Frames until the stream ends, be it in the middle of one."""
    while len(header := stream.read(HEADER.size)) == HEADER.size:
        kind, length = HEADER.unpack(header)
        payload = stream.read(length)
        if len(payload) < length:
            return
        yield kind, payload


def answer(transcriber: Transcriber, kind: bytes, payload: bytes) -> bytes:
    """Do what a frame asks; returns the frame to answer, empty for none."""
    if kind == AUDIO:
        text = transcriber.audio(payload)
        return frame(ACK) if text is None else frame(PARTIAL, text.encode())
    if kind == FINISH:
        return frame(FINAL, transcriber.finish().encode())
    if kind == OPEN:
        transcriber.open(int(payload))
    elif kind == PAUSE:
        transcriber.pause()
    elif kind == RESET:
        transcriber.reset()
    return b""


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Load the model, then answer until ``questions`` ends or nobody reads ``answers``."""
    try:
        from pocketsphinx import Decoder

        # Without the second pass an utterance ends ten times sooner, and no word is read worse.
        transcriber = Transcriber(Decoder(samprate=MODEL_RATE_HZ, fwdflat=False, loglevel="FATAL"))
        for kind, payload in read_frames(questions):
            answers.write(answer(transcriber, kind, payload))
            answers.flush()
    except BrokenPipeError:
        return
    except Exception as exc:  # noqa: BLE001 - whatever it is, the other side must be told, and this process ends
        answers.write(frame(BROKEN, f"{type(exc).__name__}: {exc}".encode()))
        answers.flush()


def main() -> None:
    """Run over stdin and stdout; whatever C code prints goes to stderr."""
    # The terminal's Ctrl-C is not for us: only the server ends us. Windows has no process groups to hide in.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
