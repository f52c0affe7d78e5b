"""WAV files and streams whose header counts wrongly: all sound is heard, and what is missing is an error."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from rt_cli.audio.decode.pipe import open_pipe
from rt_cli.errors import AudioError
from tests.audio.decode.heard import WIRE, Heard, hear
from tests.fakes import run

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SOUND = np.random.default_rng(8).integers(-12_000, 12_000, 2 * WIRE, dtype="<i2")
PCM = SOUND.tobytes()
FMT = struct.pack("<HHIIHH", 1, 1, WIRE, 2 * WIRE, 2, 16)


def chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    """A chunk of a RIFF file, padded to an even length."""
    return name + struct.pack("<I", len(body) if length is None else length) + body + bytes(len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    """A WAV of chunks."""
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def wav(data: bytes = PCM, length: int | None = None, fmt: bytes = FMT) -> bytes:
    """A WAV of PCM16 mono at the wire rate, or of another format."""
    return riff(chunk(b"fmt ", fmt), chunk(b"data", data, length))


def hear_pipe(data: bytes) -> Heard:
    """Read bytes from a pipe to their end."""
    warnings: list[tuple[str, str]] = []
    pcm = bytearray()

    async def read() -> AudioError | None:
        source = open_pipe(
            io.BytesIO(data), wire_rate_hz=WIRE, live=False, warn=lambda code, text: warnings.append((code, text))
        )
        try:
            async for block in source.blocks():
                pcm.extend(block.pcm)
        except AudioError as error:
            return error
        return None

    failure = run(read())
    return Heard(np.frombuffer(bytes(pcm), "<i2"), [], warnings, failure)


@pytest.fixture(params=["file", "pipe"])
def heard_of(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    """A function that reads bytes as a file, and one that reads them from a pipe."""

    def hear_file(data: bytes) -> Heard:
        path = tmp_path / "a.wav"
        path.write_bytes(data)
        return hear(path)

    return hear_file if request.param == "file" else hear_pipe


INFO = chunk(b"LIST", b"INFOISFT\x06\0\0\0sox 14")
RIFX = b"RIFX" + struct.pack(">I", 36 + len(PCM)) + b"WAVEfmt " + struct.pack(">IHHIIHH", 16, 1, 1, WIRE, 48_000, 2, 16)
RIFX += b"data" + struct.pack(">I", len(PCM)) + SOUND.astype(">i2").tobytes()


@pytest.mark.parametrize(
    ("data", "times", "codes"),
    [
        (wav(), 1, []),
        (wav() + wav(), 2, []),
        (wav() + INFO + wav() + wav(), 3, []),
        (riff(chunk(b"fmt ", FMT), chunk(b"data", PCM), INFO, chunk(b"data", PCM), INFO), 2, []),
        (wav(length=1000), 1, ["length"]),
        (wav() + PCM, 2, ["length"]),
        (wav(length=0), 1, []),
        (wav(length=0xFFFFFFFF), 1, []),
        (wav(length=0x7FFFF000) + b"", 1, []),
        (wav() + b"TAG" + bytes(125), 1, []),
        (wav() + bytes(3), 1, []),
        (wav() + b"curl: (18) transfer closed with outstanding read data\n" * 9, 1, ["behind"]),
        (RIFX, 1, []),
        (RIFX + RIFX, 2, []),
    ],
    ids=[
        *("plain", "two", "three", "data-chunks", "counts-too-little", "sound-behind", "length-0", "length-ffffffff"),
        *("length-7ffff000", "tag", "padding", "text-behind", "rifx", "two-rifx"),
    ],
)
def test_all_sound_is_heard(heard_of: object, data: bytes, times: int, codes: list[str]) -> None:
    """Whatever the header counts, each sample is heard once and nothing else is."""
    assert callable(heard_of)
    heard = heard_of(data)

    assert heard.failure is None
    assert np.array_equal(heard.sound, np.tile(SOUND, times))
    assert heard.codes == codes


@pytest.mark.parametrize("keep_s", [0.5, 1.5, 1.7])
def test_what_is_announced_and_missing_is_an_error(heard_of: object, keep_s: float) -> None:
    """The sound that is there is heard; warning and error have place and amount."""
    assert callable(heard_of)
    heard = heard_of(wav()[: 44 + round(keep_s * WIRE) * 2])

    assert heard.seconds == keep_s
    assert heard.failure.code == "truncated"
    assert f"ends at {keep_s:.1f} s: {2 - keep_s:.1f} s more that its header announces" in heard.failure.message
    assert heard.codes == ["truncated"]


def test_less_than_a_tenth_of_a_second_is_no_error(heard_of: object) -> None:
    """The tolerance is 100 ms."""
    assert callable(heard_of)

    assert heard_of(wav()[:-4000]).failure is None


@pytest.mark.parametrize("second", ["a cut header", "another rate"])
def test_the_second_wav(heard_of: object, second: str) -> None:
    """A second WAV may be of another rate; one that ends in its header has no sound."""
    assert callable(heard_of)
    other = struct.pack("<HHIIHH", 1, 2, WIRE // 2, 2 * WIRE, 4, 16)
    heard = heard_of(wav() + (wav()[:30] if second == "a cut header" else wav(fmt=other)))

    assert np.array_equal(heard.sound[: len(SOUND)], SOUND)
    assert heard.seconds == (2 if second == "a cut header" else 4)


@pytest.mark.parametrize("tagged", [False, True], ids=["alone", "tagged"])
def test_sizes_beyond_32_bits_that_have_wrapped(tmp_path: Path, *, tagged: bool) -> None:
    """A WAV of 4 GiB and 2 s states 2 s: it is as long as its file."""
    with (tmp_path / "a.wav").open("wb") as file:
        file.write(wav()[:44])
        file.seek(44 + (1 << 32))
        file.write(PCM + (INFO if tagged else b""))
    warnings: list[str] = []
    from rt_cli.audio.decode.files import open_file

    source = open_file(tmp_path / "a.wav", wire_rate_hz=WIRE, warn=lambda code, _: warnings.append(code))
    run(source.aclose())

    assert source.info.duration_s == (1 << 31) / WIRE + 2
    assert warnings == ["length"]


def test_a_file_that_is_truncated_while_it_is_read(tmp_path: Path) -> None:
    """What was there when the file was opened and is not there any more is an error with place and amount."""
    from rt_cli.audio.decode.files import open_file

    path = tmp_path / "a.wav"
    path.write_bytes(wav(PCM * 30))
    source = open_file(path, wire_rate_hz=WIRE)
    pcm = bytearray()

    async def read() -> None:
        async for block in source.blocks():
            if not pcm:
                path.write_bytes(wav(PCM * 30)[: 44 + 30 * WIRE * 2])
            pcm.extend(block.pcm)

    with pytest.raises(AudioError, match=r"ends at 30\.0 s: 30\.0 s more") as caught:
        run(read())
    run(source.aclose())

    assert caught.value.code == "truncated"
    assert len(pcm) == 30 * WIRE * 2


def levels(kind: str) -> NDArray[np.int16]:
    """A tone, quiet at its start, as 16 bits."""
    at = np.arange(WIRE)
    tone = np.sin(at / 9) * (100 if kind == "quiet" else 12_000)
    tone[:3000] = 0
    return tone.astype("<i2")


@pytest.mark.parametrize("kind", ["quiet", "loud"])
@pytest.mark.parametrize("top", [None, 0x00, 0x5A], ids=["sign", "zero", "anything"])
@pytest.mark.parametrize("low", [True, False], ids=["lower", "upper"])
def test_24_bits_in_four_bytes(heard_of: object, kind: str, top: int | None, low: bool) -> None:  # noqa: FBT001
    """24 bits in the lower or the upper three of four bytes are as loud as they were recorded."""
    assert callable(heard_of)
    if top == 0x5A and low:
        pytest.skip("nothing shows where such samples are; raw PCM can be stated")
    sound = levels(kind)
    wide = sound.astype("<i4") << (8 if low else 16)
    if low and top == 0:
        wide &= 0xFFFFFF
    layout = struct.pack("<HHIIHH", 1, 1, WIRE, 4 * WIRE, 4, 24)

    assert np.array_equal(heard_of(wav(wide.tobytes(), fmt=layout)).sound, sound)


def test_64_bit_integers(heard_of: object) -> None:
    """s64 is heard."""
    assert callable(heard_of)
    layout = struct.pack("<HHIIHH", 1, 1, WIRE, 8 * WIRE, 8, 64)

    assert np.array_equal(heard_of(wav((SOUND.astype("<i8") << 48).tobytes(), fmt=layout)).sound, SOUND)


@pytest.mark.parametrize("kind", ["AU", "W64", "RF64"])
@pytest.mark.parametrize("how", ["whole", "two", "cut"])
def test_other_headers(heard_of: object, tmp_path: Path, kind: str, how: str) -> None:
    """AU, Wave64 and RF64 are read from files and pipes, one after the other, and cut."""
    assert callable(heard_of)
    soundfile.write(tmp_path / "b", SOUND, WIRE, format=kind, subtype="PCM_16", endian="FILE")
    data = (tmp_path / "b").read_bytes()
    heard = heard_of({"whole": data, "two": data * 2, "cut": data[: len(data) * 3 // 4]}[how])

    assert np.array_equal(heard.sound, np.tile(SOUND, 2)[: len(heard.sound)])
    assert heard.seconds == pytest.approx({"whole": 2, "two": 4, "cut": 1.5}[how], abs=0.01)
    assert (heard.failure is not None) == (how == "cut")
    if how == "cut":
        assert "0.5 s more that its header announces" in heard.failure.message


@pytest.mark.parametrize("kind", ["ULAW", "ALAW", "PCM_S8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_au_on_a_pipe(tmp_path: Path, kind: str) -> None:
    """Each encoding of AU gives on a pipe what it gives as a file."""
    soundfile.write(tmp_path / "a.au", SOUND, WIRE, subtype=kind)

    assert np.array_equal(hear_pipe((tmp_path / "a.au").read_bytes()).sound, hear(tmp_path / "a.au").sound)


@pytest.mark.parametrize("kind", ["CAF", "AVR"])
def test_input_that_needs_a_file_is_refused_on_a_pipe(tmp_path: Path, kind: str) -> None:
    """The error names the format and the pipe that decodes it; no sample is heard."""
    soundfile.write(tmp_path / "a", SOUND, WIRE, format=kind)
    heard = hear_pipe((tmp_path / "a").read_bytes())

    assert len(heard.sound) == 0
    assert heard.failure is not None
    assert heard.failure.code == "not_pcm"
    assert heard.failure.message == f"the input is {kind}, not PCM or WAV"
    assert "ffmpeg -i IN -f wav -" in str(heard.failure.hint)


def test_a_stated_encoding_switches_recognition_off() -> None:
    """Raw PCM whose encoding is stated may look like anything."""

    async def read() -> bytes:
        source = open_pipe(io.BytesIO(b"fLaC" + PCM), wire_rate_hz=WIRE, encoding="s16le", live=False)
        return b"".join([block.pcm async for block in source.blocks()])

    assert run(read()) == b"fLaC" + PCM


def test_silence_on_a_pipe_and_in_a_file(heard_of: object) -> None:
    """Pure silence causes the warning that a silent microphone causes."""
    assert callable(heard_of)

    assert heard_of(wav(bytes(WIRE))).codes == ["silent_input"]


def test_channels_that_cancel_each_other(heard_of: object) -> None:
    """The warning names the option that helps."""
    assert callable(heard_of)
    layout = struct.pack("<HHIIHH", 1, 2, WIRE, 4 * WIRE, 4, 16)
    heard = heard_of(wav(np.stack([SOUND, -SOUND], axis=1).tobytes(), fmt=layout))

    assert heard.codes == ["silent_input"]
    assert "--channel left" in heard.warnings[0][1]
