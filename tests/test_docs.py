"""The README and the topics of ``rt help``: lengths, links, and facts that stand in both."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rt_cli.help.topics import topic_names
from tests.cli.test_help import COMMANDS
from tests.program import ROOT

README = ROOT / "README.md"
HELP = ROOT / "rt_cli" / "help"
PAGES = [README, *sorted(HELP.glob("*.md"))]
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FIRST = "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/rt send --local tests/data/sense_0930.wav"


def prose(path: Path) -> str:
    """Return a page without its code blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(path: Path, text: str) -> list[str]:
    """Return the links of a page that lead nowhere."""
    found = []
    for link in LINK.findall(text):
        target, _, anchor = link.partition("#")
        page = (path.parent / target) if target else path
        if not page.exists() or (anchor and anchor not in anchors(page)):
            found.append(link)
    return found


def unknown(text: str) -> list[str]:
    """Return the names behind ``rt help`` that are neither topics nor commands."""
    words = re.findall(r"rt help ([a-z][a-z-]*)", text)
    return [word for word in words if word not in {*topic_names(), *COMMANDS}]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    """To files of the repository and to headings, and nothing is fetched from elsewhere."""
    assert broken(path, prose(path)) == []
    assert unknown(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("link", ["[a](nowhere.md)", "[a](#nowhere)", "[a](LICENSE)\n[b](tests/data/README.md#c)"])
def test_a_broken_link_is_found(link: str) -> None:
    """Files, headings here, headings there."""
    assert len(broken(README, link)) == 1


def test_a_topic_that_is_not_there_is_found() -> None:
    """In code, too."""
    assert unknown("`rt help recipes`, `rt help send`, rt help nowhere") == ["nowhere"]


def test_readme_is_short_and_begins_with_a_command() -> None:
    """Two screens to the uses; the tests' command at the beginning of a line."""
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
    blocks = re.findall(r"^```sh\n(.*?)^```$", "\n".join(lines), re.DOTALL | re.MULTILINE)
    assert blocks[0].splitlines() == [FIRST]
    assert lines.index(FIRST) < 20
    assert next(line for line in lines if line.startswith("sh tests/run.sh")) == "sh tests/run.sh"


def test_readme_names_every_topic() -> None:
    """Each with a link to its file."""
    linked = {Path(link).stem for link in LINK.findall(README.read_text(encoding="utf-8")) if link.endswith(".md")}
    assert set(topic_names()) <= linked


def tables(path: Path, head: str) -> list[str]:
    """Return the rows of the table that begins with a head."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = lines.index(head) + 2
    return lines[start : next(number for number in range(start, len(lines) + 1) if not lines[number].startswith("|"))]


def without_links(rows: list[str]) -> list[str]:
    """Return rows with the text of their links alone."""
    return [re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", row) for row in rows]


def test_exit_codes_are_the_same_in_both() -> None:
    """The whole table."""
    head = "| exit | meaning |"
    assert tables(README, head) == tables(HELP / "exit-codes.md", head) != []


def test_readme_says_nothing_else_about_what_breaks() -> None:
    """Its rows are rows of the topic."""
    head = "| what | what rt does |"
    rows = without_links(tables(README, head))
    assert rows
    assert set(rows) <= set(without_links(tables(HELP / "recovery.md", head)))


def test_recipes_of_the_readme_are_tested_ones() -> None:
    """Word for word those of the topic."""
    section = README.read_text(encoding="utf-8").partition("### Recipes\n")[2].partition("\n## ")[0]
    recipes = re.split(r"^#### ", section, flags=re.MULTILINE)[1:]
    topic = (HELP / "recipes.md").read_text(encoding="utf-8")
    assert recipes
    assert [recipe for recipe in recipes if f"### {recipe.strip()}\n" not in topic] == []


def test_the_figure_of_the_readme_is_a_measured_one() -> None:
    """The number of connections, what was lost, and the command."""
    figure = re.search(
        r"of ([\d,]+) connections cut at random bytes (\d+) samples were lost\n\(`([^`]+)`", prose(README)
    )
    assert figure is not None
    row = next(row for row in prose(HELP / "measured.md").splitlines() if "connections cut at random bytes" in row)
    assert row.startswith(f"| {figure[1]} ")
    assert f"| {figure[2]} samples lost" in row
    assert row.endswith(f"| `{figure[3]}` |")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_options_that_are_named_exist(path: Path) -> None:
    """Every option behind ``rt COMMAND`` in a code block or a code span is one of that command."""
    known = {name: {each for param in command.params for each in param.opts} for name, command in COMMANDS.items()}
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    calls = re.findall(r"(?<![\w./-])rt ((?:config )?[a-z]+)((?: [^`\n|;&#>]*)?)", text)
    wrong = [
        (command, option)
        for command, rest in calls
        if command in known
        for option in re.findall(r"(?<=\s)--[a-z][a-z-]*", f" {rest}")
        if option not in known[command] | {"--help", "--help-all"}
    ]
    assert wrong == []
