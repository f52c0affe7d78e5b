"""The library against real endpoints: what it yields, raises, waits for and leaves behind."""

from __future__ import annotations

import asyncio
import io
import wave
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rt_cli
from tests.api import examples
from tests.exact import ExactEndpoint, Habits, judge, turns
from tests.fakes import run
from tests.streaming.harness import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rt_cli.api import Chunks

PCM, SPANS = turns(5, speech_ms=300, silence_ms=400)
SPEECH = Path(__file__).parents[1] / "data" / "sense_0870.wav"
WORDS = {"dashwood", "leisure", "consider"}


def wav(path: Path) -> str:
    """Write the exact sound to a file."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(PCM)
    return str(path)


async def fetch(transcript: rt_cli.Transcript, seen: list[rt_cli.Event]) -> None:
    """Collect the events, also if an error follows them."""
    async for event in transcript:
        seen.append(event)  # noqa: PERF401 - it may raise


def words_of(events: list[rt_cli.Event]) -> list[str]:
    """The finals."""
    return [event.text for event in events if isinstance(event, rt_cli.Final)]


async def in_chunks(size: int = 5001) -> AsyncIterator[bytes]:
    """The exact sound, split in the middle of samples."""
    for at in range(0, len(PCM), size):
        yield PCM[at : at + size]
        await asyncio.sleep(0)


def client(url: str, *, fails: bool = False) -> rt_cli.Client:
    """A client with short timeouts."""
    chosen = replace(settings(), endpoint=rt_cli.EndpointSettings(model="whisper-1"))
    return rt_cli.Client(url=url, settings=chosen, busy="fail" if fails else "wait")


@pytest.mark.parametrize(
    "make_source",
    [wav, lambda path: Path(wav(path)), lambda _: io.BytesIO(PCM), lambda _: in_chunks()],
    ids=["name", "path", "binary stream", "iterable"],
)
def test_every_sample_of_every_kind_of_source(
    make_source: Callable[[Path], str | Path | Chunks], tmp_path: Path
) -> None:
    """Each final comes once, the summary is the last event, and accounts for all the sound."""

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint:
            transcript = client(endpoint.url).send(make_source(tmp_path / "a.wav"))
            events = [event async for event in transcript]
        assert judge([event.text for event in events if isinstance(event, rt_cli.Final)], SPANS).perfect
        assert events[-1] == transcript.summary
        assert transcript.summary is not None
        assert transcript.summary.complete
        assert transcript.summary.ledger.settled == len(PCM) // 2

    run(scenario())


def test_live_chunks() -> None:
    """They are taken as they come."""

    async def scenario() -> list[str]:
        async with ExactEndpoint().serving() as endpoint:
            return [
                event.text
                async for event in client(endpoint.url).stream(in_chunks())
                if isinstance(event, rt_cli.Final)
            ]

    assert judge(run(scenario()), SPANS).perfect


def test_a_loop_that_is_left_ends_the_transcript() -> None:
    """No task is left, and the endpoint has no session any more."""

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint:
            async with aclosing(aiter(client(endpoint.url).send(in_chunks()))) as events:
                async for event in events:
                    if isinstance(event, rt_cli.Final):
                        break
            names = {task.get_name() for task in asyncio.all_tasks()}
            assert not names & {"capture", "delivery", "reread", "machine"}
            while endpoint.open:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)

    run(scenario())


def test_stop_waits_for_the_words_of_what_was_captured() -> None:
    """A live source that never ends by itself."""

    async def endless() -> AsyncIterator[bytes]:
        yield PCM
        await asyncio.Event().wait()

    async def scenario() -> list[str]:
        words = []
        async with ExactEndpoint().serving() as endpoint:
            transcript = client(endpoint.url).stream(endless())
            async for event in transcript:
                if isinstance(event, rt_cli.Final):
                    words.append(event.text)
                    if len(words) == 1:
                        transcript.stop()
        return words

    assert judge(run(scenario()), SPANS).perfect


def test_stop_before_the_first_event() -> None:
    """A live source that never ends by itself: the iteration ends with the summary, and all is settled."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield PCM
            await asyncio.sleep(0.01)

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint:
            transcript = client(endpoint.url).stream(endless())
            transcript.stop()
            async with asyncio.timeout(10):
                events = [event async for event in transcript]
        assert isinstance(events[-1], rt_cli.Summary)
        assert events[-1].complete

    run(scenario(), seconds=20)


@pytest.mark.parametrize(
    ("source", "error", "code"),
    [
        ("/nowhere.wav", rt_cli.AudioError, "audio_input"),
        (io.BytesIO(), rt_cli.AudioError, "audio_input"),
    ],
)
def test_the_cause_is_raised_behind_the_summary(
    source: str | io.BytesIO, error: type[rt_cli.RtError], code: str
) -> None:
    """With the code that NDJSON has."""

    async def scenario() -> None:
        seen: list[rt_cli.Event] = []
        async with ExactEndpoint().serving() as endpoint:
            transcript = client(endpoint.url).send(source)
            with pytest.raises(error) as raised:
                await fetch(transcript, seen)
        assert raised.value.code == code
        assert seen[-1] == transcript.summary
        assert transcript.summary is not None
        assert transcript.summary.exit == error.exit_code

    run(scenario())


def test_an_iterable_that_fails_is_named() -> None:
    """What came before it is transcribed."""

    async def broken() -> AsyncIterator[bytes]:
        yield PCM
        raise RuntimeError("the modem")

    async def scenario() -> list[str]:
        seen: list[rt_cli.Event] = []
        async with ExactEndpoint().serving() as endpoint:
            with pytest.raises(rt_cli.AudioError, match="the modem"):
                await fetch(client(endpoint.url).send(broken()), seen)
        return words_of(seen)

    assert judge(run(scenario()), SPANS).perfect


def test_sound_without_a_final_is_an_error() -> None:
    """An endpoint that answers nothing loses nothing in silence."""

    def mute() -> Callable[[dict[str, object]], list[dict[str, object]]]:
        return lambda event: [event] if str(event["type"]).startswith("session") else []

    async def scenario() -> None:
        async with ExactEndpoint(Habits(says=mute)).serving() as endpoint:
            with pytest.raises(rt_cli.RtError) as raised:
                await fetch(client(endpoint.url).send(io.BytesIO(PCM)), [])
            assert raised.value.code == "incomplete"

    run(scenario(), seconds=30)


def test_a_second_transcript_waits_or_fails() -> None:
    """One source at a time at one client; the flag of the original bug never stays set."""

    async def words(transcript: rt_cli.Transcript) -> list[str]:
        return [event.text async for event in transcript if isinstance(event, rt_cli.Final)]

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint, asyncio.TaskGroup() as tasks:
            waiting = client(endpoint.url)
            both = [tasks.create_task(words(waiting.send(io.BytesIO(PCM)))) for _ in range(2)]
            for each in both:
                assert judge(await each, SPANS).perfect
            assert endpoint.most_open == 1
            failing = client(endpoint.url, fails=True)
            first = tasks.create_task(words(failing.send(io.BytesIO(PCM))))
            await asyncio.sleep(0)
            with pytest.raises(rt_cli.SenderBusy):
                await words(failing.send(io.BytesIO(PCM)))
            await first
            with pytest.raises(rt_cli.AudioError):
                await words(failing.send("/nowhere.wav"))
            assert judge(await words(failing.send(io.BytesIO(PCM))), SPANS).perfect

    run(scenario())


def test_once_only() -> None:
    """A second iteration is refused, not silently empty."""

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint:
            transcript = client(endpoint.url).send(io.BytesIO(PCM))
            assert [event async for event in transcript]
            with pytest.raises(rt_cli.UsageError, match="once"):
                await anext(aiter(transcript))

    run(scenario())


@pytest.mark.parametrize("part", ["split", "ptt"])
def test_what_needs_the_command_line_is_refused(part: str) -> None:
    """Not ignored."""
    chosen = rt_cli.InputSettings(channel="split") if part == "split" else rt_cli.InputSettings(ptt=True)
    with pytest.raises(rt_cli.UsageError):
        list(rt_cli.send(io.BytesIO(PCM), settings=rt_cli.Settings(input=chosen)))


def test_no_variable_and_no_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only load_settings() asks for them."""
    (tmp_path / "config.toml").write_text('[endpoint]\nurl = "ws://127.0.0.1:1"\n')
    monkeypatch.setenv("RT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-planted")
    monkeypatch.setenv("RT_LANGUAGE", "xx")
    words, captured = examples.finals_of(str(SPEECH))
    assert set(" ".join(words).split()) >= WORDS
    assert captured > 0
    loaded = rt_cli.load_settings()
    assert (loaded.endpoint.url, loaded.session.language) == ("ws://127.0.0.1:1", "xx")


def test_the_examples_run() -> None:
    """On the embedded endpoint."""
    (line,) = run(examples.print_finals(str(SPEECH)), seconds=60)
    assert set(line.split()) >= WORDS
    assert set(examples.words_or_reason(str(SPEECH)).split()) >= WORDS
    assert examples.words_or_reason("/nowhere.wav") == "audio_input: /nowhere.wav: no such file (check the name)"

    async def chunks() -> AsyncIterator[bytes]:
        with wave.open(str(SPEECH)) as file:
            rate = file.getframerate()
            assert rate == 16_000
            while data := file.readframes(1600):
                yield data
                await asyncio.sleep(0)

    assert run(examples.stream_chunks(chunks(), 2.0), seconds=60)


def test_an_early_end_without_asyncio() -> None:
    """The thread is gone with the loop that is left."""
    import threading

    for event in rt_cli.send(str(SPEECH)):
        if isinstance(event, rt_cli.SessionChanged):
            break
    assert "rt" not in {thread.name for thread in threading.enumerate()}


def test_every_public_name_is_there() -> None:
    """Names are imported when they are first used."""
    assert all(getattr(rt_cli, name) is not None for name in rt_cli.__all__)
    assert set(dir(rt_cli)) == set(rt_cli.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rt_cli.nothing  # noqa: B018
