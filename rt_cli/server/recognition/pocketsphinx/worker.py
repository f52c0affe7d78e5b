"""A decoder in a process of its own: audio in on stdin, hypotheses out on stdout, gone when stdin ends.

Stands alone, so that it can be run by its path: nothing in the working directory can take the place of a module.
Both directions carry frames: a kind (one byte), a length (four, little-endian), and that many bytes. Answers come in
the order of the questions; before the first of them, READY says that the model is loaded.

    BEGIN   {rate_hz, voice}     none                          an utterance begins; voice is null for a stranger
    AUDIO   PCM16                ACK, or PARTIAL + text        more of it
    END                          FINAL + {text, words, voice}  it is complete; voice is for the next one's BEGIN
    DROP                         ACK                           it ends, and nobody wants to know
    GO                           as the question before        after AGAIN
                                 AGAIN                         in place of an answer: there is more to do; GO, or DROP
                                 BROKEN + text                 at any time: it cannot go on, and ends

One process holds one decoder. A second decoder in the same process would save a fifth of the memory (91 MB, not 115),
but its loading holds the interpreter, and so every other utterance, for 0.6 s, and its crash would take them along.
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
FRAMES_PER_S = 100
STRANGER_S = 3
"""Speech after which the decoder knows a voice and its loudness; what it heard before that it reads again. Measured on
two clips of 3 and 7 s in six variants each: 25 and 73 % of the words are right without, 100 and 77..82 % with it."""
_HYPOTHESIS_EVERY = MODEL_RATE_HZ * 3 // 20
_STEP_BYTES = MODEL_RATE_HZ // 5 * 2
"""What is read again at once: as much as a slice of sound."""


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """Write a frame."""
    return HEADER.pack(kind, len(payload)) + payload


class Transcriber:
    """Utterances, one after the other, through one decoder.

    Args:
        decoder: A pocketsphinx decoder at 16 kHz.
    """

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self._fresh_cmn = decoder.get_cmn(False)
        # Deprecated, and yet the only way to forget the noise of the utterance before.
        self._forget_noise = getattr(decoder, "start_stream", lambda: None)
        self._resample: Any = None
        self._started = False
        self._unseen = 0
        self._strange = 0
        self._misread = bytearray()

    def begin(self, rate_hz: int, voice: Mapping[str, Any] | None) -> None:
        """Begin an utterance whose audio comes at ``rate_hz``.

        Args:
            rate_hz: Any that soxr takes.
            voice: What the last utterance of the same voice ended with: nothing else of what this decoder heard before
                changes what it reads.
        """
        import soxr

        self._resample = soxr.ResampleStream(rate_hz, MODEL_RATE_HZ, 1, dtype="int16")
        self._decoder.set_cmn(voice["cmn"] if voice else self._fresh_cmn)
        self._strange = voice["strange"] if voice else STRANGER_S * MODEL_RATE_HZ
        self._unseen = 0

    def audio(self, pcm: bytes) -> Generator[None, None, bytes]:
        """Take s16le; every 150 ms of audio or more, answer with the utterance's text so far."""
        import numpy as np

        yield from self._decode(self._resample.resample_chunk(np.frombuffer(pcm, "<i2")))
        if self._unseen < _HYPOTHESIS_EVERY:
            return frame(ACK)
        self._unseen = 0
        return frame(PARTIAL, self._text().encode())

    def end(self) -> Generator[None, None, bytes]:
        """End the utterance; answer with its text, its words and the voice."""
        import numpy as np

        yield from self._decode(self._resample.resample_chunk(np.zeros(0, "<i2"), last=True))
        if self._misread:
            yield from self._reread()
        text, words = "", []
        if self._started:
            self._decoder.end_utt()
            self._started = False
            text, words = self._text(), list(self._words())
        voice = {"cmn": self._decoder.get_cmn(False), "strange": self._strange}
        return frame(FINAL, json.dumps({"text": text, "words": words, "voice": voice}).encode())

    def drop(self) -> bytes:
        """End the utterance, whatever it is in the middle of."""
        self._misread.clear()
        if self._started:
            self._decoder.end_utt()
            self._started = False
        return frame(ACK)

    def _start(self) -> None:
        self._forget_noise()
        self._decoder.start_utt()

    def _decode(self, samples: Any) -> Generator[None, None, None]:
        if not samples.size:
            return
        if not self._started:
            self._start()
            self._started = True
        pcm = samples.astype("<i2").tobytes()
        self._decoder.process_raw(pcm, False, False)
        self._unseen += samples.size
        if self._strange > 0:
            self._misread += pcm
            self._strange -= samples.size
            if self._strange <= 0:
                yield from self._reread()

    def _reread(self) -> Generator[None, None, None]:
        """Begin the utterance again, with the cepstral mean that it taught us."""
        self._decoder.end_utt()
        self._decoder.set_cmn(self._decoder.get_cmn(True))
        self._start()
        pcm = bytes(self._misread)
        self._misread.clear()
        for start in range(0, len(pcm), _STEP_BYTES):
            yield
            self._decoder.process_raw(pcm[start : start + _STEP_BYTES], False, False)

    def _text(self) -> str:
        best = self._decoder.hyp()
        return best.hypstr if best else ""

    def _words(self) -> Iterator[tuple[str, float, float]]:
        """Each word, its first and its last second; not the silences, the noises and the marks of pronunciations."""
        for segment in self._decoder.seg() or ():
            word = segment.word.partition("(")[0]
            if word and word[0] not in "<[+":
                yield word, segment.start_frame / FRAMES_PER_S, (segment.end_frame + 1) / FRAMES_PER_S


def read_frames(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Frames until the stream ends, be it in the middle of one."""
    while len(header := stream.read(HEADER.size)) == HEADER.size:
        kind, length = HEADER.unpack(header)
        payload = stream.read(length)
        if len(payload) < length:
            return
        yield kind, payload


class Answers:
    """What each question is answered with."""

    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber = transcriber
        self._steps: Generator[None, None, bytes] | None = None

    def to(self, kind: bytes, payload: bytes) -> bytes:
        """Do what a frame asks, or a step of it; returns the frame to answer, empty for none."""
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
    """Load the model, then answer until ``questions`` ends or nobody reads ``answers``."""
    try:
        import numpy as np  # noqa: F401 - loaded now, not while somebody speaks
        import soxr  # noqa: F401 - same
        from pocketsphinx import Decoder

        # Without the second pass an utterance ends ten times sooner, and no word is read worse.
        replies = Answers(Transcriber(Decoder(samprate=MODEL_RATE_HZ, fwdflat=False, loglevel="FATAL")))
        answers.write(frame(READY))
        answers.flush()
        for kind, payload in read_frames(questions):
            answers.write(replies.to(kind, payload))
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
