"""What a translation session brings, beside the events that all sessions have."""

from __future__ import annotations

import msgspec


class TranslationPartial(msgspec.Struct, frozen=True):
    """The whole text of a turn so far, in the language that is spoken."""

    turn_id: str
    text: str


class TranslatedTurn(msgspec.Struct, frozen=True):
    """A turn in both languages, complete; turns come in order.

    The range is by the frames of the endpoint, milliseconds from the first audio of the connection: nothing that is
    said after ``end_ms`` is in the turn, and nothing that is said before it is in a later one.
    """

    turn_id: str
    text: str
    """What was said; empty if the endpoint has not written it down."""
    translation: str
    start_ms: int
    end_ms: int


class TranslatedSound(msgspec.Struct, frozen=True):
    """``session.output_audio.delta``."""

    pcm: bytes
    """int16, little-endian, mono, at the rate of the session."""


TranslationEvent = TranslationPartial | TranslatedTurn | TranslatedSound
