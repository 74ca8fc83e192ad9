"""``nbeval run``: parse what to run, run it, print a summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nasbench_eval.errors import NbevalError, UsageError
from runners.cli.options import RunOptions, run_options

if TYPE_CHECKING:
    from runners.outcome import Outcome


@click.command(short_help="Run searches, and look up the true accuracy of their cells.")
@click.argument("study", required=False)
@click.option(
    "--method",
    "methods",
    metavar="NAME[,NAME...]|all",
    help="What to run: `nbeval methods`, optuna:SAMPLER, or your own class as MODULE:CLASS.",
)
@click.option(
    "--dataset",
    "datasets",
    metavar="NAME[,NAME...]|all",
    help="What the search trains on: cifar10, cifar100, imagenet16-120 or digits.",
)
@run_options
def run(study: str | None, methods: str | None, datasets: str | None, **given: Any) -> None:
    """Run searches, look up the true accuracy of every derived cell, and print a summary.

    Complete runs are not repeated; an interrupted one resumes after its last finished epoch. Every combination of
    method, data set and seed is a run. Any number of commands can share a results folder: what one of them is at work
    on, the others leave to it (and exit with code 75) or wait for (--wait).

    STUDY, in place of --method, is a study file or the name of an included one (`nbeval reproduce --list`): it says
    what to run, and its claims are judged. Options change what it says; --dataset keeps the searches on some data sets.

    \b
        nbeval run --method gaea_darts --dataset cifar10 --seeds 4
        nbeval run --method gaea_darts,darts --dataset digits --scale small --seeds 4
        nbeval run --method all --dataset digits --scale small --seeds 2 --workers 4
        nbeval run --method my_method:CrossEntropy,rea --dataset cifar10 --seeds 500
        nbeval run my_study.toml --workers 4
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    options = RunOptions(**given)
    if study is None:
        _run_methods(methods, datasets, options)
    elif methods is None:
        _run_study(study, datasets, options)
    else:
        raise UsageError("--method and STUDY exclude each other: a study names its methods")


def _run_methods(methods: str | None, datasets: str | None, options: RunOptions) -> None:
    from runners.cli.studies import fetch_for
    from runners.execute import run_all
    from runners.inputs import all_specs, make_specs
    from runners.spec import parse_seeds

    if methods is None or datasets is None:
        raise UsageError(
            f"--{'method' if methods is None else 'dataset'} is missing: say what to run with --method and --dataset, "
            "or name a study (`nbeval reproduce --list`)"
        )
    what = (methods, datasets, parse_seeds("1" if options.seeds is None else options.seeds), options.changes)
    inputs, executor, reporter = options.inputs(), options.executor(), options.reporter()
    if options.fetch:
        fetch_for(all_specs(*what, inputs), inputs)
    specs, left_out = make_specs(*what, inputs)
    for sentence in left_out:
        click.echo(f"nbeval: {sentence}", err=True)
    outcome = run_all(specs, inputs, reporter, wait=options.wait, executor=executor)
    if not options.as_json:
        _print(outcome)
    _require_results(outcome, options, len(specs))


def _run_study(name: str, datasets: str | None, options: RunOptions) -> None:
    from runners.cli.studies import fetch_for, findings_text, run_and_score
    from runners.reproduce import findings

    study = options.study(name, datasets)
    inputs, executor, reporter = options.inputs(study), options.executor(), options.reporter()
    if options.fetch:
        fetch_for(study.specs, inputs)
    outcome = run_and_score(study, inputs, reporter, wait=options.wait, executor=executor)
    if not options.as_json:
        _print(outcome)
        click.echo(findings_text(findings(study, outcome.runs, outcome.failures)))
    _require_results(outcome, options, len(study.specs))


def _print(outcome: Outcome) -> None:
    """Print the comparison of the runs, or their cells where no true accuracy is known."""
    from nasbench_eval.analysis.comparison_notes import noted_comparison
    from nasbench_eval.analysis.tables import render

    runs, failures = outcome.runs, outcome.failures
    click.echo()
    if not runs:
        pass
    elif any(found.test_acc for found in runs):
        click.echo(render(noted_comparison(runs, failures=failures), "text"))
    else:
        click.echo("no true accuracy is known; the cells found:")
        for found in runs:
            click.echo(f"  {found.record.title} seed {found.record.seed}: {found.steps.iloc[-1]['cell']}")


def _require_results(outcome: Outcome, options: RunOptions, total: int) -> None:
    """Raise if runs diverged, or other commands are at work on some of them."""
    from nasbench_eval.runs.failures import FOLDER
    from runners.cli.studies import require_complete

    if outcome.failures:
        for words in (*outcome.broken, *(failure.words for failure in outcome.failures)):
            click.echo(f"nbeval: {words}", err=True)
        raise NbevalError(
            f"{len(outcome.failures)} of {total} runs diverged and are no results; the settings they had are in "
            f"{options.results_dir / FOLDER}: change them, or delete a file there to run it again"
        )
    require_complete(outcome, total)
