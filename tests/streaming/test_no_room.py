"""A full disk and more unsettled sound than memory has room for: nothing that was acknowledged counts as lost."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.habits import Habits
from tests.proxy import Fault, Proxy
from tests.streaming.harness import MemorySource, Run, make_streamer, settings, with_turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.exact import Verdict

_MEMORY_S = 16
_BYTES_AS_TEXT = 4 / 3


@pytest.fixture(autouse=True)
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No temporary file can be made, and the backlog holds four seconds."""

    def refuse() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rt_cli.timeline.sample_store.SpillFile", refuse)
    monkeypatch.setattr("rt_cli.timeline.sample_store.SampleStore.__init__.__kwdefaults__", {"backlog": 192_000})


def send(make_source: Callable[[bytes], MemorySource], *cuts: int) -> tuple[Run, Verdict]:
    """Send two minutes as one turn that is committed at its end, over connections that are cut.

    Args:
        make_source: Makes the source of the sound.
        cuts: Bytes from the client after which each connection is cut.
    """
    pcm, spans = turns(80, speech_ms=1000, silence_ms=500)

    async def scenario() -> tuple[Run, Verdict]:
        proxy = Proxy(lambda number: Fault(cut_after=cuts[number]) if number < len(cuts) else Fault())
        async with ExactEndpoint(Habits()).serving() as endpoint, proxy.serving(endpoint.port):
            done = Run()
            url = f"ws://127.0.0.1:{proxy.port}/v1"
            chosen = with_turns(settings(), "none")
            done.ended = await make_streamer(done, url, make_source(pcm), chosen, memory_s=_MEMORY_S).run()
            done.check_story()
            assert proxy.cuts == len(cuts)
            return done, judge([final.text for final in done.finals], spans)

    return run(scenario(), seconds=30)


def test_sound_that_was_acknowledged_may_leave() -> None:
    """Without a lost connection nothing is missing: its words came."""
    done, words = send(MemorySource)
    assert done.summary.exit == 0
    assert done.summary.complete
    assert words.perfect


@pytest.mark.parametrize("cuts", [[5_000_000], [4_000_000, 5_000_000]])
def test_a_file_is_read_again(cuts: list[int]) -> None:
    """A lost connection, or two: the file has what memory has no more."""
    done, words = send(MemorySource, *cuts)
    assert done.summary.exit == 0
    assert done.summary.complete
    assert done.dropped == []
    assert words.perfect


def test_what_cannot_be_read_again_is_a_hole() -> None:
    """A pipe gives its sound once: what left is dropped, and said."""

    def pipe(pcm: bytes) -> MemorySource:
        source = MemorySource(pcm)
        source.info = replace(source.info, kind="pipe")
        return source

    done, words = send(pipe, 5_000_000)
    assert done.summary.exit == 7
    assert {each.reason for each in done.dropped} == {"full"}
    lost_ms = sum(each.end_ms - each.start_ms for each in done.dropped)
    heard_s = 5_000_000 / _BYTES_AS_TEXT / 48_000
    # What was acknowledged, but for the last seconds that memory had room for.
    assert heard_s - 30 < lost_ms / 1000 < heard_s
    assert words.lost / 12_000 == pytest.approx(lost_ms / 1000 * 2 / 3, abs=1)
