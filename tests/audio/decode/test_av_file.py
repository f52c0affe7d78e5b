"""MediaDecoder: files that libsndfile cannot read, and the errors for damaged ones."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.decode import av_file
from rt_cli.audio.decode.diagnose import missing_bytes
from rt_cli.audio.decode.files import open_file
from rt_cli.errors import AudioError
from tests.audio.decode.heard import hear
from tests.audio.decode.refused import check_refused
from tests.audio.decode.test_files import drain
from tests.fakes import run
from tests.media import write_media
from tests.program import DATA, read_wav

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rt_cli.audio.channels import Pick

WIRE = 24_000
RATE = 16_000
SPEECH = np.frombuffer(read_wav(DATA / "sense_0930.wav")[0], "<i2")
ROOT = Path(__file__).parents[3]
ASF = b"0&\xb2u\x8ef\xcf\x11" + bytes(30) + bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365") + bytes(24)
"""The head of an ASF file up to its size."""


def tones(*hertz: float, seconds: float = 2, rate_hz: int = 48_000) -> NDArray[np.int16]:
    """A tone in each channel; shape ``(frames, channels)``."""
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.stack([8000 * np.sin(2 * np.pi * tone * at) for tone in hertz], axis=1).astype(np.int16)


def decoded(path: Path, pick: Pick = "mix") -> tuple[NDArray[np.int16], AudioError | None]:
    """Decode a file: the samples, and the error at the end if there is one."""
    pcm, failure = run(drain(open_file(path, wire_rate_hz=WIRE, pick=pick)))
    return np.frombuffer(pcm, "<i2"), failure


def resampled(sound: NDArray[np.int16], rate_hz: int) -> NDArray[np.float64]:
    """Resample to the wire rate with soxr as the reference."""
    return np.asarray(soxr.resample(sound.astype(np.float64), rate_hz, WIRE, quality="HQ"))


def pitch(sound: NDArray[np.int16]) -> float:
    """Frequency of the loudest tone, Hz."""
    return float(np.abs(np.fft.rfft(sound)).argmax() * WIRE / len(sound))


def begins(whole: NDArray[np.int16], part: NDArray[np.int16]) -> bool:
    """True if ``whole`` starts with ``part``, except for the last bit and the tail of the resampler."""
    size = len(part) - 100
    return bool(np.abs(whole[:size].astype(int) - part[:size]).max() <= 1)


@pytest.mark.parametrize(
    ("name", "codec", "video_s", "likeness"),
    [
        ("a.m4a", "aac", 0, 0.999),
        ("a.mp4", "aac", 3, 0.999),
        ("a.mkv", "aac", 3, 0.999),
        ("a.mov", "alac", 3, 0.9999),
        ("a.m4a", "alac", 0, 0.9999),
        ("a.mkv", "flac", 2, 0.9999),
        ("a.mka", "pcm_s24le", 0, 0.9999),
        ("a.mkv", "pcm_f32le", 0, 0.9999),
        ("a.avi", "pcm_u8", 3, 0.999),
    ],
)
def test_containers(tmp_path: Path, name: str, codec: str, video_s: int, likeness: float) -> None:
    """The output is the encoded audio from its first sample on, without the priming samples of the encoder."""
    path = write_media(tmp_path / name, SPEECH[:, None], RATE, codec=codec, seconds_of_video=video_s)
    expected = resampled(SPEECH, RATE)
    sound, failure = decoded(path)

    assert failure is None
    # AAC ends with a whole frame of 1024.
    assert 0 <= len(sound) - len(expected) <= (1024 * WIRE / RATE if codec == "aac" else 1)
    assert np.corrcoef(sound[: len(expected)], expected)[0, 1] >= likeness


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize("name", ["a.m4a", "a.ts", "a.aac", "a.flv", "a.mov"])
def test_same_number_of_samples_as_ffmpeg(tmp_path: Path, name: str) -> None:
    """Delays and edit lists are applied as in ffmpeg; only some versions leave padding."""
    path = write_media(tmp_path / name, SPEECH[:30_000, None], WIRE)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "s16le", "-"]
    theirs = np.frombuffer(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout, "<i2")
    ours, _ = decoded(path)

    size = min(len(theirs), len(ours))
    assert abs(len(theirs) - len(ours)) < 1024
    assert np.abs(theirs[:size].astype(int) - ours[:size]).max() <= 1


@given(st.sampled_from(["u8", "s16", "s32", "flt", "dbl"]), st.booleans(), st.integers(1, 3), st.integers(1, 9))
def test_every_format_of_samples(name: str, planar: bool, channels: int, frames: int) -> None:  # noqa: FBT001 - drawn
    """Planar and interleaved frames of any sample width become the same float samples in [-1, 1]."""
    layout = {1: "mono", 2: "stereo", 3: "2.1"}[channels]
    wanted = np.linspace(-1, 0.96875, frames * channels).reshape(frames, channels) // 0.03125 * 0.03125
    scale, middle, kind = {
        "u8": (128, 128, "u1"),
        "s16": (2**15, 0, "<i2"),
        "s32": (2**31, 0, "<i4"),
        "flt": (1, 0, "<f4"),
        "dbl": (1, 0, "<f8"),
    }[name]
    samples = (wanted * scale + middle).astype(kind)
    raw = np.ascontiguousarray(samples.T) if planar else samples.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(raw, name + "p" * planar, layout)

    assert np.array_equal(av_file.to_float(frame), wanted.astype(np.float32))


@pytest.mark.parametrize(("pick", "tone"), [(0, 440), (1, 1000), ("mix", 440), (5, 2500)])
def test_channels(tmp_path: Path, pick: Pick, tone: float) -> None:
    """Each of six channels can be selected."""
    frames = tones(440, 1000, 600, 100, 700, 2500)
    if pick == "mix":
        frames[:, 1:] = 0
    path = write_media(tmp_path / "a.mkv", frames, 48_000, codec="flac")
    sound, failure = decoded(path, pick)

    assert failure is None
    assert abs(pitch(sound) - tone) < 2


def test_split(tmp_path: Path) -> None:
    """``split`` returns two interleaved channels."""
    sound, _ = decoded(write_media(tmp_path / "a.m4a", tones(440, 1000), 48_000), "split")

    assert [round(pitch(side), -1) for side in sound.reshape(-1, 2).T] == [440, 1000]


def test_missing_channel_is_an_error(tmp_path: Path) -> None:
    """A missing channel is the same error as for other formats."""
    path = write_media(tmp_path / "a.m4a", tones(440), 48_000)
    with pytest.raises(AudioError, match=r"a\.m4a: has 1 channel, not channel 2") as caught:
        open_file(path, wire_rate_hz=WIRE, pick=1)

    assert caught.value.code == "no_channel"


def test_info(tmp_path: Path) -> None:
    """``info`` has the rate, channels and duration of the audio."""
    source = open_file(write_media(tmp_path / "a.m4a", tones(440, 500), 48_000), wire_rate_hz=WIRE)
    run(source.aclose())

    assert (source.info.rate_hz, source.info.channels) == (48_000, 2)
    assert source.info.duration_s == pytest.approx(2, abs=0.03)


def test_unreliable_duration_is_none(tmp_path: Path) -> None:
    """The duration of an AAC stream is None, because the stream does not state it."""
    source = open_file(write_media(tmp_path / "a.aac", tones(440), 48_000), wire_rate_hz=WIRE)
    run(source.aclose())

    assert source.info.duration_s is None


@pytest.mark.parametrize("tracks", [1, 2])
def test_first_track(tmp_path: Path, tracks: int) -> None:
    """Of several audio tracks the first is used, with a warning about the others."""
    path = write_media(tmp_path / "a.mkv", tones(440), 48_000, tracks=tracks, seconds_of_video=2)
    codes: list[str] = []
    pcm, failure = run(drain(open_file(path, wire_rate_hz=WIRE, warn=lambda code, _: codes.append(code))))

    assert failure is None
    assert abs(len(pcm) // 2 - 2 * WIRE) < 1024
    assert codes == ["tracks"] * (tracks - 1)


def test_sound_that_changes_its_rate_and_channels(tmp_path: Path) -> None:
    """As in broadcasts: each part is resampled from its own rate."""
    parts = [
        write_media(tmp_path / "a.aac", tones(440), 48_000),
        write_media(tmp_path / "b.aac", tones(1000, 1000, rate_hz=24_000), 24_000),
    ]
    both = tmp_path / "both.aac"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    sound, failure = decoded(both)

    assert failure is None
    assert len(sound) == sum(len(decoded(part)[0]) for part in parts)
    assert (round(pitch(sound[:WIRE]), -1), round(pitch(sound[-WIRE:]), -1)) == (440, 1000)


def _film_without_sound(path: Path) -> None:
    write_media(path, None, RATE, seconds_of_video=1)


def _no_index(path: Path) -> None:
    write_media(path, SPEECH[:, None], RATE)
    path.write_bytes(path.read_bytes()[:8000])


def _encrypted(path: Path) -> None:
    key, kid = "76a6c65c5ea762046bd749a2e632ccbb", "a7e61c373e219033c21091fa607bf3b8"
    how = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": kid}
    write_media(path, SPEECH[:, None], RATE, options=how)


def _head_alone(path: Path) -> None:
    path.write_bytes(b"\0\0\0\x1cftypM4A " + bytes(1000))


def _all_noise(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(100_000))


def _list_of_files(path: Path) -> None:
    target = write_media(path.with_name("b.ts"), SPEECH[:, None], RATE)
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_film_without_sound, "holds no audio: it has no track of sound"),
        (_no_index, "is a damaged or incomplete MP4 file"),
        (_head_alone, "is a damaged or incomplete MP4 file"),
        (_encrypted, "is encrypted"),
        (_all_noise, "is in no format that can be read"),
        (_list_of_files, "holds text"),
    ],
)
def test_what_cannot_be_opened(tmp_path: Path, make: object, says: str) -> None:
    """The error is one line with the file, the problem and the remedy."""
    assert callable(make)
    make(tmp_path / "a b.mp4")
    check_refused(tmp_path / "a b.mp4", says)


@pytest.mark.parametrize("name", ["a.m4a", "a.mkv", "a.avi", "a.aac"])
def test_truncated_file_is_yielded_then_an_error_is_raised(tmp_path: Path, name: str) -> None:
    """Nearly all audio of a truncated file is yielded, then an error is raised."""
    codec = "pcm_s16le" if name == "a.avi" else "aac"
    options = {"movflags": "faststart"} if name == "a.m4a" else {}
    path = write_media(tmp_path / name, SPEECH[:, None], RATE, codec=codec, options=options)
    whole, _ = decoded(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    part, failure = decoded(path)

    assert 0.4 * len(whole) < len(part) < 0.7 * len(whole)
    assert begins(whole, part)
    assert failure is not None
    assert failure.message.startswith(str(path))
    assert "are missing" in failure.message or "cannot be decoded beyond" in failure.message


def test_damage_in_the_middle_is_a_hole(tmp_path: Path) -> None:
    """The audio around the damage is yielded at its place; the frames that cannot be decoded are a hole."""
    path = write_media(tmp_path / "a.m4a", SPEECH[:, None], RATE, options={"movflags": "faststart"})
    whole, _ = decoded(path)
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 2000] = bytes(2000)
    path.write_bytes(data)
    heard = hear(path)

    assert heard.failure is None
    assert len(heard.sound) == len(whole)
    assert 0 < sum(end - start for start, end in heard.holes) < 1
    start, end = round(heard.holes[0][0] * WIRE), round(heard.holes[-1][1] * WIRE)
    assert begins(whole, heard.sound[:start])
    # The first frame behind a hole depends on the lost one.
    assert np.corrcoef(whole[end + 2000 :], heard.sound[end + 2000 :])[0, 1] > 0.999


@pytest.mark.parametrize("name", ["a.m4a", "a.mkv", "a.ts", "a.webm"])
def test_a_jump_of_the_time_stamps_is_a_hole(tmp_path: Path, name: str) -> None:
    """Time stamps that jump by 10 s are a hole of 10 s, where they jump; all later times are right."""
    sound = tones(440, seconds=6)
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        track = container.add_stream("libopus" if name == "a.webm" else "aac", rate=48_000, layout="mono")
        for start in range(0, len(sound), 960):
            frame = av.AudioFrame.from_ndarray(sound[start : start + 960].reshape(1, -1), "s16", "mono")
            frame.rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            for packet in track.encode(frame):
                container.mux(later(packet, 3))
        for packet in track.encode(None):
            container.mux(later(packet, 3))
    heard = hear(path)

    assert heard.failure is None
    assert len(heard.holes) == 1
    start_s, end_s = heard.holes[0]
    assert start_s == pytest.approx(3, abs=0.05)
    assert end_s - start_s == pytest.approx(10, abs=0.01)
    assert heard.seconds == pytest.approx(16, abs=0.1)


def later(packet: Any, after_s: float) -> Any:
    """Ten seconds later, if the packet begins after a time."""
    if packet.pts * packet.time_base >= after_s:
        packet.pts += round(10 / packet.time_base)
        packet.dts = packet.pts
    return packet


def test_one_damaged_packet_is_a_hole(tmp_path: Path) -> None:
    """8 damaged bytes cost their frame, 64 ms, and no more."""
    path = write_media(tmp_path / "a.m4a", np.tile(SPEECH, 4)[:, None], RATE, options={"movflags": "faststart"})
    whole = hear(path)
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(audio=0) if packet.size]
    data = bytearray(path.read_bytes())
    data[places[80] : places[80] + 8] = b"\xff" * 8
    path.write_bytes(data)
    heard = hear(path)

    assert heard.failure is None
    assert heard.holes == [pytest.approx((79 * 1024 / RATE, 80 * 1024 / RATE), abs=0.001)]
    assert len(heard.sound) == len(whole.sound)
    assert begins(whole.sound, heard.sound[: round(heard.holes[0][0] * WIRE)])


@pytest.mark.parametrize("name", ["a.m4a", "a.mp4", "a.wv", "a.tta", "a.caf"])
def test_joined_files_of_which_only_the_first_is_read(tmp_path: Path, name: str) -> None:
    """What libav does not read behind the first file is said."""
    codecs = {"a.wv": "wavpack", "a.tta": "tta", "a.caf": "alac"}
    path = write_media(tmp_path / name, SPEECH[:, None], RATE, codec=codecs.get(name, "aac"))
    data = path.read_bytes()
    alone = hear(path)
    path.write_bytes(data + data)
    heard = hear(path)

    assert alone.failure is None
    assert heard.failure is not None
    assert f"{len(data)} bytes behind the sound cannot be read" in heard.failure.message
    assert heard.codes == ["damaged"]
    assert np.array_equal(heard.sound, alone.sound)


@pytest.mark.parametrize("name", ["a.mkv", "a.wv", "a.caf", "a.m4a"])
def test_what_is_announced_and_missing(tmp_path: Path, name: str) -> None:
    """Warning and error have the place, and the amount in seconds or bytes."""
    codecs = {"a.wv": "wavpack", "a.caf": "pcm_s16be"}
    options = {"movflags": "faststart"} if name == "a.m4a" else {}
    sound = np.tile(SPEECH, 3)[:, None]
    path = write_media(tmp_path / name, sound, RATE, codec=codecs.get(name, "aac"), options=options)
    assert hear(path).failure is None
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    heard = hear(path)

    assert heard.failure is not None
    assert heard.codes == ["truncated"]
    assert re.search(r"ends at [\d.]+ s.* (s more|bytes) that its header announces are missing", heard.failure.message)


def test_a_track_that_begins_late_is_whole(tmp_path: Path) -> None:
    """Sound that begins after the pictures is shorter than the container, and nothing is missing."""
    path = tmp_path / "a.mka"
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tones(440).reshape(1, -1), "s16", "mono")
        frame.rate, frame.pts, frame.time_base = 48_000, 48_000, Fraction(1, 48_000)
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    heard = hear(path)

    assert heard.failure is None
    assert heard.holes == []
    assert heard.seconds == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("name", ["a.m4a", "a.mkv", "a.aac", "a.wv"])
def test_any_damage_is_an_audio_error(tmp_path: Path, name: str) -> None:
    """With any bytes changed, the file is decoded or one AudioError is raised, and libav prints nothing on stderr."""
    sound = np.tile(SPEECH, 5)  # several blocks: of one, any damage costs all
    write_media(tmp_path / name, sound[:, None], RATE, codec="wavpack" if name == "a.wv" else "aac")
    script = """if True:
        import asyncio, random, sys
        from pathlib import Path
        from rt_cli.audio.decode.files import open_file
        from rt_cli.errors import AudioError
        from tests.audio.decode.test_files import drain
        path, rng = Path(sys.argv[1]), random.Random(7)
        data = path.read_bytes()
        for _ in range(40):
            broken = bytearray(data)
            for _ in range(rng.choice((1, 20, 300))):
                broken[rng.randrange(rng.choice((60, 2000, len(data))))] = rng.randrange(256)
            path.write_bytes(broken)
            try:
                asyncio.run(drain(open_file(path, wire_rate_hz=24_000)))
                print("opened")
            except AudioError as error:
                print("refused", error)
    """
    command = [sys.executable, "-c", script, tmp_path / name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)

    assert len(done.stdout.splitlines()) == 40
    assert "opened" in done.stdout
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
@pytest.mark.parametrize("name", [b"\xff.m4a", b"http:a.m4a", b"-i.m4a", b"%03d.m4a"])
def test_odd_names(tmp_path: Path, name: bytes) -> None:
    """A name that is not UTF-8, or has a meaning for libav, opens the file of that name."""
    path = write_media(tmp_path / "plain.m4a", SPEECH[:, None], RATE)
    odd = tmp_path / name.decode("utf-8", "surrogateescape")
    path.rename(odd)

    assert decoded(odd)[1] is None


def test_titles_that_are_no_text(tmp_path: Path) -> None:
    """Tags in an unknown encoding are no error."""
    path = write_media(tmp_path / "a.mkv", SPEECH[:, None], RATE, title="Gruesse!")
    data = path.read_bytes()
    assert b"Gruesse!" in data
    path.write_bytes(data.replace(b"Gruesse!", b"Gr\xfc\xdfe!!!"))

    assert decoded(path)[1] is None


def test_stop_and_close_half_way(tmp_path: Path) -> None:
    """aclose() closes the file, also if it was not read, and is idempotent."""
    path = write_media(tmp_path / "a.m4a", np.tile(SPEECH, 12)[:, None], RATE)

    async def scenario() -> int:
        source = open_file(path, wire_rate_hz=WIRE)
        count = 0
        async for _ in source.blocks():
            count += 1
            source.stop()
        await source.aclose()
        await source.aclose()
        return count

    assert run(scenario()) == 1


def test_event_loop_goes_on(tmp_path: Path) -> None:
    """Opening and decoding a file block the event loop for less than 50 ms, except rarely on a busy machine."""
    path = write_media(tmp_path / "a.m4a", np.tile(SPEECH, 30)[:, None], RATE)
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            gaps.append(time.perf_counter() - began)

    async def scenario() -> None:
        beating = asyncio.create_task(tick())
        for _ in range(3):
            source = await asyncio.to_thread(open_file, path, wire_rate_hz=WIRE)
            await drain(source)
        beating.cancel()

    run(scenario())
    assert sorted(gaps)[len(gaps) * 9 // 10] < 0.05


@pytest.mark.parametrize(
    ("head", "size", "missing"),
    [
        (b"RIFF" + (1000).to_bytes(4, "little"), 1008, 0),
        (b"RIFF" + (1000).to_bytes(4, "little"), 944, 0),
        (b"RIFF" + (1000).to_bytes(4, "little"), 943, 65),
        (b"RIFF\xff\xff\xff\xff", 100, 0),
        (b"\x1aE\xdf\xa3\x84abcd\x18S\x80g\x90", 29, 0),
        (b"\x1aE\xdf\xa3\x84abcd\x18S\x80g\x44\x00", 100, 939),
        (b"\x1aE\xdf\xa3\x84abcd\x18S\x80g\x01\x00\x00\x00\x00\x00\x10\x00", 1000, 3117),
        (b"\x1aE\xdf\xa3\x84abcd\x18S\x80g\x01" + b"\xff" * 7, 100, 0),
        (b"\x1aE\xdf\xa3\x84abcd\x18S\x80g\xff", 100, 0),
        (b"\x1aE\xdf\xa3\x84abcd\x18S\x80g\x00" + b"\x01" * 8, 100, 0),
        (b"\x1aE\xdf\xa3\x84abcd\x18S\x80g", 13, 0),
        (b"\x1aE\xdf\xa3\x84abcd", 9, 0),
        (ASF + (5000).to_bytes(8, "little") + bytes(44), 4000, 1000),
        (ASF + (5000).to_bytes(8, "little") + bytes(40) + b"\1\0\0\0", 4000, 0),
        (ASF, 4000, 0),
        (b"noise", 5, 0),
        (b"", 0, 0),
    ],
)
def test_missing_bytes(head: bytes, size: int, missing: int) -> None:
    """missing_bytes() is the stated length minus the file size; 0 without a length, or for a few bytes."""
    assert missing_bytes(head, size) == missing


class TestWithoutTheExtra:
    """Behaviour without PyAV."""

    @pytest.fixture(autouse=True)
    def hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the import of PyAV fail."""
        monkeypatch.setitem(sys.modules, "av", None)
        monkeypatch.delitem(sys.modules, "rt_cli.audio.decode.av_file")
        monkeypatch.delattr("rt_cli.audio.decode.av_file")

    @pytest.mark.parametrize(
        ("head", "says"),
        [(b"\0\0\0\x1cftypM4A ", "MP4 cannot be read"), (b"\0\1\xfe" * 9, "is in no format that can be read")],
    )
    def test_what_to_do(self, tmp_path: Path, head: bytes, says: str) -> None:
        """The hint names the extra or a pipe, with the file name quoted for the shell."""
        path = tmp_path / "a b.m4a"
        path.write_bytes(head + bytes(1000))
        with pytest.raises(AudioError, match=says) as caught:
            open_file(path, wire_rate_hz=WIRE)

        pipe = f"ffmpeg -i '{path}' -f wav - | rt send -"
        assert caught.value.hint == f"pip install 'rt-cli[media]', or convert it: {pipe}"

    def test_others_are_read(self) -> None:
        """Files that libsndfile reads do not need PyAV."""
        assert decoded(DATA / "sense_0930.wav")[1] is None
