"""The journal of a spool: what became of the audio, one JSON object per line. Pure.

Each record has a number (``seq``) and a checksum (``crc``), so that a reader knows which records are missing. Records
of version 0.1 have neither. Types:

- ``spool``, the first: ``version``, and the fields of :class:`SpoolSource`;
- ``final``: the fields of the event, and ``settled``: the mark that it justifies, so that no torn write parts the two;
- ``turn``: a turn without a final; it stands before the ``settled`` that it justifies, as a final does;
- ``settled``: everything before ``to`` is in a final, is known to hold no speech, or is a hole;
- ``hole``: ``start``, ``end``, ``reason``;
- ``printed``: the final of ``turn`` and all before it were printed;
- ``ended``: the source has come to its end;
- ``resumed``: another process continues, at the settled mark ``at``.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from rt_cli.events import Final, Translation

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
LAST_POSITION = 10**15 - 1
"""The last position that the name of a segment can have."""
_SUM = b',"crc":"'
_MAX_RATE_HZ = 768_000


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
    unreported: list[tuple[int, int, str]] = field(default_factory=list)
    """The holes before *settled* that may not have been reported: no final behind them is known to be printed."""
    dropped: int = 0
    suspended: int = 0
    """The samples of ``dropped`` that were lost while the machine was suspended."""
    finals: list[dict[str, Any]] = field(default_factory=list)
    """Finals in the journal that may not have been printed."""
    translations: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Translations of the session, by the turn of their final."""
    missing: int = 0
    """Records that were written and cannot be read: the journal is damaged."""
    next_seq: int = 0
    """Number of the next record."""


def head_of(origin: SpoolSource) -> dict[str, Any]:
    """Return the first record of a journal."""
    fields = {name: getattr(origin, name) for name in SpoolSource.__slots__}
    return {"type": "spool", "version": VERSION, **fields}


def line_of(record: dict[str, Any], seq: int) -> bytes:
    """Return a record as a line with its number and checksum."""
    body = json.dumps(record | {"seq": seq}, separators=(",", ":")).encode()
    return b'%s%s%08x"}\n' % (body[:-1], _SUM, crc32(body))


def read_journal(text: bytes, ends: Iterable[int]) -> SpoolContents:
    """Read a journal. A damaged one is read as far as no audio and no final can be lost by it.

    Args:
        text: The bytes of the file.
        ends: Timeline position of the end of each segment.

    Raises:
        ValueError: The first record is unreadable or of another version.
    """
    lines = text.split(b"\n")
    head = next((record for line in lines if (record := _record(line)) is not None), None)
    if head is None or head.get("type") != "spool" or head.get("version") != VERSION:
        raise ValueError("its journal is empty, or of another version")
    reader = _Reader(SpoolContents(_origin(head)), checked="seq" in head)
    for line in lines:
        reader.push(line)
    return reader.finish(max(ends, default=0))


class _Reader:
    """Applies the lines of a journal.

    A settled mark is trusted only if no record before it is missing: the missing one may be a final that the mark
    relies on. Once a later final is known to be printed, the missing one was printed, too.
    """

    def __init__(self, contents: SpoolContents, *, checked: bool) -> None:
        self._contents = contents
        self._checked = checked
        self._holes: list[tuple[int, int, str]] = []
        self._unreported: list[tuple[int, tuple[int, int, str]]] = []
        """Holes since the last final that was printed, with the number of the turn after them."""
        self._latest = 0
        """The settled mark, trusted or not."""
        self._before_latest = 0
        self._last_was_settled = False
        self._trusted = True
        self._mixed_up = False
        """Records are in another order than they were written in: no mark is trusted until another process resumes."""
        self._in_order = True
        """The present record follows the one before it."""
        self._first_turn_since: int | None = None
        """First turn after the missing record."""

    def push(self, line: bytes) -> None:
        if not line:
            return
        record = _record(line)
        if record is None or (self._checked and "seq" not in record):
            self._on_torn_line()
            return
        if "seq" in record:
            self._check_number(record["seq"])
        if not self._apply(record):
            self._distrust()
            self._contents.missing += 1
        self._last_was_settled = record["type"] == "settled"

    def finish(self, captured: int) -> SpoolContents:
        contents, holes = self._contents, _disjoint(self._holes)
        contents.captured = max([captured, *(end for _, end, _ in holes)])
        if self._checked:
            contents.captured = max(contents.captured, contents.settled)
        else:
            contents.settled = min(contents.settled, contents.captured)
        settled = contents.settled
        losses = [(min(end, settled) - start, reason) for start, end, reason in holes if start < settled]
        contents.dropped = sum(samples for samples, _ in losses)
        contents.suspended = sum(samples for samples, reason in losses if reason == "suspended")
        contents.holes = [(max(start, settled), end, reason) for start, end, reason in holes if end > settled]
        unreported = _disjoint([hole for _, hole in self._unreported])
        contents.unreported = [
            (start, min(end, settled), reason) for start, end, reason in unreported if start < settled
        ]
        return contents

    def _on_torn_line(self) -> None:
        """Ignore what a kill left of a line. In version 0.1 the final stood behind its mark, so it may be lost."""
        if not self._checked and self._last_was_settled:
            self._latest = self._before_latest
            if self._trusted:
                self._contents.settled = self._latest
        self._last_was_settled = False

    def _check_number(self, seq: int) -> None:
        contents = self._contents
        # A journal of version 0.1 that this version continues begins with number 0, too: any other first number shows
        # that numbered records before it are missing, also where damage made the head look like one of version 0.1.
        self._in_order = seq == contents.next_seq
        if not self._in_order:
            contents.missing += max(1, seq - contents.next_seq)
            self._distrust()
            # A record in another place: what is missing around it cannot be told.
            self._mixed_up = self._mixed_up or seq < contents.next_seq
        self._checked = True
        contents.next_seq = max(contents.next_seq, seq + 1)

    def _distrust(self) -> None:
        self._trusted = False
        self._first_turn_since = None

    def _apply(self, record: dict[str, Any]) -> bool:
        """Apply a record. False if it has a known type and impossible fields."""
        match record:
            case {"type": "settled", "to": int(to)} if _is_position(to):
                self._settle(to)
            case {"type": "resumed", "at": int(at)} if _is_position(at):
                self._resume(at)
            case {"type": "final" | "translation"}:
                return self._apply_words(record)
            case {"type": "turn", "turn": int(turn)}:
                self._note_turn(turn)
            case {"type": "printed", "turn": int(turn)}:
                self._note_printed(turn)
            case {"type": "hole", "start": int(start), "end": int(end), "reason": str(reason)} if _is_position(
                start
            ) and _is_position(end):
                self._holes.append((start, end, reason))
                self._unreported.append((self._contents.next_turn, self._holes[-1]))
            case {"type": "ended"}:
                self._contents.ended = True
            case {"type": "settled" | "turn" | "printed" | "hole" | "resumed"}:
                return False
        return True

    def _apply_words(self, record: dict[str, Any]) -> bool:
        # Version 0.1 wrote null and false where later ones leave a field out.
        fields = {name: value for name, value in record.items() if value is not None and value is not False}
        try:
            words: Final | Translation = msgspec.convert(fields, Final | Translation)
        except msgspec.ValidationError:
            return False
        if isinstance(words, Translation):
            self._contents.translations[words.turn] = msgspec.structs.asdict(words)
        else:
            self._contents.finals.append(msgspec.structs.asdict(words))
            self._note_final(words.turn, record.get("settled"))
        return True

    def _note_final(self, turn: int, settled: object) -> None:
        self._note_turn(turn)
        if isinstance(settled, int) and _is_position(settled):
            self._settle(settled)

    def _settle(self, to: int) -> None:
        self._before_latest, self._latest = self._latest, max(self._latest, to)
        if self._trusted:
            self._contents.settled = self._latest

    def _resume(self, at: int) -> None:
        """Continue as the other process did: it has heard again what it did not trust."""
        self._latest = self._before_latest = at
        if at <= self._contents.settled and self._in_order:
            self._trusted, self._mixed_up, self._first_turn_since = True, False, None
        if self._trusted:
            self._contents.settled = at

    def _note_turn(self, turn: int) -> None:
        self._contents.next_turn = max(self._contents.next_turn, turn + 1)
        if not self._trusted and self._first_turn_since is None:
            self._first_turn_since = turn

    def _note_printed(self, turn: int) -> None:
        contents = self._contents
        contents.finals = [final for final in contents.finals if final["turn"] > turn]
        self._unreported = [(after, hole) for after, hole in self._unreported if after > turn]
        if self._first_turn_since is not None and turn >= self._first_turn_since and not self._mixed_up:
            self._trusted, self._first_turn_since = True, None
            contents.settled = max(contents.settled, self._latest)


def _record(line: bytes) -> dict[str, Any] | None:
    """Parse a line; None if it is incomplete or damaged."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("type"), str):
        return None
    if "crc" in record or "seq" in record:
        body, separator, rest = line.rpartition(_SUM)
        seq = record.get("seq")
        if not separator or rest != b'%08x"}' % crc32(body + b"}") or isinstance(seq, bool):
            return None
        if not isinstance(seq, int) or seq < 0:
            return None
    return record


def _origin(head: dict[str, Any]) -> SpoolSource:
    try:
        fields = {name: head[name] for name in SpoolSource.__slots__ if name in head}
        origin = msgspec.convert(fields, SpoolSource)
    except msgspec.ValidationError as exc:
        raise ValueError(f"its first record is damaged: {exc}") from None
    if not 0 < origin.rate_hz <= _MAX_RATE_HZ or not math.isfinite(origin.gain):
        raise ValueError("its first record is damaged")
    return origin


def _is_position(value: int) -> bool:
    return not isinstance(value, bool) and 0 <= value <= LAST_POSITION


def _disjoint(holes: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Sort the holes and cut overlaps, so that a sample in two holes counts once."""
    disjoint: list[tuple[int, int, str]] = []
    at = 0
    for start, end, reason in sorted(holes):
        if end > max(at, start):
            disjoint.append((max(start, at), end, reason))
            at = end
    return disjoint
