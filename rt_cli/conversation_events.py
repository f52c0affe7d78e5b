"""The events of a conversation. Times are milliseconds, on the timeline of the user's sound where they are moments."""

from __future__ import annotations

from rt_cli.contract import ContractEvent


class ReplyEnded(ContractEvent, frozen=True, tag="reply"):
    """A reply of ``rt talk`` has been heard, or has ended before its end; it follows the ``final`` that it answers."""

    since = "0.2"
    turn: int | None
    """The turn of the user that it answers; None for a typed line, or if it answers nothing."""
    text: str
    """What was heard of it: of an interrupted reply the words in proportion to the audio."""
    audio_ms: int
    """Audio that was received."""
    played_ms: int
    """Audio that was heard."""
    status: str
    """``completed``, ``cancelled``, ``failed`` or ``incomplete``, as the endpoint says; ``incomplete`` after a cut."""
    interrupted: bool
    """The user stopped it."""


class ToolCalled(ContractEvent, frozen=True, tag="tool"):
    """A tool that the endpoint called has ended."""

    since = "0.2"
    name: str
    """Name that the endpoint called."""
    arguments: str
    """JSON, as the model wrote it."""
    exit: int | None
    """Exit code of the program, of a tool of an MCP server 0 or 1; None if it was not run, or was ended."""
    ms: int
    """Time from the call to the output."""


class BargedIn(ContractEvent, frozen=True, tag="barge_in"):
    """The user interrupted a reply; follows the ``reply``."""

    since = "0.2"
    at_ms: int
    """When the sound stopped."""
    truncated_ms: int | None
    """How much of its last message was heard, as the endpoint was told; None if nothing was unheard."""


class LatencyMeasured(ContractEvent, frozen=True, tag="latency"):
    """How long the user waited for a reply, by the samples of both sides; follows the ``reply``.

    A time is None where the end of the user's speech, or the first sound of the reply, is unknown.
    """

    since = "0.2"
    turn: int | None
    """The turn of the user, as in the ``reply``."""
    endpointing_ms: int | None
    """From the end of the user's speech to the end of the turn."""
    first_audio_ms: int | None
    """From the end of the turn to the first audio of the reply."""
    voice_to_voice_ms: int | None
    """From the end of the user's speech to the first sound of the reply that is louder than silence."""


ConversationReport = ReplyEnded | ToolCalled | BargedIn | LatencyMeasured
