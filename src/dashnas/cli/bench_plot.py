"""`dashnas bench plot`: pictures of a comparison, and the tables behind them."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dashnas.cli.arguments import Json

_KINDS = "profile, ranks, critical-difference, speed-accuracy, random-gain, receptive-fields"


def plot(
    published: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A table or figure of the papers, as --list has it; may be given again."),
    ] = None,
    store: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="Runs of `dashnas bench run`; may be given again.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help=f"{_KINDS}. Without: the figure's own, else profile.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .png, .svg or .pdf. Without: KIND.png, or none with --json.")
    ] = None,
    as_json: Json = False,
    listed: Annotated[bool, typer.Option("--list", help="List the papers' tables and figures, and end.")] = False,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Only these methods, or `all`. Without: those of the papers' figure, all runs."
        ),
    ] = None,
    tasks: Annotated[str | None, typer.Option(metavar="A,B", help="Only these tasks.")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="GROUP", help="Only tasks of a group: 2d-point, dense or 1d.")
    ] = None,
    best_of: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=A,B", help="Draw the best of these methods on each task as one; may be given again."
        ),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            metavar="drop|infinite",
            help="What to do where a method was not run on a task: leave the task out, or count it as failed.",
        ),
    ] = None,
    floor: Annotated[
        float | None, typer.Option(metavar="ERROR", help="Smaller errors count as this one; ratios need some error.")
    ] = None,
    mix: Annotated[
        bool, typer.Option("--mix", help="Put scores of different protocols or metrics side by side.")
    ] = False,
    corrected: Annotated[
        bool, typer.Option("--corrected", help="With the known misprints of the papers corrected.")
    ] = False,
    reference: Annotated[
        str | None, typer.Option(metavar="METHOD", help="ranks: show the improvement over this method too.")
    ] = None,
    random: Annotated[
        str, typer.Option(metavar="METHOD", help="random-gain: the method that draws architectures at random.")
    ] = "random",
    test: Annotated[
        str, typer.Option(metavar="nemenyi|wilcoxon-holm", help="critical-difference: how pairs are compared.")
    ] = "wilcoxon-holm",
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="In place of where the scores come from.")] = None,
) -> None:
    """Draw a comparison: of runs, of numbers that the papers published, or of both.

    Published numbers follow rules of their own: runs are laid over them only with
    --mix. --json prints the table behind the picture.

    For example:

      dashnas bench plot --published dash-table2 --out profile.png
      dashnas bench plot --published dash-fig5 --out fig5.svg
      dashnas bench plot --published dash-table2 --kind ranks --reference WRN
      dashnas bench plot --store runs/bench --kind critical-difference
      dashnas bench plot --store runs/bench --kind random-gain --json
      dashnas bench plot --store runs/bench --published dash-fig4 --mix --missing drop
      dashnas bench plot --list
    """
    from dashnas.analysis.drawing import check_format, save_figure
    from dashnas.analysis.pictures import PICTURES, Choices
    from dashnas.cli.bench_cells import choose, figure_named, gather, networks_of
    from dashnas.errors import ConfigError, unknown_name
    from dashnas.plain_json import plain_json

    if listed:
        _print_list(as_json)
        return
    figures = [figure_named(name, kind) for name in published or ()]
    kind = kind or next((figure.kind for figure in figures), "profile")
    if kind not in PICTURES:
        raise ConfigError(unknown_name("kind of picture", kind, PICTURES))
    if not figures and not store:
        raise ConfigError("nothing to draw; name --published NAME, --store FOLDER, or both")
    if out is not None:
        check_format(out)
    wanted = None if methods == "all" else _names(methods)
    cells = gather(figures, store or [], every_method=methods is not None, corrected=corrected)
    cells = choose(cells, wanted, _names(tasks), group or next((f.group for f in figures), None))
    mended = ", misprints corrected" if corrected else ""
    sources = [figure.source + mended for figure in figures] + [str(folder) for folder in store or ()]
    choices = Choices(
        mix=mix,
        missing=_one_of("--missing", missing, ("drop", "infinite")),
        floor=floor,
        best_of=_groups(best_of) or next((figure.best_of for figure in figures), {}),
        reference=reference or next((figure.reference for figure in figures), None),
        random=random,
        post_hoc=_one_of("--test", test, ("nemenyi", "wilcoxon-holm")),
        networks=networks_of(figures),
        title="; ".join(sources) if title is None else title,
    )
    picture = PICTURES[kind](cells, choices)
    protocols = list(dict.fromkeys(cell.protocol for cell in cells))
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "kind": kind,
                    "sources": sources,
                    "protocols": protocols,
                    "rows": plain_json(picture.rows),
                },
                indent=2,
            )
        )
    if out is not None or not as_json:
        path = out or Path(f"{kind}.png")
        save_figure(picture.draw(), path)
        typer.echo(str(path), err=as_json)


def _print_list(as_json: bool) -> None:
    from dashnas.analysis.papers import PAPER_FIGURES, PAPER_TABLES
    from dashnas.cli.print_out import plain_table, print_out

    if as_json:
        tables = [{"name": t.name, "about": t.about, "source": t.source} for t in PAPER_TABLES.values()]
        figures = [
            {"name": f.name, "kind": f.kind, "table": f.table, "source": f.source} for f in PAPER_FIGURES.values()
        ]
        typer.echo(json.dumps({"tables": tables, "figures": figures}, indent=2))
        return
    shown = [plain_table("table", "what it holds"), plain_table("figure", "what it is")]
    for table in PAPER_TABLES.values():
        shown[0].add_row(table.name, table.about)
    for figure in PAPER_FIGURES.values():
        shown[1].add_row(figure.name, figure.source)
    for one in shown:
        one.columns[0].no_wrap, one.columns[1].justify = True, "left"
    print_out(shown[0], "", shown[1])


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _groups(texts: list[str] | None) -> dict[str, list[str]]:
    """Curves by name from "NAME=A,B"."""
    from dashnas.errors import ConfigError

    groups = {}
    for text in texts or ():
        name, _, members = text.partition("=")
        if not name.strip() or not _names(members):
            raise ConfigError(f'--best-of takes NAME=A,B, such as "best automated=WRN,DenseNAS"; got {text!r}')
        groups[name.strip()] = _names(members) or []
    return groups


def _one_of(option: str, value: str | None, known: tuple[str, ...]) -> Any:
    from dashnas.errors import ConfigError

    if value is not None and value not in known:
        raise ConfigError(f"{option} must be one of {', '.join(known)}; got {value!r}")
    return value
