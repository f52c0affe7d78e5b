"""The report: its content, its independence from the network, and its look in a browser, light and dark."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import matplotlib.image
import pytest

from rt_cli.bench.limits import parse_limit
from rt_cli.bench.plots import COLOURS, plots
from rt_cli.bench.recording import Recording
from rt_cli.bench.report import ReportData, report
from tests.bench.levels import level, session_result

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from rt_cli.bench.level import Level

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
FACTS = ReportData(
    endpoint="wss://example.com/v1/realtime?x=<script>alert(1)</script>",
    model="<b>bold</b>",
    date="2026-01-31 12:00 +0000",
    recordings=[Recording("a&b.wav", bytes(48_000), 24_000)],
    chunk_ms=40,
    rounds=2,
)
LIMITS = [parse_limit("final_p95=1s"), parse_limit("errors=10%")]
_TINTS = {"day": "1", "night": "0"}


def measured() -> list[Level]:
    """Three levels, of which the last is too much."""
    levels = [level(count, *range(100 * count, 200 * count, 7), cpu=count / 10) for count in (1, 2)]
    levels.append(
        level(
            8, *range(900, 3000, 50), results=[session_result(error="<i>odd</i>", exit_=5), session_result()], cpu=0.9
        )
    )
    for each in levels:
        for name in ("connect", "ready", "lateness", "round_trip", "rtf"):
            for value in range(1, 30):
                each.measures[name].add(value * each.sessions)
    return levels


def test_content() -> None:
    """The page contains conclusion, table, errors and the warning about this process, all of it escaped."""
    page = report(measured(), LIMITS, FACTS)
    assert "held: 2 at once; not 8: final_p95" in page
    assert "errors 50% (limit 10%)" in page
    assert "this process took 90% of a core and was held up 0 times" in page
    assert "&lt;i&gt;odd&lt;/i&gt; 1" in page
    assert "a&amp;b.wav (1.0 s)" in page
    for foreign in ("<script", "<b>bold", "<i>odd"):
        assert foreign not in page


def test_no_external_resources() -> None:
    """The page has no URL but XML namespaces, no script, and a policy against both."""
    page = report(measured(), LIMITS, FACTS)
    assert "default-src 'none'" in page
    outside = [address for address in re.findall(r"(?:src|href)=\"([^\"#]*)", page) if address]
    assert outside == []
    assert "url(http" not in page
    assert "@import" not in page


def test_plots_are_svg_in_the_colours_of_the_page() -> None:
    """The plots are well-formed, have unique ids, and use the page's text colour."""
    drawn = plots(measured(), LIMITS)
    assert len(drawn) == 5
    for svg in drawn.values():
        assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314  # our own output
        assert "currentColor" in svg
        assert not re.search(r"(?:fill|stroke): #(?:000000|ffffff)", svg)
    clips = [set(re.findall(r'<clipPath id="(\w+)"', svg)) for svg in drawn.values()]
    assert len(set.union(*clips)) == sum(map(len, clips))


@pytest.mark.parametrize(
    "levels", [[level(1)], [level(1, results=[session_result(error="refused", exit_=5)])], [level(4, 5.0)]]
)
def test_few_results(levels: list[Level]) -> None:
    """Levels without finals, with failures only, or with one value still make a page."""
    assert report(levels, [], FACTS).rstrip().endswith("</html>")


def rendered(page: str, folder: Path, tint: str) -> tuple[np.ndarray, str]:
    """Return a browser's rendering of a page, as rows of pixels 0..1, and its console errors."""
    path, picture = folder / "report.html", folder / "report.png"
    path.write_text(page, encoding="utf-8")
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
            *("--enable-logging=stderr", "--window-size=1400,1900", f"--user-data-dir={folder / 'browser'}"),
            *(f"--blink-settings=preferredColorScheme={_TINTS[tint]}", f"--screenshot={picture}", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return matplotlib.image.imread(str(picture))[:, :, :3], done.stderr


def of_colour(picture: np.ndarray, colour: str) -> int:
    """Return the number of pixels with about this colour."""
    wanted = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return int((abs(picture - wanted).max(axis=2) < 0.03).sum())


@needs_browser
@pytest.mark.parametrize("tint", _TINTS)
def test_browser_renders_the_page(tint: str, tmp_path: Path) -> None:
    """The browser reports no error; the curves are visible, and the text has enough contrast."""
    picture, complaints = rendered(report(measured(), LIMITS, FACTS), tmp_path, tint)
    assert "CONSOLE" not in complaints, complaints
    for colour in COLOURS[:4]:
        assert of_colour(picture, colour) > 300, colour
    page, ink = ("#ffffff", "#1d2126") if tint == "day" else ("#14171a", "#e4e7ea")
    assert of_colour(picture, page) > picture.shape[0] * picture.shape[1] / 2
    # The lower half of the page has only plots: these pixels are axes and numbers.
    plotted = picture[picture.shape[0] // 2 :]
    assert of_colour(plotted, ink) > 500


@needs_browser
def test_browser_reports_external_resources(tmp_path: Path) -> None:
    """A page with an external resource makes the browser report an error, so the test above would fail."""
    page = report(measured(), LIMITS, FACTS).replace("</body>", '<img src="http://127.0.0.1:9/x.png"></body>')
    assert "CONSOLE" in rendered(page, tmp_path, "day")[1]
