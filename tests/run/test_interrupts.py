"""How a run learns that it is to end."""

from __future__ import annotations

import asyncio

from rt_cli.run.interrupts import Interrupts, call_soon


def test_each_interrupt_reaches_the_subscriber() -> None:
    """Also those from before; the second one means hurry."""
    before: list[int] = []
    seen: list[int] = []
    interrupts = Interrupts(before.append)
    interrupts.interrupt(130)
    assert not interrupts.hurried
    interrupts.subscribe(seen.append)
    interrupts.interrupt(143)
    assert interrupts.hurried
    assert (before, seen, interrupts.codes) == ([130], [130, 143], [130, 143])


def test_closed_loop_is_called_no_more() -> None:
    """Nothing is left to stop, and nothing is raised into a thread."""
    loop = asyncio.new_event_loop()
    loop.close()
    call_soon(loop, lambda: None)
