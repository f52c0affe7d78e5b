"""Ogg files: links one after the other, damaged pages, and the end-of-stream page."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from rt_cli.audio.decode.plan.file_part import FilePart
from rt_cli.audio.decode.plan.plan import Part

MAGIC = b"OggS"
_HEAD_BYTES = 27
LONGEST_PAGE = _HEAD_BYTES + 255 + 255 * 255
_READ_BYTES = 1 << 18
_FLAGS_AT = 5
_BEGIN, _END = 2, 4
_NO_GRANULE = (1 << 64) - 1
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_OPUS_HEAD = b"OpusHead"
_PRE_SKIP_AT = 10
_OPUS_RATE_HZ = 48_000
FLAC_HEAD = b"\x7fFLAC"
_SPEEX_HEAD = b"Speex   "


@dataclass(slots=True)
class Stretch:
    """Pages without damage between them."""

    start: int
    end: int
    follows: bool = False
    """Pages before it are damaged or missing."""
    pages: int = 0
    granule: int | None = None
    """Position of its last frame, as its last page states it."""


@dataclass(slots=True)
class LogicalStream:
    """One logical stream."""

    start: int
    serial: int
    opus: bool = False
    other: bool = False
    """FLAC or Speex: libsndfile reads none of it, or not its damaged pages."""
    headers: int = 0
    """Header packets that are not complete yet."""
    head_end: int = 0
    """End of the pages of the header."""
    ended: bool = False
    """The end-of-stream page is there."""
    stretches: list[Stretch] = field(default_factory=list)


@dataclass(slots=True)
class OggScan:
    """The result of a scan."""

    links: list[LogicalStream] = field(default_factory=list)
    mixed: bool = False
    """Several streams at the same time, such as sound and pictures, or a codec without known headers."""


def page_crc(page: bytes) -> int:
    """Checksum of a page whose own checksum is 0: polynomial 0x04C11DB7, no reflection, no initial value."""
    reflected = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(reflected.to_bytes(4, "big").translate(_REVERSED)[::-1], "big")


def scan(file: BinaryIO) -> OggScan:
    """Read all pages of a file, in pieces."""
    result = OggScan()
    data, base, at_end = b"", 0, False
    index, sequence, good_before = 0, -1, False
    while True:
        if not at_end and len(data) - index < LONGEST_PAGE:
            data, base, index = data[index:], base + index, 0
            more = file.read(_READ_BYTES)
            at_end = not more
            data += more
            continue
        if index >= len(data):
            return result
        length = page_length(data, index)
        if length == 0:
            found = data.find(MAGIC, index + 1)
            index = found if found >= 0 else max(index + 1, len(data) - 3 if not at_end else len(data))
            good_before = False
            continue
        page = data[index : index + length]
        number = int.from_bytes(page[18:22], "little")
        _take(result, page, base + index, whole=good_before and number == sequence + 1)
        sequence, good_before = number, True
        index += length


def page_length(data: bytes, at: int) -> int:
    """Return the length of a page that is not damaged; 0 for anything else."""
    if data[at : at + 5] != MAGIC + b"\0" or at + _HEAD_BYTES > len(data):
        return 0
    body = at + _HEAD_BYTES + data[at + 26]
    end = body + sum(data[at + _HEAD_BYTES : body])
    if end > len(data):
        return 0
    page = data[at : at + 22] + bytes(4) + data[at + 26 : end]
    return end - at if page_crc(page) == int.from_bytes(data[at + 22 : at + 26], "little") else 0


def _take(result: OggScan, page: bytes, at: int, *, whole: bool) -> None:
    """Add a page. ``whole`` is False if pages before it are missing or damaged."""
    serial, flags = int.from_bytes(page[14:18], "little"), page[_FLAGS_AT]
    end = at + len(page)
    if flags & _BEGIN:
        # A second stream that begins before the first one has any sound runs beside it.
        result.mixed = result.mixed or bool(result.links and not result.links[-1].stretches)
        body = page[_HEAD_BYTES + page[26] :]
        opus, other = body.startswith(_OPUS_HEAD), body.startswith((FLAC_HEAD, _SPEEX_HEAD))
        headers = 3 if body.startswith(b"\x01vorbis") else 2 if opus else int(other)
        result.mixed = result.mixed or not headers
        result.links.append(LogicalStream(at, serial, opus, other, headers))
    if not result.links or result.links[-1].serial != serial:
        result.mixed = True
        return
    link = result.links[-1]
    granule = int.from_bytes(page[6:14], "little")
    if link.other and not link.stretches and granule == 0:  # their number is not always stated
        link.headers, link.head_end = 0, end
        return
    if link.headers > 0:
        link.headers -= sum(lace < 255 for lace in page[_HEAD_BYTES : _HEAD_BYTES + page[26]])  # noqa: PLR2004
        link.head_end = end
        return
    link.ended = link.ended or bool(flags & _END)
    if not link.stretches or not whole:
        link.stretches.append(Stretch(at, end, follows=not whole))
    stretch = link.stretches[-1]
    stretch.end = end
    stretch.pages += 1
    if granule != _NO_GRANULE:
        stretch.granule = granule


def _patched(page: bytes, at: int, new: bytes) -> bytes:
    """Return a page with other bytes at a position, and the checksum of these."""
    page = page[:at] + new + page[at + len(new) :]
    blank = page[:22] + bytes(4) + page[26:]
    return page[:22] + page_crc(blank).to_bytes(4, "little") + page[26:]


def _without_pre_skip(pages: bytes) -> bytes:
    """Return the header of an Opus stream that skips no samples: within the stream there are none to skip."""
    length = page_length(pages, 0)
    return _patched(pages[:length], pages.find(_OPUS_HEAD) + _PRE_SKIP_AT, bytes(2)) + pages[length:]


def _pre_skip(pages: bytes) -> int:
    """Samples at the start of an Opus stream that are no sound, at 48 kHz; positions count them."""
    at = pages.find(_OPUS_HEAD) + _PRE_SKIP_AT
    return int.from_bytes(pages[at : at + 2], "little")


def missing_ends(found: OggScan) -> str:
    """Return which page at the end of a stream is missing, as a text for the error; empty for none."""
    cut = [number for number, link in enumerate(found.links, 1) if not link.ended]
    if not cut:
        return ""
    which = "the stream" if len(found.links) == 1 else f"stream {cut[0]} of {len(found.links)}"
    return f"the page that ends {which} is missing"


class OggPlan:
    """Each link is a part of its own, and each stretch of undamaged pages, behind the header of its link.

    Args:
        path: Path of the file.
        scan: Its pages; with at least one link, not mixed.
        size: Length of the file.
    """

    frames = 0
    note = ""

    def __init__(self, path: str, scan: OggScan, size: int) -> None:
        self._path = path
        self._parts = [(link, stretch) for link in scan.links for stretch in link.stretches]
        self._index = 0
        behind = size - max((stretch.end for _, stretch in self._parts), default=size)
        cut = missing_ends(scan)
        self.clean = len(self._parts) == 1 and not self._parts[0][1].follows and not cut and scan.links[0].start == 0
        self.behind = behind if behind > LONGEST_PAGE // 8 else 0
        self.cut = cut

    def first(self) -> Part:
        """Return the whole file if nothing is wrong with it, else its first stretch."""
        return Part() if self.clean or not self._parts else self._part(0)

    def intact(self, heard: int) -> int:
        """Return all of them."""
        return heard

    def following(self, heard: int, *, failed: bool) -> Part | None:  # noqa: ARG002 - a failure ends a stretch
        """Return the next stretch."""
        self._index += 1
        return self._part(self._index) if self._index < len(self._parts) else None

    def missing(self, heard: int) -> int:  # noqa: ARG002 - the end-of-stream page states no number
        """Return 0."""
        return 0

    def _part(self, index: int) -> Part:
        link, stretch = self._parts[index]
        overlay: dict[int, bytes] = {}
        end = stretch.granule
        with Path(self._path).open("rb") as file:
            file.seek(link.start)
            prefix = file.read(link.head_end - link.start)
            if link.opus and end is not None:
                end -= _pre_skip(prefix)
            if link.opus and stretch.follows:
                prefix = _without_pre_skip(prefix)
                if stretch.pages == 1:  # libsndfile opens no stream whose first page is the last one
                    file.seek(stretch.start)
                    page = file.read(stretch.end - stretch.start)
                    overlay[len(prefix)] = _patched(page, _FLAGS_AT, bytes([page[_FLAGS_AT] & ~_END]))
        file_part = FilePart(self._path, stretch.start, stretch.end, prefix=prefix, overlay=overlay)
        return Part(
            file_part,
            end=end,
            end_rate_hz=_OPUS_RATE_HZ if link.opus else 0,
            follows=stretch.follows,
        )
