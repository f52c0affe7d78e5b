"""Hear every sound file there is: ``python tests/bench/zoo.py [--quick] [--kind KIND] [FORMAT...]``.

Makes files and pipes of each format with ffmpeg and sox, whole, cut, damaged, joined and with wrong counts, and
compares what ``rt send`` hears with the sound itself and with ffmpeg. Prints a line for every file that is judged
wrong, then a table. Exit 1 if a file was heard wrong without a word, or a good one was complained of.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"
# At the end, so that PYTHONPATH selects another version of rt.
sys.path.append(str(Path(__file__).parents[2]))

from tests.bench.measure import table
from tests.program import served
from tests.zoo.changes import Maker, find_formats
from tests.zoo.formats import FORMATS
from tests.zoo.hearing import RtProcesses, by_ffmpeg
from tests.zoo.sound import LENGTH_S, Part, places
from tests.zoo.verdict import BAD, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_UNLIKE = 12
"""A tenth of the sound. With more, it is ffmpeg that cannot read the format."""
_KINDS = ("whole", "cut", "damaged", "joined", "count", "gap")


def examine(order: tuple[str, str, bool, Sequence[str]]) -> list[dict[str, Any]]:
    """Judge all files of one format.

    Args:
        order: The name of the format; the URL of the endpoint; whether to try only one file of each kind; the
            kinds.
    """
    name, url, quick, kinds = order
    (form,) = (each for each in FORMATS if each.name == name)
    results = []
    with tempfile.TemporaryDirectory(prefix="rt-zoo-") as path:
        folder = Path(path)
        rt, seen = RtProcesses(url), Counter[tuple[str, bool]]()
        maker = Maker(form, folder)
        unlike = _unlike(maker)
        for change in maker.changes():
            seen[change.kind, change.pipe] += 1
            if change.kind not in kinds or (quick and seen[change.kind, change.pipe] > 1):
                continue
            file = folder / f"input{form.suffix}"
            file.write_bytes(change.data)
            heard, reference = rt.hear(file, form.raw, pipe=change.pipe), by_ffmpeg(file, form)
            verdict = judge(form, change, heard, reference, unlike)
            results.append(
                {
                    "format": form.name,
                    "kind": change.kind,
                    "detail": change.detail,
                    "pipe": change.pipe,
                    "verdict": verdict.word,
                    "reason": verdict.reason,
                    "less": verdict.less,
                    "rt": len(heard.samples),
                    "ffmpeg": len(reference.samples),
                    "exit": heard.exit,
                    "holes": heard.holes,
                    "said": [text.replace(str(file), "FILE") for text in heard.said],
                }
            )
    return results


def _unlike(maker: Maker) -> set[float]:
    """Return the times in the sound that ffmpeg does not recognise in a whole file either, because of the coder."""
    found: set[float] = set()
    for start_s in (0.0, LENGTH_S):
        file = maker.folder / f"coded{maker.form.suffix}"
        file.write_bytes(maker.whole(start_s))
        missing = places(by_ffmpeg(file, maker.form).samples, [Part(0, start_s)]).missing
        found.update(round(start_s + at, 2) for at in missing)
    return found if len(found) < _MOST_UNLIKE else set()


def line(result: dict[str, Any]) -> str:
    """Return a result as a line."""
    where = "pipe" if result["pipe"] else "file"
    name = f"{result['format']}, {result['kind']} {result['detail']}".strip()
    numbers = f"rt {result['rt'] / 24_000:.3f} s, ffmpeg {result['ffmpeg'] / 24_000:.3f} s, exit {result['exit']}"
    word = "said, LESS" if result["less"] else result["verdict"]
    return f"{word}: {name} ({where}): {numbers}: {result['reason']} {result['said'][:1]}"


def report(results: list[dict[str, Any]], began: float) -> None:
    """Print the table and the totals."""
    words = ("exact", "as announced", "said", "refused", "SILENT", "EXIT 0", "FALSE ALARM", "BROKEN")
    rows = []
    for kind in _KINDS:
        for pipe in (False, True):
            count = Counter(each["verdict"] for each in results if (each["kind"], each["pipe"]) == (kind, pipe))
            if count:
                rows.append((f"{kind}, {'pipe' if pipe else 'file'}", count.total(), *(count[word] for word in words)))
    count = Counter(each["verdict"] for each in results)
    rows.append(("all", count.total(), *(count[word] for word in words)))
    table(("inputs", "number", *words), rows)
    less = sum(each["less"] for each in results)
    print(f"{less} were said, but ffmpeg hears half a second more; {time.monotonic() - began:.0f} s")


def main() -> int:
    """Run the zoo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formats", nargs="*", help="parts of names of formats")
    parser.add_argument("--quick", action="store_true", help="one file of each kind")
    parser.add_argument("--kind", choices=_KINDS, action="append", help="only these kinds")
    parser.add_argument("--all", action="store_true", help="print a line for every file")
    parser.add_argument("--json", type=Path, help="write all results to a file, one a line")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    import rt_cli

    print(f"rt_cli of {Path(rt_cli.__file__).parent}", flush=True)
    began, results = time.monotonic(), []
    with (
        served("--recognizer", "none") as (url, _),
        multiprocessing.get_context("fork").Pool(options.processes) as pool,
    ):
        orders = [(form.name, url, options.quick, options.kind or _KINDS) for form in find_formats(options.formats)]
        for found in pool.imap_unordered(examine, orders):
            results += found
            for each in found:
                if options.all or each["less"] or each["verdict"] in BAD:
                    print(line(each), flush=True)
            if options.json:
                options.json.write_text("".join(json.dumps(each) + "\n" for each in results))
    report(results, began)
    return int(any(each["verdict"] in BAD for each in results))


if __name__ == "__main__":
    sys.exit(main())
