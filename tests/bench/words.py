"""Word errors of the embedded endpoint on the recordings: ``python tests/bench/words.py [--rounds 5]``."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.measure import DATA, ROOT, environment, median, rt_command, table


def spoken(name: str) -> str:
    """Return the words of a recording, from the table beside it."""
    listed = (DATA / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"\| `{name}` \| ([^|]+?) \|", listed)
    assert found is not None
    return found[1].replace("mister", "mr")  # as the recogniser spells it


def errors(heard: list[str], said: list[str]) -> int:
    """Return the least number of insertions, deletions and substitutions."""
    row = list(range(len(said) + 1))
    for number, word in enumerate(heard, start=1):
        previous, row = row, [number]
        for at, right in enumerate(said, start=1):
            row.append(min(row[-1] + 1, previous[at] + 1, previous[at - 1] + (word != right)))
    return row[-1]


def listen(name: str) -> tuple[str, int, float, float]:
    """Return text, partials before the first final, seconds to the first partial, and total seconds."""
    began = time.monotonic()
    partials, first_s = 0, 0.0
    texts: list[str] = []
    command = rt_command("send", str(DATA / name), "--local", "--json", "--partials", "--quiet")
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["type"] == "partial" and not texts:
                partials += 1
                first_s = first_s or time.monotonic() - began
            elif event["type"] == "final":
                texts.append(event["text"])
    return " ".join(texts), partials, first_s, time.monotonic() - began


def main() -> None:
    """Send each recording several times and print its row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    rows = []
    for path in sorted(DATA.glob("sense_*.wav")):
        said = spoken(path.name).split()
        runs = [listen(path.name) for _ in range(rounds)]
        right = [1 - errors(text.split(), said) / len(said) for text, *_ in runs]
        rows.append(
            (
                path.name,
                len(said),
                f"{100 * min(right):.0f} to {100 * max(right):.0f}",
                min(partials for _, partials, _, _ in runs),
                f"{median([first_s for _, _, first_s, _ in runs]):.2f}",
                f"{median([wall_s for *_, wall_s in runs]):.2f}",
                runs[0][0],
            )
        )
    table(("recording", "words", "% right", "partials, least", "first partial s", "wall s", "heard"), rows)


if __name__ == "__main__":
    main()
