"""``nbeval run``: parse what to run, run it, print a summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_eval.errors import InUseError, NbevalError, UsageError
from runners.cli.options import data_option, device_option, split_option
from runners.step_log import LOGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runners.context import Inputs, Truth


@click.command()
@click.option(
    "--method",
    "methods",
    required=True,
    metavar="NAME[,NAME...]|all",
    help="What to run: `nbeval methods`, optuna:SAMPLER, or your own class as MODULE:CLASS.",
)
@click.option("--dataset", "datasets", required=True, metavar="NAME[,NAME...]|all", help="What the search trains on.")
@click.option("--seeds", default="1", show_default=True, help="A number of seeds (4), or a list of them (0,3,7).")
@click.option(
    "--scale",
    default="full",
    show_default=True,
    help="full, small (a few minutes on a CPU) or shallow (small network, full schedule); results say so.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="The same as --set epochs=N.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting; may be repeated.")
@device_option
@click.option(
    "--truth",
    type=click.Choice(["table", "train", "none"]),
    default="table",
    show_default=True,
    help="Where the final cell's true accuracy comes from; `train` trains it from scratch.",
)
@click.option("--table", type=click.Path(path_type=Path), help="The benchmark table [NBEVAL_TABLE].")
@data_option
@split_option
@click.option("--fetch", is_flag=True, help="First download the table and the images that are missing.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Searches in parallel, each in its own process with its share of the cores.",
)
@click.option("--wait", is_flag=True, help="Wait for runs that other commands are at work on; else leave them out.")
@click.option(
    "--log",
    type=click.Choice(LOGS),
    help="Also write every epoch to RESULTS/logs for TensorBoard, which has to be installed.",
)
@click.option(
    "--results",
    "results_dir",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Results folder.",
)
def run(
    methods: str,
    datasets: str,
    seeds: str,
    scale: str,
    epochs: int | None,
    overrides: tuple[str, ...],
    device: str,
    truth: Truth,
    table: Path | None,
    data: Path | None,
    split_file: Path | None,
    fetch: bool,
    workers: int,
    wait: bool,
    log: str | None,
    results_dir: Path,
) -> None:
    """Run searches, look up the true accuracy of every derived cell, and print a summary.

    Complete runs are not repeated; an interrupted one resumes after its last finished epoch. Every combination of
    method, data set and seed is a run. Any number of commands can share a results folder: what one of them is at work
    on, the others leave to it (and exit with code 75) or wait for (--wait).

    \b
        nbeval run --method gaea_darts --dataset cifar10 --seeds 4
        nbeval run --method gaea_darts,darts --dataset digits --scale small --truth train
        nbeval run --method all --dataset digits --scale small --seeds 2 --workers 4
        nbeval run --method my_method:CrossEntropy,rea --dataset cifar10 --seeds 500
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    from runners.context import Inputs
    from runners.execute import run_all
    from runners.inputs import make_specs
    from runners.progress import ProgressBars
    from runners.spec import parse_overrides, parse_seeds

    changes = parse_overrides(overrides)
    if epochs is not None:
        if "epochs" in changes:
            raise UsageError("--epochs and --set epochs=... say the same: give one of them")
        changes["epochs"] = epochs
    inputs = Inputs(results_dir, device, truth, table, data, split_file, scale, workers, log)
    if fetch:
        _fetch(methods, datasets, parse_seeds(seeds), changes, inputs)
    specs, left_out = make_specs(methods, datasets, parse_seeds(seeds), changes, inputs)
    for sentence in left_out:
        click.echo(f"nbeval: {sentence}", err=True)
    runs, failures, in_use = run_all(specs, inputs, ProgressBars(), wait=wait)

    from nasbench_eval.analysis.report import report
    from nasbench_eval.analysis.tables import render
    from nasbench_eval.runs.failures import FOLDER
    from runners.outcome import in_use_words

    click.echo()
    if not runs:
        pass
    elif any(found.test_acc for found in runs):
        click.echo(render(report(runs, failures=failures), "text"))
    else:
        click.echo("no true accuracy is known; the cells found:")
        for found in runs:
            click.echo(f"  {found.record.title} seed {found.record.seed}: {found.steps.iloc[-1]['cell']}")
    if failures:
        for failure in failures:
            click.echo(f"nbeval: {failure.words}", err=True)
        raise NbevalError(
            f"{len(failures)} of {len(specs)} runs diverged and are no results; the settings they had are in "
            f"{results_dir / FOLDER}: change them, or delete a file there to run it again"
        )
    if in_use:
        raise InUseError(
            f"{len(in_use)} of {len(specs)} runs are left out: {in_use_words(in_use)}; the same command with --wait "
            "waits for them"
        )


def _fetch(methods: str, datasets: str, seeds: Sequence[int], changes: Mapping[str, Any], inputs: Inputs) -> None:
    """Download what the runs need and this machine lacks."""
    import sys

    from nasbench_eval.images.download import fetch_splits
    from nasbench_eval.images.splits import OFFICIAL
    from runners import needs
    from runners.inputs import all_specs

    if inputs.split_file == OFFICIAL:
        fetch_splits(inputs.data)
    found = needs.missing_for(all_specs(methods, datasets, seeds, changes, inputs), inputs)
    needs.fetch(found, data=inputs.data, progress=sys.stderr.isatty(), say=lambda words: click.echo(words, err=True))
