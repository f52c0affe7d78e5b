"""Server-sent events, as the WHATWG's HTML standard defines their stream: what an API streams. Pure."""

from __future__ import annotations

import codecs

MAX_EVENT = 1_048_576
"""Characters."""


class EventTooLong(Exception):
    """An event has no end, or there is no line in what comes."""


class EventStream:
    """Gives the data of each event as soon as the event is whole; names, ids and comments are of no use here."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._rest = ""
        self._data: list[str] = []
        self._size = 0

    def push(self, chunk: bytes) -> list[str]:
        """The data of the events that the chunk completes, in order.

        Raises:
            EventTooLong: More than ``MAX_EVENT`` characters belong to one event.
        """
        text = self._rest + self._decode(chunk)
        # A CR at the end may be half of a CRLF.
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
