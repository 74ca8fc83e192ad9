"""``nbeval rank``: how well shared weights, or the scores of untrained networks, order cells."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_eval.errors import InUseError
from runners.cli.analysis import PICTURES
from runners.cli.options import TABLE_DEFAULT, data_option, device_option, log_to_stderr, names, split_option
from runners.cli.path_type import PathType

if TYPE_CHECKING:
    import pandas as pd


@click.command(short_help="Measure how well shared weights or untrained scores order cells.")
@click.option("--run", "ids", multiple=True, metavar="ID[,ID...]", help="Runs, each by the beginning of its id.")
@click.option("--method", "methods", multiple=True, metavar="NAME[,NAME...]|all", help="All runs of these methods.")
@click.option("--dataset", "datasets", multiple=True, metavar="NAME[,NAME...]", help="Of them, those searched on it.")
@click.option(
    "--cells",
    type=click.IntRange(10, 15_625),
    default=500,
    show_default=True,
    help="At least how many cells; those scored before count.",
)
@device_option
@click.option("--table", "table_path", type=PathType(), help=f"The benchmark table.  {TABLE_DEFAULT}")
@data_option
@split_option
@click.option("--wait", is_flag=True, help="Wait for runs that other commands are ranking; else leave them out.")
@click.option("--results", type=PathType(), default=Path("results"), show_default=True, help="Results folder.")
@click.option(
    "--plots",
    "folder",
    metavar="DIR",
    type=PathType(file_okay=False),
    default=Path("plots"),
    show_default=True,
    help="For the figure.",
)
@click.option(
    "--format", "formats", metavar="LIST", default="png,pdf", show_default=True, help=f"Of {', '.join(PICTURES)}."
)
def rank(
    ids: tuple[str, ...],
    methods: tuple[str, ...],
    datasets: tuple[str, ...],
    cells: int,
    device: str,
    table_path: Path | None,
    data: Path | None,
    split_file: Path | None,
    wait: bool,
    results: Path,
    folder: Path,
    formats: str,
) -> None:
    """Measure how well the scores of finished searches rank a random sample of cells by their true accuracy.

    The score of a cell is its accuracy with the shared weights of a weight-sharing search, or that of a training-free
    one for the untrained cell.

    The sample is the same for every run and is scored on the valid part that the search had. Prints Kendall's tau,
    Spearman's rho and the overlap of the best tenths, each with its 95 % interval, and draws the figure `rank` of these
    runs. Scores are kept in RESULTS/ranks and reused. See docs/diagnostics.md.

    \b
        nbeval rank --run 8ae52dcdaa01 --cells 500
        nbeval rank --method all --dataset cifar10
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    from nasbench_eval.analysis.figures import draw_figure
    from nasbench_eval.analysis.rank_correlation import rank_frame
    from runners.cli.analysis import picture_formats
    from runners.device import resolve_device
    from runners.outcome import in_use_words
    from runners.progress.views import make_reporter
    from runners.rank_choice import choose
    from runners.rank_correlation import measure_all

    wanted = picture_formats(formats)
    log_to_stderr(logging.WARNING)
    runs, bare = choose(results, names(ids), names(methods), names(datasets))
    if bare:
        ids_of = ", ".join(run.record.run_id for run in bare)
        click.echo(f"nbeval: left out, because they kept no shared weights: {ids_of}", err=True)
    in_use = measure_all(
        runs,
        cells,
        device=resolve_device(device),
        table=table_path,
        data=data,
        split_file=split_file,
        reporter=make_reporter(),
        wait=wait,
    )
    left_out = {each.run_id for each in in_use}
    if ranked := [run for run in runs if run.record.run_id not in left_out]:
        click.echo(_table(rank_frame(ranked)))
        for path in draw_figure("rank", ranked, folder, wanted):
            click.echo(str(path))
    if in_use:
        raise InUseError(
            f"{len(in_use)} of {len(runs)} runs are left out: {in_use_words(in_use)}; --wait waits for them"
        )


def _table(frame: pd.DataFrame) -> str:
    """Write the statistics as text: one line per run, and one for the mean of a variant with several seeds."""
    import textwrap

    from tabulate import tabulate

    from nasbench_eval.analysis.labels import reduced_note
    from nasbench_eval.analysis.layout import WIDTH
    from nasbench_eval.analysis.rank_correlation import GAPS
    from nasbench_eval.analysis.rank_notes import rank_notes, spread_text, statistic_text

    variants = frame[frame["row"] == "variant"]
    several = variants["dataset"].nunique() > 1
    rows, gaps = [], []
    for _, row in frame[frame["row"] != "cell"].iterrows():
        if row["row"] == "variant" and row["seeds"] == 1:
            continue
        label = textwrap.fill(f"{row['label']}{f', {row.dataset}' if several else ''}", 36)
        seed = "mean" if row["row"] == "variant" else row["seed"]
        correlations = [statistic_text(row, name) for name in ("kendall", "spearman", "top_k")]
        rows.append([label, seed, *correlations, f"{row['first_acc']:.2f}", spread_text(row, "regret")])
        gaps.append([label, seed, *(spread_text(row, name) for name in GAPS)])
    header = ["method", "seed", "tau", "rho", f"top {variants['k'].iloc[0]}", "first", "regret"]
    table = tabulate(rows, header, tablefmt="simple", disable_numparse=True)
    if frame[list(GAPS)].notna().any(axis=None):
        header = ["discretisation gap", "seed", "running", "batch (cells)", "batch (all)"]
        beside = tabulate(gaps, header, "simple", disable_numparse=True)
        table = f"{table}\n\n{beside}"
    said = [*rank_notes(frame), reduced_note(variants)]
    return "\n".join([table, "", *(textwrap.fill(note, WIDTH, subsequent_indent="  ") for note in said), ""])
