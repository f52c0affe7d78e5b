"""Spoken replies: sentences from text, audio from a real process, and a process that hangs or dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.server.replies import voice
from rt_cli.server.replies import voice_worker as wire
from rt_cli.server.replies.chat import open_chat
from rt_cli.server.replies.interface import Audio, Call, Part, ReplyFailed, ReplyRequest, Text, Usage
from rt_cli.server.replies.voice import (
    LONGEST_SENTENCE,
    EspeakProcess,
    Sentences,
    espeak_voice,
    open_voice,
    words_per_minute,
)
from tests.fakes import run
from tests.memory import part_of
from tests.server.chat_server import Exchange, chat_server
from tests.server.replies.test_builtin import MOST_BYTES, collect, reply, sound, spoken, words
from tests.server.replies.test_voice_worker import ENDLESS, SENTENCE, loudness, needs_espeak

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

REQUEST = ReplyRequest([spoken("hello")])


class Script:
    """An author with fixed parts; each part after the first waits for the test."""

    needs_words = False
    notice = None

    def __init__(self, *parts: Part) -> None:
        self.parts = parts
        self.go_on = asyncio.Event()
        self.closed = False

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """Yield the parts."""
        del request
        try:
            for index, part in enumerate(self.parts):
                if index:
                    await self.go_on.wait()
                yield part
        finally:
            self.closed = True


@asynccontextmanager
async def espeak() -> AsyncIterator[EspeakProcess]:
    """A new process."""
    opened = EspeakProcess()
    try:
        yield opened
    finally:
        await opened.aclose()


async def say(process: EspeakProcess, text: str = SENTENCE) -> bytes:
    """All audio of a sentence."""
    return b"".join([pcm async for _, pcm in process.speak(text, "en-us", 175)])


def pid(process: EspeakProcess) -> int:
    """The process id."""
    return part_of(process, asyncio.subprocess.Process).pid


@pytest.mark.parametrize(
    ("deltas", "ended", "rest"),
    [
        (["Hello", ".", " How", " are you?", " Fine"], ["Hello.", "How are you?"], ["Fine"]),
        (["Pi is 3.14 and no more. "], ["Pi is 3.14 and no more."], []),
        (['"Really?!" he said. So'], ['"Really?!"', "he said."], ["So"]),
        (["one\ntwo\n\n", "three"], ["one", "two"], ["three"]),
        (["\u4f60\u597d\u3002\u518d\u89c1"], ["\u4f60\u597d\u3002"], ["\u518d\u89c1"]),
        (["   "], [], []),
        ([], [], []),
    ],
)
def test_sentences(deltas: list[str], ended: list[str], rest: list[str]) -> None:
    """A sentence is complete when the next character after its end is known."""
    sentences = Sentences()
    assert [sentence for delta in deltas for sentence in sentences.push(delta)] == ended
    assert sentences.flush() == rest
    assert sentences.flush() == []


def test_long_sentence_is_cut_at_a_pause() -> None:
    """At a pause, or at least between words, if possible."""
    assert all(sentence.split() == ["word"] * 60 for sentence in Sentences().push("word " * 60 * 5))
    assert [len(sentence) for sentence in Sentences().push("x" * (2 * LONGEST_SENTENCE + 1))] == [LONGEST_SENTENCE] * 2


@given(deltas=st.lists(st.text("ab .!?,\n\u3002", max_size=400)))
def test_sentences_lose_no_word(deltas: list[str]) -> None:
    """All words in order, in sentences of limited length, none empty."""
    sentences = Sentences()
    said = [sentence for delta in deltas for sentence in sentences.push(delta)] + sentences.flush()
    assert "".join("".join(said).split()) == "".join("".join(deltas).split())
    assert all(0 < len(sentence) <= LONGEST_SENTENCE for sentence in said)


def test_voices_and_speeds() -> None:
    """OpenAI's names and speeds become espeak-ng's; anything like a path is rejected."""
    assert espeak_voice(None) == espeak_voice("alloy") == espeak_voice("nobody") == "en-us"
    assert espeak_voice("../../x") == espeak_voice("de\0x") == "en-us"
    assert espeak_voice("de") == "de"
    assert espeak_voice("en-gb+f3") == "en-gb+f3"
    assert len(set(voice.VOICES.values())) == len(voice.VOICES)
    assert [words_per_minute(speed) for speed in (0.25, 0.5, 1, 1.5)] == [80, 88, 175, 262]


def test_without_the_extra_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, UsageError before anything starts."""
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(voice.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'rt-cli\[voice\]'"):
        reply(REQUEST, "voice")


@needs_espeak
def test_a_reply_is_spoken() -> None:
    """Text comes before its audio; the audio has a plausible length and pieces of limited length."""
    text = "You said: {transcript}, and that was all."
    parts = reply(REQUEST, "voice", reply_text=text)

    assert parts[0] == Text("You said: hello, and that was all.")
    assert all(isinstance(part, Audio) and 0 < len(part.pcm) <= MOST_BYTES for part in parts[1:])
    assert 1.5 < len(sound(parts)) / 48_000 < 5
    assert loudness(sound(parts)) > 500
    faster = reply(ReplyRequest([spoken("hello")], speed=1.5), "voice", reply_text=text)
    assert len(sound(faster)) < 0.85 * len(sound(parts))


@needs_espeak
def test_text_only_is_not_spoken() -> None:
    """A text reply has no audio."""
    assert reply(ReplyRequest(with_audio=False), "voice", reply_text="Hm.") == [Text("Hm.")]


@needs_espeak
def test_markup_is_not_read_out() -> None:
    """Markdown marks are removed before speaking."""

    async def scenario() -> None:
        async with espeak() as process:
            plain = len(await say(process, "This is bold"))
            assert len(await say(process, "This is **bold**")) == pytest.approx(plain, rel=0.1)
            assert len(await say(process, "# This is `bold`")) == pytest.approx(plain, rel=0.1)

    run(scenario())


@needs_espeak
def test_audio_before_the_author_has_finished() -> None:
    """The first sentence is spoken while the author still writes."""

    async def scenario() -> None:
        author = Script(Text("Well, hello. "), Text("Good"), Text("bye."), Call("c", "f", "{}"), Usage(1, 2))
        async with open_voice(author) as replier, aclosing(replier.reply(REQUEST)) as parts:
            assert await anext(parts) == Text("Well, hello. ")
            assert isinstance(await anext(parts), Audio)
            assert not author.go_on.is_set()
            author.go_on.set()
            rest = await collect(parts)

        kinds = [type(part) for part in rest if not isinstance(part, Audio)]
        assert kinds == [Text, Text, Call, Usage]
        after = rest[rest.index(Text("bye.")) + 1 : rest.index(Call("c", "f", "{}"))]
        assert len(after) > 2, "all is said before a call"
        assert author.closed

    run(scenario())


@needs_espeak
def test_a_whole_local_voice_agent() -> None:
    """The text of a chat server is spoken."""

    async def tell(exchange: Exchange) -> None:
        await exchange.head()
        for delta in ("It is", " five.", " You are", " late."):
            await exchange.delta(content=delta)
        await exchange.end()

    async def scenario() -> list[Part]:
        async with (
            chat_server(tell) as server,
            open_chat(server.url, None, environ={}) as author,
            open_voice(author) as replier,
        ):
            return await collect(replier.reply(REQUEST))

    parts = run(scenario())
    assert words(parts) == "It is five. You are late."
    assert len(sound(parts)) / 48_000 > 1
    assert isinstance(parts[parts.index(Text(" You are")) + 1], Text | Audio)
    assert any(isinstance(part, Audio) for part in parts[: parts.index(Text(" late."))]), "spoken while it was written"


@needs_espeak
@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_closed_reply_keeps_the_process(how: str) -> None:
    """After a closed reply the same process speaks the next sentence at once."""

    async def scenario() -> None:
        async with espeak() as process:
            talk = process.speak(ENDLESS, "en-us", 175)
            assert (await anext(talk))[0] == 22_050
            before = pid(process)
            if how == "closed":
                await talk.aclose()
            else:
                listening = asyncio.ensure_future(collect_all(talk))
                await asyncio.sleep(0)
                listening.cancel()
                await asyncio.wait([listening])
                assert listening.cancelled()
            assert len(await say(process)) > 44_100
            assert pid(process) == before

    async def collect_all(talk: AsyncIterator[tuple[int, bytes]]) -> int:
        return sum([len(pcm) async for _, pcm in talk])

    run(scenario())


@needs_espeak
def test_closed_reply_closes_the_author() -> None:
    """A closed reply closes its author."""

    async def scenario() -> None:
        author = Script(Text("Well, hello. "), Text("Never."))
        async with open_voice(author) as replier:
            parts = replier.reply(REQUEST)
            assert await anext(parts) == Text("Well, hello. ")
            assert isinstance(await anext(parts), Audio)
            await parts.aclose()
            assert author.closed

    run(scenario())


@needs_espeak
def test_replies_do_not_mix() -> None:
    """Ten concurrent replies sound as they do alone, also for a slow reader."""

    async def scenario() -> None:
        async with espeak() as process:
            texts = [f"Number {index}. {SENTENCE}" for index in range(10)]
            slow = process.speak(texts[0], "en-us", 175)
            await anext(slow)
            alone = [len(await say(process, text)) for text in texts]
            together = await asyncio.gather(*(say(process, text) for text in texts))
            assert [len(pcm) for pcm in together] == pytest.approx(alone, rel=0.02)
            await slow.aclose()

    run(scenario())


@needs_espeak
def test_a_dead_process_fails_its_reply_and_a_new_one_speaks_the_next() -> None:
    """The active reply fails; a new process speaks the next one."""

    async def scenario() -> None:
        async with espeak() as process:
            talk = process.speak(ENDLESS, "en-us", 175)
            await anext(talk)
            before = pid(process)
            os.kill(before, signal.SIGTERM)
            with pytest.raises(ReplyFailed, match="the voice's process ended"):
                [None async for _ in talk]
            assert len(await say(process)) > 44_100
            assert pid(process) != before

    run(scenario())


@needs_espeak
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGSTOP")
def test_a_hanging_process_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hanging process is killed; a new one speaks the next reply."""

    async def scenario() -> None:
        async with espeak() as process:
            await say(process)
            os.kill(pid(process), signal.SIGSTOP)
            with monkeypatch.context() as impatient:
                impatient.setattr(voice, "ANSWER_S", 0.2)
                with pytest.raises(ReplyFailed, match="did not answer"):
                    await say(process)
            assert len(await say(process)) > 44_100

    run(scenario())


@needs_espeak
def test_process_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is missing, or ends at once."""

    async def failure() -> str:
        async with espeak() as process:
            with pytest.raises(ReplyFailed) as caught:
                await say(process)
            return str(caught.value)

    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/no/such/python")
        assert "cannot start" in run(failure())
    with monkeypatch.context() as broken:
        broken.setattr(voice.wire, "__file__", "/no/such/worker.py")
        assert "the voice's process ended" in run(failure())


@needs_espeak
def test_engine_that_cannot_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each reply tries again, because the engine may have been repaired."""
    planted = tmp_path / "espeakng_loader.py"
    planted.write_text("raise ImportError('planted')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def scenario() -> None:
        async with espeak() as process:
            for _ in range(2):
                with pytest.raises(ReplyFailed, match="the voice cannot speak: ImportError: planted"):
                    await say(process)
            planted.unlink()
            assert len(await say(process)) > 44_100

    run(scenario())


@needs_espeak
def test_process_ends_with_the_server() -> None:
    """The process ends with its server, also in the middle of a sentence."""

    async def scenario() -> asyncio.subprocess.Process:
        async with open_voice(Script(Text(SENTENCE))) as replier:
            parts = replier.reply(REQUEST)
            await anext(parts)
            await anext(parts)
            assert isinstance(replier, voice.Voice)
            process = part_of(replier, asyncio.subprocess.Process)
            await parts.aclose()
        return process

    assert run(scenario()).returncode is not None


PROGRAM = """
import sys, time
sys.stdout.buffer.write({ready!r})
sys.stdout.buffer.flush()
sys.stdin.buffer.read(1)
sys.stdout.buffer.write({answer!r})
sys.stdout.buffer.flush()
time.sleep(60)
"""
READY = wire.frame(wire.READY, wire.JOB.pack(22_050))


@pytest.mark.parametrize(
    ("ready", "answer"),
    [
        pytest.param(READY, wire.frame(wire.AUDIO, b""), id="no job"),
        pytest.param(READY, wire.frame(wire.AUDIO, wire.JOB.pack(99) + bytes(2)), id="unknown job"),
        pytest.param(READY, wire.frame(b"?", wire.JOB.pack(1)), id="unknown kind"),
        pytest.param(READY, wire.HEADER.pack(wire.AUDIO, 2**32 - 1), id="4 GiB"),
        pytest.param(wire.frame(wire.READY, b""), b"", id="no rate"),
        pytest.param(b"", wire.frame(wire.AUDIO, wire.JOB.pack(1) + bytes(2)), id="audio before the rate"),
    ],
)
def test_wrong_frames(ready: bytes, answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that sends what nobody understands is killed; its sentences fail at once, each time."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(ready=ready, answer=answer), encoding="utf-8")
    monkeypatch.setattr(wire, "__file__", str(program))

    async def scenario() -> None:
        process = EspeakProcess()
        try:
            for _ in range(2):
                with pytest.raises(ReplyFailed, match="nobody understands"):
                    await collect_sound(process)
        finally:
            await process.aclose()

    run(scenario(), 15)


async def collect_sound(process: EspeakProcess) -> bytes:
    """All the sound of a sentence."""
    return b"".join([pcm async for _, pcm in process.speak("Hello.", "en-us", 175)])
