"""Help that fits on one screen: ``--help`` lists the common options, ``--help-all`` lists all of them in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperOption

from rt_cli.cli.options import option_keys
from rt_cli.config.values import settings_keys

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter, Parameter

SHORT = 24
"""The most options that fit on one screen."""
_ALL = "rt.help_all"
TESTS = "Tests"
"""Heading of options for tests of an endpoint: only ``--help-all`` lists them."""
_RARE = {"files_from", "null", "output_audio", "shard"}
"""Options that are no settings and only in the long help."""


class Command(TyperCommand):
    """A command with a short help. Its examples keep their line breaks."""

    def __init__(self, name: str | None, *, help: str | None = None, **attributes: Any) -> None:  # noqa: A002 - Typer's
        # A line with \b alone: Click does not re-wrap the paragraph after it.
        super().__init__(name, help=(help or "").replace("Examples:\n", "\b\nExamples:\n"), **attributes)
        self._is_long = sum(not getattr(param, "hidden", False) for param in self.params) > SHORT
        if self._is_long:
            self.params.append(
                TyperOption(
                    param_decls=["--help-all"],
                    is_flag=True,
                    is_eager=True,
                    expose_value=False,
                    callback=_show_all,
                    help="Show all options and exit.",
                )
            )

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write arguments and options: the common options, or with ``--help-all`` all options in groups."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            section = self._section(param, in_groups=_ALL in ctx.meta)
            if record is not None and section is not None:
                sections.setdefault(section, []).append(record)
        titles = dict.fromkeys(key.title for key in settings_keys().values())
        for title in ("Arguments", *titles, TESTS, "Options"):
            if title in sections:
                with formatter.section(title):
                    formatter.write_dl(sections[title])

    def _section(self, param: Parameter, *, in_groups: bool) -> str | None:
        if param.param_type_name == "argument":
            return "Arguments"
        key = option_keys().get(param.name or "")
        panel = getattr(param, "rich_help_panel", None)
        if in_groups:
            return key.title if key else panel or "Options"
        if self._is_long and panel == TESTS:
            return None
        everyday = param.name not in _RARE if key is None else key.declared.everyday
        return "Options" if everyday or not self._is_long else None


def _show_all(ctx: Context, _param: Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        typer.echo(ctx.get_help())
        ctx.exit()
