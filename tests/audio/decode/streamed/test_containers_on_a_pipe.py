"""Containers on a pipe: the same sound as from a file, whatever comes when."""

from __future__ import annotations

import asyncio
import io
import tempfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.decode.files import open_file
from rt_cli.audio.decode.mp4_boxes import index_is_first
from rt_cli.audio.decode.pipe import open_pipe
from rt_cli.audio.decode.streamed import container
from rt_cli.audio.decode.streamed.feed import Feed
from rt_cli.errors import AudioError
from tests.media import write_media

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from rt_cli.audio.source import Source

WIRE = 24_000
DEADLINE_S = 20.0
TONE = (np.sin(np.arange(2 * WIRE) * 0.05) * np.linspace(2000, 20_000, 2 * WIRE)).astype("<i2")
Warnings = list[tuple[str, str]]


def _sound_file(kind: str) -> Callable[[Path], object]:
    return lambda path: soundfile.write(path, TONE, WIRE, format=kind)


def _media(ending: str, codec: str, **options: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        made = path.with_suffix(f".{ending}")
        write_media(made, TONE.reshape(-1, 1), WIRE, codec=codec, options=options)
        made.rename(path)

    return write


WRITERS = {
    "FLAC": _sound_file("FLAC"),
    "Ogg": _sound_file("OGG"),
    "MP3": _sound_file("MP3"),
    "AIFF": _sound_file("AIFF"),
    "WebM": _media("webm", "libopus"),
    "MKV": _media("mkv", "flac"),
    "AAC": _media("aac", "aac"),
    "MPEG-TS": _media("ts", "aac"),
    "M4A": _media("m4a", "aac"),
    "M4A, index first": _media("m4a", "aac", movflags="faststart"),
    "MP4 in fragments": _media("mp4", "aac", movflags="frag_keyframe+empty_moov"),
}


class Pieces(io.BytesIO):
    """Bytes that come in pieces of some size."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next piece."""
        return super().read(self._size if size is None or size < 0 else min(size, self._size))


async def collect(source: Source) -> tuple[NDArray[np.int16], AudioError | None]:
    """Return the sound of a source with silence for what is lost, and the error at its end."""
    pcm = bytearray()
    failure = None
    async with asyncio.timeout(DEADLINE_S):
        try:
            async for block in source.blocks():
                pcm += bytes(2 * block.lost) + block.pcm
        except AudioError as error:
            failure = error
        await source.aclose()
    return np.frombuffer(bytes(pcm), "<i2"), failure


def hear(data: bytes, *, size: int = 4096, live: bool = False) -> tuple[NDArray[np.int16], AudioError | None, Warnings]:
    """Read bytes from a pipe to their end."""
    warnings: Warnings = []

    async def read() -> tuple[NDArray[np.int16], AudioError | None]:
        source = open_pipe(
            Pieces(data, size), wire_rate_hz=WIRE, live=live, warn=lambda *warning: warnings.append(warning)
        )
        return await collect(source)

    return *asyncio.run(read()), warnings


def heard_file(path: Path) -> NDArray[np.int16]:
    """Read a file to its end."""
    return asyncio.run(collect(open_file(path, wire_rate_hz=WIRE)))[0]


@pytest.mark.parametrize("live", [False, True], ids=["finite", "live"])
@pytest.mark.parametrize("size", [997, 1 << 20])
@pytest.mark.parametrize("kind", WRITERS)
def test_sound_is_that_of_the_file(tmp_path: Path, kind: str, size: int, *, live: bool) -> None:
    """Nothing is missing, whatever the pieces are; without loss to the sample."""
    path = tmp_path / "sound"
    WRITERS[kind](path)

    sound, failure, warnings = hear(path.read_bytes(), size=size, live=live)

    assert failure is None
    assert [code for code, _ in warnings] == (["kept"] if kind == "M4A" else [])
    expected = heard_file(path)
    if kind in {"FLAC", "AIFF", "MKV", "M4A", "M4A, index first"}:
        assert np.array_equal(sound, expected)
    if kind == "MP3":  # with an encoder that says how much of the end is padding
        assert len(sound) == len(expected)
    assert abs(len(sound) - len(TONE)) <= 0.1 * WIRE
    energy = float(np.sqrt(np.mean(sound.astype(float) ** 2)))
    assert energy == pytest.approx(float(np.sqrt(np.mean(TONE.astype(float) ** 2))), rel=0.1)


def test_two_channels(tmp_path: Path) -> None:
    """Split, a block has both."""
    path = tmp_path / "a.flac"
    soundfile.write(path, np.stack([TONE, TONE // 2], axis=1), WIRE)

    async def read() -> NDArray[np.int16]:
        source = open_pipe(io.BytesIO(path.read_bytes()), wire_rate_hz=WIRE, live=False, pick="split")
        sound, _ = await collect(source)
        assert (source.info.rate_hz, source.info.channels) == (WIRE, 2)
        return sound

    sound = asyncio.run(read()).reshape(-1, 2)
    assert np.abs(sound[:, 0].astype(int) - TONE).max() <= 1
    assert np.abs(sound[:, 1].astype(int) - TONE // 2).max() <= 1


def test_sound_comes_while_the_pipe_is_open(tmp_path: Path) -> None:
    """A live stream is heard before its end."""
    path = tmp_path / "a"
    soundfile.write(path, np.tile(TONE, 10), WIRE, format="FLAC")
    data = path.read_bytes()

    class Waiting:
        """Gives most of the bytes, then nothing until it is stopped."""

        def __init__(self) -> None:
            self._parts = [data[: len(data) * 3 // 4]]
            self._stopped = asyncio.Event()

        async def next(self) -> bytes:
            if self._parts:
                return self._parts.pop()
            await self._stopped.wait()
            return b""

        def stop(self) -> None:
            self._stopped.set()

    async def read() -> int:
        source = open_pipe(Waiting(), wire_rate_hz=WIRE, live=True)
        samples = 0
        async with asyncio.timeout(DEADLINE_S):
            async for block in source.blocks():
                samples += len(block.pcm) // 2
                if samples >= WIRE:
                    source.stop()
        return samples

    assert WIRE <= asyncio.run(read()) < 20 * WIRE


@pytest.mark.parametrize("kind", ["M4A", "M4A, index first", "MP3"])
def test_consumer_that_leaves_leaves_nothing(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread and no temporary file stays."""
    path = tmp_path / "sound"
    WRITERS[kind](path)
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "kept"))

    async def read() -> None:
        source = open_pipe(io.BytesIO(path.read_bytes()), wire_rate_hz=WIRE, live=False)
        async with asyncio.timeout(DEADLINE_S):
            blocks = source.blocks()
            await anext(blocks)
            await blocks.aclose()
            await source.aclose()

    asyncio.run(read())
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize("size", [997, 1 << 20])
@pytest.mark.parametrize("kind", ["M4A, index first", "MKV", "FLAC", "MP3", "MP3 with a picture", "Ogg"])
def test_input_that_is_cut_is_said(tmp_path: Path, kind: str, size: int) -> None:
    """What is there is heard; the rest is an error and a warning."""
    path = tmp_path / "sound"
    WRITERS[kind.removesuffix(" with a picture")](path)
    data = path.read_bytes()
    if kind == "Ogg":  # whose pages, which hold seconds of a tone, are there or not
        soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 2 * WIRE), WIRE, format="OGG")
        data = path.read_bytes()
    tag = b"ID3\4\0\0\0\1\0\0" + bytes(1 << 14) if kind.endswith("picture") else b""

    sound, failure, warnings = hear(tag + data[: len(data) // 2], size=size)

    assert 0.5 * WIRE < len(sound) < 1.5 * WIRE
    assert failure is not None
    assert failure.code == "truncated"
    assert failure.message.startswith("stdin ends at ")
    assert [code for code, _ in warnings] == ["truncated"]


@pytest.mark.parametrize("kind", ["FLAC", "MP3", "Ogg"])
def test_two_that_are_joined_are_whole(tmp_path: Path, kind: str) -> None:
    """Nothing is announced that is not there."""
    path = tmp_path / "sound"
    WRITERS[kind](path)

    _, failure, warnings = hear(2 * path.read_bytes())

    assert failure is None
    assert warnings == []


def test_what_is_stopped_is_not_cut(tmp_path: Path) -> None:
    """The user ends it before the pipe does."""
    path = tmp_path / "sound"
    WRITERS["MP3"](path)
    warnings: Warnings = []

    async def read() -> None:
        source = open_pipe(
            Pieces(path.read_bytes(), 997), wire_rate_hz=WIRE, live=True, warn=lambda *warning: warnings.append(warning)
        )
        async with asyncio.timeout(DEADLINE_S):
            async for _ in source.blocks():
                source.stop()

    asyncio.run(read())
    assert warnings == []


@pytest.mark.parametrize("cut", [0.02, 0.5, 0.98])
def test_m4a_without_its_index(tmp_path: Path, cut: float) -> None:
    """One line; no temporary file stays."""
    path = tmp_path / "sound"
    WRITERS["M4A"](path)
    data = path.read_bytes()

    sound, failure, _ = hear(data[: int(cut * len(data))])

    assert len(sound) == 0
    assert failure is not None
    assert failure.message == "stdin is a damaged or incomplete MP4 file"


def test_only_so_much_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit it is an error."""
    path = tmp_path / "sound"
    WRITERS["M4A"](path)
    monkeypatch.setattr(container, "MOST_KEPT_BYTES", path.stat().st_size - 1)
    assert "longer than 1 GiB" in str(hear(path.read_bytes())[1])
    monkeypatch.setattr(container, "MOST_KEPT_BYTES", path.stat().st_size)
    assert hear(path.read_bytes())[1] is None


def test_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    path = tmp_path / "sound"
    WRITERS["M4A"](path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))

    assert str(hear(path.read_bytes())[1]).startswith("stdin cannot be kept in a temporary file: No such file")


def test_what_looks_like_a_container_and_is_none() -> None:
    """One line, whatever follows the signature."""
    for head in (b"fLaC", b"OggS", b"\x1aE\xdf\xa3", b"\0\0\0\x18ftypM4A ", b"ID3\x04\0\0\0\0\0\x10"):
        sound, failure, _ = hear(head + bytes(range(256)) * 64)
        assert len(sound) == 0
        assert failure is not None
        assert failure.message.startswith("stdin ")


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known before anything is decoded, if the first bytes come soon; other input goes on."""
    path = tmp_path / "sound"
    WRITERS["FLAC"](path)
    monkeypatch.setattr(container, "has_libav", lambda: False)

    async def check(data: bytes, *, stated: bool = False) -> NDArray[np.int16]:
        source = open_pipe(Pieces(data, 1000), wire_rate_hz=WIRE, live=False, encoding="s16le" if stated else None)
        try:
            await source.check()
            return (await collect(source))[0]
        finally:
            await source.aclose()

    with pytest.raises(AudioError, match=r"the input is FLAC, which needs PyAV: pip install 'rt-cli\[media\]'"):
        asyncio.run(check(path.read_bytes()))
    assert np.array_equal(asyncio.run(check(TONE.tobytes())), TONE)
    assert len(asyncio.run(check(path.read_bytes(), stated=True))) == path.stat().st_size // 2
    assert "needs PyAV" in str(hear(path.read_bytes())[1])


def test_a_silent_producer_delays_no_connection() -> None:
    """The first bytes are not waited for longer than a moment."""

    class Silent:
        async def next(self) -> bytes:
            await asyncio.Event().wait()
            return b""

        def stop(self) -> None:
            pass

    async def check() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await open_pipe(Silent(), wire_rate_hz=WIRE, live=True).check()
        return loop.time() - began

    assert asyncio.run(check()) < 5


# -- which comes first ------------------------------------------------------------------------------------------------


def box(name: bytes, length: int) -> bytes:
    """A box of an MP4 with nothing in it."""
    return length.to_bytes(4, "big") + name + bytes(max(0, length - 8))


@pytest.mark.parametrize(
    ("head", "first"),
    [
        (box(b"ftyp", 24) + box(b"moov", 100), True),
        (box(b"ftyp", 24) + box(b"free", 8) + box(b"mdat", 100), False),
        (box(b"mdat", 100), False),
        (box(b"moov", 100), True),
        (box(b"ftyp", 24), None),
        (b"", None),
        (box(b"ftyp", 24) + b"\0\0\0\x01wide" + (16).to_bytes(8, "big") + box(b"moov", 8), True),
        (box(b"ftyp", 24) + b"\0\0\0\0uuid", False),
        (box(b"free", 1 << 20)[:4096], None),
    ],
    ids=str,
)
def test_whether_the_index_is_first(head: bytes, first: bool | None) -> None:  # noqa: FBT001 - a table
    """By the outer boxes."""
    assert index_is_first(head) is first


@given(st.binary(max_size=300))
def test_any_bytes_have_an_answer(head: bytes) -> None:
    """More bytes change no answer."""
    answer = index_is_first(head)
    assert answer in {True, False, None}
    if answer is not None:
        assert index_is_first(head + bytes(64)) is answer


# -- the feed ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 200_000), max_size=8), st.integers(1, 100_000))
def test_feed_loses_nothing(sizes: list[int], read_size: int) -> None:
    """All bytes, in order, with a bounded number of them waiting."""

    async def run() -> tuple[bytes, bytes]:
        feed = Feed()

        def read() -> bytes:
            parts = []
            while part := feed.read(read_size):
                assert len(part) <= read_size
                parts.append(part)
            return b"".join(parts)

        reading = asyncio.ensure_future(asyncio.to_thread(read))
        given_bytes = b""
        async with asyncio.timeout(DEADLINE_S):
            for number, size in enumerate(sizes):
                data = bytes([number]) * size
                given_bytes += data
                await feed.put(data)
            feed.end()
            return await reading, given_bytes

    taken, given_bytes = asyncio.run(run())
    assert taken == given_bytes


def test_feed_waits_for_its_reader_and_is_freed() -> None:
    """More than the limit waits; giving up frees both sides."""

    async def run() -> None:
        feed = Feed()
        putting = asyncio.ensure_future(feed.put(bytes(1 << 20)))
        done, _ = await asyncio.wait((putting,), timeout=0.05)
        assert not done
        feed.abandon()
        async with asyncio.timeout(DEADLINE_S):
            await putting
            assert await asyncio.to_thread(feed.read, 10) == b""
            await feed.put(b"later")

    asyncio.run(run())


# -- without a header -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("assumed", [True, False])
def test_raw_pcm_that_nobody_described_is_said_once(*, assumed: bool) -> None:
    """With what was assumed, and how to say otherwise."""
    warnings: Warnings = []

    async def read() -> None:
        source = open_pipe(
            Pieces(TONE.tobytes(), 1000),
            wire_rate_hz=WIRE,
            sample_rate=16_000,
            channels=2,
            live=False,
            warn=lambda *warning: warnings.append(warning),
            assumed=assumed,
        )
        await collect(source)

    asyncio.run(read())
    text = "stdin has no header: read as raw s16le, 16000 Hz, 2 channels (--encoding, --sample-rate, --channels)"
    assert warnings == ([("no_header", text)] if assumed else [])


def test_a_header_needs_no_assumption() -> None:
    """WAV says what it is."""
    warnings: Warnings = []
    data = io.BytesIO()
    soundfile.write(data, TONE, WIRE, format="WAV")

    async def read() -> None:
        source = open_pipe(
            io.BytesIO(data.getvalue()),
            wire_rate_hz=WIRE,
            live=False,
            warn=lambda *warning: warnings.append(warning),
            assumed=True,
        )
        await collect(source)

    asyncio.run(read())
    assert warnings == []
