"""Endpoints that announce no commits, or tell less of an error: whose reply it is, and that each turn has one."""

from __future__ import annotations

import pytest

from rt_cli.conversation_events import ReplyEnded
from rt_cli.events import Final
from rt_cli.protocol.conversation.actions import CreateMessage, CreateResponse
from rt_cli.protocol.conversation.events import ResponseCreated
from rt_cli.protocol.server_events import Committed, ErrorEvent, ErrorInfo, SpeechStarted, SpeechStopped
from tests.protocol.conversation.test_dialogue import Run

BUSY = "conversation_already_has_active_response"


def replies(run: Run) -> list[tuple[int | None, bool]]:
    """The turn of each reply, and whether it was interrupted."""
    return [(each.turn, each.interrupted) for each in run.events if isinstance(each, ReplyEnded)]


@pytest.mark.parametrize("words_first", [True, False])
def test_a_reply_belongs_to_the_turn_before_it(words_first: bool) -> None:  # noqa: FBT001 # a fact of the table above
    """Its words may come before the reply or behind its beginning."""
    run = Run()
    run.at(900, SpeechStarted("u1"))
    run.at(1000, SpeechStopped("u1"))
    if words_first:
        run.words("u1", 1)
    run.reply(1100, 100)
    if not words_first:
        run.words("u1", 1)
    run.done(1200)
    run.take(run.dialogue.tick(2000))

    assert replies(run) == [(1, False)]
    assert [each.turn for each in run.events if isinstance(each, Final)] == [1]
    assert run.dialogue.rests(2000)


def test_words_before_the_commit_ask_once() -> None:
    """A late commit of the same turn waits for no second reply."""
    run = Run()
    run.at(900, SpeechStarted("u1"))
    run.at(1000, SpeechStopped("u1"))
    run.words("u1", 1)
    run.at(1050, Committed("u1"))
    run.reply(1100, 100)
    run.done(1200)
    run.take(run.dialogue.tick(2000))

    assert replies(run) == [(1, False)]
    assert run.dialogue.rests(2000)


def test_a_turn_that_interrupts_has_its_own_reply() -> None:
    """The reply to the turn before was not even begun."""
    run = Run()
    run.at(900, SpeechStarted("u1"))
    run.at(1000, SpeechStopped("u1"))
    run.words("u1", 1)
    run.at(1100, SpeechStarted("u2"))
    run.at(1200, SpeechStopped("u2"))
    run.reply(1300, 100)
    run.words("u2", 2)
    run.done(1400)
    run.take(run.dialogue.tick(2000))

    assert replies(run) == [(2, False)]


def test_a_turn_that_is_heard_again_is_answered_once() -> None:
    """Its reply had begun on the connection that was lost."""
    run = Run()
    run.at(900, SpeechStarted("u1"))
    run.at(1000, SpeechStopped("u1"))
    run.reply(1100, 100)
    run.cut(1150)
    run.at(1300, SpeechStarted("u7"))
    run.at(1000, SpeechStopped("u7"))
    run.words("u7", 1)
    run.reply(1500, 100, name="r2")
    run.done(1600, name="r2")
    run.take(run.dialogue.tick(3000))

    assert replies(run) == [(1, False)]
    assert run.dialogue.rests(3000)


@pytest.mark.parametrize("error", [ErrorInfo(type=BUSY), ErrorInfo(code=BUSY)])
def test_a_refusal_without_an_id_waits_for_the_end_of_the_reply(error: ErrorInfo) -> None:
    """The endpoint had begun a reply by itself: the request is sent again behind it, and nobody is warned."""
    run = Run()
    run.take(run.dialogue.type("hello", 0))
    asked = [each for each in run.said if isinstance(each, CreateResponse)]

    assert run.dialogue.takes(ErrorEvent(error))
    run.at(10, ResponseCreated("own"))  # answers it, as far as anybody can know
    run.take(run.dialogue.refuse(error, 20))
    run.done(30, name="own")

    assert len(asked) == 1
    assert run.dialogue.refused == []


def test_a_refused_request_is_sent_again() -> None:
    """It was not answered before."""
    run = Run()
    run.take(run.dialogue.type("hello", 0))
    run.take(run.dialogue.refuse(ErrorInfo(type=BUSY), 20))

    assert [type(each) for each in run.said] == [CreateMessage, CreateResponse, CreateResponse]


def test_a_reply_is_waited_for_behind_the_words() -> None:
    """Nobody goes on before it; and where the connection is lost first, the next one is asked for it."""
    run = Run()
    run.at(900, SpeechStarted("u1"))
    run.at(1000, SpeechStopped("u1"))
    run.words("u1", 1)

    assert not run.dialogue.rests(1100)
    run.cut(1200)
    assert [type(each) for each in run.said] == [CreateMessage, CreateResponse]


def test_a_commit_behind_the_beginning_of_its_reply_asks_for_no_other() -> None:
    """Nobody waits for it."""
    run = Run()
    run.at(900, SpeechStarted("u1"))
    run.at(1000, SpeechStopped("u1"))
    run.words("u1", 1)
    run.reply(1100, 100)
    run.at(1150, Committed("u1"))
    run.done(1200)
    run.take(run.dialogue.tick(2000))

    assert run.dialogue.rests(2000)
