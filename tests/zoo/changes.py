"""What is done to the files of the zoo: cut, damaged, joined, given wrong counts, given holes."""

from __future__ import annotations

import random
import struct
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tests.zoo.formats import FFMPEG, FORMATS, Format, write_source
from tests.zoo.sound import LENGTH_S, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Want = Literal["all", "said", "any"]
"""``all``: heard whole, exit 0. ``said``: something is missing and must be said. ``any``: what was not heard must be
said, and it is not known before what can be heard."""

CUTS = (0.03, 0.12, 0.23, 0.34, 0.45, 0.55, 0.66, 0.77, 0.88, 0.97)
DAMAGES = 10
_PIPED_CUTS = (0.23, 0.55, 0.88)
_PIPED_DAMAGES = (1, 4, 7)


@dataclass(frozen=True)
class Change:
    """A file of the zoo."""

    kind: str
    """``whole``, ``cut``, ``damaged``, ``joined``, ``count`` or ``gap``."""
    detail: str
    data: bytes
    want: Want
    parts: Sequence[Part] = (Part(0),)
    pipe: bool = False


@dataclass
class Maker:
    """Makes the files of one format.

    Args:
        form: The format.
        folder: For its files.
    """

    form: Format
    folder: Path
    _made: dict[float, bytes] = field(default_factory=dict)

    def whole(self, start_s: float = 0.0) -> bytes:
        """Return a file with the sound from ``start_s`` on."""
        if start_s not in self._made:
            source = write_source(
                self.folder / f"source{start_s:g}.wav", start_s, self.form.rate_hz, self.form.channels
            )
            target = self.folder / f"made{start_s:g}{self.form.suffix}"
            self.form.make(source, target)
            self._made[start_s] = target.read_bytes()
        return self._made[start_s]

    def changes(self) -> Iterator[Change]:
        """Yield all files and pipes of the format."""
        files = not self.form.raw
        for pipe in (False, True) if files else (True,):
            yield Change("whole", "", self.whole(), "all", pipe=pipe)
            yield from self._cut(pipe=pipe)
            yield from self._damaged(pipe=pipe)
            yield from self._joined(pipe=pipe)
        for detail, change, want in COUNTS.get(self.form.name, ()):
            for pipe in (False, True):
                yield Change("count", detail, change(self.whole()), want, pipe=pipe)
        if self.form.name in GAPS:
            yield self._gap()

    def _cut(self, *, pipe: bool) -> Iterator[Change]:
        data = self.whole()
        for share in CUTS if not pipe or self.form.raw else _PIPED_CUTS:
            yield Change("cut", f"{share:.0%}", data[: round(len(data) * share)], "any", pipe=pipe)

    def _damaged(self, *, pipe: bool) -> Iterator[Change]:
        """Yield files with 8 or 200 other bytes in them, at places that a seed chooses."""
        data = self.whole()
        for number in _PIPED_DAMAGES if pipe else range(DAMAGES):
            chance = random.Random(f"{self.form.name} {number}")
            size = (8, 200)[number % 2]
            at = round(len(data) * (0.08 + 0.09 * number)) + chance.randrange(100)
            bad = data[:at] + chance.randbytes(size) + data[at + size :]
            yield Change("damaged", f"{size} B at {at / len(data):.0%}", bad[: len(data)], "any", pipe=pipe)

    def _joined(self, *, pipe: bool) -> Iterator[Change]:
        parts = (Part(0), Part(LENGTH_S, LENGTH_S))
        yield Change("joined", "two", self.whole() + self.whole(LENGTH_S), "any", parts, pipe=pipe)
        if self.form.suffix in {".mp3", ".flac", ".aac"}:
            tag = b"ID3\4\0\0\0\0\1\0" + bytes(128)
            yield Change("joined", "behind an ID3 tag", tag + self.whole(), "all", pipe=pipe)

    def _gap(self) -> Change:
        """Return a file whose time stamps jump by 10 s after 3 s."""
        source = write_source(self.folder / "source0.wav", 0, self.form.rate_hz)
        target = self.folder / f"gap{self.form.suffix}"
        jump = "asetpts=PTS+gte(T\\,3)*10/TB"
        subprocess.run(
            [*FFMPEG, "-i", source, "-af", jump, *GAPS[self.form.name], target], check=True, capture_output=True
        )
        return Change("gap", "10 s at 3 s", target.read_bytes(), "said", (Part(0, 0, 3), Part(13, 3, 3)))


GAPS = {
    "mkv aac": ("-c:a", "aac"),
    "mkv flac": ("-c:a", "flac"),
    "webm opus": ("-c:a", "libopus"),
    "ts aac": ("-c:a", "aac"),
    "ts mp2": ("-c:a", "mp2"),
    "m4a faststart": ("-c:a", "aac", "-movflags", "faststart"),
}
"""Formats with time stamps, and options of ffmpeg."""


def _set(find: bytes, skip: int, form: str, value: float) -> Callable[[bytes], bytes]:
    """Return a change that overwrites one field: a number times the present one, or the number itself.

    Args:
        find: The bytes before the field.
        skip: Bytes between those and the field.
        form: Format of the field, see :mod:`struct`.
        value: An int is the new value; a float is a factor.
    """

    def change(data: bytes) -> bytes:
        at = data.index(find) + len(find) + skip
        size = struct.calcsize(form)
        (now,) = struct.unpack(form, data[at : at + size])
        new = value if isinstance(value, int) else round(now * value)
        return data[:at] + struct.pack(form, new) + data[at + size :]

    return change


def _flac_total(factor: float) -> Callable[[bytes], bytes]:
    """Return a change of the 36 bits that count the samples."""

    def change(data: bytes) -> bytes:
        word = int.from_bytes(data[18:26], "big")
        total = round((word & ((1 << 36) - 1)) * factor)
        return data[:18] + (word >> 36 << 36 | total).to_bytes(8, "big") + data[26:]

    return change


def _ends(data: bytes) -> Callable[[bytes], bytes]:
    return lambda sound: sound + data


def _length(
    find: bytes, skip: int, form: str, placeholders: Sequence[int]
) -> list[tuple[str, Callable[[bytes], bytes], Want]]:
    """Return the wrong values of one length."""
    wants: list[tuple[str, Callable[[bytes], bytes], Want]] = [
        ("a third", _set(find, skip, form, 1 / 3), "all"),
        ("twice", _set(find, skip, form, 2.0), "said"),
    ]
    return wants + [(f"{value:#x}", _set(find, skip, form, value), "all") for value in placeholders]


_LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf59.27.100\0"
_BEHIND: list[tuple[str, Callable[[bytes], bytes], Want]] = [
    ("LIST behind", _ends(_LIST), "all"),
    ("ID3v1 behind", _ends(b"TAG" + b"a title".ljust(125, b"\0")), "all"),
    ("zeros behind", _ends(bytes(1000)), "all"),
]
_WAV_LENGTHS = _length(b"data", 0, "<I", (0, 0xFFFFFFFF, 0x7FFFF000, 0x80000000))

COUNTS: dict[str, Sequence[tuple[str, Callable[[bytes], bytes], Want]]] = {
    "wav s16le": [
        *_WAV_LENGTHS,
        *_BEHIND,
        ("RIFF a third", _set(b"RIFF", 0, "<I", 1 / 3), "all"),
        ("RIFF twice", _set(b"RIFF", 0, "<I", 2.0), "all"),
        ("RIFF zero", _set(b"RIFF", 0, "<I", 0), "all"),
        ("half a sample behind", _ends(b"\1"), "all"),
    ],
    "wav s24le": _WAV_LENGTHS,
    "wav f32le": _WAV_LENGTHS,
    "wav mulaw": _WAV_LENGTHS,
    "wav stereo": [*_WAV_LENGTHS, *_BEHIND],
    "rf64": _length(b"ds64", 12, "<Q", (0,)),
    "w64": _length(b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", 0, "<Q", ()),
    "rifx": _length(b"data", 0, ">I", (0, 0xFFFFFFFF)),
    "aiff s16": [
        ("frames a third", _set(b"COMM", 6, ">I", 1 / 3), "all"),
        ("frames twice", _set(b"COMM", 6, ">I", 2.0), "all"),
        ("SSND twice", _set(b"SSND", 0, ">I", 2.0), "said"),
        ("FORM zero", _set(b"FORM", 0, ">I", 0), "all"),
    ],
    "au s16": _length(b".snd", 4, ">I", (0xFFFFFFFF,)),
    "au mulaw": _length(b".snd", 4, ">I", (0xFFFFFFFF,)),
    "caf s16": _length(b"data", 0, ">Q", (0xFFFFFFFFFFFFFFFF,)),
    "flac": [
        ("total zero", _flac_total(0), "all"),
        ("total a third", _flac_total(1 / 3), "all"),
        ("total twice", _flac_total(2), "said"),
        ("zeros behind", _ends(bytes(1000)), "all"),
        ("ID3v1 behind", _ends(b"TAG".ljust(128, b"\0")), "all"),
    ],
    **{
        name: [
            ("frames a third", _set(b"Xing" if name == "mp3 vbr" else b"Info", 4, ">I", 1 / 3), "all"),
            ("frames twice", _set(b"Xing" if name == "mp3 vbr" else b"Info", 4, ">I", 2.0), "said"),
            ("bytes twice", _set(b"Xing" if name == "mp3 vbr" else b"Info", 8, ">I", 2.0), "any"),
            ("ID3v1 behind", _ends(b"TAG".ljust(128, b"\0")), "all"),
            ("zeros behind", _ends(bytes(1000)), "all"),
        ]
        for name in ("mp3 cbr", "mp3 cbr 44.1", "mp3 vbr")
    },
    "ogg vorbis": [("zeros behind", _ends(bytes(1000)), "all")],
    "m4a aac": [("zeros behind", _ends(bytes(1000)), "all")],
}
"""Wrong counts by the name of the format: detail, change, and what must come of it."""


def find_formats(names: Sequence[str]) -> list[Format]:
    """Return the formats whose names contain one of ``names``; all without names."""
    return [form for form in FORMATS if not names or any(name in form.name for name in names)]
