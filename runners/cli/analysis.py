"""``nbeval compare``, and what the commands that show results share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_eval.errors import NbevalError, UsageError, nearest, unknown
from runners.cli.options import method_option, names, where_option
from runners.cli.path_type import PathType

if TYPE_CHECKING:
    from nasbench_eval.analysis.layout import Format
    from nasbench_eval.runs.failures import Failure
    from nasbench_eval.runs.store import Run

RESULTS = Path("results/runs")
PICTURES = ("png", "pdf", "svg")

results_option = click.option(
    "--results",
    "folders",
    multiple=True,
    metavar="DIR",
    type=PathType(file_okay=False),
    help=f"Results folder of `nbeval run`, or a folder in it; may be repeated.  [default: {RESULTS}]",
)
datasets_option = click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="NAME[,NAME]",
    help="Show only the accuracies on these data sets.  [default: all]",
)


def picture_formats(text: str) -> list[str]:
    """Return the picture formats of a comma-separated list.

    Raises:
        UsageError: If the list is empty or a format is unknown.
    """
    wanted = names((text,))
    if bad := [name for name in wanted if name not in PICTURES]:
        raise unknown("picture format", bad[0], PICTURES)
    if not wanted:
        raise UsageError(f"--format needs at least one of {', '.join(PICTURES)}")
    return wanted


def with_results(wanted: Sequence[str], runs: Sequence[Run], *, shows_more: bool = False) -> None:
    """Check that there is something to show on each data set; say so where a known one has no result yet.

    Args:
        wanted: The data sets that the user asked for.
        runs: All runs; a data set that one searched or was evaluated on has results.
        shows_more: Whether the command shows something, such as published numbers, on data sets without results too.
            Otherwise it says itself what it cannot do if none of them has results.

    Raises:
        UsageError: If a name is neither a data set with results nor one that nbeval knows.
    """
    from nasbench_eval.analysis.order import dataset_order
    from nasbench_eval.images.catalogue import DATASETS

    there = dataset_order(name for run in runs for name in (run.record.search_dataset, *run.test_acc))
    have = f"these runs have {', '.join(there)}" if there else "there are no runs"
    for name in wanted:
        if name not in there and name not in DATASETS:
            raise UsageError(f"no result on {name!r}: {nearest(name, (*there, *DATASETS))}{have}")
    lacking = [name for name in wanted if name not in there]
    if lacking and (shows_more or len(lacking) < len(wanted)):
        click.echo(f"nbeval: no result on {', '.join(lacking)}: {have}", err=True)


def nothing_in(folders: tuple[Path, ...]) -> str:
    """Say that there is no complete run in some folders."""
    return f"no complete run under {', '.join(map(str, folders))}"


def load_results(
    folders: tuple[Path, ...], conditions: Sequence[str] = (), methods: Sequence[str] = (), reference: str | None = None
) -> tuple[list[Run], list[Failure]]:
    """Return the runs in results folders, by default ``RESULTS``, and those that diverged.

    Args:
        folders: The folders.
        conditions: What ``--where`` asks of the runs.
        methods: Only the runs of these methods; empty for all.
        reference: What they are compared with, whose runs are returned in any case.

    Raises:
        UsageError: If a condition is none, or names what no run has, or if there is no run of one of the methods.
        NbevalError: If there is no complete run, or a folder or file cannot be read.
    """
    from nasbench_eval.analysis.filters import parse_condition, select
    from nasbench_eval.analysis.selection import check_methods, methods_meant
    from nasbench_eval.runs.failures import load_failures
    from nasbench_eval.runs.store import load_runs

    asked = [parse_condition(text) for text in conditions]
    folders = folders or (RESULTS,)
    runs, failures = load_runs(folders), load_failures(folders)
    if not runs:
        diverged = f" ({len(failures)} runs diverged)" if failures else ""
        raise NbevalError(f"{nothing_in(folders)}{diverged}: run `nbeval run` first")
    if methods:
        check_methods(methods, runs, published=False)
        wanted = [*methods, *(methods_meant(reference, runs) if reference else ())]
        asked.append(parse_condition(f"method={','.join(wanted)}"))
    return select(runs, failures, asked)


@click.command(short_help="Compare methods over seeds, beside the published values.")
@results_option
@method_option
@datasets_option
@click.option(
    "--protocol",
    type=click.Choice(["transfer", "direct"]),
    help="transfer: one search whose cell is evaluated on every data set. direct: one search per data set.",
)
@click.option(
    "--against",
    "reference",
    metavar="METHOD",
    help="Show each method's difference to this one, with its interval and a verdict. A method, or the label of a row.",
)
@where_option
@click.option(
    "--group-by",
    metavar="SETTING",
    default="",
    help="Order the rows by the values of a setting, such as arch_lr.",
)
@click.option(
    "--table",
    "table_path",
    type=PathType(),
    help="The table file of the runs, or `digits`: adds which percentage of all cells is worse than those found.  "
    "[default: none]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "latex", "csv", "json"]),
    help="[default: what the ending of --output means (.md, .tex, .csv or .json), else text]",
)
@click.option(
    "--ddof",
    type=click.IntRange(0, 1),
    default=1,
    show_default=True,
    help="1: sample standard deviation over seeds. 0: population standard deviation, as GAEA reports it.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=PathType(dir_okay=False),
    help="Write to this file instead of the terminal.",
)
def compare(
    folders: tuple[Path, ...],
    methods: tuple[str, ...],
    datasets: tuple[str, ...],
    protocol: str | None,
    reference: str | None,
    conditions: tuple[str, ...],
    group_by: str,
    table_path: Path | None,
    form: Format | None,
    ddof: int,
    output: Path | None,
) -> None:
    """Compare methods: true test accuracy (mean ± std over seeds), search cost, published value, optimum.

    Rows are methods, columns the data sets on which the final cells are evaluated. csv and json have one row per
    protocol, method and data set with all details, such as the value of each seed and the 95 % t interval of the mean.

    With --against, rows are differences to one method: better, worse, equivalent within the table's noise, or
    undecided, with the number of seeds that would decide.
    """
    from nasbench_eval.analysis import against_table, tables
    from nasbench_eval.analysis.comparison_notes import noted_comparison
    from nasbench_eval.analysis.filters import check_key
    from nasbench_eval.analysis.layout import format_of, write_text
    from nasbench_eval.table import Table, find_table

    idle = [name for name, given in (("--table", table_path is not None), ("--ddof", ddof == 0)) if given]
    if reference is not None and idle:
        are, them = ("are", "them") if len(idle) > 1 else ("is", "it")
        raise UsageError(f"{' and '.join(idle)} {are} of no use with --against: omit {them}")
    runs, failures = load_results(folders, conditions, names(methods), reference)
    wanted = names(datasets)
    with_results(wanted, runs)
    if group_by:
        check_key(group_by, runs, "--group-by")
    form = form or format_of(output)
    shown: Mapping[str, Any] = {"failures": failures, "datasets": wanted, "protocol": protocol, "group_by": group_by}
    if reference is None:
        table = None if table_path is None else Table.open(find_table(table_path))
        text = tables.render(noted_comparison(runs, ddof=ddof, table=table, **shown), form)
    else:
        text = against_table.render(against_table.against_table(runs, reference, **shown), form)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        click.echo(str(output))
