"""A killed process leaves a spool, and another process delivers it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import shutil
import sys
import wave
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.timeline.journal import SpoolSource
from rt_cli.timeline.resumed_source import open_resumed
from rt_cli.timeline.spool import JOURNAL, Spool
from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rt_cli.audio.source import Block

RATE = 24_000
ORIGIN = SpoolSource(RATE, "somewhere", "microphone")


def read_all(spool: Spool, start: int, end: int) -> bytes:
    """Return the audio of a range without gaps."""
    return b"".join(pcm for _, pcm in spool.read(start, end))


def spooled(folder: Path) -> int:
    """Return the number of samples in a spool."""
    return sum(path.stat().st_size // 2 for path in folder.glob("*.pcm"))


def test_writes_are_visible_without_a_close(tmp_path: Path) -> None:
    """Nothing is buffered: another open file sees every sample and every record at once."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)
    spool.append(0, b"\1\0" * 1000)
    spool.note({"type": "settled", "to": 400}, {"type": "final", "turn": 3, "text": "x", "start_ms": 0, "end_ms": 9})
    shutil.copytree(tmp_path / "spool", tmp_path / "copy")
    spool.close(delivered=False)

    again, contents = Spool.reopen(tmp_path / "copy")

    assert (contents.settled, contents.captured, contents.next_turn) == (400, 1000, 4)
    assert [final["turn"] for final in contents.finals] == [3]
    assert read_all(again, 400, 1000) == b"\1\0" * 600
    spool.close(delivered=False)
    again.close(delivered=False)


def test_a_printed_final_is_not_printed_again(tmp_path: Path) -> None:
    """Only finals without a record of their printing come back."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)
    for turn in (1, 2, 3):
        spool.note({"type": "final", "turn": turn, "text": "x"})
    spool.note({"type": "printed", "turn": 2})
    spool.close(delivered=False)

    again, contents = Spool.reopen(tmp_path / "spool")
    again.close(delivered=False)

    assert [final["turn"] for final in contents.finals] == [3]


def test_an_incomplete_last_record_is_ignored(tmp_path: Path) -> None:
    """A kill may leave half a line at the end of the journal."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)
    spool.note({"type": "settled", "to": 0})
    spool.close(delivered=False)
    with (tmp_path / "spool" / JOURNAL).open("ab") as journal:
        journal.write(b'{"type":"settled","to":99')

    again, contents = Spool.reopen(tmp_path / "spool")
    again.note({"type": "turn", "turn": 8})
    again.close(delivered=False)
    third, later = Spool.reopen(tmp_path / "spool")
    third.close(delivered=False)

    assert contents.settled == 0
    assert later.next_turn == 9


def test_it_is_private_and_locked_and_gone_when_delivered(tmp_path: Path) -> None:
    """Mode 0700; a second process is refused; after delivery no file is left."""
    folder = tmp_path / "spool"
    spool = Spool.create(folder, ORIGIN)

    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(UsageError, match="another process"):
        Spool.reopen(folder)
    spool.append(0, bytes(10))
    spool.close(delivered=True)
    assert not folder.exists()


def test_undelivered_sound_is_never_overwritten(tmp_path: Path) -> None:
    """A new run into the folder of an old one is refused, with a hint."""
    Spool.create(tmp_path / "spool", ORIGIN).close(delivered=False)

    with pytest.raises(UsageError, match="--resume"):
        Spool.create(tmp_path / "spool", ORIGIN)


def test_nothing_to_resume_is_an_error(tmp_path: Path) -> None:
    """An empty folder, or none."""
    with pytest.raises(UsageError, match="no spool"):
        Spool.reopen(tmp_path)


@pytest.mark.parametrize(
    "journal",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"garbage\n", id="no JSON"),
        pytest.param(b"[1]\n", id="no object"),
        pytest.param(b'{"type":"spool","version":1}\n', id="no origin"),
        pytest.param(b'{"type":"spool","version":99}\n', id="of the future"),
    ],
)
def test_an_invalid_spool_is_an_error(tmp_path: Path, journal: bytes) -> None:
    """The journal of another program, or an empty one, is no crash."""
    (tmp_path / JOURNAL).write_bytes(journal)

    with pytest.raises(UsageError, match="cannot be read"):
        Spool.reopen(tmp_path)


def test_overlapping_holes_are_counted_once(tmp_path: Path) -> None:
    """A failed turn may overlap a gap of the microphone, and its record may come later."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)
    spool.append(0, bytes(2 * 1000))
    for start, end, reason in [
        (100, 200, "overflow"),
        (600, 700, "overflow"),
        (50, 300, "failed"),
        (500, 550, "failed"),
    ]:
        spool.note({"type": "hole", "start": start, "end": end, "reason": reason})
    spool.note({"type": "settled", "to": 300})
    spool.close(delivered=False)

    again, contents = Spool.reopen(tmp_path / "spool")
    again.close(delivered=False)

    assert contents.dropped == 250
    assert contents.holes == [(500, 550, "failed"), (600, 700, "overflow")]


def test_each_gap_keeps_its_reason(tmp_path: Path) -> None:
    """Adjacent, inside a segment and at the end; a gap without a record was a disk error."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)
    spool.append(0, bytes(2 * 100))
    spool.append(400, bytes(2 * 100))
    for start, end, reason in [
        (100, 200, "suspended"),
        (200, 300, "overflow"),
        (450, 460, "failed"),
        (500, 600, "suspended"),
        (600, 610, "device_lost"),
    ]:
        spool.note({"type": "hole", "start": start, "end": end, "reason": reason})
    spool.note({"type": "settled", "to": 50})
    spool.close(delivered=False)

    async def resumed() -> list[Block]:
        again, contents = Spool.reopen(tmp_path / "spool")
        source = await open_resumed(again, contents, RATE)
        blocks = [block async for block in source.blocks()]
        again.close(delivered=False)
        return blocks

    blocks = [(len(block.pcm) // 2, block.lost, block.reason if block.lost else "") for block in run(resumed())]
    assert blocks == [
        *((50, 0, ""), (0, 100, "suspended"), (0, 100, "overflow"), (0, 100, "full")),
        *((50, 0, ""), (0, 10, "failed"), (40, 0, ""), (0, 100, "suspended"), (0, 10, "device_lost")),
    ]


def test_a_suspend_before_the_kill_keeps_the_run_complete(tmp_path: Path) -> None:
    """The first process settled it: the second one delivers the rest, and the run is complete."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)
    spool.append(0, bytes(2 * RATE))
    spool.note({"type": "hole", "start": RATE, "end": 3 * RATE, "reason": "suspended"}, {"type": "settled", "to": RATE})
    spool.note({"type": "settled", "to": 3 * RATE})
    spool.append(3 * RATE, bytes(2 * RATE))
    spool.close(delivered=False)

    async def scenario() -> int | None:
        async with ExactEndpoint().serving() as endpoint:
            options = ["--url", endpoint.url, "-m", "whisper-1", "--json"]
            async with program("send", "--resume", str(tmp_path / "spool"), *options) as again:
                return await again.wait()

    assert run(scenario(), seconds=40) == 0


def test_a_full_disk_gets_no_empty_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused write leaves no file behind; later writes are at their position."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)
    spool.append(0, b"\1\0" * 100)

    def refuse(_file: object, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("rt_cli.timeline.spool.write_all", refuse)
        for start in range(100, 1100, 100):
            with pytest.raises(OSError, match="No space"):
                spool.append(start, b"\2\0" * 100)
    spool.append(1100, b"\3\0" * 100)
    spool.close(delivered=False)

    again, contents = Spool.reopen(tmp_path / "spool")
    found = list(again.read(0, contents.captured))
    again.close(delivered=False)
    assert found == [(0, b"\1\0" * 100), (1100, b"\3\0" * 100)]
    assert len(list((tmp_path / "spool").glob("*.pcm"))) == 2


def test_settled_segments_are_deleted(tmp_path: Path) -> None:
    """Ten minutes of audio with only the last minute unsettled leave one minute on disk."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)
    for second in range(600):
        spool.append(second * RATE, bytes(2 * RATE))
    spool.release(599 * RATE)

    assert len(list((tmp_path / "spool").glob("audio-*"))) == 1
    assert read_all(spool, 599 * RATE, 600 * RATE) == bytes(2 * RATE)
    spool.close(delivered=True)


@given(pieces=st.lists(st.tuples(st.integers(0, 500), st.binary(min_size=2, max_size=600)), max_size=20))
@settings(max_examples=60, deadline=None)
def test_any_pieces_and_gaps_read_back(
    pieces: list[tuple[int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Audio is read back at its position, gaps stay gaps."""
    folder = tmp_path_factory.mktemp("spool") / "s"
    spool = Spool.create(folder, ORIGIN)
    truth: dict[int, bytes] = {}
    at = 0
    for gap, data in pieces:
        pcm = data[: len(data) // 2 * 2]
        at += gap
        spool.append(at, pcm)
        for index in range(len(pcm) // 2):
            truth[at + index] = pcm[2 * index : 2 * index + 2]
        at += len(pcm) // 2
    read = {
        start + index: pcm[2 * index : 2 * index + 2]
        for start, pcm in spool.read(0, at)
        for index in range(len(pcm) // 2)
    }
    spool.close(delivered=True)

    assert read == truth


# -- whole programs ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """``rt`` as a separate process, ended with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rt_cli", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def finals_of(process: asyncio.subprocess.Process) -> list[dict[str, Any]]:
    """The finals that a process prints until its end."""
    assert process.stdout is not None
    lines = [line for line in (await process.stdout.read()).split(b"\n") if line.endswith(b"}")]
    return [event for event in map(json.loads, lines) if event["type"] == "final"]


async def kill_and_resume(folder: Path, sound: Path, url: str, moments: list[float]) -> list[dict[str, Any]]:
    """Send a file, killing the process at each moment (seconds after its start); the last one may end."""
    options = ["--url", url, "-m", "whisper-1", "--silence-ms", "200", "--prefix-ms", "0", "--json", "--speed", "6"]
    finals = []
    source = [str(sound), "--spool", str(folder)]
    for moment in [*moments, None]:
        async with program("send", *source, *options) as process:
            if moment is not None:
                reading = asyncio.create_task(finals_of(process))
                await asyncio.wait((reading,), timeout=moment)
                if process.returncode is None:
                    process.kill()
                finals += await reading
            else:
                finals += await finals_of(process)
                await process.wait()
        if await asyncio.to_thread((folder / JOURNAL).exists):
            source = ["--resume", str(folder)]
        elif process.returncode == 0:
            break
    return finals


async def survive(tmp_path: Path, kills: int, seed: int) -> None:
    """Kill at random moments, each run once or twice, and check the finals of all of them."""
    chance = random.Random(seed)
    pcm, spans = turns(12, speech_ms=300, silence_ms=300)
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(pcm)
    done = 0
    async with ExactEndpoint().serving() as endpoint:
        while done < kills:
            moments = [chance.uniform(0.3, 2.5) for _ in range(min(chance.randint(1, 2), kills - done))]
            done += len(moments)
            finals = await kill_and_resume(tmp_path / f"spool{done}", sound, endpoint.url, moments)
            # A final may be printed twice when the kill fell between printing and noting it: by its number it is one.
            by_turn = {final["turn"]: final["text"] for final in finals}
            assert judge([by_turn[turn] for turn in sorted(by_turn)], spans).perfect, (seed, moments, finals)
            assert sorted(by_turn) == list(range(1, len(spans) + 1)), (seed, moments, finals)


def test_killed_at_random_moments_every_sample_is_delivered_once(tmp_path: Path) -> None:
    """Kill -9 and resume in turn: each number of the audio is in exactly one turn."""
    run(survive(tmp_path, kills=3, seed=11), seconds=60)


@pytest.mark.long
def test_fifty_kills(tmp_path: Path) -> None:
    """The same, fifty times."""
    run(survive(tmp_path, kills=50, seed=5), seconds=600)


def test_a_live_source_is_delivered_up_to_its_last_captured_sample(tmp_path: Path) -> None:
    """All audio captured before the kill, and nothing else: the pipe itself is gone."""
    pcm, _ = turns(20, speech_ms=300, silence_ms=300)
    folder = tmp_path / "spool"

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint:
            options = ["--url", endpoint.url, "-m", "whisper-1", "--silence-ms", "200", "--prefix-ms", "0", "--json"]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "rt_cli", "stream", "-", "--spool", str(folder), *options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            assert process.stdin is not None
            began = asyncio.get_running_loop().time()
            for at in range(0, 4 * RATE * 2, 1920):
                process.stdin.write(pcm[at : at + 1920])
                await process.stdin.drain()
                await asyncio.sleep(began + at / 2 / RATE / 3 - asyncio.get_running_loop().time())
            while spooled(folder) <= RATE:  # noqa: ASYNC110 - a busy machine may only be starting it
                await asyncio.sleep(0.05)
            process.kill()
            first = await finals_of(process)
            await process.wait()
            process.stdin.close()
            spool, contents = Spool.reopen(folder)
            spool.close(delivered=False)
            async with program("send", "--resume", str(folder), *options) as again:
                second = await finals_of(again)
                await again.wait()
        by_turn = {final["turn"]: final["text"] for final in [*first, *second]}
        captured = np.frombuffer(pcm[: contents.captured * 2], dtype="<i2")
        numbers = range(np.count_nonzero(captured) // 2)
        assert again.returncode == 0
        assert contents.captured > RATE
        assert judge([by_turn[turn] for turn in sorted(by_turn)], [numbers]).perfect

    run(scenario(), seconds=40)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no broken pipe of this kind")
def test_a_spool_stays_if_the_reader_closes_stdout(tmp_path: Path) -> None:
    """Delivered, but the reader closed before its only final: a resume prints the final."""
    pcm, spans = turns(1, speech_ms=400, silence_ms=600)
    sound, folder = tmp_path / "sound.wav", tmp_path / "spool"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(pcm)
    reader, writer = os.pipe()
    os.close(reader)

    async def scenario() -> list[dict[str, Any]]:
        async with ExactEndpoint().serving() as endpoint:
            options = ["--url", endpoint.url, "-m", "whisper-1", "--silence-ms", "200", "--prefix-ms", "0"]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "rt_cli", "send", str(sound), "--spool", str(folder), *options),
                *("--speed", "max"),
                stdout=writer,
                stderr=asyncio.subprocess.DEVNULL,
            )
            assert await process.wait() == 0
            async with program("send", "--resume", str(folder), *options, "--json") as again:
                return await finals_of(again)

    finals = run(scenario(), seconds=40)
    os.close(writer)
    assert judge([final["text"] for final in finals], spans).perfect


def finals_in(results: Path) -> list[str]:
    """The finals in a file of text or NDJSON, whose last line may be incomplete."""
    *lines, _ = results.read_text().split("\n")
    if ".jsonl" not in results.name:
        return lines
    return [event["text"] for event in map(json.loads, lines) if event["type"] == "final"]


@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_a_file_of_results_survives_the_kill(kind: str, tmp_path: Path) -> None:
    """The results of the first run are in the file that the second one finishes."""
    pcm, spans = turns(6, speech_ms=300, silence_ms=300)
    sound, folder, results = tmp_path / "sound.wav", tmp_path / "spool", tmp_path / "results"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(pcm)

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint:
            options = ["--url", endpoint.url, "-m", "whisper-1", "--silence-ms", "200", "--prefix-ms", "0"]
            more = [*options, "--output-dir", str(results), *(["--json"] if kind == "jsonl" else [])]
            async with program("send", str(sound), "--spool", str(folder), *more) as first:
                part = results / f"sound.{kind}.part"
                while not (part.exists() and finals_in(part)):  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.02)
                first.kill()
                await first.wait()
            async with program("send", "--resume", str(folder), *more) as again:
                assert await again.wait() == 0

    run(scenario(), seconds=40)
    assert judge(finals_in(results / f"sound.{kind}"), spans).perfect
    assert not folder.exists()
