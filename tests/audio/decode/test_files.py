"""FileSource: all formats, damaged files, constant memory."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
import soxr

from rt_cli.audio.decode.files import FileSource, open_file
from rt_cli.audio.decode.plan.file_part import FilePart
from rt_cli.errors import AudioError
from tests.audio.decode.refused import check_refused
from tests.fakes import run
from tests.memory import part_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIRE = 24_000
PCM16 = np.random.default_rng(8).integers(-12_000, 12_000, 2 * WIRE, dtype="<i2")
WAV_SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]

_MEASURE = """
import asyncio, resource, sys
from rt_cli.audio.decode.files import open_file
from rt_cli.audio.decode.plan.file_part import FilePart
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
async def main():
    source = open_file(sys.argv[1], wire_rate_hz=24_000)
    before, count = 0, 0
    async for block in source.blocks():
        count += 1
        before = before or (peak() if count == 20 else 0)
    await source.aclose()
    print(peak() - before)
asyncio.run(main())
"""


async def drain(source: FileSource) -> tuple[bytes, AudioError | None]:
    """All audio of a source, and the error at its end if there is one."""
    pcm = b""
    failure = None
    try:
        async for block in source.blocks():
            pcm += block.pcm
    except AudioError as error:
        failure = error
    await source.aclose()
    return pcm, failure


def read(path: Path, wire_rate_hz: int = WIRE) -> NDArray[np.int16]:
    """All samples of an audio file."""
    pcm, failure = run(drain(open_file(path, wire_rate_hz=wire_rate_hz)))
    assert failure is None
    return np.frombuffer(pcm, "<i2")


def read_and_fail(path: Path) -> tuple[NDArray[np.int16], AudioError]:
    """All samples of an audio file, and the error at its end."""
    pcm, failure = run(drain(open_file(path, wire_rate_hz=WIRE)))
    assert failure is not None
    return np.frombuffer(pcm, "<i2"), failure


def read_or_raise(path: Path) -> None:
    """Open and read a file, and raise the errors of both."""
    _, failure = run(drain(open_file(path, wire_rate_hz=WIRE)))
    if failure is not None:
        raise failure


def noise(rate_hz: int, channels: int, seconds: float = 1.3) -> NDArray[np.float32]:
    """Noise that never clips."""
    return np.random.default_rng(9).uniform(-0.3, 0.3, (round(rate_hz * seconds), channels)).astype(np.float32)


def with_data_length(wav: bytes, length: int) -> bytes:
    """A WAV whose header states another length."""
    at = wav.index(b"data") + 4
    return wav[:at] + struct.pack("<I", length) + wav[at + 4 :]


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff"])
def test_pcm16_at_the_wire_rate_is_bit_exact(tmp_path: Path, name: str) -> None:
    """PCM16 mono at the wire rate passes unchanged."""
    soundfile.write(tmp_path / name, PCM16, WIRE, subtype="PCM_16")

    assert np.array_equal(PCM16, read(tmp_path / name))


@pytest.mark.parametrize("subtype", WAV_SUBTYPES)
@pytest.mark.parametrize(("rate_hz", "channels"), [(16_000, 1), (44_100, 2), (24_000, 6)])
def test_every_wav(tmp_path: Path, subtype: str, rate_hz: int, channels: int) -> None:
    """For any width, rate and channel count the result is within one step of decoding and resampling all at once."""
    soundfile.write(tmp_path / "a.wav", noise(rate_hz, channels), rate_hz, subtype=subtype)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    expected = np.rint(soxr.resample(samples.mean(axis=1), rate_hz, WIRE, quality="HQ") * 32768)
    heard = read(tmp_path / "a.wav")

    assert len(expected) == len(heard)
    assert np.abs(heard - expected).max() <= 1


@pytest.mark.parametrize(
    ("file_format", "subtype"),
    [("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)],
)
def test_every_container(tmp_path: Path, file_format: str, subtype: str | None) -> None:
    """Extensible WAV, RF64, FLAC, OGG and MP3 give the samples of their reference decoder."""
    soundfile.write(tmp_path / "a.bin", noise(48_000, 2), 48_000, format=file_format, subtype=subtype)
    samples, _ = soundfile.read(tmp_path / "a.bin", dtype="float32", always_2d=True)
    expected = soxr.resample(samples.mean(axis=1), 48_000, WIRE, quality="HQ") * 32768
    heard = read(tmp_path / "a.bin")

    assert len(expected) == len(heard)
    assert np.abs(heard - np.clip(np.rint(expected), -32768, 32767)).max() <= 1


def test_info_says_what_was_opened(tmp_path: Path) -> None:
    """``info`` has the name, rate, channels and duration of the file."""
    soundfile.write(tmp_path / "a.wav", noise(8_000, 2, 1.5), 8_000)
    source = open_file(tmp_path / "a.wav", wire_rate_hz=WIRE)
    info = source.info
    run(source.aclose())

    assert (str(tmp_path / "a.wav"), "file", False) == (info.name, info.kind, info.live)
    assert (info.rate_hz, info.channels, info.duration_s) == (8_000, 2, 1.5)


@pytest.mark.parametrize("name", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_wav_encoding_that_only_libsndfile_knows(tmp_path: Path, name: str) -> None:
    """An encoding that our parser refuses is decoded by libsndfile."""
    soundfile.write(tmp_path / "a.wav", PCM16, WIRE, subtype=name)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    heard = read(tmp_path / "a.wav")

    assert len(heard) == len(samples)
    assert np.abs(heard - samples * 32768).max() <= 1


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a RIFF file, padded to an even length."""
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


@pytest.mark.parametrize("before", [0, 1, 999, 4096, 100_000], ids="{} bytes".format)
@pytest.mark.parametrize("after", [0, 1, 5000], ids="{} behind".format)
def test_only_the_data_chunk_is_decoded(tmp_path: Path, before: int, after: int) -> None:
    """Chunks before and after the data chunk are skipped; the duration is that of the data chunk."""
    layout = struct.pack("<HHIIHH", 1, 1, WIRE, 2 * WIRE, 2, 16)
    chunks = [chunk(b"LIST", b"\x55" * before), chunk(b"fmt ", layout), chunk(b"data", PCM16.tobytes())]
    body = b"WAVE" + b"".join([*chunks, chunk(b"id3 ", b"\x55" * after)])
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    source = open_file(tmp_path / "a.wav", wire_rate_hz=WIRE)
    assert source.info.duration_s == 2.0
    pcm, failure = run(drain(source))

    assert failure is None
    assert pcm == PCM16.tobytes()


@pytest.mark.parametrize(
    ("bits", "channels", "align"), [(16, 2, 2), (16, 1, 4), (16, 2, 8), (8, 1, 2), (24, 3, 6), (24, 1, 2), (32, 1, 2)]
)
def test_size_of_a_frame_may_be_wrong(tmp_path: Path, bits: int, channels: int, align: int) -> None:
    """A wrong frame size in the header is ignored: the bits per sample count, as in libsndfile."""
    subtype = {8: "PCM_U8", 16: "PCM_16", 24: "PCM_24", 32: "PCM_32"}[bits]
    soundfile.write(tmp_path / "good.wav", noise(WIRE, channels), WIRE, subtype=subtype)
    wav = bytearray((tmp_path / "good.wav").read_bytes())
    at = wav.index(b"fmt ") + 8 + 12
    wav[at : at + 2] = struct.pack("<H", align)
    (tmp_path / "a.wav").write_bytes(wav)

    assert np.array_equal(read(tmp_path / "good.wav"), read(tmp_path / "a.wav"))


def test_24_bits_in_32(tmp_path: Path) -> None:
    """24 bits left-justified in 32: the lowest byte is ignored."""
    samples = np.random.default_rng(4).integers(-(1 << 23), 1 << 23, WIRE, dtype="<i4") << 8
    layout = struct.pack("<HHIIHH", 1, 1, WIRE, 4 * WIRE, 4, 24)
    body = b"WAVE" + chunk(b"fmt ", layout) + chunk(b"data", samples.tobytes())
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)

    assert np.abs(read(tmp_path / "a.wav") - samples / 65536).max() <= 1


@pytest.mark.parametrize("length", [0x7FFF0000, 0x90000000])
@pytest.mark.parametrize("tagged", [False, True], ids=["alone", "tagged"])
def test_very_long_wav(tmp_path: Path, length: int, *, tagged: bool) -> None:
    """A length that looks like a placeholder is used if a chunk starts after it."""
    layout = struct.pack("<HHIIHH", 1, 1, WIRE, 2 * WIRE, 2, 16)
    head = b"RIFF" + struct.pack("<I", length + 36) + b"WAVE" + chunk(b"fmt ", layout) + b"data"
    with (tmp_path / "a.wav").open("wb") as file:
        file.write(head + struct.pack("<I", length) + b"ab")
        file.truncate(len(head) + 4 + length)
        file.seek(0, 2)
        file.write(chunk(b"id3 ", bytes(100)) if tagged else b"")
    source = open_file(tmp_path / "a.wav", wire_rate_hz=WIRE)
    run(source.aclose())

    assert source.info.duration_s == length // 2 / WIRE


@pytest.mark.parametrize("behind", [chunk(b"LIST", b"INFOISFT"), b"x"], ids=["only tags", "half a sample"])
def test_wav_without_sound(tmp_path: Path, behind: bytes) -> None:
    """Less than one whole sample is no audio, whatever chunk follows."""
    layout = struct.pack("<HHIIHH", 1, 1, WIRE, 2 * WIRE, 2, 16)
    body = b"WAVE" + chunk(b"fmt ", layout) + chunk(b"data", b"") + behind
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    with pytest.raises(AudioError, match="no audio"):
        open_file(tmp_path / "a.wav", wire_rate_hz=WIRE)


def test_duration_is_of_what_is_there(tmp_path: Path) -> None:
    """The duration is that of the data in the file, whatever length the header states."""
    soundfile.write(tmp_path / "good.wav", PCM16, WIRE)
    for length in (0, 100, 1 << 20, 0xFFFFFFFF):
        (tmp_path / "a.wav").write_bytes(with_data_length((tmp_path / "good.wav").read_bytes(), length))
        source = open_file(tmp_path / "a.wav", wire_rate_hz=WIRE)
        run(source.aclose())
        assert source.info.duration_s == 2.0


@pytest.mark.parametrize("length", [0, 2, 0x7FFFF000, 0x80000000, 0xFFFFFFFF])
@pytest.mark.parametrize("rate_hz", [WIRE, 48_000])
def test_saved_streams_are_read_whole(tmp_path: Path, length: int, rate_hz: int) -> None:
    """A WAV with an unknown length, or one that is too small, is read to the end of the file."""
    soundfile.write(tmp_path / "good.wav", PCM16, rate_hz)
    (tmp_path / "a.wav").write_bytes(with_data_length((tmp_path / "good.wav").read_bytes(), length))

    assert np.array_equal(read(tmp_path / "good.wav"), read(tmp_path / "a.wav"))


def test_truncated_wav_is_read_to_its_end(tmp_path: Path) -> None:
    """All whole samples are yielded; a half sample at the end is dropped."""
    soundfile.write(tmp_path / "a.wav", PCM16, WIRE)
    os.truncate(tmp_path / "a.wav", 44 + 2 * 1000 + 1)
    heard, failure = read_and_fail(tmp_path / "a.wav")

    assert np.array_equal(PCM16[:1000], heard)
    assert "ends at 0.0 s: 2.0 s more that its header announces are missing" in failure.message


@pytest.mark.parametrize("keep", [0.3, 0.5, 0.9])
def test_truncated_flac_is_yielded_then_an_error_is_raised(tmp_path: Path, keep: float) -> None:
    """Every complete FLAC frame is yielded bit for bit, then an error is raised."""
    whole = tmp_path / "a.flac"
    soundfile.write(whole, PCM16, WIRE)
    os.truncate(whole, int(keep * whole.stat().st_size))
    pcm, failure = run(drain(open_file(whole, wire_rate_hz=WIRE)))

    # A frame of FLAC has 4096 samples: less than two may be missing.
    assert keep * len(PCM16) - len(pcm) // 2 < 2 * 4096
    assert PCM16.tobytes().startswith(pcm)
    assert failure is not None
    assert "that its header announces are missing" in failure.message


def test_flac_without_frames_is_an_error(tmp_path: Path) -> None:
    """A FLAC that ends after its header can be opened; reading it raises an error."""
    soundfile.write(tmp_path / "a.flac", PCM16, WIRE)
    os.truncate(tmp_path / "a.flac", 60)
    with pytest.raises(AudioError):
        read_or_raise(tmp_path / "a.flac")


def test_native_decoders_print_nothing(tmp_path: Path) -> None:
    """Messages of the MP3 decoder about a damaged file do not appear on stderr."""
    soundfile.write(tmp_path / "a.mp3", noise(WIRE, 1, 4), WIRE)
    os.truncate(tmp_path / "a.mp3", 20)
    script = "import sys; from rt_cli.audio.decode.files import open_file; open_file(sys.argv[1], wire_rate_hz=24000)"
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "a.mp3"], capture_output=True, text=True, check=False, timeout=60
    )

    assert "AudioError" in done.stderr
    assert "mpg123" not in done.stderr


def with_total(flac: bytes, total: int) -> bytes:
    """A FLAC whose header states another number of frames."""
    counted = int.from_bytes(flac[18:26], "big") >> 36 << 36 | total
    return flac[:18] + counted.to_bytes(8, "big") + flac[26:]


@pytest.mark.parametrize("total", [0, 1, 5000, len(PCM16) - 1, len(PCM16) + 1])
@pytest.mark.parametrize("channels", [1, 2])
def test_flac_with_a_wrong_length_is_read_completely(tmp_path: Path, total: int, channels: int) -> None:
    """A wrong number of frames in the header, as in joined or cut files, does not end the audio."""
    path = tmp_path / "a.flac"
    soundfile.write(path, np.stack([PCM16] * channels, axis=1), WIRE)
    path.write_bytes(with_total(path.read_bytes(), total))
    source = open_file(path, wire_rate_hz=WIRE)
    pcm, failure = run(drain(source))

    assert failure is None
    assert np.array_equal(PCM16, np.frombuffer(pcm, "<i2"))
    assert source.info.duration_s == (total / WIRE if total else None)


def test_tags_at_the_end_of_a_flac_are_no_damage(tmp_path: Path) -> None:
    """Tags after the last frame are ignored without an error."""
    soundfile.write(tmp_path / "a.flac", PCM16, WIRE)
    with (tmp_path / "a.flac").open("ab") as file:
        file.write(b"TAG" + bytes(125))

    assert np.array_equal(PCM16, read(tmp_path / "a.flac"))


def test_disk_error_in_a_flac_is_an_error(tmp_path: Path) -> None:
    """A read error of the disk raises AudioError instead of ending the audio."""
    sound = np.tile(PCM16, 10)
    soundfile.write(tmp_path / "a.flac", sound, WIRE)
    source = open_file(tmp_path / "a.flac", wire_rate_hz=WIRE)
    folder = os.open(tmp_path, os.O_RDONLY)
    os.dup2(folder, part_of(source, FilePart).fileno())  # reading a folder fails
    os.close(folder)
    pcm, failure = run(drain(source))

    assert len(pcm) < 2 * len(sound)
    assert sound.tobytes().startswith(pcm)
    assert failure is not None
    assert "cannot be read" in failure.message


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize("kind", ["flac", "wav"])
def test_files_that_ffmpeg_wrote_to_a_pipe(tmp_path: Path, kind: str) -> None:
    """FLAC and WAV without a length are read to their end."""
    soundfile.write(tmp_path / "a.flac", PCM16, WIRE)
    command = ["ffmpeg", "-loglevel", "error", "-i", str(tmp_path / "a.flac"), "-f", kind, "-"]
    (tmp_path / "b.bin").write_bytes(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)

    assert np.array_equal(PCM16, read(tmp_path / "b.bin"))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_flac_that_was_cut_without_a_new_header(tmp_path: Path) -> None:
    """A copy of the second half keeps the length of the whole: all frames are read, and the error has the rest."""
    soundfile.write(tmp_path / "a.flac", PCM16, WIRE)
    command = ["ffmpeg", "-loglevel", "error", "-ss", "1", "-i", str(tmp_path / "a.flac"), "-c", "copy", "-f", "flac"]
    done = subprocess.run([*command, "-"], capture_output=True, check=True, timeout=60)
    (tmp_path / "b.flac").write_bytes(done.stdout)
    heard, failure = read_and_fail(tmp_path / "b.flac")

    assert len(heard) > WIRE // 2
    assert np.array_equal(PCM16[-len(heard) :], heard)
    assert f"{2 - len(heard) / WIRE:.1f} s more that its header announces are missing" in failure.message


def _empty(path: Path) -> None:
    path.touch()


def _text(path: Path) -> None:
    path.write_text("Grüße, this is no sound. " * 40)


def _header_cut(path: Path) -> None:
    soundfile.write(path, PCM16, WIRE)
    os.truncate(path, 30)


def _header_corrupt(path: Path) -> None:
    soundfile.write(path, PCM16, WIRE)
    path.write_bytes(path.read_bytes()[:12] + b"\xff" * 200)


def _absurd_rate(path: Path) -> None:
    soundfile.write(path, PCM16, 500)


def _streamed_adpcm(path: Path) -> None:
    soundfile.write(path, PCM16, WIRE, subtype="MS_ADPCM")
    path.write_bytes(with_data_length(path.read_bytes(), 0))


def _no_audio(path: Path) -> None:
    soundfile.write(path, PCM16[:0], WIRE)


def _directory(path: Path) -> None:
    path.mkdir()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _garbage(path: Path) -> None:
    path.write_bytes(b"\x00\x01\xfe" * 500)


def _missing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_missing, "no such file"),
        (_directory, "directory"),
        (_fifo, "rt send - <"),
        (_empty, "empty"),
        (_text, "text"),
        (_header_cut, "header is damaged"),
        (_header_corrupt, "header is damaged"),
        (_absurd_rate, "500 Hz"),
        (_streamed_adpcm, "ffmpeg -i"),
        (_no_audio, "no audio"),
        (_garbage, "no format"),
    ],
)
def test_each_kind_of_bad_file_has_its_message(tmp_path: Path, make: object, says: str) -> None:
    """The error is one line with the file, the problem and the remedy."""
    assert callable(make)
    make(tmp_path / "a b.wav")
    check_refused(tmp_path / "a b.wav", says)


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may read everything")
def test_permission_denied(tmp_path: Path) -> None:
    """A file without read permission is an error that names the cause."""
    (tmp_path / "a.wav").touch(mode=0o000)
    with pytest.raises(AudioError, match="permission"):
        open_file(tmp_path / "a.wav", wire_rate_hz=WIRE)


def test_name_with_nul() -> None:
    """A file name with NUL raises AudioError."""
    with pytest.raises(AudioError, match="cannot be opened"):
        open_file("a\0b.wav", wire_rate_hz=WIRE)


def test_raw_file_asks_how_to_read_it(tmp_path: Path) -> None:
    """The error for a ``.raw`` file suggests a pipe with ``--encoding``."""
    (tmp_path / "a.raw").write_bytes(PCM16.tobytes())
    with pytest.raises(AudioError, match="--encoding"):
        open_file(tmp_path / "a.raw", wire_rate_hz=WIRE)


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    """A file whose name is not valid UTF-8 can be opened."""
    soundfile.write(tmp_path / "a.wav", PCM16, WIRE)
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
    (tmp_path / "a.wav").rename(odd)

    assert np.array_equal(PCM16, read(odd))


def test_stop_ends_after_the_current_block(tmp_path: Path) -> None:
    """After stop() the iterator ends without decoding another block."""
    soundfile.write(tmp_path / "a.wav", np.tile(PCM16, 10), WIRE)

    async def scenario() -> int:
        source = open_file(tmp_path / "a.wav", wire_rate_hz=WIRE)
        count = 0
        async for _ in source.blocks():
            count += 1
            source.stop()
            source.stop()
        await source.aclose()
        return count

    assert run(scenario()) == 1


def test_close_twice_and_unread(tmp_path: Path) -> None:
    """aclose() works without reading and is idempotent."""
    soundfile.write(tmp_path / "a.wav", PCM16, WIRE)

    async def scenario() -> None:
        source = open_file(tmp_path / "a.wav", wire_rate_hz=WIRE)
        await source.aclose()
        await source.aclose()
        assert [block async for block in source.blocks()] == []

    run(scenario())


def growth_kib(tmp_path: Path, minutes: int) -> int:
    """Growth of the peak memory between the tenth second and the end of a WAV, KiB."""
    path = tmp_path / "long.wav"
    minute = np.tile(noise(48_000, 1, 1.0)[:, 0], 60)
    with soundfile.SoundFile(path, "w", 48_000, 1, "PCM_16") as file:
        for _ in range(minutes):
            file.write(minute)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, path], capture_output=True, text=True, check=True, timeout=300
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_is_constant(tmp_path: Path) -> None:
    """Ten minutes of audio use no more memory than ten seconds."""
    assert growth_kib(tmp_path, 10) <= 2048


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_is_constant_for_an_hour(tmp_path: Path) -> None:
    """An hour of audio uses no more memory than ten seconds."""
    assert growth_kib(tmp_path, 60) <= 2048
