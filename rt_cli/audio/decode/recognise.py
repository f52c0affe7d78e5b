"""Recognise the format of an input by its first bytes, so that nothing else is read as raw PCM. Pure."""

from __future__ import annotations

import codecs
from functools import cache

_SHORTEST_MESSAGE = 8
"""Bytes: four samples that happen to be letters are less likely than a message."""
HEAD_BYTES = 4608
"""Bytes that :func:`recognise` needs to be sure: an MP3 may begin within a frame, and three more must follow."""

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "Ogg"),
    (0, b"caff", "CAF"),
    (0, b"FORM", "AIFF"),
    (0, b"FRM8", "DSD"),
    (0, b"DSD ", "DSD"),
    (4, b"ftyp", "MP4"),
    (4, b"moov", "MP4"),
    (4, b"mdat", "MP4"),
    (4, b"wide", "MP4"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (8, b"AVI ", "AVI"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "WMA"),
    (0, b"FLV\x01", "FLV"),
    (0, b"#!AMR", "AMR"),
    (0, b"#!SILK", "SILK"),
    (0, b"\x02#!SILK", "SILK"),
    (0, b"wvpk", "WavPack"),
    (0, b"TTA1", "TTA"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"),
    (0, b".RMF", "RealMedia"),
    (0, b"Creative Voice File\x1a", "VOC"),
    (0, b"NIST_1A\n", "NIST"),
    (0, b"\x64\xa3\x01\x00\x00\x00", "IRCAM"),
    (0, b"\x64\xa3\x02\x00\x00\x00", "IRCAM"),
    (0, b"PVF1\n", "PVF"),
    (0, b"2BIT", "AVR"),
    (0, b"MThd", "MIDI"),
    (0, b"\x00\x00\x01\xba", "MPEG"),
    (0, b"\x7f\xfe\x80\x01", "DTS"),
    (0, b"\x1f\x8b\x08", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"(\xb5/\xfd", "zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"Rar!\x1a\x07", "RAR"),
    (257, b"ustar", "a tar archive"),
    (0, b"%PDF-", "PDF"),
    (0, b"\x89PNG\r\n", "a picture"),
    (0, b"GIF8", "a picture"),
    (0, b"\xff\xd8\xff\xe0", "a picture"),
    (0, b"\x7fELF", "a program"),
)
"""Position, bytes and name of formats that are no PCM."""
TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
"""What programs write behind the sound of any format, the longest last."""
_ID3_HEAD = 10
_APE_HEAD = 32
_HEADERS_IN_A_ROW = 3
_TS_PACKET = 188
_TS_SYNC = 0x47
_TEXT_BYTES = 512
_LEAST_TEXT = 16
_BITRATES = {
    # MPEG version 1 or not, layer: kbit/s by index 1 to 14.
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Sample rates by the version bits: MPEG 1, 2 and 2.5."""
_LAYERS = {3: 1, 2: 2, 1: 3}
"""Layer by the layer bits."""
_MPEG1 = 3
_LAYER_1 = 3
SAME_STREAM = 0xFE0C
"""Bits of the second and third byte of an MPEG header that no frame of one stream changes: version, layer, rate."""


@cache
def mpeg_lengths() -> list[int]:
    """Length in bytes of an MPEG audio frame by the second and third byte of its header; 0 for no such header."""
    lengths = [0] * 65_536
    for version, rates in _RATES.items():
        for layer_bits, layer in _LAYERS.items():
            for index, kbits in enumerate(_BITRATES[version == _MPEG1, layer], 1):
                for rate_index, rate in enumerate(rates):
                    for rest in range(8):
                        protection, padding, private = rest & 1, rest >> 1 & 1, rest >> 2
                        second = 0xE0 | version << 3 | layer_bits << 1 | protection
                        third = index << 4 | rate_index << 2 | padding << 1 | private
                        if layer == 1:
                            length = (12_000 * kbits // rate + padding) * 4
                        else:
                            length = mpeg_samples(second) // 8 * 1000 * kbits // rate + padding
                        lengths[second << 8 | third] = length
    return lengths


def mpeg_samples(second: int) -> int:
    """Samples in an MPEG audio frame by the second byte of its header."""
    layer = _LAYERS[second >> 1 & 3]
    if layer == 1:
        return 384
    return 1152 if layer == 2 or second >> 3 & 3 == _MPEG1 else 576  # noqa: PLR2004 - layer II


def mpeg_rate(second: int, third: int) -> int:
    """Sample rate of an MPEG audio frame in Hz."""
    return _RATES[second >> 3 & 3][third >> 2 & 3]


def id3_bytes(head: bytes) -> int:
    """Length of the ID3v2 tag at the start of the bytes; 0 for none."""
    if len(head) < _ID3_HEAD or not head.startswith(b"ID3") or max(head[6:10]) > 0x7F:  # noqa: PLR2004 - 7 bits each
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    footer = _ID3_HEAD if head[5] & 0x10 else 0
    return _ID3_HEAD + size + footer


def tag_bytes(head: bytes) -> int:
    """Length of a tag of any kind at the start of the bytes; 0 for none."""
    if size := id3_bytes(head):
        return size
    if head.startswith(b"TAG+"):
        return 227
    if head.startswith(b"TAG"):
        return 128
    if head.startswith(b"APETAGEX") and len(head) >= _APE_HEAD:
        return _APE_HEAD + (int.from_bytes(head[12:16], "little") if head[23] & 0x20 else 0)
    if head.startswith(b"LYRICSBEGIN"):
        end = max(head.find(b"LYRICS200"), head.find(b"LYRICSEND"))
        return 0 if end < 0 else end + 9
    return 0


def recognise(head: bytes) -> str | None:
    """Return the name of a format that is neither raw PCM nor WAV; None if the input may be raw PCM.

    Args:
        head: The first :data:`HEAD_BYTES` bytes of the input, or all of it if it is shorter.
    """
    if named := next((name for at, magic, name in _SIGNATURES if head[at : at + len(magic)] == magic), None):
        return named
    if id3_bytes(head):
        behind = head[id3_bytes(head) :]
        return "FLAC" if behind.startswith(b"fLaC") else "MP3"
    if _is_ts(head[::_TS_PACKET]) or _is_ts(head[4 :: _TS_PACKET + 4]):
        return "MPEG-TS"
    if _has_adts(head):
        return "AAC"
    if _has_ac3(head):
        return "AC-3"
    if is_plain_text(head):
        return "text"
    return "MP3" if mpeg_start(head) is not None else None


def _is_ts(starts: bytes) -> bool:
    """True if packets of a transport stream begin with their mark, but for damaged ones.

    Those of a disc have a time code before it.
    """
    return len(starts) >= _HEADERS_IN_A_ROW and 3 * starts.count(_TS_SYNC) >= 2 * len(starts)


def mpeg_start(data: bytes, start: int = 0) -> int | None:
    """Return where three MPEG audio frames (layer II or III) follow each other; None for nowhere.

    Headers that the end of ``data`` cuts off do not count.
    """
    at = data.find(b"\xff", start)
    while 0 <= at < len(data) - 3:
        # Quiet noise looks like layer I, which nobody uses.
        if data[at + 1] >> 1 & 3 != _LAYER_1 and is_mpeg_start(data, at):
            return at
        at = data.find(b"\xff", at + 1)
    return None


def is_mpeg_start(data: bytes, at: int, *, at_end: bool = False) -> bool:
    """True if an MPEG audio frame starts here and two more follow it.

    Args:
        data: Bytes.
        at: Index in ``data``.
        at_end: The input ends with ``data``: frames that are not there need not follow.
    """
    lengths = mpeg_lengths()
    stream = -1
    for number in range(_HEADERS_IN_A_ROW):
        if at + 2 >= len(data):
            return at_end and number > 0
        key = data[at + 1] << 8 | data[at + 2] if data[at] == 0xFF else 0  # noqa: PLR2004 - sync
        if not lengths[key] or (number and key & SAME_STREAM != stream):
            return False
        stream = key & SAME_STREAM
        at += lengths[key]
    return True


def _has_adts(head: bytes) -> bool:
    """True if three AAC frames with ADTS headers follow each other near the start."""
    at = head.find(b"\xff")
    while 0 <= at < len(head) - 6:
        place = at
        for number in range(_HEADERS_IN_A_ROW):
            frame = head[place : place + 6]
            if len(frame) < 6 or frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0 or frame[2] >> 2 & 15 > 12:  # noqa: PLR2004
                break
            length = (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5
            if length < 7:  # noqa: PLR2004 - bytes of the header
                break
            place += length
            if number == _HEADERS_IN_A_ROW - 1:
                return True
        at = head.find(b"\xff", at + 1)
    return False


_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def _has_ac3(head: bytes) -> bool:
    """True if the input begins with an AC-3 or E-AC-3 frame, and another follows it."""
    if not head.startswith(b"\x0bw") or len(head) < 6:  # noqa: PLR2004 - bytes of the header
        return False
    if head[5] >> 3 > 10:  # noqa: PLR2004 - E-AC-3
        length = 2 * (((head[2] & 7) << 8 | head[3]) + 1)
    else:
        rate, index = head[4] >> 6, (head[4] & 0x3F) >> 1
        if rate == 3 or index >= len(_AC3_KBITS):  # noqa: PLR2004 - reserved
            return False
        kbits = _AC3_KBITS[index]
        length = 2 * (kbits * 96_000 // (48_000, 44_100, 32_000)[rate] + (head[4] & 1 if rate == 1 else 0))
    return head[length : length + 2] == b"\x0bw" or len(head) < length + 2


def is_text(head: bytes) -> bool:
    """True if the first bytes are UTF-8 text."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def is_plain_text(head: bytes) -> bool:
    """True if the bytes are long enough to be surely text: UTF-8 without control characters, or UTF-16 with a mark."""
    part = head[:_TEXT_BYTES]
    if len(part) < _LEAST_TEXT:
        return False
    if part.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16: of western text every other byte is 0
        low, high = (part[2::2], part[3::2]) if part[0] == 0xFF else (part[3::2], part[2::2])  # noqa: PLR2004
        return not any(high) and is_text(low) and not _has_controls(low)
    return is_text(part) and not _has_controls(part)


def is_short_text(whole: bytes) -> bool:
    """True if the bytes, all of an input, are surely text: a message in place of sound."""
    return len(whole) >= _SHORTEST_MESSAGE and is_text(whole) and not _has_controls(whole)


def _has_controls(text: bytes) -> bool:
    return any(byte < 0x20 and byte not in b"\t\n\v\f\r\x1b" for byte in text) or 0x7F in text  # noqa: PLR2004 - ASCII
