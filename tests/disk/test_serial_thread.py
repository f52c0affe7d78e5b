"""SerialThread runs its jobs one after the other."""

from __future__ import annotations

import threading

from rt_cli.disk.serial_thread import SerialThread

DEADLINE_S = 30.0


def test_all_jobs_run_in_order() -> None:
    """Every job queued before close() runs, in the order of the calls; close() is idempotent."""
    done: list[int] = []
    thread = SerialThread("test")
    for number in range(100):
        thread.do(lambda number=number: done.append(number))  # type: ignore[misc]  # a loop variable, bound

    assert thread.close(DEADLINE_S)
    assert thread.close(DEADLINE_S)
    assert done == list(range(100))


def test_close_returns_at_its_deadline() -> None:
    """close() returns False at the deadline if a job still runs; a later call can return True."""
    go = threading.Event()
    thread = SerialThread("test")
    thread.do(lambda: go.wait(DEADLINE_S) and None)

    assert not thread.close(0.01)
    go.set()
    assert thread.close(DEADLINE_S)
