"""The command line of the simulation."""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.simulation import planted, planted_endings  # noqa: F401 - they plant
from tests.simulation.judge import kind_of, verdict
from tests.simulation.machine.install import ENVIRON
from tests.simulation.plant import PLANTED
from tests.simulation.run import run_scenario
from tests.simulation.scenario import Scenario, draw, from_json, smaller

if TYPE_CHECKING:
    from collections.abc import Sequence

_clock = time.process_time


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return 1 if a run failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many runs [1]")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="SEED", help="the first seed [0]")
    parser.add_argument("--hours", type=float, default=0.0, metavar="H", help="length of the sound of each run")
    parser.add_argument("--case", metavar="JSON", help="run this scenario instead of one that a seed draws")
    parser.add_argument("--show", action="store_true", help="print the timeline of each run")
    parser.add_argument("--no-shrink", action="store_true", help="leave failing scenarios as they are")
    parser.add_argument("--plant", metavar="FAULT", help="plant a fault, and stop at the first failure")
    parser.add_argument("--plants", action="store_true", help="plant every fault in turn, and print the table")
    options = parser.parse_args(argv)
    if options.plants:
        return table(options.seeds)
    if options.plant is not None:
        PLANTED[options.plant]()
        options.no_shrink = True
    if options.case is not None:
        scenarios = [from_json(options.case)]
    else:
        scenarios = [draw(seed, hours=options.hours) for seed in range(options.first, options.first + options.seeds)]
    gc.disable()
    failures = 0
    virtual = 0.0
    began = _clock()
    for index, scenario in enumerate(scenarios):
        found, seconds = run_one(scenario, show=options.show)
        virtual += seconds
        if found:
            failures += 1
            small = scenario if options.no_shrink else shrink(scenario, found)
            print(f"seed {scenario.seed}: {'; '.join(found[:3])}")
            print(f"  python -m tests.simulation --show --case '{small.json()}'", flush=True)
            if options.plant is not None:
                break
        if not index:
            gc.collect()
            gc.freeze()
        if (index + 1) % 100 == 0 and not options.show:
            gc.collect()  # the rest: what a run has left in a variable of a class dies with the next one, an old object
            spent = _clock() - began
            print(f"{index + 1} runs, {failures} failures, {1000 * spent / (index + 1):.0f} ms each", file=sys.stderr)
    spent = max(_clock() - began, 1e-9)
    print(f"{virtual / 3600:.2f} virtual hours in {spent:.1f} s of processor time", file=sys.stderr)
    print(f"{index + 1} runs, {failures} failures")
    return int(failures > 0)


def table(seeds: int) -> int:
    """Plant each fault in a process of its own; print after how many runs it was found. Returns 1 if one was not."""
    missed = 0
    for name, plant in PLANTED.items():
        command = [sys.executable, "-m", "tests.simulation", "--plant", name, "--seeds", str(max(seeds, 2000))]
        ran = subprocess.run(  # a busy fault may take its time, but not for ever
            ["timeout", "600", *command],
            env=ENVIRON,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        lines = ran.stdout.splitlines() or ["? runs"]
        found = next((line for line in lines if line.startswith("seed ")), "NOT FOUND")
        missed += found == "NOT FOUND"
        print(
            f"| {name} | {plant.__doc__} | {lines[-1].split(' runs')[0]} | {found.partition(': ')[2][:90] or found} |"
        )
        sys.stdout.flush()
    return int(missed > 0)


def run_one(scenario: Scenario, *, show: bool = False) -> tuple[list[str], float]:
    """Run a scenario. Returns what is wrong, and its virtual seconds."""
    course = run_scenario(scenario, log=show)
    found = verdict(course)
    if show:
        print(scenario.json())
        for at, text in course.world.log or ():
            print(f"{at - 1000:9.3f}  {text}")
        for process in course.processes:
            print(f"stdout: {process.stdout.taken.decode()!r}\nstderr: {process.stderr.taken.decode()}")
        print("\n".join(f"FAILED: {each}" for each in found) or "all well")
    seconds = course.world.now - 1000
    del course
    gc.collect(1)  # what a run has made dies with it
    return found, seconds


def shrink(scenario: Scenario, found: list[str], *, most: int = 150) -> Scenario:
    """Return the simplest scenario that fails in the same way."""
    kind = kind_of(found[0])
    tried = 0
    while tried < most:
        for candidate in smaller(scenario):
            tried += 1
            if any(kind_of(each) == kind for each in run_one(candidate)[0]):
                scenario = candidate
                break
            if tried >= most:
                return scenario
        else:
            return scenario
    return scenario
