"""An answer to our ``clear``, whatever it says, proves that everything before was processed; only the first counts."""

from __future__ import annotations

import pytest

from rt_cli.protocol.server_events import ErrorInfo
from rt_cli.protocol.session.clear import CLEAR_ID, Clear
from rt_cli.protocol.session.effects import Acknowledge


def test_the_first_answer_acknowledges_all_before_it() -> None:
    """A second one has no effect."""
    clear = Clear()
    assert clear.answer() == []
    assert not clear.answered
    clear.send(CLEAR_ID, 480)
    assert clear.answer() == [Acknowledge(480)]
    assert clear.answered
    assert clear.answer() == []


@pytest.mark.parametrize(
    ("event_id", "refused"), [(CLEAR_ID, True), (None, True), ("rt_commit_1", False)], ids=["ours", "none", "other"]
)
def test_a_refusal_is_an_answer(event_id: str | None, *, refused: bool) -> None:
    """If it can belong to it, and only while it waits for one."""
    clear, error = Clear(), ErrorInfo(event_id=event_id)
    assert not clear.is_refused_by(error)
    clear.send(CLEAR_ID, 480)
    assert clear.is_refused_by(error) is refused
    clear.answer()
    assert not clear.is_refused_by(error)
