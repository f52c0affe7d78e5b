"""Help that fits on one screen: ``--help`` lists the common options, ``--help-all`` lists all of them in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperOption

from rt_cli.config.values import settings_keys

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter, Parameter

SHORT = 24
"""The most options that fit on one screen."""
_ALL = "rt.help_all"

EVERY_DAY = frozenset(
    (
        *("mic", "device", "ptt", "stop_after_silence", "duration", "channel", "speed", "gate", "jobs", "skip_done"),
        *("local", "url", "model", "profile", "api_key_file", "language", "prompt", "turn_detection"),
        *("format", "json", "partials", "timestamps", "save_audio", "save_transcript", "quiet"),
        *("verbose", "spool", "resume", "record", "help", "help_all"),
        *("sessions", "rounds", "spread", "limit", "reference", "html"),
    )
)
"""Options in ``--help`` of a command with more than :data:`SHORT` options, by parameter name."""

_GROUPS = {
    "endpoint": "Endpoint",
    "input": "Sound",
    "session": "Words and turns",
    "output": "Output",
    "delivery": "Delivery",
}
"""Headings of the settings' tables."""
_NON_KEY_TABLES = {"mic": "input", "config": "endpoint", "json": "output"} | dict.fromkeys(
    ("spool", "resume", "jobs", "skip_done"), "delivery"
)
"""Headings of options that are not settings keys: the table that each option belongs to."""


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
        for title in ("Arguments", *_GROUPS.values(), "Options"):
            if title in sections:
                with formatter.section(title):
                    formatter.write_dl(sections[title])

    def _section(self, param: Parameter, *, in_groups: bool) -> str | None:
        if param.param_type_name == "argument":
            return "Arguments"
        if in_groups:
            key = settings_keys().get(param.name or "")
            return _GROUPS.get(key.table if key else _NON_KEY_TABLES.get(param.name or "", ""), "Options")
        return "Options" if not self._is_long or param.name in EVERY_DAY else None


def _show_all(ctx: Context, _param: Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        typer.echo(ctx.get_help())
        ctx.exit()
