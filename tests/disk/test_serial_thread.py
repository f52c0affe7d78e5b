"""A thread that does one thing after the other."""

from __future__ import annotations

import threading

from rt_cli.disk.serial_thread import SerialThread

DEADLINE_S = 30.0


def test_in_order_and_all_of_it() -> None:
    """What was handed over before the end is done, by one thread, in turn."""
    done: list[int] = []
    thread = SerialThread("test")
    for number in range(100):
        thread.do(lambda number=number: done.append(number))  # type: ignore[misc]  # a loop variable, bound

    assert thread.close(DEADLINE_S)
    assert thread.close(DEADLINE_S)
    assert done == list(range(100))


def test_what_takes_too_long_is_left() -> None:
    """The caller gets its time back and is told; later it may ask again."""
    go = threading.Event()
    thread = SerialThread("test")
    thread.do(lambda: go.wait(DEADLINE_S) and None)

    assert not thread.close(0.01)
    go.set()
    assert thread.close(DEADLINE_S)
