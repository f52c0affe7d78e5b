"""One session in real time, CPU: ``python tests/bench/paced.py [--seconds 15] [--rounds 3]``. Linux.

All clients run at the same time, each a process of its own, so that what else the machine does weighs on all alike. CPU
is that of the kernel's clock of the process, from five seconds after its start on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.clients import peer, present, rt
from tests.bench.measure import environment, median, sink, table, write_wav

if TYPE_CHECKING:
    from collections.abc import Callable

_WARM_S = 5.0

CLIENTS: dict[str, Callable[[str, str], list[str]]] = {
    "openai, 20 ms": peer("openai", 20, "paced"),
    "websockets+json, 20 ms": peer("naive", 20, "paced"),
    "rt, 20 ms": rt("--speed", "1", "--chunk-ms", "20"),
    "picows, 20 ms": peer("picows", 20, "paced"),
    "websockets+json, 100 ms": peer("naive", 100, "paced"),
    "rt, 100 ms (default)": rt("--speed", "1"),
}


def process_cpu_s(pid: int) -> float:
    """Return the CPU time of a process so far, from the clock of ``clock_getcpuclockid`` (glibc's encoding)."""
    return time.clock_gettime(~pid << 3 | 2)


def one_round(path: str, url: str, seconds: float) -> dict[str, float]:
    """CPU seconds per hour of audio, by client."""
    running = {
        name: subprocess.Popen(command(path, url), stdout=subprocess.DEVNULL, env=environment())
        for name, command in present(CLIENTS).items()
    }
    try:
        time.sleep(_WARM_S)
        before = {name: process_cpu_s(process.pid) for name, process in running.items()}
        began = time.monotonic()
        time.sleep(seconds)
        after = {name: process_cpu_s(process.pid) for name, process in running.items()}
        lasted = time.monotonic() - began
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    return {name: (after[name] - before[name]) / lasted * 3600 for name in running}


def measure(rounds: int, seconds: float = 15) -> None:
    """Run it and print its table."""
    costs = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, sink() as endpoint:
        path = str(write_wav(Path(folder) / "paced.wav", seconds=_WARM_S + seconds + 10))
        endpoint.mark()
        for _ in range(rounds):
            for name, cost in one_round(path, endpoint.url, seconds).items():
                costs[name].append(cost)
        headroom = endpoint.mark()
    reference = costs[next(iter(costs))]
    print(f"\none session in real time (CPU s per hour of audio, {rounds} rounds, all at once; the sink: {headroom})\n")
    table(
        ("client", "CPU", "least .. most", f"of {next(iter(costs))}"),
        [
            (
                name,
                "refused" if headroom.starved else f"{median(each):.3g}",
                f"{min(each):.3g} .. {max(each):.3g}",
                f"1/{median(reference) / median(each):.2f}",
            )
            for name, each in costs.items()
        ],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    measure(options.rounds, options.seconds)
