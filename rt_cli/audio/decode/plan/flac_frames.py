"""Frames of FLAC: their headers, and whether they are damaged."""

from __future__ import annotations

LONGEST_HEADER = 16
_SIZE_IN_8_BITS, _SIZE_IN_16_BITS = 6, 7
_RATE_IN_8_BITS, _RATES_IN_16_BITS = 12, (13, 14)
_HIGHEST_CHANNELS_CODE = 10
_CRC8 = [0] * 256
for _byte in range(256):
    _crc = _byte
    for _ in range(8):
        _crc = (_crc << 1 ^ (0x07 if _crc & 0x80 else 0)) & 0xFF
    _CRC8[_byte] = _crc
_CRC16 = [0] * 256
for _byte in range(256):
    _crc = _byte << 8
    for _ in range(8):
        _crc = (_crc << 1 ^ (0x8005 if _crc & 0x8000 else 0)) & 0xFFFF
    _CRC16[_byte] = _crc
_MOST_LOST_FRAMES = 64
"""What looks like the header of a frame so far on is none."""
_LONGEST_BLOCK = 1 << 16


def frame_number(data: bytes, at: int) -> tuple[int, bool] | None:
    """Parse the header of a frame.

    Returns:
        The number of the frame, or that of its first sample; and whether it is the latter. None for no header.
    """
    head = data[at : at + LONGEST_HEADER]
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:  # noqa: PLR2004 - sync
        return None
    size_code, rate_code = head[2] >> 4, head[2] & 15
    if not size_code or rate_code == 15 or head[3] >> 4 > _HIGHEST_CHANNELS_CODE or head[3] & 1:  # noqa: PLR2004
        return None
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # as in UTF-8, but up to seven bytes
    if ones == 1 or ones > 7:  # noqa: PLR2004 - no number begins so
        return None
    more = max(0, ones - 1)
    number = head[4] & (0x7F >> ones)
    for byte in head[5 : 5 + more]:
        if byte & 0xC0 != 0x80:  # noqa: PLR2004 - continuation
            return None
        number = number << 6 | byte & 0x3F
    end = 5 + more + (size_code == _SIZE_IN_8_BITS) + 2 * (size_code == _SIZE_IN_16_BITS)
    end += (rate_code == _RATE_IN_8_BITS) + 2 * (rate_code in _RATES_IN_16_BITS)
    crc = 0
    for byte in head[:end]:
        crc = _CRC8[crc ^ byte]
    if len(head) <= end or crc != head[end]:
        return None
    return number, bool(head[1] & 1)


def first_damaged(data: bytes, block: int, before: int) -> int | None:
    """Find the first damaged frame.

    Args:
        data: Bytes of the file, from any place on.
        block: Samples of a frame, where frames are numbered.
        before: Only frames that begin before this position are looked at, and the one behind them.

    Returns:
        Position of its first sample; None if no frame is damaged. A frame before one that has lost its header counts as
        damaged, too.
    """
    start, position = -1, 0
    at = data.find(b"\xff")
    while at >= 0:
        found = frame_number(data, at)
        if found is not None:
            number, by_sample = found
            place = number if by_sample else number * block
            longest = _MOST_LOST_FRAMES * (_LONGEST_BLOCK if by_sample else block)
            if start < 0:
                is_next = place <= before
            else:
                is_next = position < place <= position + longest
                if is_next and _crc16(data[start:at]):
                    return position
            if is_next:
                start, position = at, place
                if position > before:
                    return None
        at = data.find(b"\xff", at + 1)
    return None


def _crc16(frame: bytes) -> int:
    """Checksum of a frame with its own checksum: 0 if it is right."""
    crc = 0
    for byte in frame:
        crc = (crc << 8 ^ _CRC16[crc >> 8 ^ byte]) & 0xFFFF
    return crc
