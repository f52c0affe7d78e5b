"""Mapping of wire samples to the timeline."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rt_cli.protocol.session.wire_map import WireMap
from tests.memory import held

STEPS = st.lists(st.tuples(st.sampled_from(["sent", "padded", "skipped"]), st.integers(0, 8)), max_size=30)


def built(start: int, steps: list[tuple[str, int]]) -> tuple[WireMap, list[int]]:
    """Return a map, and the expected timeline position of every wire sample."""
    wiremap = WireMap(start)
    model: list[int] = []
    position = end = start
    for what, samples in steps:
        if what == "sent":
            wiremap.sent(samples)
            model += range(position, position + samples)
            position += samples
            end = position if samples else end
        elif what == "padded":
            wiremap.padded(samples)
            model += [end] * samples
        else:
            wiremap.skipped(samples)
            position += samples
    return wiremap, [*model, position]


@settings(deadline=None)
@given(start=st.integers(0, 1000), steps=STEPS)
def test_every_sample_maps_to_its_position(start: int, steps: list[tuple[str, int]]) -> None:
    """Each wire sample maps to its timeline position; padding maps to the end of the audio before it."""
    wiremap, model = built(start, steps)

    assert [wiremap.timeline(wire) for wire in range(wiremap.wire + 1)] == model
    assert (wiremap.wire, wiremap.position) == (len(model) - 1, model[-1])


@settings(deadline=None)
@given(start=st.integers(0, 1000), steps=STEPS, wire=st.integers(-100, 1000))
def test_offsets_are_clipped_to_the_sent_audio(start: int, steps: list[tuple[str, int]], wire: int) -> None:
    """An offset outside the sent audio maps to the nearest sent sample."""
    wiremap, model = built(start, steps)

    assert wiremap.timeline(wire) == model[min(max(wire, 0), len(model) - 1)]


@settings(deadline=None)
@given(start=st.integers(0, 100), steps=STEPS, settled=st.integers(0, 300))
@example(start=0, steps=[("skipped", 1), ("sent", 0), ("padded", 1)], settled=0)
def test_forget_keeps_unsettled_positions(start: int, steps: list[tuple[str, int]], settled: int) -> None:
    """After forget(), positions after the settled mark map as before, and earlier ones never map beyond it."""
    wiremap, model = built(start, steps)
    wiremap.forget(settled)

    for wire, position in enumerate(model):
        assert wiremap.timeline(wire) == position or max(wiremap.timeline(wire), position) <= settled


@settings(deadline=None)
@given(start=st.integers(0, 1000), steps=STEPS)
def test_an_end_maps_after_the_sample_before_it(start: int, steps: list[tuple[str, int]]) -> None:
    """At a skipped range, an end maps to before the range and a start to after it."""
    wiremap, _ = built(start, steps)
    position, ends = start, [start]
    for what, samples in steps:
        if what == "sent":
            ends += range(position + 1, position + samples + 1)
        elif what == "padded":
            ends += [ends[-1]] * samples
        position += 0 if what == "padded" else samples

    assert [wiremap.end(wire) for wire in range(wiremap.wire + 1)] == ends


def test_the_end_of_a_turn_before_a_gap() -> None:
    """Ten samples sent, a hundred skipped, ten sent."""
    wiremap = WireMap(0)
    wiremap.sent(10)
    wiremap.skipped(100)
    wiremap.sent(10)

    assert (wiremap.end(10), wiremap.timeline(10), wiremap.end(11), wiremap.timeline(19)) == (10, 110, 111, 119)
    assert (wiremap.end(20), wiremap.timeline(20), wiremap.timeline(21)) == (120, 120, 120)


def test_the_end_of_the_sent_audio_maps_after_the_last_skip() -> None:
    """An endpoint that has read everything has also passed the skipped range."""
    wiremap = WireMap(5)
    wiremap.sent(10)
    wiremap.skipped(100)

    assert (wiremap.timeline(9), wiremap.timeline(10), wiremap.end(10)) == (14, 115, 15)


def test_hours_of_padding_take_no_memory() -> None:
    """The map stays small if its past is forgotten, and also with padding alone."""
    wiremap = WireMap(0)
    for _ in range(10_000):
        wiremap.padded(5)
        wiremap.sent(10)
        wiremap.padded(5)
        wiremap.forget(wiremap.position - 100)

    assert len(held(wiremap)) < 100
