"""Decoder of server-sent events, by the WHATWG's HTML standard. Pure."""

from __future__ import annotations

import codecs

MAX_EVENT = 1_048_576
"""Most characters of one event."""


class EventTooLong(Exception):
    """An event, or a line, is longer than the limit."""


class EventStream:
    """Returns the data of each complete event; ignores names, ids and comments."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._rest = ""
        self._data: list[str] = []
        self._size = 0

    def push(self, chunk: bytes) -> list[str]:
        """Return the data of the events that the chunk completes, in order.

        Raises:
            EventTooLong: An event has more than ``MAX_EVENT`` characters.
        """
        text = self._rest + self._decode(chunk)
        # Keep a CR at the end: an LF may follow in the next chunk.
        held = text.endswith("\r")
        lines = (text[:-1] if held else text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + ("\r" if held else "")
        events = [data for line in lines if (data := self._line(line)) is not None]
        if self._size + len(self._rest) > MAX_EVENT:
            raise EventTooLong
        return events

    def _line(self, line: str) -> str | None:
        if not line:
            data, self._data, self._size = "\n".join(self._data), [], 0
            return data or None
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
            self._size += len(value)
        return None
