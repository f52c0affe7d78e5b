"""The conversation as a table of events and steps, and as properties of random conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.conversation_events import BargedIn, ReplyEnded, ToolCalled
from rt_cli.events import Final, Warned
from rt_cli.protocol.conversation.actions import (
    CancelResponse,
    CreateCall,
    CreateCallOutput,
    CreateMessage,
    CreateResponse,
    DeleteItem,
    Emit,
    RunTool,
    Say,
    TruncateItem,
)
from rt_cli.protocol.conversation.dialogue import Dialogue
from rt_cli.protocol.conversation.events import (
    AudioDelta,
    CallArguments,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    ReplyDelta,
    ReplyText,
    ResponseCreated,
    ResponseDone,
)
from rt_cli.protocol.server_events import Committed, ErrorInfo, SpeechStarted, SpeechStopped

if TYPE_CHECKING:
    from rt_cli.events import Event
    from rt_cli.protocol.conversation.actions import Action, Step
    from rt_cli.protocol.server_events import ServerEvent

RATE = 1000
"""Samples per second: one sample is one ms."""
WEATHER = OutputItem("item_call", "function_call", call_id="call_1", name="weather", arguments='{"city":"Ulm"}')


class Run:
    """A conversation and all its steps."""

    def __init__(self, *, asks: bool = False, spoken: bool = True) -> None:
        self.dialogue = Dialogue(RATE, asks=asks, spoken=spoken)
        self.steps: list[Step] = []
        self.take(self.dialogue.connect(0))

    def take(self, steps: list[Step]) -> None:
        """Note steps."""
        self.steps += steps

    def at(self, now: int, *events: ServerEvent) -> None:
        """Events of the endpoint; those of speech name the present position."""
        for event in events:
            place = now if isinstance(event, SpeechStarted | SpeechStopped) else None
            self.take(self.dialogue.receive(event, now, place))

    def turn(self, now: int, item: str = "user_1", number: int | None = 1, text: str = "hello") -> None:
        """A whole turn of the user, with its words."""
        self.at(now - 100, SpeechStarted(item))
        self.at(now, SpeechStopped(item), Committed(item))
        if number is not None:
            self.words(item, number, text)

    def words(self, item: str, number: int, text: str = "hello") -> None:
        """The final of a turn."""
        self.take(self.dialogue.turn_ended(frozenset({item}), number, text))
        self.take(self.dialogue.report_final(Final(number, text)))

    def reply(self, now: int, samples: int, name: str = "r1", text: str = "one two three four") -> None:
        """The beginning of a spoken reply."""
        item = f"item_{name}"
        self.at(
            now,
            ResponseCreated(name),
            OutputItemAdded(name, OutputItem(item, "message", "assistant")),
            ReplyDelta(name, item, 0, text),
            AudioDelta(name, item, 0, b"\1\0" * samples),
        )

    def done(self, now: int, name: str = "r1", status: str = "completed") -> None:
        """The end of a reply."""
        self.at(now, ResponseDone(name, status))

    def cut(self, now: int) -> None:
        """Lose the connection and make another."""
        self.take(self.dialogue.disconnect(now))
        self.take(self.dialogue.connect(now))

    @property
    def said(self) -> list[Action]:
        """What was said to the endpoint."""
        return [step.action for step in self.steps if isinstance(step, Say)]

    @property
    def events(self) -> list[Event]:
        """What was reported."""
        return [step.event for step in self.steps if isinstance(step, Emit)]

    @property
    def tools(self) -> list[RunTool]:
        """What was run."""
        return [step for step in self.steps if isinstance(step, RunTool)]


def test_a_reply_is_reported_when_it_was_heard() -> None:
    """Not when the endpoint has sent it; the endpoint replies by itself, so nothing is said to it."""
    run = Run()
    run.turn(1000)
    run.reply(1200, 500)
    run.done(1210)
    run.take(run.dialogue.tick(1699))
    assert run.events == [Final(1, "hello")]
    assert not run.dialogue.rests(1699)

    run.take(run.dialogue.tick(1700))

    assert run.events[1:] == [ReplyEnded(1, "one two three four", 500, 500, "completed", interrupted=False)]
    assert run.said == []
    assert run.dialogue.rests(1700)


def test_reports_have_the_order_of_the_items() -> None:
    """The words of a turn come after the reply to it was heard, and stand before it."""
    run = Run()
    run.turn(1000, number=None)
    run.reply(1200, 100)
    run.done(1210)
    run.take(run.dialogue.tick(2000))
    assert run.events == []

    run.words("user_1", 1)

    assert [type(event) for event in run.events] == [Final, ReplyEnded]


def test_words_may_come_before_their_commit() -> None:
    """It is one turn, and the reply answers it."""
    run = Run()
    run.words("user_1", 1)
    run.at(1000, Committed("user_1"))
    run.reply(1200, 100)
    run.done(1210)
    run.take(run.dialogue.tick(2000))

    assert [event.turn for event in run.events if isinstance(event, Final | ReplyEnded)] == [1, 1]


def test_barge_in_stops_cancels_and_truncates_at_what_was_heard() -> None:
    """In this order; the report has the words that sounded, by proportion."""
    run = Run()
    run.turn(1000)
    run.reply(1200, 400)

    run.at(1300, SpeechStarted("user_2"))

    assert run.said == [TruncateItem("item_r1", 0, 100), CancelResponse("r1")]
    assert run.events[1:] == [ReplyEnded(1, "one", 400, 100, "cancelled", interrupted=True), BargedIn(1300, 100)]
    assert run.dialogue.interruptions == 1


def test_a_reply_that_is_complete_is_only_truncated() -> None:
    """A cancel would be an error: the endpoint has finished, the loudspeaker has not."""
    run = Run()
    run.turn(1000)
    run.reply(1200, 400)
    run.done(1210)

    run.at(1300, SpeechStarted("user_2"))

    assert run.said == [TruncateItem("item_r1", 0, 100)]


def test_nothing_unheard_is_nothing_to_truncate() -> None:
    """A truncate at the end of an item is refused by endpoints."""
    run = Run()
    run.turn(1000)
    run.reply(1200, 100)
    run.done(1210)
    run.take(run.dialogue.tick(1400))

    run.at(1400, SpeechStarted("user_2"))

    assert run.said == []
    assert run.dialogue.interruptions == 0


def test_audio_behind_the_end_of_its_reply_is_heard() -> None:
    """Events that changed places lose nothing, as long as the reply is not reported."""
    run = Run()
    run.turn(1000)
    run.reply(1200, 400)
    run.done(1300)
    run.at(1310, AudioDelta("r1", "item_r1", 0, b"\2\0" * 50))

    run.take(run.dialogue.tick(1650))
    run.at(1700, AudioDelta("r1", "item_r1", 0, b"\3\0" * 50))

    assert [(reply.audio_ms, reply.played_ms) for reply in run.events if isinstance(reply, ReplyEnded)] == [(450, 450)]
    assert [warning.code for warning in run.events if isinstance(warning, Warned)] == ["late_audio"]
    assert sum(len(heard.pcm) // 2 for heard in run.dialogue.playback.take_heard(9000)) == 450


@pytest.mark.parametrize(("event_id", "samples", "text"), [("e1", 50, "one"), (None, 100, "oneone")])
def test_a_delta_that_is_delivered_twice(event_id: str | None, samples: int, text: str) -> None:
    """It counts once, which its id tells: the same sound may be said twice."""
    run = Run()
    run.turn(1000)
    sound, word = AudioDelta("r1", "i", 0, b"\1\0" * 50, event_id), ReplyDelta("r1", "i", 0, "one", event_id)
    run.at(1200, ResponseCreated("r1"), sound, word, sound, word)
    run.done(1210)

    run.take(run.dialogue.tick(9000))

    (reply,) = [reply for reply in run.events if isinstance(reply, ReplyEnded)]
    assert (reply.audio_ms, reply.text) == (samples, text)


def test_late_audio_of_an_interrupted_reply_is_dropped() -> None:
    """Otherwise the old answer starts again."""
    run = Run()
    run.turn(1000)
    run.reply(1200, 400)
    run.at(1300, SpeechStarted("user_2"))

    run.at(1310, AudioDelta("r1", "item_r1", 0, b"\1\0" * 50), AudioDelta("", None, 0, b"\1\0" * 50))
    run.done(1320, status="cancelled")

    assert not run.dialogue.playback.sounding(1310)
    assert sum(len(heard.pcm) // 2 for heard in run.dialogue.playback.take_heard(9000)) == 100


def test_a_reply_that_the_user_does_not_wait_for_is_cancelled_at_its_beginning() -> None:
    """The user went on before it began."""
    run = Run()
    run.turn(1000)
    run.at(1100, SpeechStarted("user_2"))

    run.reply(1110, 100)

    assert run.said == [CancelResponse("r1")]
    assert not run.dialogue.playback.sounding(1110)


def test_one_request_after_all_calls() -> None:
    """Each output is told at once; the request waits for all of them and for the end of the response."""
    run = Run()
    run.turn(1000)
    second = OutputItem("item_call_2", "function_call", call_id="call_2", name="time", arguments="{}")
    run.at(1100, ResponseCreated("r1"), OutputItemDone("r1", WEATHER), OutputItemDone("r1", second))
    assert run.tools == [RunTool("call_1", "weather", '{"city":"Ulm"}'), RunTool("call_2", "time", "{}")]
    run.take(run.dialogue.tool_ended("call_2", "noon", ToolCalled("time", "{}", 0, 5), 1150))
    run.take(run.dialogue.tool_ended("call_1", "rain", ToolCalled("weather", '{"city":"Ulm"}', 0, 9), 1200))
    assert run.said == [CreateCallOutput("call_2", "noon"), CreateCallOutput("call_1", "rain")]

    run.done(1300)

    assert run.said[2:] == [CreateResponse("rt_talk_1")]
    assert [event.name for event in run.events[1:] if isinstance(event, ToolCalled)] == ["weather", "time"]


@pytest.mark.parametrize("times", [1, 2, 3], ids=["item done", "arguments, too", "response done, too"])
def test_a_call_runs_once(times: int) -> None:
    """Up to three events tell of it."""
    run = Run()
    run.turn(1000)
    told = [
        OutputItemDone("r1", WEATHER),
        CallArguments("r1", "item_call", "call_1", "weather", '{"city":"Ulm"}'),
        ResponseDone("r1", items=(WEATHER,)),
    ]

    run.at(1100, ResponseCreated("r1"), *told[:times])

    assert len(run.tools) == 1


def test_the_output_of_a_tool_after_a_barge_in_asks_for_nothing() -> None:
    """It is still told: the user's turn gets the next reply."""
    run = Run()
    run.turn(1000)
    run.at(1100, ResponseCreated("r1"), OutputItemDone("r1", WEATHER))
    run.done(1110)
    run.at(1150, SpeechStarted("user_2"))

    run.take(run.dialogue.tool_ended("call_1", "rain", ToolCalled("weather", "{}", 0, 9), 1200))

    assert run.said == [CreateCallOutput("call_1", "rain")]


def test_a_typed_line_interrupts_and_is_answered() -> None:
    """As speech does; the request waits for the end of the active response."""
    run = Run()
    run.turn(1000)
    run.reply(1200, 400)

    run.take(run.dialogue.type("stop", 1250))

    assert run.said == [TruncateItem("item_r1", 0, 50), CancelResponse("r1"), CreateMessage("user", "stop")]
    run.done(1260, status="cancelled")
    assert run.said[3:] == [CreateResponse("rt_talk_1")]


def test_a_refused_request_waits_for_the_active_response_and_is_sent_once_more() -> None:
    """The endpoint had begun one by itself."""
    run = Run()
    run.take(run.dialogue.type("hello", 0))
    run.at(10, ResponseCreated("r1"))
    run.done(20)
    run.take(run.dialogue.type("and", 30))
    busy = ErrorInfo(code="conversation_already_has_active_response", event_id="rt_talk_2")
    run.take(run.dialogue.refuse(busy, 40))

    assert [action for action in run.said if isinstance(action, CreateResponse)] == [
        CreateResponse("rt_talk_1"),
        CreateResponse("rt_talk_2"),
        CreateResponse("rt_talk_3"),
    ]
    assert not any(isinstance(event, Warned) for event in run.events)


def test_another_refusal_is_said() -> None:
    """And nothing waits for the reply any more."""
    run = Run()
    run.take(run.dialogue.type("hello", 0))
    run.take(run.dialogue.refuse(ErrorInfo(code="rate_limit", message="slow down", event_id="rt_talk_1"), 10))

    assert run.events == [Warned("reply_refused", "the endpoint refuses to reply: slow down")]
    assert run.dialogue.rests(10)


def test_own_turns_are_asked_for() -> None:
    """Where rt makes the turns the endpoint replies only when asked."""
    run = Run(asks=True)
    run.turn(1000)

    assert run.said == [CreateResponse("rt_talk_1")]


def test_a_new_connection_is_told_what_was_said() -> None:
    """As items, in order; what was heard is not asked for again."""
    run = Run()
    run.turn(1000)
    run.reply(1200, 100)
    run.done(1210)
    run.take(run.dialogue.tick(1400))

    run.cut(2000)

    assert run.said == [CreateMessage("user", "hello"), CreateMessage("assistant", "one two three four")]
    assert run.dialogue.rests(2000)


def test_a_reply_that_was_cut_off_before_its_first_sound_is_asked_for_again() -> None:
    """Its transcript alone was not heard."""
    run = Run()
    run.turn(1000)
    run.at(1100, ResponseCreated("r1"), ReplyDelta("r1", "item_r1", 0, "one two"))

    run.cut(1200)

    assert run.said == [CreateMessage("user", "hello"), CreateResponse("rt_talk_1")]
    assert len(run.events) == 1


def test_a_reply_that_was_heard_in_part_is_not_given_again() -> None:
    """What was received is played to its end, and reported as incomplete."""
    run = Run()
    run.turn(1000)
    run.reply(1200, 100)

    run.cut(1210)
    run.take(run.dialogue.tick(1300))

    assert run.said == [CreateMessage("user", "hello"), CreateMessage("assistant", "one two three four")]
    assert run.events[1:] == [ReplyEnded(1, "one two three four", 100, 100, "incomplete", interrupted=False)]


def test_a_turn_that_is_heard_again_gets_no_second_reply() -> None:
    """Its words were missing, so it is sent again; the reply to it was heard: the second one is ended and deleted."""
    run = Run()
    run.turn(1000, number=None)
    run.reply(1200, 100)
    run.done(1210)
    run.take(run.dialogue.tick(1400))
    run.cut(2000)
    assert run.said == []

    run.take(run.dialogue.receive(SpeechStarted("user_1b"), 2010, 900))
    run.take(run.dialogue.receive(SpeechStopped("user_1b"), 2020, 1000))
    run.at(2030, Committed("user_1b"))
    run.reply(2040, 100, "r1b")
    run.done(2050, "r1b", "cancelled")

    assert not run.dialogue.playback.sounding(2060)
    assert run.said == [
        CreateMessage("assistant", "one two three four"),
        CancelResponse("r1b"),
        DeleteItem("item_r1b"),
    ]
    run.words("user_1b", 1)
    assert [type(event) for event in run.events] == [Final, ReplyEnded]


def test_a_turn_without_a_reply_gets_one_on_the_next_connection() -> None:
    """The endpoint hears it again, and replies."""
    run = Run()
    run.turn(1000, number=None)
    run.cut(1100)
    run.take(run.dialogue.receive(SpeechStarted("user_1b"), 1110, 900))
    run.take(run.dialogue.receive(SpeechStopped("user_1b"), 1120, 1000))
    run.at(1130, Committed("user_1b"))

    run.reply(1140, 100, "r2")

    assert run.said == []
    assert run.dialogue.playback.sounding(1150)


def test_speech_that_is_heard_again_interrupts_nothing() -> None:
    """What was received of the reply goes on."""
    run = Run()
    run.turn(1000, number=None)
    run.reply(1200, 500)
    run.done(1210)
    run.cut(1300)

    run.take(run.dialogue.receive(SpeechStarted("user_1b"), 1310, 900))

    assert run.dialogue.playback.sounding(1320)
    assert run.dialogue.interruptions == 0


def test_a_tool_that_runs_while_the_connection_is_lost_runs_once() -> None:
    """The call is an item of the next connection, its output follows, and then the request."""
    run = Run()
    run.turn(1000)
    run.at(1100, ResponseCreated("r1"), OutputItemDone("r1", WEATHER))
    run.done(1110)
    run.cut(1200)

    run.take(run.dialogue.tool_ended("call_1", "rain", ToolCalled("weather", "{}", 0, 9), 1300))

    assert run.said == [
        CreateMessage("user", "hello"),
        CreateCall("call_1", "weather", '{"city":"Ulm"}'),
        CreateCallOutput("call_1", "rain"),
        CreateResponse("rt_talk_1"),
    ]
    assert len(run.tools) == 1


def test_a_request_after_tools_survives_the_connection() -> None:
    """It was on its way."""
    run = Run()
    run.turn(1000)
    run.at(1100, ResponseCreated("r1"), OutputItemDone("r1", WEATHER))
    run.done(1110)
    run.take(run.dialogue.tool_ended("call_1", "rain", ToolCalled("weather", "{}", 0, 9), 1300))

    run.cut(1310)

    assert run.said[-1] == CreateResponse("rt_talk_2")
    assert run.said.count(CreateCallOutput("call_1", "rain")) == 2


def test_a_failed_reply_is_said() -> None:
    """With the words of the endpoint; it counts as failed."""
    run = Run()
    run.turn(1000)
    run.at(1100, ResponseCreated("r1"), ResponseDone("r1", "failed", code="server_error", message="no more"))

    assert run.events[1:] == [
        Warned("reply_failed", "the endpoint did not complete a reply: no more"),
        ReplyEnded(1, "", 0, 0, "failed", interrupted=False),
    ]
    assert len(run.dialogue.failed) == 1


def test_text_without_audio_is_reported_at_its_end() -> None:
    """There is nothing to play."""
    run = Run(spoken=False)
    run.turn(1000)
    run.at(1100, ResponseCreated("r1"), ReplyDelta("r1", "i", 0, "on"), ReplyText("r1", "i", 0, "one"))
    run.done(1110)

    assert run.events[1:] == [ReplyEnded(1, "one", 0, 0, "completed", interrupted=False)]


class Chance:
    """A conversation of random events, from both sides, in any order."""

    def __init__(self) -> None:
        self.run = Run()
        self.now = self.turns = self.replies = self.calls = 0
        self.dropped: set[str] = set()
        """Replies that were cancelled, or whose connection is gone."""

    def act(self, what: str, amount: int) -> None:
        """Do one thing; check what is said."""
        before = len(self.run.steps)
        self.now += amount
        getattr(self, what)(amount)
        self.run.take(self.run.dialogue.tick(self.now))
        for step in self.run.steps[before:]:
            if isinstance(step, Say) and isinstance(step.action, CancelResponse):
                self.dropped.add(str(step.action.response_id))
            if isinstance(step, Say) and isinstance(step.action, TruncateItem):
                played = self.run.dialogue.playback.played((step.action.item_id, 0), self.now)
                assert step.action.audio_end_ms == played

    @property
    def reply(self) -> str:
        """The last reply."""
        return f"r{self.replies}"

    def turn(self, _amount: int) -> None:
        """A turn of the user."""
        self.turns += 1
        item = f"u{self.turns}"
        self.run.at(self.now, SpeechStarted(item), SpeechStopped(item), Committed(item))

    def words(self, _amount: int) -> None:
        """The words of the last turn."""
        self.run.take(self.run.dialogue.turn_ended(frozenset({f"u{self.turns}"}), self.turns, "word"))

    def create(self, _amount: int) -> None:
        """A reply begins."""
        self.replies += 1
        self.run.at(self.now, ResponseCreated(self.reply))

    def audio(self, amount: int) -> None:
        """Audio of the last reply."""
        self.run.at(self.now, AudioDelta(self.reply, f"i{self.replies}", 0, b"\1\0" * amount))

    def late(self, _amount: int) -> None:
        """Audio of replies that nobody wants."""
        self.run.at(self.now, *(AudioDelta(old, None, 0, b"\7\0" * 10) for old in sorted(self.dropped)))

    def done(self, _amount: int) -> None:
        """The last reply ends."""
        self.run.done(self.now, self.reply)

    def call(self, _amount: int) -> None:
        """A function call, told of twice."""
        self.calls += 1
        name = f"c{self.calls}"
        call = OutputItem(name, "function_call", call_id=name, name="t", arguments="{}")
        self.run.at(self.now, OutputItemDone(self.reply, call), CallArguments(self.reply, name, name, "t", "{}"))

    def output(self, _amount: int) -> None:
        """All tools end, perhaps once more."""
        for tool in self.run.tools:
            called = ToolCalled("t", "{}", 0, 1)
            self.run.take(self.run.dialogue.tool_ended(tool.call_id, "out", called, self.now))

    def type(self, _amount: int) -> None:
        """A typed line."""
        self.run.take(self.run.dialogue.type("line", self.now))

    def wait(self, _amount: int) -> None:
        """Nothing but time."""

    def cut(self, _amount: int) -> None:
        """The connection is lost."""
        self.run.cut(self.now)
        self.dropped |= {f"r{number}" for number in range(1, self.replies + 1)}
        self.replies += 1


KINDS = ["turn", "words", "create", "audio", "late", "done", "call", "output", "type", "wait", "cut"]


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 200)), max_size=60))
def test_properties_of_any_conversation(acts: list[tuple[str, int]]) -> None:
    """Whatever comes in whatever order: no call twice, no truncate but at what was heard, no late sample."""
    chance = Chance()
    for what, amount in acts:
        chance.act(what, amount)

    run, end = chance.run, chance.now + 100_000
    assert len({tool.call_id for tool in run.tools}) == len(run.tools)
    assert not any(b"\7\0" in heard.pcm for heard in run.dialogue.playback.take_heard(end))
    run.take(run.dialogue.close(end))
    ended = [event for event in run.events if isinstance(event, ReplyEnded)]
    assert all(event.played_ms <= event.audio_ms for event in ended)
    assert len(ended) == run.dialogue.replies
