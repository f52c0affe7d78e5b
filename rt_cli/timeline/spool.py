"""The spool: the tape on disk, so that a killed process loses no audio.

A folder holds the audio in segment files, named by their first sample, and a journal of what happened to the audio, one
JSON object per line. Both are append-only. Each write returns only when the system has the data, so the files of a
killed process are complete up to its last write. A power failure can still lose data: there is no fsync.
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
    """The source that a spool was captured from."""

    rate_hz: int
    """The wire rate."""
    source: str
    """The name that the user gave."""
    kind: str
    path: str | None = None
    """Absolute path of a file source, so that a resumed run can read the rest of the file."""
    size: int | None = None
    """Size of that file in bytes. A different size means a different file."""
    channel: str = "mix"
    """The channels used, as ``--channel`` spells them."""
    gain: float = 0.0
    """Decibels."""


@dataclass(slots=True)
class SpoolContents:
    """The contents of a spool that an earlier process left."""

    origin: SpoolSource
    settled: int = 0
    captured: int = 0
    """Position after the last sample."""
    ended: bool = False
    """True if the source had reached its end."""
    next_turn: int = 1
    holes: list[tuple[int, int, str]] = field(default_factory=list)
    """Start, end and reason of each hole beyond *settled*. ``dropped`` counts the samples of the earlier holes."""
    dropped: int = 0
    suspended: int = 0
    """The samples of ``dropped`` that were lost while the machine was suspended."""
    finals: list[dict[str, Any]] = field(default_factory=list)
    """Finals in the journal that may not have been printed."""


class Spool:
    """An open spool, locked against a second process. Use :meth:`create` or :meth:`reopen` to get one."""

    def __init__(self, folder: Path, lock: IO[bytes], origin: SpoolSource) -> None:
        self.folder = folder
        self.origin = origin
        self._lock = lock
        self._journal = (folder / JOURNAL).open("ab", buffering=0)
        self._journal_lock = threading.Lock()
        self._segment: IO[bytes] | None = None
        self._segment_start = 0
        self._end = 0

    @classmethod
    def create(cls, folder: Path, origin: SpoolSource) -> Spool:
        """Create a spool in an empty or missing folder. Only the user may read the folder.

        Raises:
            UsageError: The folder cannot be created, another process uses the spool, or the folder already holds an
                undelivered spool.
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
        """Open the spool that an earlier process left.

        Raises:
            UsageError: The folder has no spool, the spool cannot be read, or another process uses it.
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
        # The last record may be incomplete: start the next record on a new line.
        spool._journal.write(b"\n")
        spool._end = contents.captured
        return spool, contents

    def append(self, start: int, pcm: bytes) -> None:
        """Append captured audio at a timeline position.

        Args:
            start: Position of the first sample.
            pcm: Whole samples of s16le.

        Raises:
            OSError: The write failed, for example on a full disk.
        """
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
        """Append records to the journal, all of them in one write. Thread-safe; does nothing after :meth:`close`.

        Raises:
            OSError: The write failed, for example on a full disk.
        """
        lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
        with self._journal_lock:
            if not self._journal.closed:
                _write(self._journal, lines.encode())

    def release(self, settled: int) -> None:
        """Delete the segments that end before ``settled``."""
        segments = sorted(_segments(self.folder))
        for (_start, path), (following, _path) in pairwise(segments):
            if following <= settled:
                path.unlink(missing_ok=True)

    def read(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield the audio in ``[start, end)`` as (position, s16le), one segment at a time. Gaps yield nothing."""
        for first, path in sorted(_segments(self.folder)):
            with path.open("rb") as file:
                samples = os.fstat(file.fileno()).st_size // BYTES_PER_SAMPLE
                at, upto = max(first, start), min(first + samples, end)
                if at < upto:
                    file.seek((at - first) * BYTES_PER_SAMPLE)
                    yield at, file.read((upto - at) * BYTES_PER_SAMPLE)

    def close(self, *, delivered: bool) -> None:
        """Close the files and release the lock.

        Args:
            delivered: True deletes the spool: all audio is delivered.
        """
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        with self._journal_lock:
            self._journal.close()
        if delivered:
            for _start, path in _segments(self.folder):
                path.unlink(missing_ok=True)
            # After the segments: a folder without a journal is no spool.
            (self.folder / JOURNAL).unlink(missing_ok=True)
            (self.folder / "lock").unlink(missing_ok=True)
        self._lock.close()
        if delivered:
            try:
                self.folder.rmdir()
            except OSError:
                pass  # the folder holds files of the user

    def _open_segment(self, start: int) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        self._segment = self._path_of(start).open("wb", buffering=0)
        self._segment_start = start

    def _discard_empty_segment(self) -> None:
        """Delete the segment if it is empty, so that failed writes on a full disk do not leave empty files."""
        if self._segment is not None and not self._segment.tell():
            self._segment.close()
            self._segment = None
            self._path_of(self._segment_start).unlink(missing_ok=True)

    def _path_of(self, start: int) -> Path:
        return self.folder / f"audio-{start:015d}.pcm"


def _fields(origin: SpoolSource) -> dict[str, Any]:
    return {name: getattr(origin, name) for name in SpoolSource.__slots__}


def _write(file: IO[bytes], data: bytes) -> None:
    """Write all of ``data``, or truncate the file to its old length and raise the OSError."""
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
    """Lock the folder. The system releases the lock when the process ends, even if it is killed.

    Raises:
        UsageError: The folder is not writable, or another process holds the lock.
    """
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
    records = [json.loads(line) for line in (folder / JOURNAL).read_bytes().split(b"\n") if _is_complete(line)]
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
    settled = contents.settled
    losses = [(min(end, settled) - start, reason) for start, end, reason in holes if start < settled]
    contents.dropped = sum(samples for samples, _ in losses)
    contents.suspended = sum(samples for samples, reason in losses if reason == "suspended")
    contents.holes = [(max(start, settled), end, reason) for start, end, reason in holes if end > settled]
    return contents


def _disjoint(holes: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Sort the holes and cut overlaps, so that a sample in two holes counts once."""
    disjoint: list[tuple[int, int, str]] = []
    at = 0
    for start, end, reason in sorted(holes):
        if end > at:
            disjoint.append((max(start, at), end, reason))
            at = end
    return disjoint


def _is_complete(line: bytes) -> bool:
    """True if the line is valid JSON. An interrupted write leaves an incomplete line, which readers ignore."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
