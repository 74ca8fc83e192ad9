"""``nbeval report``: everything about some runs on one page."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from runners.cli.analysis import datasets_option, load_results, results_option, with_results
from runners.cli.options import method_option, names, where_option
from runners.cli.path_type import PathType


@click.command(short_help="Write one HTML page: verdicts, tables, figures, cells, settings, runs.")
@results_option
@click.option(
    "--study",
    metavar="NAME|FILE",
    help="The study whose question and claims the page answers: an included one, or your own study file.",
)
@click.option(
    "--against",
    "reference",
    metavar="METHOD",
    help="Give every method's difference from this one.  [default: the method of the study's claims, or gaea_darts]",
)
@method_option
@datasets_option
@where_option
@click.option(
    "--output",
    metavar="FILE",
    type=PathType(dir_okay=False),
    default=Path("results/report.html"),
    show_default=True,
    help="The page to write.",
)
def report(
    folders: tuple[Path, ...],
    study: str | None,
    reference: str | None,
    methods: tuple[str, ...],
    datasets: tuple[str, ...],
    conditions: tuple[str, ...],
    output: Path,
) -> None:
    """Write one self-contained HTML page about the runs, for reviewers and co-authors.

    It loads nothing from anywhere, so it can be sent by mail or put beside a paper.

    \b
        nbeval report --study figure5
        nbeval report --results results/reference/cifar10-small --study cifar10-small
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    chosen, wanted = names(methods), names(datasets)
    runs, failures = load_results(folders, conditions, chosen, reference)
    with_results(wanted, runs)

    from runners.report import check_belongs, write_report
    from runners.study import load_study

    asked = None if study is None else load_study(study)
    if asked is not None and (why := check_belongs(asked, runs)):
        click.echo(f"nbeval: {why}", err=True)
    words = ["nbeval", "report"]
    for name, values in (
        ("--results", folders),
        ("--study", [study] if study else []),
        ("--against", [reference] if reference else []),
        ("--method", [",".join(chosen)] if chosen else []),
        ("--dataset", [",".join(wanted)] if wanted else []),
        ("--where", conditions),
    ):
        words += [word for value in values for word in (name, str(value))]
    write_report(
        output,
        runs,
        failures,
        study=asked,
        datasets=wanted,
        reference=reference or "",
        command=shlex.join(words),
    )
    click.echo(str(output))
