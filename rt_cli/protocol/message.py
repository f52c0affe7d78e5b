"""Messages to an endpoint. Pure."""

from __future__ import annotations


class Binary(bytes):
    """A message that is sent as a binary frame; plain bytes are the UTF-8 of a text message."""

    __slots__ = ()
