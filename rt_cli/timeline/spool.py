"""The spool: the tape on disk, so that the death of the process loses nothing.

A folder with the sound in segments named by their first sample, and a journal of what became of it, one JSON object per
line. Both are only ever appended to, by writes that the system has taken before anything else happens: what a killed
process leaves behind is complete up to its last instant. (The power failing is another matter: nothing is synced.)
"""

from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import dataclass, field
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOURNAL = "journal.jsonl"
_SEGMENT = re.compile(r"audio-(\d{15})\.pcm")
_SEGMENT_S = 60
_VERSION = 1


@dataclass(frozen=True, slots=True)
class SpoolSource:
    """Where the sound of a spool comes from."""

    rate_hz: int
    """The wire rate."""
    source: str
    """The name a person gave it."""
    kind: str
    path: str | None = None
    """Absolute, of a file: the rest of it can still be read."""
    size: int | None = None
    """Of the file, bytes: another size is another file."""
    channel: str = "mix"
    """Which channels of the file are heard."""
    gain: float = 0.0
    """And how much louder, decibels."""


@dataclass(slots=True)
class SpoolContents:
    """What a spool says when it is opened again."""

    origin: SpoolSource
    settled: int = 0
    captured: int = 0
    """Position after the last sample."""
    ended: bool = False
    """The source had come to its end."""
    next_turn: int = 1
    holes: list[tuple[int, int, str]] = field(default_factory=list)
    """Start, end, reason; those beyond *settled*, and the sum of the others in ``dropped``."""
    dropped: int = 0
    suspended: int = 0
    """How much of that while the machine slept."""
    finals: list[dict[str, Any]] = field(default_factory=list)
    """Journalled, but perhaps never printed."""


class Spool:
    """An open spool, locked against a second process. Make it with :meth:`create` or :meth:`reopen`."""

    def __init__(self, folder: Path, lock: IO[bytes], origin: SpoolSource) -> None:
        self.folder = folder
        self.origin = origin
        self._lock = lock
        self._journal = (folder / JOURNAL).open("ab", buffering=0)
        self._noting = threading.Lock()
        self._segment: IO[bytes] | None = None
        self._segment_start = 0
        self._end = 0

    @classmethod
    def create(cls, folder: Path, origin: SpoolSource) -> Spool:
        """Begin a spool in a folder that is empty or not there yet; private to the user.

        Raises:
            UsageError: It cannot be made, another process has it, or it holds a spool that was not delivered.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError as exc:
            raise UsageError(f"cannot make the spool folder {folder}: {exc.strerror}") from None
        lock = _lock(folder)
        if (folder / JOURNAL).exists():
            lock.close()
            raise UsageError(
                f"{folder} holds sound that was not delivered", f"use --resume {folder}, or another folder"
            )
        spool = cls(folder, lock, origin)
        spool.note({"type": "spool", "version": _VERSION, **_fields(origin)})
        return spool

    @classmethod
    def reopen(cls, folder: Path) -> tuple[Spool, SpoolContents]:
        """Open what an earlier process left.

        Raises:
            UsageError: There is no spool, it cannot be read, or another process has it.
        """
        if not (folder / JOURNAL).is_file():
            raise UsageError(f"no spool in {folder}", "check the name; one that was delivered is removed")
        lock = _lock(folder)
        try:
            contents = _read(folder)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
            lock.close()
            raise UsageError(
                f"the spool in {folder} cannot be read ({exc})", "its sound is in its .pcm files"
            ) from None
        spool = cls(folder, lock, contents.origin)
        # The last record may have been cut short: what follows it begins a line of its own.
        spool._journal.write(b"\n")
        spool._end = contents.captured
        return spool, contents

    def append(self, start: int, pcm: bytes) -> None:
        """Add captured sound at a timeline position. Raises OSError where the disk takes no more."""
        if (
            self._segment is None
            or start != self._end
            or start - self._segment_start >= _SEGMENT_S * self.origin.rate_hz
        ):
            self._open_segment(start)
        assert self._segment is not None  # noqa: S101 - opened above
        try:
            _write(self._segment, pcm)
        except OSError:
            self._discard_empty_segment()
            raise
        self._end = start + len(pcm) // BYTES_PER_SAMPLE

    def note(self, *records: dict[str, Any]) -> None:
        """Add records to the journal, all of them in one write; any thread may.

        Raises OSError where the disk takes no more; after :meth:`close` it does nothing.
        """
        lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
        with self._noting:
            if not self._journal.closed:
                _write(self._journal, lines.encode())

    def release(self, settled: int) -> None:
        """Delete the segments that end before ``settled``."""
        segments = sorted(_segments(self.folder))
        for (_start, path), (following, _path) in pairwise(segments):
            if following <= settled:
                path.unlink(missing_ok=True)

    def read(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Stretches of sound in ``[start, end)`` with their positions, a segment at a time; gaps are left out."""
        for first, path in sorted(_segments(self.folder)):
            with path.open("rb") as file:
                samples = os.fstat(file.fileno()).st_size // BYTES_PER_SAMPLE
                at, upto = max(first, start), min(first + samples, end)
                if at < upto:
                    file.seek((at - first) * BYTES_PER_SAMPLE)
                    yield at, file.read((upto - at) * BYTES_PER_SAMPLE)

    def close(self, *, delivered: bool) -> None:
        """Let go of it; and delete it if there is nothing left to deliver."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        with self._noting:
            self._journal.close()
        if delivered:
            for _start, path in _segments(self.folder):
                path.unlink(missing_ok=True)
            # The journal last: without it there is no spool.
            (self.folder / JOURNAL).unlink(missing_ok=True)
            (self.folder / "lock").unlink(missing_ok=True)
        self._lock.close()
        if delivered:
            try:
                self.folder.rmdir()
            except OSError:
                pass  # it holds something of the user's

    def _open_segment(self, start: int) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        self._segment = self._path_of(start).open("wb", buffering=0)
        self._segment_start = start

    def _discard_empty_segment(self) -> None:
        """A disk that stays full must not get a file for every piece that it refuses."""
        if self._segment is not None and not self._segment.tell():
            self._segment.close()
            self._segment = None
            self._path_of(self._segment_start).unlink(missing_ok=True)

    def _path_of(self, start: int) -> Path:
        return self.folder / f"audio-{start:015d}.pcm"


def _fields(origin: SpoolSource) -> dict[str, Any]:
    return {name: getattr(origin, name) for name in SpoolSource.__slots__}


def _write(file: IO[bytes], data: bytes) -> None:
    """Write all of it, or leave the file as it was."""
    at = file.tell()
    try:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
    except OSError:
        file.truncate(at)
        file.seek(at)
        raise


def _lock(folder: Path) -> IO[bytes]:
    """A lock that ends with the process, however it ends."""
    try:
        file = (folder / "lock").open("ab")
    except OSError as exc:
        raise UsageError(f"cannot write into the spool folder {folder}: {exc.strerror}") from None
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined] # only there
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UsageError(f"another process uses the spool in {folder}", "wait for it, or use another folder") from None
    return file


def _segments(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.iterdir():
        if found := _SEGMENT.fullmatch(path.name):
            yield int(found[1]), path


def _read(folder: Path) -> SpoolContents:
    records = [json.loads(line) for line in (folder / JOURNAL).read_bytes().split(b"\n") if _whole(line)]
    head = records[0] if records else {}
    if head.get("type") != "spool" or head.get("version") != _VERSION:
        raise ValueError("its journal is empty, or of another version")
    optional = {name: head[name] for name in ("path", "size", "channel", "gain") if name in head}
    contents = SpoolContents(SpoolSource(head["rate_hz"], head["source"], head["kind"], **optional))
    holes: list[tuple[int, int, str]] = []
    for record in records[1:]:
        match record["type"]:
            case "settled":
                contents.settled = record["to"]
            case "final":
                contents.finals.append(record)
                contents.next_turn = record["turn"] + 1
            case "turn":
                contents.next_turn = record["turn"] + 1
            case "printed":
                contents.finals = [final for final in contents.finals if final["turn"] > record["turn"]]
            case "hole":
                holes.append((record["start"], record["end"], record["reason"]))
            case "ended":
                contents.ended = True
    holes = _disjoint(holes)
    ends = [start + path.stat().st_size // BYTES_PER_SAMPLE for start, path in _segments(folder)]
    contents.captured = max([contents.settled, *ends, *(end for _, end, _ in holes)])
    gone = [(min(end, contents.settled) - start, why) for start, end, why in holes if start < contents.settled]
    contents.dropped = sum(samples for samples, _ in gone)
    contents.suspended = sum(samples for samples, why in gone if why == "suspended")
    contents.holes = [(max(start, contents.settled), end, why) for start, end, why in holes if end > contents.settled]
    return contents


def _disjoint(holes: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """In the order of the timeline; what lies in two of them was lost once."""
    apart: list[tuple[int, int, str]] = []
    at = 0
    for start, end, reason in sorted(holes):
        if end > at:
            apart.append((max(start, at), end, reason))
            at = end
    return apart


def _whole(line: bytes) -> bool:
    """A line that a death cut short is as if it had never been."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
