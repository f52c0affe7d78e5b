"""The live view as a value, and its layout."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rt_cli.audio.format import SILENCE_DBFS
from rt_cli.events import (
    EndpointChosen,
    Event,
    Failed,
    Final,
    Partial,
    Progress,
    SessionChanged,
    SourceOpened,
    Withdrawn,
)
from rt_cli.output.status.layout import Page, rows
from rt_cli.output.status.view import FALL_DB_PER_S, HOLD_S, PeakHold, View, Viewer

FILE = SourceOpened("speech.wav", "file", 44_100, 2, 24_000, 10_000)
READY = SessionChanged("ready", "ws://127.0.0.1:1/v1/realtime", "openai", "whisper-1", 24_000)


def seen(*events: Event, every_s: float = 1.0) -> View:
    """The view after ``events``, one every so many seconds."""
    viewer = Viewer()
    for number, event in enumerate(events):
        viewer.take(event, number * every_s)
    return viewer.view


def progress(acknowledged_ms: int, peak_dbfs: float = -10.0) -> Progress:
    """Return progress with some audio."""
    return Progress(acknowledged_ms + 200, acknowledged_ms, 0, 200, -20.0, peak_dbfs, 12.0, "ready")


def cells(text: str) -> int:
    """Return the columns of a text, computed independently of the program."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def page(view: View, width: int) -> list[str]:
    """The rows of a view as plain text."""
    return ["".join(text for text, _ in row) for row in rows(view, Page(width, cells))]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        pytest.param(Partial(2, "other words"), "other words", id="partial"),
        pytest.param(Final(2, "words"), "", id="final"),
        pytest.param(Withdrawn(2), "", id="withdrawn"),
        pytest.param(Failed(2, 0, 1, "x", "y"), "", id="failed"),
        pytest.param(Final(1, "earlier"), "words", id="final-of-an-earlier-turn"),
        pytest.param(READY, "words", id="session"),
    ],
)
def test_the_turn_in_progress(event: Event, text: str) -> None:
    """The partial of a turn is shown until the turn has an outcome."""
    assert seen(FILE, Partial(2, "words"), event).text == text


def test_the_same_event_again_changes_nothing() -> None:
    """Only a visible change causes a redraw."""
    viewer = Viewer()
    viewer.take(progress(0, SILENCE_DBFS), 0.0)

    assert not viewer.take(progress(0, SILENCE_DBFS), 0.1)
    assert viewer.take(progress(100, SILENCE_DBFS), 0.2)


def test_a_new_source_resets_the_view() -> None:
    """Marks and finals are per source; the state of the connection is not."""
    view = seen(FILE, READY, progress(500), Final(1, "x"), SourceOpened("b.wav", "file", 8_000, 1, 24_000, 1_000))

    assert (view.captured_ms, view.finals, view.eta_s) == (0, 0, None)
    assert (view.source, view.endpoint, view.state) == ("b.wav", READY.endpoint, "ready")


def test_the_peak_is_held_and_then_falls() -> None:
    """The mark of a peak stays for a while, then falls at a constant rate."""
    hold = PeakHold().take(-3.0, 10.0).take(-40.0, 10.1)

    assert hold.mark_dbfs(10.0 + HOLD_S) == -3.0
    assert hold.mark_dbfs(10.0 + HOLD_S + 1.0) == pytest.approx(-3.0 - FALL_DB_PER_S)
    assert hold.mark_dbfs(1_000.0) == SILENCE_DBFS


@given(st.lists(st.floats(SILENCE_DBFS, 0.0), min_size=1))
def test_the_mark_is_never_below_the_level(peaks: list[float]) -> None:
    """Whatever came before, the mark is at least at the newest peak."""
    hold = PeakHold()
    for number, peak in enumerate(peaks):
        hold = hold.take(peak, number * 0.1)
        assert hold.mark_dbfs(number * 0.1) >= peak


def test_the_time_left_comes_from_the_speed_so_far() -> None:
    """Two of ten seconds acknowledged per second: after five, the rest takes two and a half."""
    view = seen(FILE, progress(1_000), progress(3_000), progress(5_000))

    assert view.eta_s == 2
    assert view.share == 0.5


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([progress(1_000), progress(2_000)], id="length-unknown"),
        pytest.param([FILE, progress(1_000), progress(1_000)], id="nothing-moves"),
        pytest.param([FILE, progress(2_000), progress(1_000)], id="back-after-a-reconnect"),
    ],
)
def test_an_unknown_time_left_is_not_shown(events: list[Event]) -> None:
    """Without enough data there is no estimate."""
    assert seen(*events).eta_s is None


@pytest.mark.parametrize("width", [80, 100], ids=str)
def test_a_wide_page_shows_everything(width: int) -> None:
    """Source, state, endpoint, level, marks, lag, round trip, progress, time left, text."""
    text = "\n".join(page(seen(FILE, READY, progress(1_000), progress(3_000), Partial(4, "hello there")), width))

    for fact in (
        "ready",
        "speech.wav (file)",
        "0 finals",
        "ws://127.0.0.1:1/v1/realtime",
        "-20 dBFS",
        "peak  -10",
        "captured 3.2 s",
        "acknowledged 3.0 s",
        "settled 0.0 s",
        "lag 0.2 s",
        "round trip 12 ms",
        "30%",
        "eta 0:04",
        "4: hello there",
    ):
        assert fact in text


def test_forty_columns_show_the_essentials() -> None:
    """State, source, level, the three marks, lag, progress and the newest words."""
    words = "a long turn whose beginning has to go so that its end can be read"
    text = "\n".join(page(seen(FILE, READY, progress(1_000), progress(3_000), Partial(4, words)), 40))

    for fact in ("ready", "speech.wav", "-20 dBFS", "3.2 s / 3.0 s / 0.0 s", "lag 0.2 s", "30%", "its end can be read"):
        assert fact in text
    assert "a long turn" not in text


def test_wide_characters_take_two_columns() -> None:
    """The end of a Chinese text fills the page without exceeding it."""
    view = seen(FILE, Partial(1, "家庭" * 60))

    assert cells(page(view, 40)[-1]) in {39, 40}


@given(
    text=st.text(max_size=300) | st.text("家庭a b", max_size=300),
    name=st.text(max_size=100),
    width=st.integers(1, 220),
    level=st.floats(-200, 20),
    acknowledged=st.integers(0, 10**9),
)
def test_no_row_is_wider_than_the_page(text: str, name: str, width: int, level: float, acknowledged: int) -> None:
    """From 20 columns on no row wraps, and the number of rows is constant."""
    view = seen(
        SourceOpened(name, "file", 44_100, 2, 24_000, 10_000),
        SessionChanged("lost", name, "openai", text, 24_000),
        Progress(acknowledged, acknowledged, 0, acknowledged, level, level, 1e6, text[:20]),
        Partial(1, text),
    )
    lines = page(view, width)

    assert len(lines) == 6
    if width >= 20:
        assert max(cells(line) for line in lines) <= width


@given(level=st.floats(-120, 6), width=st.integers(20, 100))
def test_the_meter_keeps_its_width(level: float, width: int) -> None:
    """The width of the meter does not depend on the level."""
    view = seen(FILE, Progress(0, 0, 0, 0, level, level, None, "ready"))

    assert cells(page(view, width)[2]) == width


def test_the_view_says_which_endpoint_it_is_and_why() -> None:
    """Once; where the row is narrow the reason goes first."""
    view = seen(EndpointChosen("embedded", "pocketsphinx", "--local", "demo quality, English only"), READY, FILE)

    assert page(view, 100)[1] == "  embedded  pocketsphinx  (demo quality, English only, --local)"
    assert page(view, 40)[1] == "  embedded  pocketsphinx"


def test_an_endpoint_that_is_not_there_is_no_lost_one() -> None:
    """The view says what is tried, how often, and for how long; nothing of it stays when the endpoint answers."""
    lost = replace(READY, state="lost", reason="nothing listens at h:1", attempt=4, give_up_ms=9_000)
    connecting = progress(0)
    view = seen(FILE, lost, replace(connecting, state="lost"), replace(connecting, state="connecting"))

    assert page(view, 80)[0].startswith("* connecting")
    assert page(view, 80)[1] == "  nothing listens at h:1; try 4, given up in 7 s"
    assert seen(FILE, lost, READY).trouble == ""


def test_a_cut_is_shown_while_it_lasts() -> None:
    """A connection that was there can be lost."""
    cut = replace(READY, state="lost", reason="the connection was cut", captured_ms=2_900)
    view = seen(FILE, READY, cut)

    assert (view.state, view.trouble) == ("lost", "the connection was cut; try 1")


def test_the_end_is_a_sentence() -> None:
    """Not the word of the code."""
    assert seen(FILE, READY, replace(progress(10), state="draining")).state == "waiting for the last words"
