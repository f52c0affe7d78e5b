"""The voice's own process: sentences in on stdin, sound out on stdout, gone when stdin ends.

Stands alone, so that it can be run by its path: nothing in the working directory can take the place of a module, and
nothing of this program is linked with espeak-ng, whose licence is the GPL. Both directions carry frames: a kind (one
byte), a length (four, little-endian), and that many bytes; a job is named by a number (four bytes), which grows.

    SPEAK   job, rate, voice NUL text               say it, after what was asked before
    CANCEL  job                                     stop saying it, or never begin
                                READY  Hz           the engine is loaded; s16le at this rate will come
                                AUDIO  job, s16le   the next piece of its sound
                                DONE   job          its end, also of one that was cancelled
                                BROKEN text         at any time: it cannot go on, and ends
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
    """Write a frame."""
    return HEADER.pack(kind, len(payload)) + payload


def speak_frame(job: int, words_per_minute: int, voice: str, text: str) -> bytes:
    """Write a SPEAK frame; neither voice nor text may hold a NUL."""
    return frame(SPEAK, SPEAK_HEAD.pack(job, words_per_minute) + f"{voice}\0{text}".encode())


def read_frames(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Frames until the stream ends, be it in the middle of one."""
    while len(header := stream.read(HEADER.size)) == HEADER.size:
        kind, length = HEADER.unpack(header)
        payload = stream.read(length)
        if len(payload) < length:
            return
        yield kind, payload


class Espeak:
    """The engine; there is one per process.

    Raises:
        OSError: Its library or its data cannot be loaded.
    """

    def __init__(self) -> None:
        import espeakng_loader

        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        # It holds no more than 160 bytes of a path: we go where the data are, and name them from there.
        os.chdir(os.path.dirname(espeakng_loader.get_data_path()))  # noqa: PTH120 - a path that may be no text
        self.rate_hz: int = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, b".", _DONT_EXIT)
        if self.rate_hz <= 0:
            raise OSError("espeak-ng finds no data in its package")
        self._on_audio: Any = None
        self._callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(self._on_sound)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, words_per_minute: int, voice: bytes, text: bytes, on_audio: Any) -> None:
        """Say a text.

        Args:
            words_per_minute: 80 to 450; beyond that the nearest of them.
            voice: A voice of espeak-ng, such as ``en-us+f3``; an unknown one is American English.
            text: UTF-8; nothing in it is markup.
            hear: Called with each piece of s16le; says whether to go on.
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
    """What is to be said, and what no longer."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._cancelled: set[int] = set()
        self._ended = False

    def read(self, questions: BinaryIO) -> None:
        """Take frames until there are no more."""
        for kind, payload in read_frames(questions):
            if kind == SPEAK:
                self._waiting.put(payload)
            elif kind == CANCEL:
                self._cancelled.add(*JOB.unpack(payload))
        self._ended = True
        self._waiting.put(None)

    def is_active(self, job: int) -> bool:
        """Whether anybody listens to it."""
        return not self._ended and job not in self._cancelled

    def done(self, job: int) -> None:
        """Forget a job; of a cancellation that comes too late the number stays, and no other job will have it."""
        self._cancelled.discard(job)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._waiting.get, None)


def serve(espeak: Espeak, jobs: Jobs, answers: BinaryIO) -> None:
    """Say one after the other."""

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
    """Run over stdin and stdout; whatever C code prints goes to stderr."""
    # The terminal's Ctrl-C is not for us: only the server ends us. Windows has no process groups to hide in.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    jobs = Jobs()
    threading.Thread(target=jobs.read, args=(sys.stdin.buffer,), daemon=True).start()
    try:
        serve(Espeak(), jobs, answers)
    except BrokenPipeError:
        pass  # nobody listens any more
    except Exception as exc:  # noqa: BLE001 - whatever it is, the other side must be told, and this process ends
        answers.write(frame(BROKEN, f"{type(exc).__name__}: {exc}".encode()))
        answers.flush()
    finally:
        # At once: an orderly end would abort where the other thread still reads, and write to whom nobody listens.
        os._exit(0)


if __name__ == "__main__":
    main()
