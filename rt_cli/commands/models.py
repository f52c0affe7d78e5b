"""``rt models``: the models of an endpoint."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.process import logging_on_stderr, run_loop, warn_of_variables
from rt_cli.config.layers import load_settings, loader_arguments

if TYPE_CHECKING:
    from rt_cli.run.interrupts import Interrupts
    from rt_cli.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="NDJSON: a line per model.")]


@options.with_settings("models")
def models(json: Json = False, **values: Any) -> int:
    """List the models of the endpoint, one on each line.

    What rt stream and rt send would use as --model; whether a model transcribes, an endpoint does not say.

    Examples:
        rt models
        rt models --url http://localhost:8000
    """
    settings = load_settings(**loader_arguments(values))
    warn_of_variables(quiet=settings.output.quiet)
    with logging_on_stderr(settings.output.verbose):
        return run_loop(partial(_print_models, settings, json=json))


async def _print_models(settings: Settings, _interrupts: Interrupts, *, json: bool) -> int:
    import json as jsonlib
    import sys

    from rt_cli.output.line_writer import write_texts
    from rt_cli.protocol.sanitize import printable
    from rt_cli.run.models import models as list_models

    names = await list_models(settings)
    lines = [jsonlib.dumps({"type": "model", "model": name}) if json else printable(name) for name in names]
    write_texts(sys.stdout, [f"{line}\n" for line in lines], "the models")
    return 0
