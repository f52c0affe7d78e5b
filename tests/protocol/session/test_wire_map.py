"""From the samples of a connection to the timeline and nowhere else."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rt_cli.protocol.session.wire_map import WireMap

STEPS = st.lists(st.tuples(st.sampled_from(["sent", "padded", "skipped"]), st.integers(0, 8)), max_size=30)


def built(start: int, steps: list[tuple[str, int]]) -> tuple[WireMap, list[int]]:
    """A map, and beside it the timeline position of every wire sample, one by one."""
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
def test_every_sample_is_where_it_was_put(start: int, steps: list[tuple[str, int]]) -> None:
    """Each wire sample maps to its place on the timeline; padding to the end of the sound before it."""
    wiremap, model = built(start, steps)

    assert [wiremap.timeline(wire) for wire in range(wiremap.wire + 1)] == model
    assert (wiremap.wire, wiremap.position) == (len(model) - 1, model[-1])


@settings(deadline=None)
@given(start=st.integers(0, 1000), steps=STEPS, wire=st.integers(-100, 1000))
def test_offsets_beyond_what_was_sent_are_clipped(start: int, steps: list[tuple[str, int]], wire: int) -> None:
    """An endpoint that names a sample we never sent is taken to mean the nearest one that we did."""
    wiremap, model = built(start, steps)

    assert wiremap.timeline(wire) == model[min(max(wire, 0), len(model) - 1)]


@settings(deadline=None)
@given(start=st.integers(0, 100), steps=STEPS, settled=st.integers(0, 300))
@example(start=0, steps=[("skipped", 1), ("sent", 0), ("padded", 1)], settled=0)
def test_what_is_not_settled_is_not_forgotten(start: int, steps: list[tuple[str, int]], settled: int) -> None:
    """After forgetting, all that lies behind the settled mark maps as before, and nothing before it maps beyond."""
    wiremap, model = built(start, steps)
    wiremap.forget(settled)

    for wire, position in enumerate(model):
        assert wiremap.timeline(wire) == position or max(wiremap.timeline(wire), position) <= settled


@settings(deadline=None)
@given(start=st.integers(0, 1000), steps=STEPS)
def test_an_end_stands_behind_the_sample_before_it(start: int, steps: list[tuple[str, int]]) -> None:
    """What was left out between two samples belongs to neither: an end lies before it, a beginning behind it."""
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
    """Ten samples, a hundred left out, ten more."""
    wiremap = WireMap(0)
    wiremap.sent(10)
    wiremap.skipped(100)
    wiremap.sent(10)

    assert (wiremap.end(10), wiremap.timeline(10), wiremap.end(11), wiremap.timeline(19)) == (10, 110, 111, 119)
    assert (wiremap.end(20), wiremap.timeline(20), wiremap.timeline(21)) == (120, 120, 120)


def test_what_is_left_out_at_the_end_is_behind_what_was_sent() -> None:
    """Who has read everything has nothing left to read of it."""
    wiremap = WireMap(5)
    wiremap.sent(10)
    wiremap.skipped(100)

    assert (wiremap.timeline(9), wiremap.timeline(10), wiremap.end(10)) == (14, 115, 15)


def test_hours_of_padding_take_no_memory() -> None:
    """A map whose past is forgotten stays small, and so does one of padding alone."""
    wiremap = WireMap(0)
    for _ in range(10_000):
        wiremap.padded(5)
        wiremap.sent(10)
        wiremap.padded(5)
        wiremap.forget(wiremap.position - 100)

    assert len(wiremap._wires) < 20
