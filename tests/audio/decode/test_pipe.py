"""ByteSource with real pipes and real programs."""

from __future__ import annotations

import asyncio
import io
import os
import select
import shutil
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import pytest
import soundfile

from rt_cli.audio.decode.pipe import ByteSource, open_pipe
from rt_cli.errors import AudioError
from tests.fakes import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WIRE = 24_000
PCM16 = np.random.default_rng(11).integers(-12_000, 12_000, WIRE, dtype="<i2")
SOUND = PCM16.tobytes()
HEADER = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 1, WIRE, 2 * WIRE, 2, 16) + b"data\0\0\0\0"


@contextmanager
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """A pipe whose reading end is closed after all reading threads have ended."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb", buffering=0) as writer:
        yield reader, writer
        writer.close()
        for thread in threading.enumerate():
            if thread.name == "rt-pipe":
                thread.join(5)
                assert not thread.is_alive()


def source_of(stream: BinaryIO, *, live: bool = False) -> ByteSource:
    """A source for raw PCM16 at the wire rate, or WAV. Stated, raw PCM needs no recognition and flows at once."""
    return open_pipe(stream, wire_rate_hz=WIRE, encoding="s16le", live=live)


async def drain(source: ByteSource) -> bytes:
    """All audio of a source."""
    pcm = b"".join([block.pcm async for block in source.blocks()])
    await source.aclose()
    return pcm


def write(writer: BinaryIO, data: bytes) -> threading.Thread:
    """Write and close in a thread, as another program would."""

    def produce() -> None:
        with writer:
            view = memoryview(data)
            while view:
                view = view[writer.write(view) :]

    thread = threading.Thread(target=produce)
    thread.start()
    return thread


@pytest.mark.parametrize("head", [b"", HEADER], ids=["raw", "wav"])
def test_every_sample_arrives(head: bytes) -> None:
    """PCM16 at the wire rate passes bit for bit, with a header and without."""
    with pipe() as (reader, writer):
        producer = write(writer, head + SOUND * 10)

        assert run(drain(source_of(reader))) == SOUND * 10
        producer.join()


def test_stream_in_memory() -> None:
    """A stream without a file descriptor can be read."""
    assert run(drain(source_of(io.BytesIO(SOUND)))) == SOUND


def test_header_sets_rate_and_channels() -> None:
    """After the header, ``info`` has its rate and channels."""
    stream = io.BytesIO()
    soundfile.write(stream, np.stack([PCM16, PCM16], axis=1), 48_000, format="WAV")
    stream.seek(0)
    source = source_of(stream)

    assert len(run(drain(source))) == len(SOUND) // 2
    assert (source.info.rate_hz, source.info.channels) == (48_000, 2)


@pytest.mark.parametrize(("live", "name"), [(True, "-"), (False, "fifo")])
def test_info_before_the_first_byte(*, live: bool, name: str) -> None:
    """Before the first read, ``info`` has the values of the caller."""
    source = open_pipe(
        io.BytesIO(), wire_rate_hz=WIRE, encoding="alaw", sample_rate=8000, channels=2, live=live, name=name
    )
    info = source.info

    assert (info.name, info.kind, info.live, info.rate_hz, info.channels) == (name, "pipe", live, 8000, 2)


def test_partial_data_flows_at_once() -> None:
    """10 ms of audio are yielded while the producer keeps the pipe open."""

    async def scenario(reader: BinaryIO, writer: BinaryIO) -> None:
        source = source_of(reader, live=True)
        blocks = source.blocks()
        for start in range(0, 4800, 480):
            writer.write(SOUND[start : start + 480])
            assert (await anext(blocks)).pcm == SOUND[start : start + 480]
        source.stop()
        assert [block async for block in blocks] == []

    with pipe() as (reader, writer):
        run(scenario(reader, writer))


@pytest.mark.parametrize(("data", "lost"), [(b"\x01", 1), (b"\x01\x02\x03", 3), (b"", 0)])
def test_incomplete_frame_at_the_end_is_counted(data: bytes, lost: int) -> None:
    """Bytes at the end that are no whole frame are dropped and counted in ``tail_bytes``."""
    source = open_pipe(io.BytesIO(SOUND + data), wire_rate_hz=WIRE, channels=2, live=False)

    assert len(run(drain(source))) == len(SOUND) // 2
    assert source.tail_bytes == lost


@pytest.mark.parametrize("data", [b"", HEADER, b"\x01"], ids=["nothing", "header", "half-a-sample"])
def test_no_sound_is_an_error(data: bytes) -> None:
    """Input without a sample is an error, with and without a header."""
    with pytest.raises(AudioError, match="no audio on stdin"):
        run(drain(source_of(io.BytesIO(data))))


def test_incomplete_header_is_an_error() -> None:
    """An incomplete header has its own error message."""
    with pytest.raises(AudioError, match="cut off"):
        run(drain(source_of(io.BytesIO(HEADER[:20]))))


def test_unreadable_stream_is_an_error(tmp_path: Path) -> None:
    """A read error (a directory as stdin) is an AudioError with the reason."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pipe() as (reader, _):
        os.dup2(descriptor, reader.fileno())
        os.close(descriptor)
        with pytest.raises(AudioError, match="stdin cannot be read"):
            run(drain(source_of(reader)))


def test_stream_closed_by_its_owner_is_an_error() -> None:
    """Reading a stream that its owner has closed is an error; no bytes of another file are read."""
    with pipe() as (reader, _):
        source = source_of(reader)
        reader.close()
        with pytest.raises(AudioError, match="it was closed"):
            run(drain(source))


def test_closed_stdin_is_an_error() -> None:
    """A missing standard input is an error."""
    with pytest.raises(AudioError, match="closed"):
        open_pipe(None, wire_rate_hz=WIRE, live=False)


def test_what_is_behind_the_stated_length() -> None:
    """Behind the stated length a chunk of tags is skipped, and another WAV is heard."""
    wav = HEADER[:-4] + struct.pack("<I", 960) + SOUND[:960]
    with pipe() as (reader, writer):
        writer.write(wav + b"LIST\x04\0\0\0text" + wav)
        writer.close()

        assert run(drain(source_of(reader))) == SOUND[:960] * 2


def test_finite_stream_makes_the_producer_wait() -> None:
    """Without a consumer the producer can write only the contents of the pipe and two reads."""

    async def scenario(reader: BinaryIO, writer: BinaryIO) -> int:
        source = source_of(reader)
        blocks = source.blocks()
        writer.write(SOUND[:480])
        await anext(blocks)
        os.set_blocking(writer.fileno(), False)
        written = 0
        # The pipe is full and stays so: half a second without room, twice what a loaded machine needs.
        while select.select([], [writer], [], 0.5)[1]:
            written += writer.write(bytes(4096)) or 0
            await asyncio.sleep(0)
        source.stop()
        return written

    with pipe() as (reader, writer):
        assert run(scenario(reader, writer)) < 300_000


def test_stop_ends_a_blocked_read_at_once() -> None:
    """stop() ends the iterator while a read is blocked; the data read before is yielded."""

    async def scenario(reader: BinaryIO, writer: BinaryIO) -> list[bytes]:
        source = source_of(reader, live=True)
        blocks = source.blocks()
        writer.write(SOUND[:480])
        heard = [(await anext(blocks)).pcm]
        waiting = asyncio.ensure_future(anext(blocks, None))
        await asyncio.sleep(0)
        source.stop()
        source.stop()
        assert await asyncio.wait_for(waiting, 1) is None
        return heard

    with pipe() as (reader, writer):
        assert run(scenario(reader, writer)) == [SOUND[:480]]


def test_stop_yields_the_tail_of_the_resampler() -> None:
    """After stop() all samples read so far are yielded, including the tail of the resampler."""

    async def scenario(reader: BinaryIO, writer: BinaryIO) -> int:
        source = open_pipe(reader, wire_rate_hz=WIRE, encoding="s16le", sample_rate=48_000, live=True)
        blocks = source.blocks()
        writer.write(SOUND[:4000])  # few enough to be read at once
        heard = len((await anext(blocks)).pcm)
        source.stop()
        return heard + sum([len(block.pcm) async for block in blocks])

    with pipe() as (reader, writer):
        assert run(scenario(reader, writer)) == 2000


@pytest.mark.parametrize("data", [b"", HEADER[:20]], ids=["before-any-byte", "in-the-header"])
def test_stop_without_sound_is_no_error(data: bytes) -> None:
    """After stop() before the first sample there is no error about missing audio."""

    async def scenario(reader: BinaryIO, writer: BinaryIO) -> bytes:
        source = source_of(reader)
        pcm = asyncio.ensure_future(drain(source))
        writer.write(data)
        await asyncio.sleep(0)
        source.stop()
        return await pcm

    with pipe() as (reader, writer):
        assert run(scenario(reader, writer)) == b""


def test_cancelled_reader_leaves_nothing_behind() -> None:
    """After the consumer is cancelled, the thread ends with the next byte."""

    async def scenario(reader: BinaryIO) -> None:
        source = source_of(reader)
        task = asyncio.ensure_future(drain(source))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await source.aclose()

    with pipe() as (reader, _):
        run(scenario(reader))


def test_loop_closed_during_a_blocked_read() -> None:
    """If the loop is closed while the thread reads, the thread ends after the next byte without an error."""

    async def scenario(reader: BinaryIO) -> None:
        source = source_of(reader)
        task = asyncio.ensure_future(anext(source.blocks()))
        await asyncio.sleep(0)
        task.cancel()

    with pipe() as (reader, writer):
        run(scenario(reader))
        writer.write(SOUND[:480])


def test_close_without_reading() -> None:
    """aclose() works without reading, is idempotent and starts no thread."""

    async def scenario() -> None:
        source = source_of(io.BytesIO(SOUND))
        await source.aclose()
        await source.aclose()

    run(scenario())
    assert "rt-pipe" not in {thread.name for thread in threading.enumerate()}


_WAITING = """
import asyncio, sys
from rt_cli.audio.decode.pipe import open_pipe
async def main():
    source = open_pipe(sys.stdin.buffer, wire_rate_hz=24_000, encoding="s16le", live=True)
    async for block in source.blocks():
        print(len(block.pcm), flush=True)
        source.stop()
asyncio.run(main())
"""


def test_exit_does_not_wait_for_stdin() -> None:
    """A program whose thread is blocked on stdin exits at once and prints nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", _WAITING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdin.write(SOUND[:480])
        program.stdin.flush()
        line = program.stdout.readline()
        began = time.monotonic()

        assert program.wait(10) == 0
        assert time.monotonic() - began < 5
        assert (line, program.stderr.read()) == (b"480\n", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no non-blocking pipes")
def test_non_blocking_stdin() -> None:
    """On a non-blocking descriptor the source waits for data."""

    async def scenario(reader: BinaryIO, writer: BinaryIO) -> bytes:
        os.set_blocking(reader.fileno(), False)
        pcm = asyncio.ensure_future(drain(source_of(reader)))
        await asyncio.sleep(0.05)  # long enough for the thread to meet an empty pipe; if not, the test is only weaker
        await asyncio.to_thread(write(writer, SOUND).join)
        return await pcm

    with pipe() as (reader, writer):
        assert run(scenario(reader, writer)) == SOUND


@pytest.mark.parametrize(
    "command",
    [
        ["sox", "-q", "IN", "-t", "wav", "-"],
        ["sox", "-q", "IN", "-t", "raw", "-e", "signed", "-b", "16", "-"],
        ["ffmpeg", "-loglevel", "error", "-i", "IN", "-f", "wav", "-"],
        ["ffmpeg", "-loglevel", "error", "-i", "IN", "-f", "s16le", "-"],
    ],
    ids=["sox-wav", "sox-raw", "ffmpeg-wav", "ffmpeg-raw"],
)
def test_output_of_programs(tmp_path: Path, command: list[str]) -> None:
    """Audio that sox and ffmpeg write to a pipe arrives bit for bit."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    soundfile.write(tmp_path / "a.wav", np.tile(PCM16, 5), WIRE)
    arguments = [str(tmp_path / "a.wav") if part == "IN" else part for part in command]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert run(drain(source_of(cast("BinaryIO", program.stdout)))) == SOUND * 5


@pytest.mark.parametrize(
    ("channels", "rest", "said"),
    [(1, 0, None), (1, 1, "1 byte is"), (2, 3, "3 bytes are"), (2, 0, None)],
)
def test_half_a_sample_at_the_end(channels: int, rest: int, said: str | None) -> None:
    """What is no whole sample of all channels is said, and is no error."""
    warnings: list[tuple[str, str]] = []
    source = open_pipe(
        io.BytesIO(SOUND + bytes(rest)),
        wire_rate_hz=WIRE,
        encoding="s16le",
        channels=channels,
        live=False,
        warn=lambda code, text: warnings.append((code, text)),
    )
    run(drain(source))

    assert warnings == ([("half_sample", f"stdin: ends within a sample: {said} not sent")] if said else [])
