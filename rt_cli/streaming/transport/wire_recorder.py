"""Writes everything that crosses the wire to a file; :mod:`rt_cli.protocol.recording_format` describes the format.

The run never waits for the disk. If the disk is too slow, lines are left out and the file states their number.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from rt_cli import __version__
from rt_cli.disk.outfile import PRIVATE, open_outfile, write_all
from rt_cli.disk.serial_thread import SerialThread
from rt_cli.errors import UsageError
from rt_cli.events import Warned
from rt_cli.masking import plain_escapes, without_secret_bytes
from rt_cli.protocol.message import Binary
from rt_cli.protocol.openai.encode import appended_bytes
from rt_cli.protocol.recording_format import APPEND, VERSION, without_audio
from rt_cli.protocol.redaction import Redactor, secrets_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rt_cli.events import EventHandler
    from rt_cli.protocol.endpoint.endpoint import Endpoint

LIMIT_BYTES = 1 << 24
"""Limit of messages waiting for the disk."""
PATIENCE_S = 2.0
"""Longest wait for the disk in :meth:`WireRecorder.close`."""
_LINE_BYTES = 200
"""Size of a line without its message, as an estimate."""
_CUT = 1006

MakeLine = Callable[[], bytes]
"""Makes a line on the thread that writes it."""


class WireRecorder:
    """Writes all connections of a run to one file.

    Args:
        path: Path of the file.
        audio: Whether to write audio; if not, its size replaces it.
        replace: Whether an existing file may be replaced.
        on_event: Receives a warning on the first disk error or overflow.
        limit_bytes: Limit of messages waiting for the disk.

    Raises:
        UsageError: The file cannot be written, or exists already.
    """

    def __init__(
        self, path: Path, on_event: EventHandler, *, audio: bool, replace: bool, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self.path = path
        self.audio = audio
        self.began = time.monotonic()
        self._on_event = on_event
        self._limit = limit_bytes
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting = 0
        self._missing = 0
        self._failure: str | None = None
        self._warned = False
        self._file = open_outfile(path, replace=replace, keep=True, mode=PRIVATE, hint="record elsewhere")
        self._thread = SerialThread("rt-wirelog")
        self._begun = False
        if not os.fstat(self._file.fileno()).st_size:
            self._begin()

    def _begin(self) -> None:
        """Write the first line in place of what the file holds: only now there is something new."""
        self._begun = True
        self._thread.do(self._empty_file)
        began = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"type": "recording", "version": VERSION, "began": began, "audio": self.audio, "rt": __version__}
        self.note(partial(_line, head))

    @property
    def error(self) -> UsageError | None:
        """The disk error that made the file incomplete; None without one."""
        if self._failure is None:
            return None
        return UsageError(self._incomplete(self._failure), "make room, or record it elsewhere", code="record")

    def connection(self, endpoint: Endpoint, source: str) -> ConnectionLog:
        """Return the log of the next connection. Call it before the connection is opened."""
        return ConnectionLog(self, next(self._numbers), endpoint, source)

    def note(self, make: MakeLine, size: int = 0) -> None:
        """Queue a line. Returns at once and never raises.

        Args:
            make: Makes the line on another thread; must not raise.
            size: Bytes that ``make`` keeps in memory.
        """
        if not self._begun:
            self._begin()
        if self._failure is not None:
            self._warn(self._failure)
            return
        size += _LINE_BYTES
        with self._lock:
            full = self._waiting + size > self._limit
            if full:
                self._missing += 1
            else:
                self._waiting += size
                missing, self._missing = self._missing, 0
        if full:
            self._warn("the disk is too slow")
        else:
            self._thread.do(partial(self._write, make, size, missing))

    def close(self) -> None:
        """Write the queue, for two seconds at most, and close the file. Blocks."""
        with self._lock:
            missing, self._missing = self._missing, 0
        if missing:
            self._thread.do(partial(self._write, lambda: b"", 0, missing))
        self._thread.do(self._close_file)
        if not self._thread.close(PATIENCE_S):
            self._failure = self._failure or "the disk is too slow"

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            self._on_event(Warned("record", self._incomplete(reason)))

    def _incomplete(self, reason: str) -> str:
        return f"{self.path} does not hold the whole session: {reason}"

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _write(self, make: MakeLine, size: int, missing: int) -> None:
        if self._failure is None:
            gap = _line({"type": "dropped", "lines": missing}) if missing else b""
            line = gap + make()
            try:
                write_all(self._file.fileno(), line)
            except OSError as exc:
                self._failure = exc.strerror or str(exc)
        with self._lock:
            self._waiting -= size

    def _empty_file(self) -> None:
        try:
            if os.fstat(self._file.fileno()).st_size:
                self._file.truncate(0)
        except OSError as exc:
            self._failure = exc.strerror or str(exc)

    def _close_file(self) -> None:
        try:
            self._file.close()
        except OSError as exc:
            self._failure = self._failure or exc.strerror


class ConnectionLog:
    """Logs one connection. Its methods return at once and never raise.

    Args:
        log: The file of the run.
        number: Number of the connection.
        endpoint: Endpoint of the connection.
        source: Name of the source that the connection serves.
    """

    def __init__(self, log: WireRecorder, number: int, endpoint: Endpoint, source: str) -> None:
        self._log = log
        self._number = number
        self._url = endpoint.shown
        self._source = source
        self._redactor = Redactor(secrets_of(endpoint))
        self._began = time.monotonic()
        self._open = False

    def opened(self, request: Iterable[tuple[str, str]], response: Iterable[tuple[str, str]]) -> None:
        """Log a successful handshake, with the names of its headers, and their values unless secret."""
        self._open = True
        headers = {"request": self._redactor.headers(request), "response": self._redactor.headers(response)}
        self._note(self._beginning("open") | headers)

    def failed(self, message: str, status: int | None) -> None:
        """Log a failed opening; ``status`` is the HTTP status of a refusal."""
        answer = {} if status is None else {"status": status}
        self._note(self._beginning("failed") | answer | {"message": self._redactor.text(message)})

    def sent(self, message: bytes) -> None:
        """Log an outbound message."""
        make = self._binary if isinstance(message, Binary) else self._message
        self._log.note(partial(make, self._ms(), "out", message), len(message))

    def received(self, message: bytes, *, text: bool) -> None:
        """Log a complete inbound message."""
        make = partial(self._message if text else self._binary, self._ms(), "in", message)
        self._log.note(make, len(message))

    def ping(self, direction: str) -> None:
        """Log a ping; direction ``out`` or ``in``."""
        self._note(self._head("ping", direction))

    def pong(self, direction: str) -> None:
        """Log a pong; direction ``out`` or ``in``."""
        self._note(self._head("pong", direction))

    def closed(self, direction: str, code: int, reason: str = "") -> None:
        """Log a close frame of one side."""
        self._open = False
        self._note(self._head("close", direction) | {"code": code, "reason": self._redactor.text(reason)})

    def cut(self, direction: str) -> None:
        """Log an end of the connection without a close frame. Idempotent."""
        if self._open:
            self.closed(direction, _CUT)

    def _ms(self) -> float:
        return round((time.monotonic() - self._began) * 1000, 3)

    def _head(self, kind: str, direction: str, ms: float | None = None) -> dict[str, Any]:
        stamp = self._ms() if ms is None else ms
        head = {"connection": self._number, "ms": stamp, "type": kind}
        return head | ({"direction": direction} if direction else {})

    def _beginning(self, kind: str) -> dict[str, Any]:
        began_ms = round((self._began - self._log.began) * 1000, 3)
        return self._head(kind, "") | {"url": self._url, "source": self._source, "began_ms": began_ms}

    def _note(self, fields: dict[str, Any]) -> None:
        self._log.note(partial(_line, fields))

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _message(self, ms: float, direction: str, message: bytes) -> bytes:
        head = self._head("event", direction, ms)
        if (size := appended_bytes(message)) is not None:
            if not self._log.audio:
                return _line(head | {"event": {"type": APPEND, "audio": {"bytes": size}}})
            # Audio messages are most of the traffic and valid JSON of rt itself: do not parse them again.
            return b"".join((_line(head)[:-2], b',"event":', message, b"}\n"))
        try:
            event = json.loads(message)
            if isinstance(event, dict):
                event = self._redactor.fields(event)
                return _line(head | {"event": event if self._log.audio else without_audio(event)})
        except (ValueError, RecursionError):
            pass  # invalid JSON, or JSON that cannot be written again: log it as text
        return _line(head | {"text": self._redactor.text(plain_escapes(message.decode("utf-8", "replace")))})

    def _binary(self, ms: float, direction: str, message: bytes) -> bytes:
        if direction == "out" and not self._log.audio:
            return _line(self._head("event", direction, ms) | {"base64": {"bytes": len(message)}})
        return _line(self._head("event", direction, ms) | {"base64": b64encode(without_secret_bytes(message)).decode()})


def _line(fields: dict[str, Any]) -> bytes:
    # ASCII keeps every line valid and lossless, even with half of a surrogate pair in a message.
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode() + b"\n"
