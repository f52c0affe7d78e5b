"""An endpoint that says anything, in any order, with any id or none: the conversation goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.conversation_events import ToolCalled
from rt_cli.events import Final
from rt_cli.protocol.conversation.actions import RunTool
from rt_cli.protocol.conversation.dialogue import Dialogue
from rt_cli.protocol.conversation.events import (
    AudioDelta,
    CallArguments,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    ReplyDelta,
    ReplyText,
    ResponseCreated,
    ResponseDone,
)
from rt_cli.protocol.server_events import (
    Committed,
    ErrorEvent,
    ErrorInfo,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
)

if TYPE_CHECKING:
    from rt_cli.protocol.conversation.actions import Step

IDS = st.sampled_from([None, "a", "b", "c"])
TEXTS = st.sampled_from(["", "one two", "\ud83d", "\udc00x", "\x1b[2J", "-" * 50])
ITEMS = st.builds(
    OutputItem,
    id=IDS,
    kind=st.sampled_from(["message", "function_call", "function_call_output", ""]),
    role=st.sampled_from(["user", "assistant", ""]),
    text=TEXTS,
    call_id=IDS,
    name=st.sampled_from(["", "tool"]),
    arguments=TEXTS,
)
EVENTS = st.one_of(
    st.builds(ResponseCreated, IDS),
    st.builds(
        ResponseDone,
        IDS,
        st.sampled_from(["completed", "cancelled", "failed", "incomplete", "odd"]),
        items=st.lists(ITEMS, max_size=2).map(tuple),
    ),
    st.builds(OutputItemAdded, IDS, ITEMS),
    st.builds(OutputItemDone, IDS, ITEMS),
    st.builds(
        AudioDelta, IDS, IDS, st.integers(0, 3), st.binary(max_size=40).map(lambda pcm: pcm[: len(pcm) // 2 * 2])
    ),
    st.builds(ReplyDelta, IDS, IDS, st.integers(0, 3), TEXTS),
    st.builds(ReplyText, IDS, IDS, st.integers(0, 3), TEXTS),
    st.builds(CallArguments, IDS, IDS, IDS, st.sampled_from(["", "tool"]), TEXTS),
    st.builds(ItemAdded, ITEMS, IDS),
    st.builds(ItemTruncated, IDS, st.none() | st.integers(0, 100)),
    st.builds(ItemDeleted, IDS),
    st.builds(SpeechStarted, IDS),
    st.builds(SpeechStopped, IDS),
    st.builds(Committed, IDS, IDS),
    st.builds(TranscriptCompleted, IDS),
)
ACTS = st.one_of(
    st.tuples(st.just("event"), EVENTS, st.none() | st.integers(0, 3000)),
    st.tuples(st.just("cut"), st.none(), st.none()),
    st.tuples(st.just("type"), TEXTS, st.none()),
    st.tuples(st.just("ended"), IDS, st.none() | st.integers(1, 5)),
    st.tuples(st.just("tools"), st.none(), st.none()),
    st.tuples(
        st.just("refuse"),
        st.sampled_from(["conversation_already_has_active_response", "x", ""]),
        st.integers(0, 4),
    ),
)  # fmt: skip


def act(dialogue: Dialogue, what: str, value: object, number: int | None, now: int) -> list[Step]:
    """Do one thing."""
    if what == "event":
        return dialogue.receive(value, now, number)  # type: ignore[arg-type] # of EVENTS
    if what == "cut":
        return [*dialogue.disconnect(now), *dialogue.connect(now)]
    if what == "type":
        return dialogue.type(str(value), now)
    if what == "ended":
        ended = dialogue.turn_ended(frozenset({str(value)}), number, "words")
        return [*ended, *([] if number is None else dialogue.report_final(Final(number, "words")))]
    error = ErrorInfo(code=str(value), event_id=f"rt_talk_{number}")
    assert dialogue.takes(ErrorEvent(error))
    return dialogue.refuse(error, now)


@given(st.lists(ACTS, max_size=50), st.booleans(), st.booleans())
def test_nothing_breaks_it(acts: list[tuple[str, object, int | None]], asks: bool, spoken: bool) -> None:  # noqa: FBT001 - drawn
    """No exception, no call twice, and everything is reported at the end."""
    dialogue = Dialogue(1000, asks=asks, spoken=spoken)
    steps = dialogue.connect(0)
    for at, (what, value, number) in enumerate(acts):
        now = at * 37
        if what == "tools":
            for call in [step for step in steps if isinstance(step, RunTool)]:
                steps += dialogue.tool_ended(call.call_id, "out", ToolCalled("tool", "{}", 0, 1), now)
        else:
            steps += act(dialogue, what, value, number, now)
        steps += dialogue.tick(now)
        dialogue.rests(now)
    steps += dialogue.close(100_000)
    assert dialogue.close(100_000) == []
