"""``rt config``: print the path of the config file, print the effective values, write an example file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.help import Command

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="This file [RT_CONFIG, else your own].")
]
Json = Annotated[bool, typer.Option("--json", help="NDJSON.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]

_HELP = """Say where the configuration is and what counts, or write one.

\b
Examples:
    rt config init             write the example to where it is found
    rt config show -p work     every value, and where it comes from
    $EDITOR "$(rt config path)"
"""


def path(config: ConfigFile = None, json: Json = False) -> int:
    """Print which config file counts.

    That it is not there is said on stderr.

    Examples:
        $EDITOR "$(rt config path)"
    """
    from rt_cli.config.show import print_path

    return print_path(config, json=json)


@options.with_run_options
def show(json: Json = False, **values: Any) -> int:
    """Print every value and where it comes from.

    Takes all options of rt stream and rt send, and says what they would do. The lines are TOML; secrets are ***.

    Examples:
        rt config show -p work
        rt config show --json | jq -r 'select(.key=="url").origin'
    """
    from rt_cli.config.show import print_values

    return print_values(values, json=json)


def init(config: ConfigFile = None, force: Force = False) -> int:
    """Write the example: every key with its default.

    Prints where.

    Examples:
        rt config init
    """
    from rt_cli.config.show import write_example

    return write_example(config, force=force)


app = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode=None, add_completion=False)
for command in (path, show, init):
    app.command(cls=Command)(command)
