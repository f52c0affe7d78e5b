"""Replies that are spoken: words become sentences, and sentences sound, in one process that all sessions share."""

from __future__ import annotations

import asyncio
import importlib.util
import re
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
"""Longest silence of a process that owes sound, its start included."""
LONGEST_SENTENCE = 300
"""Characters, some 20 s of speech: what is said at once, and so what one reply can make another wait for."""
_WORDS_PER_MINUTE = 175
_SLOWEST, _FASTEST = 80, 450
_AT_ONCE = 3
"""Pieces of 60 ms that go out as one, where they are there."""
_EXIT_S = 1.0

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
"""OpenAI's names; who knows espeak-ng may use its names, such as ``de`` or ``en-gb+f3``."""
_ESPEAK_NAME = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8})*(?:\+[a-z0-9]{1,12})?", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?\u2026]+[\"')\]\u201d\u2019]*\s|[\u3002\uff01\uff1f]|\n")
_PAUSE = re.compile(r"[,;:\u2014]\s|\s")
_MARKUP = re.compile(r"\*\*|`|^\s*(?:#+|[*-])\s", re.MULTILINE)


def espeak_voice(name: str | None) -> str:
    """The voice of espeak-ng for a name from a client; American English for one that nobody knows."""
    if name is None:
        return wire.DEFAULT_VOICE
    return VOICES.get(name) or (name if _ESPEAK_NAME.fullmatch(name) else wire.DEFAULT_VOICE)


def words_per_minute(speed: float) -> int:
    """A speed as the engine's rate; below 0.46 it speaks no slower."""
    return min(max(round(_WORDS_PER_MINUTE * speed), _SLOWEST), _FASTEST)


class Sentences:
    """Words as they come, sentences as soon as they are complete."""

    def __init__(self) -> None:
        self._text = ""

    def push(self, delta: str) -> list[str]:
        """Take words; returns the sentences that they end, or the beginnings of one that is too long."""
        self._text += delta
        sentences = []
        while (end := self._end()) is not None:
            sentences.append(self._text[:end].strip())
            self._text = self._text[end:]
        return [sentence for sentence in sentences if sentence]

    def flush(self) -> list[str]:
        """What has no end, once there are no more words."""
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
    """What speaks the words of ``author``; its process starts at once, and ends with the block.

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
    """Speaks what another replier writes, sentence by sentence, while it writes."""

    def __init__(self, author: Replier, process: EspeakProcess) -> None:
        self._author = author
        self._mouth = process
        self.needs_words = author.needs_words
        self.notice = NOTICE if author.notice is None else f"{author.notice}; {NOTICE}"

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """The author's parts; after the end of each sentence its sound."""
        async with aclosing(self._author.reply(request)) as parts:
            if not request.with_audio:
                async for part in parts:
                    yield part
                return
            sentences = Sentences()
            speech = _Speech(self._mouth, espeak_voice(request.voice), words_per_minute(request.speed))
            async for part in parts:
                # Words before what they are the sound of; a call after everything that was said.
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
    """The sound of one reply: one resampler over all its sentences."""

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
    """The process of a server that speaks; a new one takes the place of one that is gone."""

    def __init__(self) -> None:
        self._child: _WorkerProcess | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()
        self._warming: asyncio.Task[None] | None = None

    def warm_up(self) -> None:
        """Start the process; returns at once."""
        self._warming = asyncio.create_task(self._start_early(), name="voice warm-up")

    async def speak(self, text: str, voice: str, rate: int) -> AsyncGenerator[tuple[int, bytes], None]:
        """Say a sentence.

        Closed or cancelled, the process stops saying it, and goes on with the sentences of others.

        Args:
            text: At most a few hundred characters: all of its sound may come to wait here for whoever listens.
            voice: A voice of espeak-ng; an unknown one is American English.
            rate: Words per minute.

        Yields:
            The rate in Hz, and s16le, at most 180 ms of it.

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
        with suppress(ReplyFailed):  # the first sentence will meet it again, and tell
            await self._running_child()

    async def _running_child(self) -> _WorkerProcess:
        async with self._starting:
            if self._child is None or not self._child.alive:
                self._child = await self._start()
            return self._child

    async def _start(self) -> _WorkerProcess:
        try:
            # -P: the working directory is no place for modules. A group of its own: Ctrl-C is not for it.
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
    """A sentence being said."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._pieces: asyncio.Queue[bytes | ReplyFailed] = asyncio.Queue()
        """Bounded by the sentence: whoever listens slowly must not stop the voice for others. ``b""`` is the end."""

    def put(self, piece: bytes | ReplyFailed) -> None:
        self._pieces.put_nowait(piece)

    async def sound(self) -> bytes:
        """What is there of the next 180 ms, empty at the end; raises ReplyFailed."""
        piece = await self._pieces.get()
        if isinstance(piece, ReplyFailed):
            raise piece
        pieces = [piece]
        while len(pieces) < _AT_ONCE and piece and not self._pieces.empty():
            piece = self._pieces.get_nowait()
            if isinstance(piece, ReplyFailed) or not piece:
                self._pieces.put_nowait(piece)  # nothing follows an end: it is the next again
                break
            pieces.append(piece)
        return b"".join(pieces)


class _WorkerProcess:
    """Our end of a process; it says one sentence after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None  # noqa: S101 - it was asked for; narrows the type
        assert process.stdout is not None  # noqa: S101 - same
        self._process = process
        self._questions = process.stdin
        self._answers = process.stdout
        self._utterances: dict[int, _Utterance] = {}
        """What it owes an end, listened to or not."""
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
            # Never drained: each reply has one sentence here.
            self._questions.write(wire.speak_frame(utterance.number, rate, voice, text))
        else:
            utterance.put(ReplyFailed(self._reason))
        if self._deadline is None:
            self._restart_deadline()
        return utterance

    def cancel(self, utterance: _Utterance) -> None:
        """Nobody listens any more."""
        if utterance.number in self._utterances and self.alive:
            self._questions.write(wire.frame(wire.CANCEL, wire.JOB.pack(utterance.number)))

    def kill(self) -> None:
        """End the process; what it owes fails. Nothing in it is worth a farewell."""
        if self.alive:
            self.alive = False
            with suppress(ProcessLookupError):  # it has ended by itself
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
            with suppress(asyncio.IncompleteReadError):  # it ended
                while True:
                    kind, length = wire.HEADER.unpack(await self._answers.readexactly(wire.HEADER.size))
                    self._on_frame(kind, await self._answers.readexactly(length))
        finally:
            self.alive = False
            for utterance in self._utterances.values():
                utterance.put(ReplyFailed(self._reason))
            self._utterances.clear()
            self._restart_deadline()
            self._questions.close()
            await self._process.wait()

    def _on_frame(self, kind: bytes, payload: bytes) -> None:
        if kind == wire.BROKEN:
            self._reason = f"the voice cannot speak: {printable(payload.decode(errors='replace'))[:200]}"
        elif kind == wire.READY:
            (self.rate_hz,) = wire.JOB.unpack(payload)
        else:
            (number,) = wire.JOB.unpack_from(payload)
            utterance = self._utterances[number]
            if kind == wire.DONE:
                del self._utterances[number]
            utterance.put(payload[wire.JOB.size :])
        self._restart_deadline()
