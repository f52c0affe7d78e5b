"""``rt help``: topics, the help of commands, and all of it as a man page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer._click import Context


def _complete(ctx: typer.Context, incomplete: str) -> list[str]:
    from rt_cli.help.topics import topic_names

    return sorted(name for name in {*topic_names(), *_commands(ctx.find_root())} if name.startswith(incomplete))


Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TOPIC|COMMAND]", help="What to explain.", autocompletion=_complete, show_default=False),
]
Man = Annotated[bool, typer.Option("--man", help="All of it as a man page (roff).")]


def show_help(ctx: typer.Context, names: Names = None, man: Man = False) -> None:
    """Explain a topic or a command.

    Without a name it lists the topics.

    Examples:
        rt help
        rt help recipes
        rt help config show
        rt help --man > rt.1
    """
    from rt_cli.output.line_writer import write_texts

    root, name = ctx.find_root(), " ".join(names or [])
    if man and name:
        raise UsageError("--man is one page of all topics", f"leave out --man, or {printable(name)}")
    if man:
        texts = [_man_page(root)]
    elif name:
        texts = _explain(root, name)
    else:
        texts = [_list_topics()]
    write_texts(sys.stdout, texts, "the help")


def _list_topics() -> str:
    from rt_cli.help.topics import summary_of, topic_names

    topics = topic_names()
    width = max(map(len, topics))
    lines = [f"  {topic:<{width}}  {summary_of(topic)}\n" for topic in topics]
    commands = "rt help COMMAND shows the options of a command, rt --help all commands."
    return f"Topics of rt help:\n\n{''.join(lines)}\n{commands}\n"


def _explain(root: Context, name: str) -> list[str]:
    from rt_cli.help.topics import read_topic, topic_names
    from rt_cli.output.markdown import rendered

    command = _commands(root).get(name)
    texts = [] if command is None else [f"{command.command.get_help(command).rstrip()}\n"]
    if name in topic_names():
        texts.append(rendered(read_topic(name, _generators(root)), sys.stdout))
    if not texts:
        raise UsageError(
            f"no topic and no command {printable(name)!r}", _advice(name, [*topic_names(), *_commands(root)])
        )
    return ["\n".join(texts)]


def _advice(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    closest = get_close_matches(name.lower(), known, n=1)
    return f"did you mean {closest[0]}?" if closest else "rt help lists the topics"


def _commands(root: Context) -> dict[str, Context]:
    from rt_cli.cli.option_reference import contexts

    return {each.command_path.removeprefix("rt "): each for each in contexts(root) if each is not root}


def _generators(root: Context) -> dict[str, Callable[[], str]]:
    def events() -> str:
        from rt_cli.help.event_reference import event_reference

        return event_reference()

    def faults() -> str:
        from rt_cli.cli.serve_options import FAULTS

        return FAULTS

    def options() -> str:
        from rt_cli.cli.option_reference import option_reference

        return option_reference(root)

    def dialects() -> str:
        from rt_cli.protocol.dialects.reference import dialect_reference

        return dialect_reference()

    return {"dialects": dialects, "events": events, "faults": faults, "options": options}


def _man_page(root: Context) -> str:
    from rt_cli import __version__
    from rt_cli.help.man_page import man_page
    from rt_cli.help.topics import read_topic, topic_names

    generators = _generators(root)
    commands = [(name, each.command.get_short_help_str(100)) for name, each in _commands(root).items()]
    return man_page(__version__, commands, [read_topic(topic, generators) for topic in topic_names()])
