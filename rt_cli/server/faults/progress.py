"""How far the events of a connection are: its turns, and the sound of its replies. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from rt_cli.server.faults.event_names import COMMITTED

AUDIO_DELTA, CREATED = "response.output_audio.delta", "response.created"
_PCM_BYTES_PER_S, _G711_BYTES_PER_S = 48_000, 8_000
_MOST_REPLIES = 64
"""Replies whose sound is counted; the oldest are forgotten first."""


class ConnectionProgress:
    """Counts the turns of a connection, its replies, and the sound of each reply."""

    def __init__(self) -> None:
        self._turns = self._replies = 0
        self._sounds: dict[str, _Sound] = {}

    def count(self, type_: str, text: bytes) -> tuple[str, float] | None:
        """Count an event.

        Args:
            type_: Type of the event.
            text: Its JSON; an event that is no JSON does not count.

        Returns:
            What was reached: ("turn", number), or ("replyN", seconds of sound of the N-th reply); None: nothing.
        """
        if type_ == COMMITTED:
            self._turns += 1
            return "turn", self._turns
        if type_ not in {CREATED, AUDIO_DELTA}:
            return None
        try:
            event = msgspec.json.decode(text, type=_Event)
        except msgspec.DecodeError:
            return None
        return self._begin(event) if type_ == CREATED else self._add(event)

    def _begin(self, event: _Event) -> tuple[str, float] | None:
        if event.response is None or event.response.id in self._sounds:  # the same event a second time
            return None
        self._replies += 1
        is_pcm = event.response.audio.output.format.type == "audio/pcm"
        name = f"reply{self._replies}"
        self._sounds[event.response.id] = _Sound(name, _PCM_BYTES_PER_S if is_pcm else _G711_BYTES_PER_S)
        if len(self._sounds) > _MOST_REPLIES:
            del self._sounds[next(iter(self._sounds))]
        return name, 0.0

    def _add(self, event: _Event) -> tuple[str, float] | None:
        sound = self._sounds.get(event.response_id)
        if sound is None:
            return None
        sound.seconds += (len(event.delta) * 3 // 4 - event.delta.count("=")) / sound.bytes_per_s
        return sound.name, sound.seconds


@dataclass(slots=True)
class _Sound:
    name: str
    bytes_per_s: int
    seconds: float = 0.0


class _Format(msgspec.Struct):
    type: str = "audio/pcm"


class _Output(msgspec.Struct):
    format: _Format


class _Audio(msgspec.Struct):
    output: _Output


class _Response(msgspec.Struct):
    id: str
    audio: _Audio


class _Event(msgspec.Struct):
    response: _Response | None = None
    response_id: str = ""
    delta: str = ""
