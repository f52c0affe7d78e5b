"""MP3 files: the frames that are there, whatever their headers count, and the bytes between them that are none."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from rt_cli.audio.decode.diagnose import TOLERANCE_S
from rt_cli.audio.decode.plan.file_part import FilePart
from rt_cli.audio.decode.plan.plan import Part
from rt_cli.audio.decode.recognise import (
    SAME_STREAM,
    is_mpeg_start,
    mpeg_lengths,
    mpeg_rate,
    mpeg_samples,
    mpeg_start,
    tag_bytes,
)

_READ_BYTES = 1 << 18
_AHEAD_BYTES = 1 << 13
"""Bytes that the scan sees beyond its position: a header, three frames behind it, and a tag."""
_INFO_MARKS = (b"Xing", b"Info")
_MARKS = (*_INFO_MARKS, b"VBRI")
_HAS_FRAMES, _HAS_INDEX, _HAS_QUALITY = 1, 4, 8
_INDEX_BYTES = 100
_DELAY_AT = 21
"""Position of the encoder's delay behind the optional fields."""
_FEW_BYTES = 1600
"""Bytes behind the last frame that cannot be 100 ms of sound."""


@dataclass(slots=True)
class Info:
    """The frame without sound that counts the others, by Xing, LAME and others."""

    count_at: int = 0
    """Position of the count in the frame."""
    count: int = 0
    """0 if the frame has none."""
    delay_at: int = 0
    """Position of the encoder's delay and padding; 0 if the frame has none."""
    delay: int = 0
    padding: int = 0
    """Samples at the end that are no sound."""


@dataclass(slots=True)
class Run:
    """Frames without anything between them."""

    start: int
    end: int
    second: int
    """Second byte of their headers: version and layer."""
    rate_hz: int
    frames: int = 0
    lost: int = 0
    """Frames before the run that are damaged."""
    info: Info | None = None

    @property
    def samples(self) -> int:
        """Samples in one frame."""
        return mpeg_samples(self.second)


@dataclass(slots=True)
class Mp3Scan:
    """The result of a scan."""

    runs: list[Run] = field(default_factory=list)
    behind: int = 0
    """Damaged bytes behind the last run that are no tag."""
    junk: int = 0
    """Bytes before the first run that are no tag."""
    cut: bool = False
    """The last frame is cut off."""


class _Window:
    """A view of a file that moves forward, with enough bytes ahead of any position."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._move(0)

    def ahead(self, at: int) -> int:
        """Index in ``data`` of a position, with :data:`_AHEAD_BYTES` behind it unless the file ends before."""
        index = at - self.base
        if index < 0 or (index + _AHEAD_BYTES > len(self.data) and not (self.at_end and index <= len(self.data))):
            self._move(at)
            return 0
        return index

    def _move(self, at: int) -> None:
        self._file.seek(at)
        self.base = at
        self.data = self._file.read(_READ_BYTES)
        self.at_end = len(self.data) < _READ_BYTES
        self.has_info = any(mark in self.data for mark in _MARKS)


def scan(file: BinaryIO) -> Mp3Scan:
    """Find all MPEG audio frames of a file. Reads the whole file, in pieces."""
    return _Scanner(_Window(file)).scan()


class _Scanner:
    def __init__(self, window: _Window) -> None:
        self._window = window
        self._result = Mp3Scan()
        self._last_start = 0
        self._lost = 0

    def scan(self) -> Mp3Scan:
        at = self._skip_tags(0)
        while not self._at_end(at):
            end = self._follow(at) if self._starts(at) else at
            if end == at:
                found = self._next_start(at)
                if found is None:
                    self._result.behind = 0 if self._result.cut else self._rest(at)
                    break
                self._note_damage(at, found)
                end = found
            at = self._skip_tags(end)
        return self._result

    def _at_end(self, at: int) -> bool:
        return self._window.ahead(at) >= len(self._window.data)

    def _starts(self, at: int) -> bool:
        """True if a frame starts here that others follow. At the end of the file, the frames that are there do."""
        index = self._window.ahead(at)
        return is_mpeg_start(self._window.data, index, at_end=self._window.at_end)

    def _follow(self, at: int) -> int:
        """Follow the frames of one stream. Returns the position behind the last one."""
        window, lengths = self._window, mpeg_lengths()
        run: Run | None = None
        stream = 0
        while True:
            index = window.ahead(at)
            data, base = window.data, window.base
            limit = len(data) - 3 if window.at_end else len(data) - _AHEAD_BYTES
            while index < limit:
                key = data[index + 1] << 8 | data[index + 2]
                length = lengths[key] if data[index] == 0xFF else 0  # noqa: PLR2004 - sync
                if not length or (run is not None and key & SAME_STREAM != stream):
                    return base + index
                if index + length > len(data):
                    self._result.cut = True
                    return base + index
                info = _info(data[index : index + length], key >> 8) if window.has_info else None
                if run is None or info is not None:
                    run = Run(base + index, 0, key >> 8, mpeg_rate(key >> 8, key & 255), lost=self._lost, info=info)
                    self._result.runs.append(run)
                    self._lost = 0
                    stream = key & SAME_STREAM
                run.frames += info is None
                self._last_start = base + index
                index += length
                run.end = base + index
            at = base + index
            if window.at_end:
                return at

    def _skip_tags(self, at: int) -> int:
        """Return the position behind tags, and behind zeros that fill up the space before a frame, a tag or the end."""
        while True:
            index = self._window.ahead(at)
            size = tag_bytes(self._window.data[index : index + _AHEAD_BYTES])
            if not size and self._window.data[index : index + 1] == b"\0":
                end = self._zeros_end(at)
                size = end - at if self._at_end(end) or self._starts(end) or self._tag_at(end) else 0
            if not size:
                return at
            at += size

    def _tag_at(self, at: int) -> int:
        index = self._window.ahead(at)
        return tag_bytes(self._window.data[index : index + _AHEAD_BYTES])

    def _zeros_end(self, at: int) -> int:
        while True:
            index = self._window.ahead(at)
            data = self._window.data[index:]
            at += len(data) - len(data.lstrip(b"\0"))
            if data.strip(b"\0") or self._window.at_end:
                return at

    def _next_start(self, at: int) -> int | None:
        """Find the next frame that others follow. The frame before the damage may have stated a wrong length."""
        start = self._last_start + 4 if 0 < at - self._last_start < _AHEAD_BYTES else at
        while True:
            index = self._window.ahead(start)
            found = mpeg_start(self._window.data, index)
            if found is not None:
                return self._window.base + found
            if self._window.at_end:
                return None
            start = self._window.base + len(self._window.data) - _AHEAD_BYTES // 2

    def _note_damage(self, at: int, found: int) -> None:
        """Count the frames between the present run and the next one."""
        if not self._result.runs:
            self._result.junk = found - at
            return
        run = self._result.runs[-1]
        size = (run.end - run.start) / max(1, run.frames + (run.info is not None))
        if found < at and run.frames:  # the last frame stated a wrong length
            run.frames -= 1
            run.end = self._last_start
        self._lost = max(0, round((found - run.end) / size))
        self._result.cut = False

    def _rest(self, at: int) -> int:
        """Bytes from here to the end of the file."""
        start = at
        while not self._at_end(at):
            at = self._window.base + len(self._window.data)
        return at - start


def _info(frame: bytes, second: int) -> Info | None:
    """Parse a frame if it is one that counts the others."""
    mpeg1 = second >> 3 & 3 == 3  # noqa: PLR2004 - version bits
    mono = frame[3] >> 6 == 3  # noqa: PLR2004 - channel mode
    if frame[36:40] == b"VBRI":
        return Info(50, int.from_bytes(frame[50:54], "big"))
    at = 4 + ((17 if mono else 32) if mpeg1 else (9 if mono else 17))
    if frame[at : at + 4] not in _INFO_MARKS:
        return None
    flags, place = int.from_bytes(frame[at + 4 : at + 8], "big"), at + 8
    info = Info()
    if flags & _HAS_FRAMES:
        info.count_at, info.count = place, int.from_bytes(frame[place : place + 4], "big")
    place += 4 * (flags & 3).bit_count() + _INDEX_BYTES * bool(flags & _HAS_INDEX) + 4 * bool(flags & _HAS_QUALITY)
    trims = int.from_bytes(frame[place + _DELAY_AT : place + _DELAY_AT + 3], "big")
    if frame[place : place + 1].isalpha():
        info.delay_at, info.delay, info.padding = place + _DELAY_AT, trims >> 12, trims & 0xFFF
    return info


class Mp3Plan:
    """Each run of frames is a part, with the count of its frames in place of the one that its header states.

    Args:
        path: Path of the file.
        scan: Its frames.
        missing_bytes: Bytes by which the WAV around them is shorter than its header says.
    """

    def __init__(self, path: str, scan: Mp3Scan, missing_bytes: int = 0) -> None:
        self._path = path
        self._runs = scan.runs
        self._index = 0
        self._skipped = 0
        self._junk = scan.junk
        run = scan.runs[0]
        counted = sum(each.info.count for each in scan.runs if each.info is not None)
        there = sum(each.frames + each.lost for each in scan.runs)
        self._missing = (counted - there) * run.samples if counted else 0
        self.frames = counted * run.samples
        tolerance = TOLERANCE_S * run.rate_hz
        self.cut = f"{missing_bytes} bytes that its header announces are missing" if missing_bytes else ""
        self.behind = scan.behind if scan.behind > _FEW_BYTES else 0
        self.note = ""
        if scan.cut and self._missing <= tolerance and not self.cut:
            self.note = "ends within a frame: it was cut"
        elif counted and -self._missing > tolerance:
            self.note = (
                f"holds more sound than its header counts, {_seconds(there, run)} instead of {_seconds(counted, run)}"
            )
        self._exact = all(each.info is None or abs(each.info.count - each.frames) <= 1 for each in scan.runs)

    @property
    def clean(self) -> bool:
        """True if a decoder that believes the header hears the whole file."""
        run = self._runs[0]
        return not self._junk and len(self._runs) == 1 and (run.info is None or not run.info.count or self._exact)

    def first(self) -> Part:
        """Return the whole file if its header is right, else the first run."""
        return Part(expected=self._expected(self._runs[0])) if self.clean else self._part(self._runs[0])

    def intact(self, heard: int) -> int:
        """Return all of them."""
        return heard

    def following(self, heard: int, *, failed: bool) -> Part | None:
        """Return the next run; after a failure, the present one from the frame behind the damaged one."""
        run = self._runs[self._index]
        if failed:
            done = self._skipped + heard // run.samples + 1
            start = self._find(run, done)
            if start is not None:
                self._skipped = done
                return Part(FilePart(self._path, start, run.end), lost=run.samples - heard % run.samples)
        self._index += 1
        self._skipped = 0
        if self._index == len(self._runs):
            return None
        return self._part(self._runs[self._index])

    def missing(self, heard: int) -> int:  # noqa: ARG002 - the frames are counted already
        """Return how many announced frames are missing."""
        return max(0, self._missing)

    def _part(self, run: Run) -> Part:
        overlay: dict[int, bytes] = {}
        info = run.info
        if info is not None and info.count and abs(info.count - run.frames) > 1:
            overlay[info.count_at] = run.frames.to_bytes(4, "big")
            if info.delay_at and run.frames < info.count:  # its end is cut off, and so is the padding there
                overlay[info.delay_at] = (info.delay << 12).to_bytes(3, "big")
        part = FilePart(self._path, run.start, run.end, overlay=overlay)
        return Part(part, lost=run.lost * run.samples, expected=self._expected(run))

    @staticmethod
    def _expected(run: Run) -> int:
        info = run.info
        if info is None or not info.delay_at:
            return run.frames * run.samples
        padding = 0 if run.frames < info.count - 1 else info.padding
        return run.frames * run.samples - info.delay - padding

    def _find(self, run: Run, number: int) -> int | None:
        """Position of a frame of a run; None if the run has none of this number."""
        with Path(self._path).open("rb") as file:
            at, lengths = run.start, mpeg_lengths()
            for _ in range(number + (run.info is not None)):
                file.seek(at)
                head = file.read(3)
                if len(head) < 3 or at >= run.end:  # noqa: PLR2004 - bytes of a header
                    return None
                at += lengths[head[1] << 8 | head[2]] or run.end
        return at if at < run.end else None


def _seconds(frames: int, run: Run) -> str:
    return f"{frames * run.samples / run.rate_hz:.1f} s"
