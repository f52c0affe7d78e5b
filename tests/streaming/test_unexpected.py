"""A bug of rt is one line of error, and the summary is written all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.events import Errored
from tests.exact import ExactEndpoint, turns
from tests.fakes import run
from tests.streaming.harness import MemorySource, Run, make_streamer, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.source import Block


class BrokenSource(MemorySource):
    """Planted: a source that raises an exception that no source may raise."""

    async def blocks(self) -> AsyncIterator[Block]:
        """Half a second, then a bug."""
        async for block in super().blocks():
            yield block
            raise ZeroDivisionError("planted")


def test_a_bug_has_an_exit_code_an_error_and_a_balanced_summary() -> None:
    """Exit 1, one error that names the bug, and a ledger of all samples."""

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint:
            result = await stream(endpoint.url, BrokenSource(turns(3)[0]))
        assert result.summary is not None
        assert (result.summary.exit, result.summary.complete) == (1, False)
        assert result.summary.ledger.balanced
        errors = [each for each in result.events if isinstance(each, Errored)]
        assert [error.message for error in errors] == ["unexpected ZeroDivisionError: planted"]

    run(scenario())


def test_a_bug_while_opening_is_the_outcome_of_its_source() -> None:
    """Exit 1 and a summary; other sources go on."""

    async def scenario() -> None:
        result = Run()
        streamer = make_streamer(result, "ws://127.0.0.1:9", ZeroDivisionError("planted"))
        summary = await streamer.run()
        assert (summary.exit, summary.complete) == (1, False)
        errors = [each for each in result.events if isinstance(each, Errored)]
        assert [error.message for error in errors] == ["unexpected ZeroDivisionError: planted"]

    run(scenario())
