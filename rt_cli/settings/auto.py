"""What ``auto`` stands for: the one place of the values that depend on the source or on the endpoint."""

import math

RAW_RATE_HZ = 24_000
RAW_CHANNELS = 1
LIVE_CHUNK_MS = 40
FILE_CHUNK_MS = 100
LONGEST_CHUNK_MS = 1000
DRAIN_S = 10.0
EMBEDDED_DRAIN_S = 60.0
"""The embedded endpoint shares this machine, which may be busy."""
RETRY_LIVE_S = 600.0
RETRY_FINITE_S = 120.0
REMOTE_SPEED = 1.0
REMOTE_CATCH_UP = 2.0


def chunk_ms(configured: int | None, *, live: bool, speed: float) -> tuple[int, int]:
    """Return the usual and the longest chunk, ms. A configured length is both.

    Args:
        configured: The setting.
        live: Whether the source cannot wait.
        speed: Multiple of real time.
    """
    if configured is not None:
        return configured, configured
    usual = FILE_CHUNK_MS if speed <= 1 else LONGEST_CHUNK_MS // 2
    return LIVE_CHUNK_MS if live else usual, LONGEST_CHUNK_MS


def speed(configured: float | None, *, embedded: bool) -> float:
    """Return the speed of a source that can wait, a multiple of real time; ``inf``: limited by the window only."""
    if configured is not None:
        return configured
    return math.inf if embedded else REMOTE_SPEED


def catch_up(configured: float | None, *, embedded: bool) -> float:
    """Return the speed of what waits after an outage, a multiple of real time; ``inf``: no limit."""
    if configured is not None:
        return configured
    return math.inf if embedded else REMOTE_CATCH_UP


def drain_timeout_s(configured: float | None, *, embedded: bool) -> float:
    """Return the seconds of silence of the endpoint after which a missing final is given up."""
    if configured is not None:
        return configured
    return EMBEDDED_DRAIN_S if embedded else DRAIN_S


def retry_for_s(configured: float | None, *, live: bool) -> float:
    """Return the longest outage that is waited out, seconds."""
    if configured is not None:
        return configured
    return RETRY_LIVE_S if live else RETRY_FINITE_S
