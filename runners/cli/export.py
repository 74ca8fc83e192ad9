"""``nbeval export``: all runs as one flat table, for other programs. Loads neither torch nor matplotlib."""

from __future__ import annotations

from pathlib import Path

import click

from nasbench_eval.errors import UsageError
from runners.cli.analysis import load_results, results_option
from runners.cli.options import where_option
from runners.cli.path_type import PathType


@click.command(short_help="Write all runs as one flat table.")
@results_option
@where_option
@click.option(
    "--tidy",
    "target",
    metavar="FILE",
    type=PathType(dir_okay=False),
    help="Write one row per run and data set to this file: .csv, .parquet or .json.",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of run files instead.")
def export(folders: tuple[Path, ...], conditions: tuple[str, ...], target: Path | None, schema: bool) -> None:
    """Write all runs as one flat table, with every fact about them, for other programs.

    \b
        nbeval export --tidy runs.csv
        nbeval export --schema > run.schema.json
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    from nasbench_eval.analysis.labels import distinct_runs
    from nasbench_eval.runs.tidy import run_schema, tidy, write_tidy

    if schema and target is not None:
        raise UsageError("--schema prints the schema of run files, --tidy writes the runs: give one of them")
    if schema:
        click.echo(run_schema(), nl=False)
        return
    if target is None:
        raise UsageError("what to export? --tidy FILE writes all runs, --schema prints the schema of run files")
    runs, _ = load_results(folders, conditions)
    kept, dropped = distinct_runs(runs)
    frame = tidy(kept)
    write_tidy(frame, target)
    for note in dropped:
        click.echo(f"{note[0].upper()}{note[1:]}.", err=True)
    click.echo(f"{target}: {len(frame):,} rows of {len(kept):,} runs")
