"""Replier that speaks the text of another replier, with an espeak-ng process that all sessions share."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import struct
import sys
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable
from rt_cli.server.replies import voice_worker as wire
from rt_cli.server.replies.interface import Audio, Part, Pieces, Replier, ReplyFailed, ReplyRequest, Text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

NOTICE = "voice by espeak-ng (GPL-3.0), a program of its own beside this one: robotic, demo quality"
ANSWER_S = 20.0
"""Deadline of an answer of the process, including its start."""
LONGEST_SENTENCE = 300
"""Characters, about 20 s of speech. The process speaks one sentence at a time: one reply can delay others by this."""
_WORDS_PER_MINUTE = 175
_SLOWEST, _FASTEST = 80, 450
_AT_ONCE = 3
"""Available pieces of 60 ms are joined, up to this number."""
_EXIT_S = 1.0
_MAX_FRAME = 1_048_576
"""Most bytes of a frame of the process; a frame of audio has 60 ms."""

VOICES = {
    "alloy": "en-us",
    "ash": "en-us+m3",
    "ballad": "en-gb+m1",
    "cedar": "en-us+m7",
    "coral": "en-us+f2",
    "echo": "en-us+m1",
    "marin": "en-us+f4",
    "sage": "en-us+f1",
    "shimmer": "en-us+f5",
    "verse": "en-us+m2",
}
"""OpenAI's voice names. espeak-ng's own names, for example ``de`` or ``en-gb+f3``, work as well."""
_ESPEAK_NAME = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8})*(?:\+[a-z0-9]{1,12})?", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?\u2026]+[\"')\]\u201d\u2019]*\s|[\u3002\uff01\uff1f]|\n")
_PAUSE = re.compile(r"[,;:\u2014]\s|\s")
_MARKUP = re.compile(r"\*\*|`|^\s*(?:#+|[*-])\s", re.MULTILINE)


def espeak_voice(name: str | None) -> str:
    """The espeak-ng voice for a voice name from a client; American English for an unknown name."""
    if name is None:
        return wire.DEFAULT_VOICE
    return VOICES.get(name) or (name if _ESPEAK_NAME.fullmatch(name) else wire.DEFAULT_VOICE)


def words_per_minute(speed: float) -> int:
    """Convert a speed factor to espeak-ng's rate; the slowest rate is reached at speed 0.46."""
    return min(max(round(_WORDS_PER_MINUTE * speed), _SLOWEST), _FASTEST)


class Sentences:
    """Splits streamed text into sentences."""

    def __init__(self) -> None:
        self._text = ""

    def push(self, delta: str) -> list[str]:
        """Add text; returns the complete sentences. A sentence that is too long is split."""
        self._text += delta
        sentences = []
        while (end := self._end()) is not None:
            sentences.append(self._text[:end].strip())
            self._text = self._text[end:]
        return [sentence for sentence in sentences if sentence]

    def flush(self) -> list[str]:
        """Return the rest after the end of the text."""
        text, self._text = self._text.strip(), ""
        return [text] if text else []

    def _end(self) -> int | None:
        match = _SENTENCE_END.search(self._text, 0, LONGEST_SENTENCE)
        if match:
            return match.end()
        if len(self._text) <= LONGEST_SENTENCE:
            return None
        pauses = [match.end() for match in _PAUSE.finditer(self._text, 0, LONGEST_SENTENCE)]
        return pauses[-1] if pauses else LONGEST_SENTENCE


@asynccontextmanager
async def open_voice(author: Replier) -> AsyncIterator[Replier]:
    """Open a replier that speaks the text of ``author``; the process starts at once and ends with the block.

    Raises:
        UsageError: espeak-ng is not installed.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise UsageError("--reply voice needs espeak-ng", "pip install 'rt-cli[voice]'")
    process = EspeakProcess()
    try:
        process.warm_up()
        yield Voice(author, process)
    finally:
        await process.aclose()


class Voice:
    """Speaks the text of another replier, sentence by sentence, while that replier still writes."""

    def __init__(self, author: Replier, process: EspeakProcess) -> None:
        self._author = author
        self._mouth = process
        self.needs_words = author.needs_words
        self.notice = NOTICE if author.notice is None else f"{author.notice}; {NOTICE}"

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """Yield the author's parts, and the audio of each sentence after its end."""
        async with aclosing(self._author.reply(request)) as parts:
            if not request.with_audio:
                async for part in parts:
                    yield part
                return
            sentences = Sentences()
            speech = _Speech(self._mouth, espeak_voice(request.voice), words_per_minute(request.speed))
            async for part in parts:
                # Order: text before its audio; a call after all audio of the text before.
                if isinstance(part, Text):
                    yield part
                complete = sentences.push(part.delta) if isinstance(part, Text) else sentences.flush()
                async with aclosing(speech.say(complete)) as sound:
                    async for audio in sound:
                        yield audio
                if not isinstance(part, Text):
                    yield part
            async with aclosing(speech.say(sentences.flush(), last=True)) as sound:
                async for audio in sound:
                    yield audio


class _Speech:
    """The audio of one reply, with one resampler for all of its sentences."""

    def __init__(self, process: EspeakProcess, voice: str, rate: int) -> None:
        self._mouth = process
        self._voice = voice
        self._rate = rate
        self._pieces: Pieces | None = None

    async def say(self, sentences: list[str], *, last: bool = False) -> AsyncGenerator[Audio, None]:
        for sentence in sentences:
            async with aclosing(self._mouth.speak(sentence, self._voice, self._rate)) as sound:
                async for rate_hz, pcm in sound:
                    self._pieces = self._pieces or Pieces(rate_hz)
                    for piece in self._pieces.push(pcm):
                        yield Audio(piece)
        if last and self._pieces is not None:
            for piece in self._pieces.flush():
                yield Audio(piece)


class EspeakProcess:
    """The espeak-ng process of a server; restarted if it has ended."""

    def __init__(self) -> None:
        self._child: _WorkerProcess | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()
        self._warming: asyncio.Task[None] | None = None

    def warm_up(self) -> None:
        """Start the process; returns at once."""
        self._warming = asyncio.create_task(self._start_early(), name="voice warm-up")

    async def speak(self, text: str, voice: str, rate: int) -> AsyncGenerator[tuple[int, bytes], None]:
        """Speak a sentence.

        After closing or cancellation, the process stops this sentence and continues with those of other replies.

        Args:
            text: At most a few hundred characters, because all of the audio is queued for a slow reader.
            voice: A voice of espeak-ng; an unknown one becomes American English.
            rate: Words per minute.

        Yields:
            The sample rate in Hz, and at most 180 ms of s16le.

        Raises:
            ReplyFailed: The process cannot start, ended, or hangs.
        """
        child = await self._running_child()
        utterance = child.speak(voice, rate, printable(_MARKUP.sub(" ", text)))
        try:
            while pcm := await utterance.sound():
                yield child.rate_hz, pcm
        finally:
            child.cancel(utterance)

    async def aclose(self) -> None:
        """End the process, within a second."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait([self._warming])
        if self._child is not None:
            self._child.kill()
        if self._readers:
            await asyncio.wait(self._readers, timeout=_EXIT_S)

    async def _start_early(self) -> None:
        with suppress(ReplyFailed):  # the first sentence fails in the same way, and its client gets the error
            await self._running_child()

    async def _running_child(self) -> _WorkerProcess:
        async with self._starting:
            if self._child is None or not self._child.alive:
                self._child = await self._start()
            return self._child

    async def _start(self) -> _WorkerProcess:
        try:
            # -P: import no modules from the working directory. New session: the terminal's Ctrl-C must not reach it.
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", str(Path(wire.__file__))),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as exc:
            raise ReplyFailed(f"the voice's process cannot start: {exc.strerror}") from exc
        child = _WorkerProcess(process)
        self._readers.add(child.reader)
        child.reader.add_done_callback(self._readers.discard)
        return child


class _Utterance:
    """The queue between the process and the reader of one sentence."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._pieces: asyncio.Queue[bytes | ReplyFailed] = asyncio.Queue()
        """Unlimited, so that a slow reader does not stop the voice of others. ``b""`` marks the end."""

    def put(self, piece: bytes | ReplyFailed) -> None:
        self._pieces.put_nowait(piece)

    async def sound(self) -> bytes:
        """Wait for the next audio, at most 180 ms; empty at the end. Raises ReplyFailed."""
        piece = await self._pieces.get()
        if isinstance(piece, ReplyFailed):
            raise piece
        pieces = [piece]
        while len(pieces) < _AT_ONCE and piece and not self._pieces.empty():
            piece = self._pieces.get_nowait()
            if isinstance(piece, ReplyFailed) or not piece:
                self._pieces.put_nowait(piece)  # put the end back: no other piece follows
                break
            pieces.append(piece)
        return b"".join(pieces)


class _WorkerProcess:
    """The server's side of a process, which speaks one sentence after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None  # noqa: S101 - opened as a pipe; narrows the type
        assert process.stdout is not None  # noqa: S101 - same
        self._process = process
        self._questions = process.stdin
        self._answers = process.stdout
        self._utterances: dict[int, _Utterance] = {}
        """Sentences without DONE, including cancelled ones."""
        self._last = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._reason = "the voice's process ended"
        self.rate_hz = 0
        self.alive = True
        self.reader = asyncio.create_task(self._read_answers(), name=f"voice {process.pid}")

    def speak(self, voice: str, rate: int, text: str) -> _Utterance:
        self._last += 1
        utterance = self._utterances[self._last] = _Utterance(self._last)
        if self.alive:
            # No drain(): each reply has one sentence here.
            self._questions.write(wire.speak_frame(utterance.number, rate, voice, text))
        else:
            utterance.put(ReplyFailed(self._reason))
        if self._deadline is None:
            self._restart_deadline()
        return utterance

    def cancel(self, utterance: _Utterance) -> None:
        """Stop a sentence whose reader is gone."""
        if utterance.number in self._utterances and self.alive:
            self._questions.write(wire.frame(wire.CANCEL, wire.JOB.pack(utterance.number)))

    def kill(self) -> None:
        """Kill the process, which has no state to save; unfinished sentences fail."""
        if self.alive:
            self.alive = False
            with suppress(ProcessLookupError):  # it has already ended
                self._process.kill()

    def _on_timeout(self) -> None:
        self._reason = f"the voice did not answer for {ANSWER_S:.0f} s"
        self.kill()

    def _restart_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._utterances and self.alive:
            self._deadline = asyncio.get_running_loop().call_later(ANSWER_S, self._on_timeout)

    async def _read_answers(self) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):  # the process has ended
                while True:
                    self._on_frame(*await self._read_frame())
        except (ValueError, KeyError, struct.error):  # a number of no sentence, a payload that is too short
            self._reason = "the voice's process sent what nobody understands"
        finally:
            self.kill()
            for utterance in self._utterances.values():
                utterance.put(ReplyFailed(self._reason))
            self._utterances.clear()
            self._restart_deadline()
            self._questions.close()
            await self._process.wait()

    async def _read_frame(self) -> tuple[bytes, bytes]:
        kind, length = wire.HEADER.unpack(await self._answers.readexactly(wire.HEADER.size))
        if length > _MAX_FRAME:
            raise ValueError(length)
        return kind, await self._answers.readexactly(length)

    def _on_frame(self, kind: bytes, payload: bytes) -> None:
        if kind == wire.BROKEN:
            self._reason = f"the voice cannot speak: {printable(payload.decode(errors='replace'))[:200]}"
        elif kind == wire.READY:
            (self.rate_hz,) = wire.JOB.unpack(payload)
        elif kind not in {wire.AUDIO, wire.DONE} or not self.rate_hz:
            raise ValueError(kind)
        else:
            (number,) = wire.JOB.unpack_from(payload)
            utterance = self._utterances[number]
            if kind == wire.DONE:
                del self._utterances[number]
            utterance.put(payload[wire.JOB.size :])
        self._restart_deadline()
