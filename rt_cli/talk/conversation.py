"""A conversation over the connections of a stream: its run, and what its replies lack."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rt_cli.errors import EXIT_INCOMPLETE, RtError
from rt_cli.protocol.conversation.reply import CUT
from rt_cli.protocol.error_policy import classify_error
from rt_cli.protocol.sanitize import printable
from rt_cli.protocol.server_events import ErrorInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rt_cli.events import Summary
    from rt_cli.protocol.conversation.dialogue import Dialogue
    from rt_cli.streaming.streamer import Streamer
    from rt_cli.talk.partner import Partner
    from rt_cli.talk.tools.tool_set import ToolSet

_PATIENCE = "-vv shows what the endpoint says; --reply-timeout waits longer"


async def hold(streamer: Streamer, partner: Partner, tools: ToolSet) -> Summary:
    """Run a stream whose job belongs to a partner, with its clock and its tools. Cancellation ends all of it."""
    async with asyncio.TaskGroup() as tasks:
        tools.begin(tasks, partner.tool_ended)
        clock = tasks.create_task(partner.keep_time(), name="conversation")
        summary = await streamer.run()
        clock.cancel()
        tools.end()
    return summary


def reply_errors(dialogue: Dialogue, unanswered: Sequence[str]) -> Iterator[RtError]:
    """Yield what is wrong with the replies of a conversation that has ended.

    Args:
        dialogue: Of the conversation.
        unanswered: What became of turns to which no reply came, or none that ended.
    """
    for reply in dialogue.failed:
        code = "reply_cut" if reply.code == CUT else "reply_incomplete"
        yield _cause(ErrorInfo(code=reply.code, message=reply.message), code, "a reply ended before its end")
    for info in dialogue.refused:
        yield _cause(info, "reply_refused", "the endpoint refused to reply")
    for problem in unanswered:
        yield _incomplete("no_reply", printable(problem), _PATIENCE)


def _cause(info: ErrorInfo, code: str, message: str) -> RtError:
    """Return the error of a reply, which is that of the endpoint if it is a known one."""
    return classify_error(info, configuring=False) or _incomplete(code, message)


def _incomplete(code: str, message: str, hint: str | None = None) -> RtError:
    # Its own code: the line about an incomplete run tells of the user's sound, which may be complete.
    error = RtError(message, hint, code=code)
    error.exit_code = EXIT_INCOMPLETE
    return error
