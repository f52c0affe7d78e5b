"""``rt send -j N``, ``--skip-done`` and ``--channel``: real processes, and endpoints that spell the received sound."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import threading
import time
import wave
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.exact import ExactEndpoint, judge, read_back, turns
from tests.habits import Habits
from tests.program import Ran, assert_accounted, ended, rt, start, write_wav

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODEL = ("-m", "gpt-4o-transcribe", "--turn-detection", "server_vad", "--silence-ms", "300")
DEADLINE_S = 60.0


@contextmanager
def exact(habits: Habits | None = None) -> Iterator[ExactEndpoint]:
    """An exact endpoint, on its own thread."""
    ready, endpoint = threading.Event(), ExactEndpoint(habits)
    ending: list[Callable[[], Any]] = []

    async def serve() -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with endpoint.serving():
            ending.append(lambda: loop.call_soon_threadsafe(over.set))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(DEADLINE_S)
    try:
        yield endpoint
    finally:
        ending[0]()
        thread.join()


def sounds(folder: Path, count: int, *, seconds: int = 4) -> tuple[list[str], list[list[range]]]:
    """Return files of different sounds, and what each of them spells."""
    names, spans = [], []
    for number in range(count):
        pcm, spelled = turns(seconds + number % 3, vary=100 + number)
        names.append(str(write_wav(folder / f"{number:02}.wav", pcm)))
        spans.append(spelled)
    return names, spans


def send(endpoint: ExactEndpoint, *args: str, speed: str = "max", **options: Any) -> Ran:
    """Run ``rt send`` to its end."""
    options.setdefault("seconds", DEADLINE_S)
    return rt("send", "--url", endpoint.url, "--speed", speed, *MODEL, *args, **options)


def texts(ran: Ran, source: str, channel: str | None = None) -> list[str]:
    """Return the finals of a source."""
    finals = ran.of("final")
    return [each["text"] for each in finals if each["source"] == source and each.get("channel") == channel]


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll a condition."""
    done = threading.Event()
    for _ in range(round(DEADLINE_S / 0.02)):
        if condition():
            return
        done.wait(0.02)
    raise AssertionError("it did not come to that")


def test_every_sample_of_every_file(tmp_path: Path) -> None:
    """Twelve files, three of them broken, four at once: one summary each, and results in order."""
    names, spans = sounds(tmp_path, 12)
    for number, content in ((2, None), (5, b"words"), (6, b"")):
        (tmp_path / f"{number:02}.wav").unlink()
        if content is not None:
            (tmp_path / f"{number:02}.wav").write_bytes(content)
    with exact(Habits(final_delay_s=0.02)) as endpoint:
        ran = send(endpoint, "--json", "-j", "4", *names)
    assert ran.exit == 3, ran.err
    order = [event["source"] for event in ran.events if "source" in event]
    assert [source for source, _ in itertools.groupby(order)] == names
    for number, (name, spelled) in enumerate(zip(names, spans, strict=True)):
        (summary,) = (each for each in ran.of("summary") if each["source"] == name)
        assert_accounted(summary)
        if number in (2, 5, 6):
            assert summary["exit"] == 3
            continue
        assert judge(texts(ran, name), spelled).perfect, name
        assert summary["complete"]
        assert summary["ledger"]["settled"] == summary["ledger"]["captured"]
    assert ran.summary["type"] == "total"
    assert (ran.summary["sources"], ran.summary["failed_sources"]) == (12, 3)
    assert ran.summary["finals"] == sum(len(each) for number, each in enumerate(spans) if number not in (2, 5, 6))
    assert len(ran.causes) == 3
    assert 2 <= endpoint.most_open <= 4


def test_output_is_the_same_for_any_jobs(tmp_path: Path) -> None:
    """The text is the same byte for byte."""
    names, _ = sounds(tmp_path, 7, seconds=3)
    with exact() as endpoint:
        one, four, all_ = (send(endpoint, "-j", jobs, *names) for jobs in ("1", "4", "64"))
        assert endpoint.most_open <= 7
    assert one.out == four.out == all_.out != ""
    assert one.exit == four.exit == all_.exit == 0


# Time limit of a single source; close code 1013 asks for a wait of five seconds.
@pytest.mark.parametrize(("refusal", "patience"), [(429, "4"), (1013, "10")], ids=["HTTP 429", "close 1013"])
def test_endpoint_with_room_for_one_session(refusal: int, patience: str, tmp_path: Path) -> None:
    """The endpoint takes one session at a time: the others wait, longer than a single source would."""
    names, spans = sounds(tmp_path, 4, seconds=3)
    with exact(Habits(refusal=refusal)) as endpoint:
        ran = send(endpoint, "--json", "-j", "4", "--connect-timeout", patience, *names, speed="1.5")
    assert ran.exit == 0, ran.err
    for name, spelled in zip(names, spans, strict=True):
        assert judge(texts(ran, name), spelled).perfect
    assert endpoint.most_open == 1
    assert ran.warning_codes == ["no_room"]


# -- signals ----------------------------------------------------------------------------------------------------------


@contextmanager
def sending(endpoint: ExactEndpoint, names: list[str], jobs: int) -> Iterator[subprocess.Popen[bytes]]:
    """A run in real time, when all sessions are open and the endpoint has received sound."""
    args = ("--url", endpoint.url, "--speed", "1", "--json", "--drain-timeout", "60", *MODEL)
    with start("send", *args, "-j", str(jobs), *names) as process:
        try:
            wait_until(lambda: len([call for call in endpoint.calls if call.samples > 24_000]) == jobs)
            yield process
        finally:
            process.kill()


def test_the_first_signal_drains_all(tmp_path: Path) -> None:
    """Received sound of each source is in its finals; sources that have not started stay unsent."""
    names, _ = sounds(tmp_path, 5, seconds=20)
    with exact() as endpoint, sending(endpoint, names, 3) as process:
        process.send_signal(signal.SIGINT)
        ran = ended(process)
    assert ran.exit == ran.summary["exit"] == 130, ran.err
    summaries = ran.of("summary")
    assert [each["source"] for each in summaries] == names[:3]
    for each in summaries:
        assert_accounted(each)
        assert 0 < each["ledger"]["settled"] == each["ledger"]["captured"]
    heard = [call.heard for call in endpoint.calls]
    assert len(heard) == 3
    for call, name in zip(sorted(heard), sorted(texts_of(ran, names[:3])), strict=True):
        assert call == name
    assert ran.summary["type"] == "total"


def texts_of(ran: Ran, names: list[str]) -> list[str]:
    """Return the finals of each source as one range."""
    joined = []
    for name in names:
        ranges = [word.split("-") for text in texts(ran, name) for word in text.split()]
        assert all(int(b[0]) == int(a[1]) + 1 for a, b in itertools.pairwise(ranges))
        joined.append(f"{ranges[0][0]}-{ranges[-1][1]}")
    return joined


def test_the_second_signal_closes_all(tmp_path: Path) -> None:
    """No session waits for its finals; each source has a summary."""
    names, _ = sounds(tmp_path, 4, seconds=20)
    with exact(Habits(final_delay_s=600)) as endpoint, sending(endpoint, names, 3) as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)  # signals closer together are one intention
        process.send_signal(signal.SIGTERM)
        ran = ended(process)
    assert ran.exit in {130, 143}, ran.err
    summaries = ran.of("summary")
    assert [each["source"] for each in summaries] == names[:3]
    for each in summaries:
        assert_accounted(each)
        assert each["exit"] in {130, 143}


# -- --skip-done ----------------------------------------------------------------------------------


def test_skip_done_after_a_kill(tmp_path: Path) -> None:
    """After a kill, printed sources are skipped and others are sent; a third run sends nothing."""
    names, spans = sounds(tmp_path, 6, seconds=3)
    env = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    with exact(Habits(final_delay_s=0.1)) as endpoint:
        args = ("--url", endpoint.url, "--speed", "max", "--json", "-j", "2", "--skip-done", *MODEL)
        with start("send", *args, *names, env=env) as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(json.loads(line))
                if lines[-1]["type"] == "summary" and lines[-1]["source"] == names[1]:
                    break
            process.send_signal(signal.SIGKILL)
            lines += [json.loads(line) for line in process.stdout if line.endswith(b"\n")]
            ended(process)
        first = Ran(-9, "".join(f"{json.dumps(line)}\n" for line in lines), "")
        second = send(endpoint, "--json", "-j", "2", "--skip-done", *names, env=env)
        calls = len(endpoint.calls)
        third = send(endpoint, "--json", "--skip-done", *names, env=env)
        assert len(endpoint.calls) == calls
    assert second.exit == third.exit == 0, second.err
    skipped = {each["source"] for each in second.of("summary") if each.get("skipped")}
    assert names[0] in skipped
    assert set(names) - skipped
    for name, spelled in zip(names, spans, strict=True):
        assert judge(texts(first if name in skipped else second, name), spelled).perfect, name
    assert third.of("final") == []
    assert [each["skipped"] for each in third.of("summary")] == [True] * 6
    assert (third.summary["skipped"], third.summary["sources"]) == (6, 6)


def test_failed_or_changed_sources_are_not_skipped(tmp_path: Path) -> None:
    """Failed sources, changed sources and changed settings are not skipped."""
    (name, broken), _ = sounds(tmp_path, 2)
    (tmp_path / "01.wav").write_bytes(b"words")
    env = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    with exact() as endpoint:
        assert send(endpoint, "--skip-done", name, broken, env=env).exit == 3
        pcm, spelled = turns(5, vary=7)
        write_wav(tmp_path / "01.wav", pcm)
        ran = send(endpoint, "--json", "--skip-done", name, broken, env=env)
        assert ran.exit == 0
        again = send(endpoint, "--skip-done", "--language", "fr", name, env=env)
    assert judge(texts(ran, broken), spelled).perfect
    assert not [each for each in ran.of("summary") if each.get("skipped") and each["source"] == broken]
    assert again.out


@pytest.mark.parametrize("option", ["-o", "--save-transcript"])
def test_new_result_file_gets_the_words(tmp_path: Path, option: str) -> None:
    """What was done for another file is done again; what is in this one stays."""
    (name,), (spelled,) = sounds(tmp_path, 1)
    env = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    with exact() as endpoint:
        for file, calls in (("one.txt", 1), ("two.txt", 2), ("two.txt", 2)):
            ran = send(endpoint, "--skip-done", "--force", option, str(tmp_path / file), name, env=env)
            assert (ran.exit, ran.err) == (0, "")
            assert len(endpoint.calls) == calls
            assert judge((tmp_path / file).read_text().splitlines(), spelled).perfect


def test_marks_are_in_the_output_folder(tmp_path: Path) -> None:
    """Another folder gets all results; a run without work leaves them unchanged."""
    names, spans = sounds(tmp_path, 3)
    env = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    with exact() as endpoint:
        for folder, calls in (("one", 3), ("two", 6), ("one", 6)):
            ran = send(endpoint, "-j", "3", "--skip-done", "--output-dir", str(tmp_path / folder), *names, env=env)
            assert ran.exit == 0, ran.err
            assert len(endpoint.calls) == calls
    for number, spelled in enumerate(spans):
        for folder in ("one", "two"):
            text = (tmp_path / folder / f"{number:02}.txt").read_text()
            assert judge(text.splitlines(), spelled).perfect
    assert not (tmp_path / "state").exists()


def test_no_marks_without_skip_done(tmp_path: Path) -> None:
    """Without ``--skip-done`` no file of marks is created."""
    (name,), _ = sounds(tmp_path, 1)
    env = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    with exact() as endpoint:
        assert send(endpoint, name, env=env).exit == 0
    assert not (tmp_path / "state").exists()


# -- channels ---------------------------------------------------------------------------------------------------------


def stereo(folder: Path) -> tuple[Path, list[list[range]]]:
    """Return two speakers in turn on two channels, and what each of them spells."""
    left, left_spans = turns(5, speech_ms=700, silence_ms=900)
    right, right_spans = turns(4, speech_ms=500, silence_ms=1300, vary=90)
    frames = np.zeros((max(len(left), len(right)) // 2 + 24_000, 2), np.int16)
    frames[: len(left) // 2, 0] = np.frombuffer(left, np.int16)
    frames[12_000 : 12_000 + len(right) // 2, 1] = np.frombuffer(right, np.int16)
    with wave.open(str(folder / "call.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(frames.tobytes())
    return folder / "call.wav", [left_spans, right_spans]


def assert_split(ran: Ran, spans: list[list[range]], frames: int) -> None:
    """Assert that both channels are complete, with their finals in the order of time."""
    assert ran.exit == 0, ran.err
    finals = ran.of("final")
    for channel, spelled in zip(("left", "right"), spans, strict=True):
        mine = [each for each in finals if each["channel"] == channel]
        assert judge([each["text"] for each in mine], spelled).perfect, channel
        assert [each["turn"] for each in mine] == list(range(1, len(mine) + 1))
    starts = [each["start_ms"] for each in finals]
    assert starts == sorted(starts)
    assert len({each["channel"] for each in finals[:3]}) == 2
    summaries = ran.of("summary")
    assert sorted(each["channel"] for each in summaries) == ["left", "right"]
    for each in summaries:
        assert_accounted(each)
        assert each["ledger"]["settled"] == frames
    assert ran.summary["type"] == "total"
    assert ran.summary["exit"] == 0


def test_split_of_a_file(tmp_path: Path) -> None:
    """Two sessions, one transcript; every sample of both."""
    path, spans = stereo(tmp_path)
    with wave.open(str(path)) as file:
        frames = file.getnframes()
    with exact() as endpoint:
        assert_split(send(endpoint, "--json", "--channel", "split", str(path)), spans, frames)
        text = send(endpoint, "--channel", "split", str(path))
        assert len(endpoint.calls) == 4
    labels = [line.split(":")[0] for line in text.out.splitlines()]
    assert labels[:4] == ["left", "right", "left", "right"]
    assert judge([line.removeprefix("right: ") for line in text.out.splitlines() if line[0] == "r"], spans[1]).perfect


@pytest.mark.parametrize("command", ["stream", "send"])
def test_split_of_a_pipe(command: str, tmp_path: Path) -> None:
    """Live, and with back-pressure."""
    path, spans = stereo(tmp_path)
    with wave.open(str(path)) as file:
        pcm, frames = file.readframes(file.getnframes()), file.getnframes()
    raw = ("--channels", "2", "--channel", "split")
    with exact() as endpoint:
        ran = rt(command, "--url", endpoint.url, "--json", *MODEL, *raw, "-", stdin=pcm, seconds=DEADLINE_S)
    assert_split(ran, spans, frames)


def test_jobs_count_sessions(tmp_path: Path) -> None:
    """``-j`` counts sessions: ``-j 4`` runs two split files at once."""
    path, spans = stereo(tmp_path)
    names = [str(path)]
    for number in range(3):
        names.append(str(tmp_path / f"{number}.wav"))
        (tmp_path / f"{number}.wav").write_bytes(path.read_bytes())
    with exact(Habits(final_delay_s=0.02)) as endpoint:
        ran = send(endpoint, "--json", "-j", "4", "--channel", "split", *names)
    assert ran.exit == 0, ran.err
    for name in names:
        for channel, spelled in zip(("left", "right"), spans, strict=True):
            assert judge(texts(ran, name, channel), spelled).perfect
    assert [source for source, _ in itertools.groupby(each["source"] for each in ran.of("final"))] == names
    assert 2 <= endpoint.most_open <= 4
    assert ran.summary["sources"] == 8


@pytest.mark.parametrize(("channel", "index"), [("left", 0), ("2", 1)])
def test_one_channel(channel: str, index: int, tmp_path: Path) -> None:
    """Only the selected channel is sent."""
    path, spans = stereo(tmp_path)
    with exact() as endpoint:
        ran = send(endpoint, "--channel", channel, str(path))
        (call,) = endpoint.calls
    assert judge(ran.out.splitlines(), spans[index]).perfect
    assert read_back(np.concatenate([np.frombuffer(part, "<i2") for part in call.audio])) != ""


def test_split_of_a_call_whose_one_side_is_refused(tmp_path: Path) -> None:
    """The endpoint has room for one session: the other channel fails, and the first is complete."""
    path, _ = stereo(tmp_path)
    with exact(Habits(refusal=403)) as endpoint:
        ran = send(endpoint, "--json", "--channel", "split", str(path))
    assert ran.exit == 4
    assert sorted(each["exit"] for each in ran.of("summary")) == [0, 4]
    for each in ran.of("summary"):
        assert_accounted(each)


@pytest.mark.parametrize(
    ("args", "exit_code", "said"),
    [
        (("--channel", "right"), 3, "has 1 channel, not channel 2"),
        (("--channel", "split"), 3, "has 1 channel, not two channels to split"),
        (("--channel", "middle"), 2, "it must be mix, left, right, split or 1 to 64"),
        (("--channel", "split", "--spool", "spool"), 2, "a spool is for one session"),
        (("-j", "0"), 2, "-j"),
        (("-j", "many"), 2, "-j"),
        (("--skip-done", "-"), 2, "knows files by their content"),
    ],
)
def test_usage_errors(args: tuple[str, ...], exit_code: int, said: str, tmp_path: Path) -> None:
    """One line says why."""
    (name,), _ = sounds(tmp_path, 1)
    with exact() as endpoint:
        ran = send(endpoint, *args, name)
    assert ran.exit == exit_code, ran.err
    assert ran.out == ""
    assert said in ran.err


def test_a_spool_knows_the_channel(tmp_path: Path) -> None:
    """A resumed run reads the rest of the file with the same channel and gain."""
    path, spans = stereo(tmp_path)
    folder = str(tmp_path / "spool")
    with exact() as endpoint:
        args = ("--url", endpoint.url, "--speed", "2", "--channel", "right", "--spool", folder, *MODEL)
        with start("send", *args, str(path)) as process:
            wait_until(lambda: bool(endpoint.calls) and len(endpoint.calls[0].items) >= 1)
            process.kill()
            first = ended(process)
        second = send(endpoint, "--resume", folder)
    assert second.exit == 0, second.err
    printed = dict.fromkeys([*first.out.splitlines(), *second.out.splitlines()])
    assert judge(printed, spans[1]).perfect
