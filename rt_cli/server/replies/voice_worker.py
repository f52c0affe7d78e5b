"""The espeak-ng process: reads sentences from stdin, writes audio to stdout, ends when stdin ends.

This file imports nothing of the package and runs by its path, so that no file in the working directory can replace a
module, and so that no other code of rt is linked with espeak-ng, which has the GPL. Both directions carry frames: a
kind (one byte), a length (four bytes, little-endian) and a payload of that length. A job is a sentence; its number
(four bytes) increases from job to job.

    SPEAK   job, rate, voice NUL text               speak a sentence, after the jobs before
    CANCEL  job                                     stop a job, or do not start it
                                READY  Hz           the engine is loaded; audio has this sample rate
                                AUDIO  job, s16le   the next piece of audio of a job
                                DONE   job          end of a job, also of a cancelled one
                                BROKEN text         at any time: fatal error, the process ends
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.Struct("<cI")
JOB = struct.Struct("<I")
SPEAK_HEAD = struct.Struct("<IH")
SPEAK, CANCEL = b"s", b"c"
READY, AUDIO, DONE, BROKEN = b"r", b"a", b"d", b"x"

DEFAULT_VOICE = "en-us"
_BUFFER_MS = 60
# The names and numbers of speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_ESPEAK_RATE = 1
_POS_CHARACTER = 1
_CHARS_UTF8 = 1
_END_PAUSE = 0x1000
_GO_ON, _STOP = 0, 1


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """Build a frame."""
    return HEADER.pack(kind, len(payload)) + payload


def speak_frame(job: int, words_per_minute: int, voice: str, text: str) -> bytes:
    """Build a SPEAK frame; voice and text must not contain NUL."""
    return frame(SPEAK, SPEAK_HEAD.pack(job, words_per_minute) + f"{voice}\0{text}".encode())


def read_frames(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield frames until the stream ends; drops an incomplete last frame."""
    while len(header := stream.read(HEADER.size)) == HEADER.size:
        kind, length = HEADER.unpack(header)
        payload = stream.read(length)
        if len(payload) < length:
            return
        yield kind, payload


class Espeak:
    """The espeak-ng engine; one instance per process.

    Raises:
        OSError: The library or its data cannot be loaded.
    """

    def __init__(self) -> None:
        import espeakng_loader

        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        # espeak-ng limits the data path to 160 bytes: change to the data's directory and use a relative path.
        os.chdir(os.path.dirname(espeakng_loader.get_data_path()))  # noqa: PTH120 - a path that may be no text
        self.rate_hz: int = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, b".", _DONT_EXIT)
        if self.rate_hz <= 0:
            raise OSError("espeak-ng finds no data in its package")
        self._on_audio: Any = None
        self._callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(self._on_sound)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, words_per_minute: int, voice: bytes, text: bytes, on_audio: Any) -> None:
        """Speak a text.

        Args:
            words_per_minute: 80 to 450; values outside are clipped.
            voice: A voice of espeak-ng, for example ``en-us+f3``; an unknown one becomes American English.
            text: UTF-8, without markup.
            on_audio: Receives each piece of s16le; returns False to stop.
        """
        if self._library.espeak_SetVoiceByName(voice):
            self._library.espeak_SetVoiceByName(DEFAULT_VOICE.encode())
        self._library.espeak_SetParameter(_ESPEAK_RATE, words_per_minute, 0)
        self._on_audio = on_audio
        flags = _CHARS_UTF8 | _END_PAUSE
        error = self._library.espeak_Synth(text, len(text) + 1, 0, _POS_CHARACTER, 0, flags, None, None)
        if error:
            raise OSError(f"espeak-ng does not say it (error {error})")

    def _on_sound(self, samples: int | None, count: int, _events: int | None) -> int:
        if not samples or count <= 0:
            return _GO_ON
        return _GO_ON if self._on_audio(ctypes.string_at(samples, count * 2)) else _STOP


class Jobs:
    """The waiting and cancelled jobs."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._cancelled: set[int] = set()
        self._ended = False

    def read(self, questions: BinaryIO) -> None:
        """Read frames until the stream ends."""
        for kind, payload in read_frames(questions):
            if kind == SPEAK:
                self._waiting.put(payload)
            elif kind == CANCEL:
                self._cancelled.add(*JOB.unpack(payload))
        self._ended = True
        self._waiting.put(None)

    def is_active(self, job: int) -> bool:
        """True if the job is not cancelled and stdin is open."""
        return not self._ended and job not in self._cancelled

    def done(self, job: int) -> None:
        """Remove a job. The number of a late cancellation stays in the set; no other job gets this number."""
        self._cancelled.discard(job)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._waiting.get, None)


def serve(espeak: Espeak, jobs: Jobs, answers: BinaryIO) -> None:
    """Speak the jobs one after the other."""

    def answer(kind: bytes, payload: bytes) -> None:
        answers.write(frame(kind, payload))
        answers.flush()

    answer(READY, JOB.pack(espeak.rate_hz))
    for payload in jobs:
        job, words_per_minute = SPEAK_HEAD.unpack_from(payload)
        voice, _, text = payload[SPEAK_HEAD.size :].partition(b"\0")

        def on_audio(pcm: bytes, job: int = job) -> bool:
            if jobs.is_active(job):
                answer(AUDIO, JOB.pack(job) + pcm)
            return jobs.is_active(job)

        if jobs.is_active(job):
            espeak.speak(words_per_minute, voice, text, on_audio)
        jobs.done(job)
        answer(DONE, JOB.pack(job))


def main() -> None:
    """Serve stdin and stdout; redirects prints of C code to stderr."""
    # Only the server ends this process, not Ctrl-C. Needed on Windows, which has no process groups.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    jobs = Jobs()
    threading.Thread(target=jobs.read, args=(sys.stdin.buffer,), daemon=True).start()
    try:
        serve(Espeak(), jobs, answers)
    except BrokenPipeError:
        pass  # the server is gone
    except Exception as exc:  # noqa: BLE001 - report any error to the server and end
        answers.write(frame(BROKEN, f"{type(exc).__name__}: {exc}".encode()))
        answers.flush()
    finally:
        # Not sys.exit(): the interpreter's shutdown would abort while the other thread reads stdin, and flush to a
        # closed pipe.
        os._exit(0)


if __name__ == "__main__":
    main()
