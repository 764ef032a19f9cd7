"""`dashnas bench methods`: what there is to compare."""

import json

import typer

from dashnas.cli.arguments import Json
from dashnas.cli.bench_run import Plugins


def methods(plugin: Plugins = None, as_json: Json = False) -> None:
    """List the methods.

    For example:

      dashnas bench methods
    """
    from dashnas.bench.plugins import load_plugin
    from dashnas.cli.bench_tables import methods_table
    from dashnas.cli.print_out import print_out
    from dashnas.methods.registry import all_methods, describe_method

    for path in plugin or ():
        load_plugin(path.resolve())
    about = {name: describe_method(name) for name in sorted(all_methods())}
    if as_json:
        typer.echo(json.dumps([{"name": name, "description": text} for name, text in about.items()], indent=2))
    else:
        print_out(methods_table(about))
