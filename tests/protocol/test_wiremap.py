"""From the samples of a connection to the timeline and nowhere else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.protocol.wiremap import WireMap

STEPS = st.lists(st.tuples(st.sampled_from(["sent", "padded"]), st.integers(0, 8)), max_size=30)


def built(start: int, steps: list[tuple[str, int]]) -> tuple[WireMap, list[int]]:
    """A map, and beside it the timeline position of every wire sample, one by one."""
    wiremap = WireMap(start)
    model: list[int] = []
    position = start
    for what, samples in steps:
        if what == "sent":
            wiremap.sent(samples)
            model += range(position, position + samples)
            position += samples
        else:
            wiremap.padded(samples)
            model += [position] * samples
    return wiremap, [*model, position]


@settings(deadline=None)
@given(start=st.integers(0, 1000), steps=STEPS)
def test_every_sample_is_where_it_was_put(start: int, steps: list[tuple[str, int]]) -> None:
    """Each wire sample maps to its place on the timeline; padding to the place at which it was put in."""
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
def test_what_is_not_settled_is_not_forgotten(start: int, steps: list[tuple[str, int]], settled: int) -> None:
    """After forgetting, all that lies behind the settled mark maps as before, and nothing before it maps beyond."""
    wiremap, model = built(start, steps)
    wiremap.forget(settled)

    for wire, position in enumerate(model):
        assert wiremap.timeline(wire) == position or max(wiremap.timeline(wire), position) <= settled


def test_hours_of_padding_take_no_memory() -> None:
    """A map whose past is forgotten stays small, and so does one of padding alone."""
    wiremap = WireMap(0)
    for _ in range(10_000):
        wiremap.padded(5)
        wiremap.sent(10)
        wiremap.padded(5)
        wiremap.forget(wiremap.position - 100)

    assert len(wiremap._wires) < 20
