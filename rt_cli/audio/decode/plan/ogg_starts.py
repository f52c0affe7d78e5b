"""Where the sound behind damaged pages of an Ogg file begins, for FLAC and Speex, which libav decodes."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, NamedTuple

from rt_cli.audio.decode.plan import ogg
from rt_cli.audio.decode.plan.flac_frames import frame_number

_LACES_AT = 27
_CONTINUED = 1
_LONGEST_PIECE = 255
_FLAC_BLOCK = slice(17, 19)
_SPEEX_FRAME, _SPEEX_FRAMES = slice(56, 60), slice(64, 68)
_MOST_PACKET_FRAMES = 1 << 16


class OggStarts(NamedTuple):
    """What the pages of an Ogg file state."""

    starts: dict[int, int]
    """Position in samples of the first packet that begins behind damaged or missing pages, by the place of its page in
    the file. Positions go on from link to link."""
    headers: list[tuple[int, int]]
    """Start and end in the file of the headers of all links but the first: libav takes some of their packets for sound.
    """
    cut: str
    """How the end of the file shows that there was more. Empty if it does not."""


def ogg_starts(path: str) -> OggStarts:
    """Read all pages of a file. The result is empty if it holds other codecs, or several streams at the same time."""
    starts: dict[int, int] = {}
    headers: list[tuple[int, int]] = []
    cut, end, origin = "", 0, 0
    with Path(path).open("rb", buffering=0) as file:
        pages = ogg.scan(file)
        if pages.mixed or not all(link.other for link in pages.links):
            return OggStarts({}, [], "")
        for link in pages.links:
            file.seek(link.start)
            head = _body(file.read(ogg.LONGEST_PAGE))
            firsts = [(stretch, _first_start(file, head, stretch)) for stretch in link.stretches]
            if firsts and firsts[0][1] is not None and not firsts[0][0].follows:
                origin = min(0, firsts[0][1][1])
            before = end - origin if headers else 0
            for stretch, first in firsts:
                if stretch.follows and first is not None:
                    starts[first[0]] = before + first[1]
                elif stretch.follows:
                    cut = "pages are damaged"
            end = before + max((stretch.granule or 0 for stretch in link.stretches), default=0)
            headers.append((link.start, link.head_end))
    return OggStarts(starts, headers[1:], ogg.missing_ends(pages) or cut)


def _first_start(file: BinaryIO, head: bytes, stretch: ogg.Stretch) -> tuple[int, int] | None:
    """Find the first page on which a packet begins: its place in the file, and the position of that packet."""
    at = stretch.start
    while at < stretch.end:
        file.seek(at)
        page = file.read(ogg.LONGEST_PAGE)
        page = page[: ogg.page_length(page, 0)]
        if (start := _start(head, page)) is not None:
            return at, start
        at += max(1, len(page))
    return None


def _body(page: bytes) -> bytes:
    return page[_LACES_AT + page[_LACES_AT - 1] :]


def _start(head: bytes, page: bytes) -> int | None:
    """Position of the first packet that begins on a page; ``head`` is the first packet of its stream."""
    laces = page[_LACES_AT : _LACES_AT + page[_LACES_AT - 1]]
    continued = bool(page[5] & _CONTINUED)
    if head.startswith(ogg.FLAC_HEAD):
        skipped = _first_packet_bytes(laces) if continued else 0
        number = frame_number(_body(page), skipped)
        if number is None:
            return None
        return number[0] if number[1] else number[0] * int.from_bytes(head[_FLAC_BLOCK], "big")
    granule = int.from_bytes(page[6:14], "little", signed=True)
    packet_frames = int.from_bytes(head[_SPEEX_FRAME], "little") * int.from_bytes(head[_SPEEX_FRAMES], "little")
    if granule < 0 or not 0 < packet_frames < _MOST_PACKET_FRAMES:
        return None
    packets = sum(lace < _LONGEST_PIECE for lace in laces) - continued
    return granule - packets * packet_frames


def _first_packet_bytes(laces: bytes) -> int:
    """Length of what a page holds of its first packet."""
    pieces = next((index for index, lace in enumerate(laces) if lace < _LONGEST_PIECE), len(laces) - 1) + 1
    return sum(laces[:pieces])
