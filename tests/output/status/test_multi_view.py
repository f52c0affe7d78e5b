"""The status of several sources."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.events import (
    Errored,
    Event,
    Final,
    Label,
    Ledger,
    Partial,
    Progress,
    SourceOpened,
    Summary,
    Warned,
    Withdrawn,
)
from rt_cli.output.line_writer import LineWriter
from rt_cli.output.status.layout import Page
from rt_cli.output.status.multi_view import MAX_ROWS, MultiViewer, multi_view_rows, progress
from rt_cli.output.status.plain import PlainStatus
from tests.summaries import summary_of

A, B = Label("a.wav"), Label("b.wav")
OPENED = SourceOpened("a.wav", "file", 24_000, 1, 24_000, 10_000)
HALF = Progress(6_000, 5_000, 4_000, 1_000, -20.0, -10.0, 3.0, "ready")


def summary(name: str = "a.wav", exit_code: int = 0, *, skipped: bool = False) -> Summary:
    """Return the summary of a source of two seconds."""
    ledger = Ledger(48_000, 48_000, 0, 0, 0, 0, 0)
    done = exit_code == 0
    return summary_of(
        name,
        exit_code,
        complete=done,
        rate_hz=24_000,
        ledger=ledger,
        finals=1,
        reconnects=0,
        wall_ms=1_000,
        skipped=skipped,
    )


def drawn(viewer: MultiViewer, width: int = 60) -> list[str]:
    """Return the lines of the view."""
    return ["".join(text for text, _ in row) for row in multi_view_rows(viewer.view, Page(width))]


def test_a_line_for_each_and_one_for_all() -> None:
    """A line has the name, the progress and the partial; the last line has the totals."""
    viewer = MultiViewer(3)
    for label in (A, B):
        viewer.take(OPENED, 0.0, label)
    viewer.take(HALF, 0.0, A)
    viewer.take(Partial(1, "hello wor"), 0.0, A)
    lines = drawn(viewer)
    assert lines[0].split() == ["*", "a.wav", "50%", "hello", "wor"]
    assert lines[1].split() == ["*", "b.wav", "0%", "connecting"]
    assert lines[2].strip() == "0 of 3 done, 2 running, 0 finals, 4.0 s settled"


def test_finished_sources_are_counted() -> None:
    """The line of a finished source disappears; the totals keep its numbers."""
    viewer = MultiViewer(3)
    viewer.take(HALF, 0.0, A)
    assert viewer.take(Final(1, "hello"), 0.0, A)
    viewer.take(summary(), 0.0, A)
    viewer.take(summary("b.wav", 3), 0.0, B)
    viewer.take(summary("c.wav", skipped=True), 0.0, Label("c.wav"))
    assert progress(viewer.view) == "3 of 3 done, 1 failed, 1 skipped, 0 running, 1 final, 6.0 s settled"
    assert len(drawn(viewer)) == 1


@given(st.integers(1, 200), st.integers(0, 40), st.text(max_size=30))
def test_no_line_is_too_wide(width: int, running: int, text: str) -> None:
    """The number of lines is limited, too."""
    viewer = MultiViewer(running)
    for number in range(running):
        viewer.take(Partial(1, text), 0.0, Label(f"a rather long name of a file {number}.wav", "left"))
    lines = drawn(viewer, width)
    assert len(lines) <= MAX_ROWS + 2
    assert max(len(line) for line in lines) <= max(width, 2)


def plain(*events: tuple[Event, Label | None], partials: bool = False) -> list[str]:
    """Return the plain lines for two sources."""
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream, os.fdopen(read) as reader:
        status = PlainStatus(LineWriter(stream, on_broken=lambda: None), partials=partials, source_count=2)
        for event, label in events:
            status.on_event(event, label)
        assert status.close(5.0)
        stream.close()
        return reader.read().splitlines()


def test_plain_lines_name_their_source() -> None:
    """The end and the problems of each source are printed; its opening is not."""
    lines = plain(
        (OPENED, A),
        (Warned("x", "quiet"), B),
        (Errored("dns", "no host", "check it"), B),
        (summary("b.wav", 5), B),
        (summary(), Label("a.wav", "left")),
    )
    assert lines == [
        "warning: b.wav: quiet",
        "rt: b.wav: no host: check it",
        "incomplete: b.wav: ended after 2.0 s, all of which is transcribed",
        "done: a.wav left: 2.0 s heard, 1 turn, 1.0 s",
    ]


def test_plain_partials_name_their_source() -> None:
    """Withdrawals do, too."""
    assert plain((Partial(1, "he"), A), (Withdrawn(1), A), partials=True) == [
        "a.wav: turn 1: he",
        "a.wav: turn 1: withdrawn, will be heard again",
    ]
