"""The formats of the zoo: how a file of each is made, and what it announces. Needs ffmpeg and sox."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from tests.zoo.sound import LENGTH_S, sound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FFMPEG = ("ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-y")


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    name: str
    suffix: str
    make: Callable[[Path, Path], object]
    """Makes a file from a WAV: source and target."""
    rate_hz: int = 24_000
    announces: bool = True
    """Whether the file says how long it is: a length, a count, a last page."""
    piped: bool = False
    """Whether it must be heard through a pipe; all others may be refused with a line."""
    raw: tuple[str, ...] = ()
    """Options of ``rt`` for a format without a header, which only a pipe can carry."""
    probe: tuple[str, ...] = ()
    """Options of ffmpeg before the input."""
    checked: bool = True
    """Whether a decoder can notice damage: false for plain samples."""
    channels: int = 1


def _ffmpeg(*options: str) -> Callable[[Path, Path], object]:
    def make(source: Path, target: Path) -> object:
        return subprocess.run([*FFMPEG, "-i", source, "-map_metadata", "-1", *options, target], check=True)

    return make


def _sox(*options: str) -> Callable[[Path, Path], object]:
    def make(source: Path, target: Path) -> object:
        return subprocess.run(["sox", "-D", "-G", source, *options, target], check=True, stderr=subprocess.DEVNULL)

    return make


def _s24_in_low_bytes(source: Path, target: Path) -> None:
    """As ``arecord -f S24_LE`` writes it: 24 bits in the lower three of four bytes."""
    samples, rate_hz = soundfile.read(source)
    words = (samples * (1 << 23)).astype("<i4").tobytes()
    fmt = struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz * 4, 4, 24)
    body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", len(words)) + words
    target.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def _s64(source: Path, target: Path) -> None:
    subprocess.run([*FFMPEG, "-i", source, "-c:a", "pcm_s64le", "-f", "wav", target], check=True)


def write_source(path: Path, start_s: float, rate_hz: int, channels: int = 1) -> Path:
    """Write the sound as a 16-bit WAV. Every channel has the same sound, so that a mix is the sound itself."""
    samples = sound(start_s, LENGTH_S, rate_hz)
    soundfile.write(path, np.repeat(samples[:, None], channels, axis=1), rate_hz, subtype="PCM_16")
    return path


def _wav(codec: str, *, checked: bool = False, piped: bool = True) -> Format:
    make = _ffmpeg("-c:a", codec, "-f", "wav")
    return Format(f"wav {codec.removeprefix('pcm_')}", ".wav", make, piped=piped, checked=checked)


def _raw(name: str, codec: str, form: str, *options: str, rate_hz: int = 24_000) -> Format:
    """A format without a header."""
    probe = ("-f", form, "-ar", str(rate_hz), "-ac", "1")
    options = (*options, "--sample-rate", str(rate_hz), "--channels", "1")
    make = _ffmpeg("-c:a", codec, "-f", form)
    return Format(
        f"raw {name}", f".{name}", make, rate_hz, announces=False, piped=True, raw=options, probe=probe, checked=False
    )


def _plain(name: str, suffix: str, *options: str, piped: bool = False) -> Format:
    return Format(name, suffix, _ffmpeg(*options), checked=False, piped=piped)


FORMATS = [
    *map(_wav, ("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw")),
    Format("wav s64le", ".wav", _s64, checked=False),
    Format("wav s24 in 32", ".wav", _s24_in_low_bytes, checked=False, piped=True),
    *(_wav(codec, checked=False, piped=False) for codec in ("adpcm_ms", "adpcm_ima_wav")),
    Format("wav gsm", ".wav", _ffmpeg("-c:a", "libgsm_ms"), 8_000, checked=False),
    Format("wav mp3", ".wav", _ffmpeg("-c:a", "libmp3lame", "-f", "wav")),
    Format("wav stereo", ".wav", _ffmpeg("-c:a", "pcm_s16le"), 44_100, checked=False, piped=True, channels=2),
    Format("wav extensible 5.1", ".wav", _ffmpeg("-c:a", "pcm_s24le"), 48_000, checked=False, piped=True, channels=6),
    Format("wav 11025", ".wav", _ffmpeg("-c:a", "pcm_s16le"), 11_025, checked=False, piped=True),
    _plain("rf64", ".wav", "-c:a", "pcm_s16le", "-rf64", "always", piped=True),
    _plain("w64", ".w64", "-c:a", "pcm_s16le", "-f", "w64", piped=True),
    Format("rifx", ".wav", _sox("-t", "wav", "-B"), checked=False, piped=True),
    _plain("aiff s16", ".aiff", "-c:a", "pcm_s16be"),
    _plain("aiff s24", ".aiff", "-c:a", "pcm_s24be"),
    _plain("aifc sowt", ".aifc", "-c:a", "pcm_s16le", "-f", "aiff"),
    _plain("aifc fl32", ".aifc", "-c:a", "pcm_f32be", "-f", "aiff"),
    _plain("aifc ulaw", ".aifc", "-c:a", "pcm_mulaw", "-f", "aiff"),
    _plain("au s16", ".au", "-c:a", "pcm_s16be", piped=True),
    _plain("au mulaw", ".au", "-c:a", "pcm_mulaw", piped=True),
    _plain("au f32", ".au", "-c:a", "pcm_f32be", piped=True),
    _plain("caf s16", ".caf", "-c:a", "pcm_s16be"),
    Format("caf alac", ".caf", _ffmpeg("-c:a", "alac"), 44_100),
    _plain("voc", ".voc", "-c:a", "pcm_s16le"),
    Format("sph", ".sph", _sox("-t", "sph"), checked=False),
    Format("flac", ".flac", _ffmpeg("-c:a", "flac")),
    Format("flac stereo", ".flac", _ffmpeg("-c:a", "flac"), 44_100, channels=2),
    Format("ogg vorbis", ".ogg", _ffmpeg("-c:a", "libvorbis")),
    Format("ogg vorbis 44.1", ".ogg", _ffmpeg("-c:a", "libvorbis"), 44_100),
    Format("ogg opus", ".opus", _ffmpeg("-c:a", "libopus"), 48_000),
    Format("ogg flac", ".oga", _ffmpeg("-c:a", "flac", "-f", "ogg")),
    Format("ogg speex", ".spx", _ffmpeg("-c:a", "libspeex"), 16_000),
    Format("mp3 cbr", ".mp3", _ffmpeg("-c:a", "libmp3lame", "-b:a", "64k")),
    Format("mp3 cbr 44.1", ".mp3", _ffmpeg("-c:a", "libmp3lame", "-b:a", "128k"), 44_100),
    Format("mp3 vbr", ".mp3", _ffmpeg("-c:a", "libmp3lame", "-q:a", "4"), 44_100),
    Format(
        "mp3 bare", ".mp3", _ffmpeg("-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0"), announces=False
    ),
    Format("mp2", ".mp2", _ffmpeg("-c:a", "mp2"), announces=False),
    Format("m4a aac", ".m4a", _ffmpeg("-c:a", "aac"), 44_100),
    Format("m4a faststart", ".m4a", _ffmpeg("-c:a", "aac", "-movflags", "faststart")),
    Format("m4a alac", ".m4a", _ffmpeg("-c:a", "alac"), 44_100),
    Format(
        "mp4 fragments",
        ".mp4",
        _ffmpeg("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000"),
    ),
    Format("mov pcm", ".mov", _ffmpeg("-c:a", "pcm_s16le"), checked=False),
    Format("aac adts", ".aac", _ffmpeg("-c:a", "aac", "-f", "adts"), announces=False),
    Format("webm opus", ".webm", _ffmpeg("-c:a", "libopus"), 48_000),
    Format("webm vorbis", ".webm", _ffmpeg("-c:a", "libvorbis"), 44_100),
    Format("webm live", ".webm", _ffmpeg("-c:a", "libopus", "-live", "1"), 48_000, announces=False),
    Format("mkv aac", ".mkv", _ffmpeg("-c:a", "aac")),
    Format("mkv flac", ".mkv", _ffmpeg("-c:a", "flac")),
    Format("mkv pcm", ".mkv", _ffmpeg("-c:a", "pcm_s16le"), checked=False),
    Format("ts aac", ".ts", _ffmpeg("-c:a", "aac"), announces=False),
    Format("ts mp2", ".ts", _ffmpeg("-c:a", "mp2"), announces=False),
    Format("avi mp3", ".avi", _ffmpeg("-c:a", "libmp3lame")),
    Format("flv aac", ".flv", _ffmpeg("-c:a", "aac"), 44_100),
    Format("wma", ".wma", _ffmpeg("-c:a", "wmav2"), 44_100),
    Format("amr nb", ".amr", _sox("-r", "8k", "-t", "amr-nb"), 8_000, announces=False),
    Format("ac3", ".ac3", _ffmpeg("-c:a", "ac3"), 48_000, announces=False),
    Format("tta", ".tta", _ffmpeg("-c:a", "tta"), 44_100),
    Format("wavpack", ".wv", _ffmpeg("-c:a", "wavpack"), 44_100),
    _raw("s16le", "pcm_s16le", "s16le"),
    _raw("s24le", "pcm_s24le", "s24le", "--encoding", "s24le"),
    _raw("s32le", "pcm_s32le", "s32le", "--encoding", "s32le"),
    _raw("f32le", "pcm_f32le", "f32le", "--encoding", "f32le"),
    _raw("alaw", "pcm_alaw", "alaw", "--encoding", "alaw", rate_hz=8_000),
    _raw("mulaw", "pcm_mulaw", "mulaw", "--encoding", "mulaw", rate_hz=8_000),
]
