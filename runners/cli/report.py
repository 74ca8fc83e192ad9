"""``nbeval report``: everything about a study on one page."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from runners.cli.analysis import load_results, names, results_option, with_results


@click.command(short_help="Write one HTML page: verdicts, tables, figures, cells, settings, runs.")
@results_option
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="NAME[,NAME]",
    help="Show only the accuracies on these data sets.  [default: all]",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("results/report.html"),
    show_default=True,
    help="The page to write.",
)
def report(folders: tuple[Path, ...], datasets: tuple[str, ...], output: Path) -> None:
    """Write one self-contained HTML page about the runs, for reviewers and co-authors.

    It loads nothing from anywhere, so it can be sent by mail or put beside a paper.
    """
    runs, failures = load_results(folders)
    wanted = names(datasets)
    with_results(wanted, runs)

    from nasbench_eval.analysis.layout import write_text
    from nasbench_eval.report.page import build_page, render
    from runners.provenance import provenance

    options = [word for folder in folders for word in ("--results", str(folder))]
    options += ["--dataset", ",".join(wanted)] if wanted else []
    page = build_page(
        runs, failures, provenance(runs), datasets=wanted, command=shlex.join(["nbeval", "report", *options])
    )
    write_text(output, render(page))
    click.echo(str(output))
