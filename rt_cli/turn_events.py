"""The events of a turn. Times are milliseconds on the timeline of the source."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import UNSET, Struct, UnsetType

from rt_cli.contract import SINCE_0_2, ContractEvent


class Partial(ContractEvent, frozen=True, tag="partial"):
    """The whole text of a turn so far."""

    turn: int
    """Number of the turn."""
    text: str
    """Everything heard of the turn so far: it replaces the partial before."""
    start_ms: int | UnsetType = UNSET
    """Start of the turn; absent until it is known."""
    item_id: Annotated[str | UnsetType, SINCE_0_2] = UNSET
    """The endpoint's own name of the turn."""


class SpeechBegan(ContractEvent, frozen=True, tag="speech_started"):
    """The endpoint, or the detector of ``rt``, heard that speech began; after a cut perhaps once more."""

    since = "0.2"
    turn: int
    """Number of the turn."""
    at_ms: int
    """Where the speech begins, with the padding that the endpoint puts before it."""
    item_id: str | UnsetType = UNSET
    """The endpoint's own name of the turn."""


class SpeechEnded(ContractEvent, frozen=True, tag="speech_stopped"):
    """The endpoint, or the detector of ``rt``, heard that speech ended; the final of the turn follows."""

    since = "0.2"
    turn: int
    """Number of the turn."""
    at_ms: int
    """Where the speech ends."""
    item_id: str | UnsetType = UNSET
    """The endpoint's own name of the turn."""


class TurnSegment(ContractEvent, frozen=True, tag="segment"):
    """A part of a turn that one speaker said, from an endpoint that tells speakers apart; the final follows."""

    since = "0.2"
    turn: int
    """Number of the turn."""
    text: str
    """What was said in it."""
    speaker: str | UnsetType = UNSET
    """The endpoint's name of the speaker, such as ``A``; the same within a session."""
    start_ms: int | UnsetType = UNSET
    """Where the segment begins."""
    end_ms: int | UnsetType = UNSET
    """Where the segment ends."""
    item_id: str | UnsetType = UNSET
    """The endpoint's own name of the turn."""


class TurnUsage(Struct, frozen=True, omit_defaults=True):
    """What the endpoint charges for a turn, in tokens or in seconds."""

    since: ClassVar[str] = "0.2"
    input_tokens: int | UnsetType = UNSET
    """Tokens of the audio, and of a prompt."""
    output_tokens: int | UnsetType = UNSET
    """Tokens of the text."""
    total_tokens: int | UnsetType = UNSET
    """Tokens in all."""
    seconds: float | UnsetType = UNSET
    """Length of the audio that is charged, seconds."""


class Withdrawn(ContractEvent, frozen=True, tag="withdrawn"):
    """The partials of a turn are void; its audio will be sent again."""

    turn: int
    """Number of the turn."""


class Final(ContractEvent, frozen=True, tag="final"):
    """The final text of a turn."""

    turn: int
    """Number of the turn."""
    text: str
    """What was said; empty if nothing was understood."""
    start_ms: int | UnsetType = UNSET
    """Start of the turn."""
    end_ms: int | UnsetType = UNSET
    """End of the turn."""
    approx: bool | UnsetType = UNSET
    """True if the endpoint sends no offsets: the range is a guess. Never False."""
    language: str | UnsetType = UNSET
    """Language that the endpoint heard, as it names it."""
    latency_ms: int | UnsetType = UNSET
    """Time from the end of speech to the final."""
    resumed: bool | UnsetType = UNSET
    """True if an earlier connection or process had sent a part of the audio. Never False."""
    item_id: Annotated[str | UnsetType, SINCE_0_2] = UNSET
    """The endpoint's own name of the turn."""
    speaker: Annotated[str | UnsetType, SINCE_0_2] = UNSET
    """The endpoint's name of the speaker, if all segments of the turn have the same one."""
    confidence: Annotated[float | UnsetType, SINCE_0_2] = UNSET
    """How sure the endpoint is of the text, 0 to 1: the geometric mean of the probabilities of its tokens. Only where
    ``--set 'include=["item.input_audio_transcription.logprobs"]'`` asks for them."""
    usage: Annotated[TurnUsage | UnsetType, SINCE_0_2] = UNSET
    """What the endpoint charges for the turn, as it says."""


class Translation(ContractEvent, frozen=True, tag="translation"):
    """The translation of a turn; it follows the ``final`` of that turn, which says what was said."""

    since = "0.2"
    turn: int
    """Number of the turn."""
    text: str
    """The translation; empty if the endpoint gave none."""
    language: str
    """Language of the text, as it was asked for."""
    start_ms: int | UnsetType = UNSET
    """Start of the turn."""
    end_ms: int | UnsetType = UNSET
    """End of the turn."""
    approx: bool | UnsetType = UNSET
    """True if the range is a guess, as in the ``final``. Never False."""


class Failed(ContractEvent, frozen=True, tag="failed"):
    """The endpoint could not transcribe a turn; a :class:`Dropped` with the range follows."""

    turn: int
    """Number of the turn."""
    start_ms: int
    """Start of the turn."""
    end_ms: int
    """End of the turn."""
    code: str
    """Code of the error as the endpoint sent it; ``failed`` without one."""
    message: str
    """What the endpoint says, for people."""
    item_id: Annotated[str | UnsetType, SINCE_0_2] = UNSET
    """The endpoint's own name of the turn."""
