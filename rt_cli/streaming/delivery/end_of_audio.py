"""What to do when all audio is sent: how the last turn closes, and how the endpoint proves that it has read everything.

A commit of silence becomes a turn of its own, and endpoints invent words for it: so a tail in which neither side hears
speech is never committed. Where the endpoint makes the turns, a commit closes the last one; some endpoints refuse or
ignore it while their turn detection is on, and there silence does.

The proof that everything was read is an acknowledgement. Of an endpoint whose protocol is known in full the answer to
a ``clear`` proves that it has heard everything, too; elsewhere an endpoint has a moment to tell of more. A ``clear``
deletes a turn that is not told of yet: so silence goes before it, unless the endpoint hears by our detector. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

QUIET_S = 1.0
"""Without news for so long, an endpoint that has read everything has nothing more to say of it."""
SLOW_S = 3.0
"""The same where something is still expected: an acknowledgement, or a turn for speech that our detector found."""
MOST_SILENCE_S = 10.0
"""Silence that is sent at most to close a turn: semantic turn detection waits up to 8 s."""

Action = Literal["pad", "search", "commit", "clear", "end", "wait", "done"]


class Ending(Struct, frozen=True):
    """What is known at one moment after the end of the audio."""

    quiet_s: float
    """Seconds since the last event about a turn, the last acknowledgement, or the last action of ours."""
    read: bool
    """The endpoint has read everything that was sent."""
    cleared: bool
    """It has answered our ``clear`` or our end of the stream."""
    clear_sent: bool
    """One of them was sent."""
    commit: Literal["none", "pending", "answered", "refused"] = "none"
    """The commit behind all audio; one that is ignored counts as refused."""
    speaking: bool = False
    """The endpoint has told of speech, and not of its end."""
    padded_s: float = 0.0
    """Silence that was sent to close the last turn."""
    missed_speech: bool | None = None
    """Our detector found speech in the tail that is in no turn; None: it has not looked yet."""
    uncertain_speech: bool = False
    """It found speech that may be in the last turn, or behind it: the end of that turn is a guess."""
    news_since_silence: bool = False
    """The endpoint has told of a turn since silence was sent."""
    missed_sound: bool = False
    """Sound that is in no turn is louder than silence, although our detector hears no speech in it."""
    speech_at_end: bool = False
    """That speech goes on to the end of the audio: no silence has closed its turn."""
    tells_of_speech: bool = True
    """The endpoint has told of speech in this run; else it may never do."""
    ends_turns: bool = True
    """It has ended turns by itself; else it may have no turn detection whose turn silence could close."""
    awaits_words: bool = False
    """A turn that has ended has no words yet: some endpoints say nothing of later audio before them."""
    left_s: float = 10.0
    """Seconds until the end is given up."""
    patience_s: float = 10.0
    """Seconds without progress after which the end is given up."""

    @property
    def slow_s(self) -> float:
        """Seconds to wait for something that is expected."""
        return min(SLOW_S, self.patience_s / 3)

    @property
    def idle_s(self) -> float:
        """Seconds to wait where nothing is expected."""
        return min(QUIET_S, self.patience_s / 10)


@dataclass(slots=True)
class Tail:
    """What was done and found at the end of the audio; times in seconds, positions on the timeline."""

    began_at: float
    """From when on the endpoint has to make progress."""
    acted_at: float
    """When something was done last."""
    committed: bool
    """The last turn was committed."""
    padded: int = 0
    """Samples of silence that were sent."""
    padded_at: float = 0.0
    missed: int | None = None
    """Where the last speech ends that our detector found."""
    sound: int | None = None
    """Where the last sound ends that is louder than noise."""
    told: bool | None = None
    """Whether the endpoint had told of speech when we looked: once it has, less counts, and we look again."""
    clear_sent: bool = False
    """A clear, or the end of the stream, was sent."""


def next_step(
    ending: Ending,
    *,
    own_turns: bool,
    takes_clear: bool = False,
    same_detector: bool = False,
    ends_stream: bool = False,
) -> Action:
    """Return the next action; ``done`` when nothing is left but answers to turns and commits.

    Args:
        ending: What is known.
        own_turns: ``rt`` commits the turns itself.
        takes_clear: The endpoint is known to process ``clear`` in order, and to answer it.
        same_detector: It detects speech as we do.
        ends_stream: It takes an end of the stream, which closes the last turn.
    """
    if ends_stream:
        return _end(ending)
    if own_turns:
        # The answer to a commit proves as much as an acknowledgement.
        return "done" if ending.read or ending.commit != "none" else _ask(ending, ending.slow_s)
    return _end_of_their_turns(ending, takes_clear=takes_clear, same_detector=same_detector)


def _end_of_their_turns(ending: Ending, *, takes_clear: bool, same_detector: bool) -> Action:
    """Close the last turn that the endpoint makes."""
    if ending.commit == "answered":
        return "done"
    if ending.commit == "pending":
        if not ending.ends_turns:
            return "done"
        return "pad" if ending.quiet_s >= ending.idle_s else "wait"
    if not ending.read and not ending.cleared and ending.quiet_s < ending.slow_s:
        return "wait"
    if ending.missed_speech is None:
        return "search"
    if ending.speaking or ending.missed_speech:
        return _close(ending)
    if ending.uncertain_speech and ending.ends_turns:
        return _flush_out(ending)
    if ending.missed_sound and ending.awaits_words:
        return "wait"  # our detector may be wrong: the endpoint may tell of speech there once it has found the words
    if takes_clear:
        return _ask(ending, 0.0) if ending.padded_s or same_detector else "pad"
    return "done" if ending.quiet_s >= ending.idle_s else "wait"


def _end(ending: Ending) -> Action:
    """End the stream, and wait until the endpoint has told everything."""
    if not ending.clear_sent:
        return "end"
    return "done" if ending.cleared or ending.quiet_s >= ending.patience_s else "wait"


def _close(ending: Ending) -> Action:
    """Close the last turn."""
    if ending.commit == "refused":
        if ending.quiet_s < ending.idle_s and ending.padded_s:
            return "wait"
        return "pad" if ending.padded_s < MOST_SILENCE_S else "done"
    # Where silence follows the speech, the endpoint closes the turn itself: it may only be slow.
    slow = ending.tells_of_speech and not ending.speaking
    waits = slow and ending.awaits_words and ending.left_s > ending.slow_s
    quiet = ending.quiet_s >= (ending.slow_s if slow else ending.idle_s)
    return "commit" if ending.speech_at_end or (quiet and not waits) else "wait"


def _flush_out(ending: Ending) -> Action:
    """Close a turn that may be open: silence does no harm where there is none, as a commit would."""
    if not ending.padded_s:
        return "pad"
    return "done" if ending.quiet_s >= (ending.idle_s if ending.news_since_silence else ending.slow_s) else "wait"


def _ask(ending: Ending, patience_s: float) -> Action:
    """Ask for the answer to a ``clear``."""
    if ending.cleared:
        return "done"
    if not ending.clear_sent:
        return "clear" if ending.quiet_s >= patience_s else "wait"
    return "done" if ending.quiet_s >= ending.idle_s else "wait"
