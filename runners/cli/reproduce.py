"""``nbeval reproduce``: one command from an empty folder to the verdicts on a study's claims."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_eval.errors import UsageError
from runners.cli.options import RunOptions, run_options
from runners.cli.path_type import PathType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runners.context import Inputs
    from runners.estimate import Work
    from runners.outcome import Outcome
    from runners.spec import RunSpec
    from runners.study import Study


@click.command(short_help="Run an included study, or yours, and judge its claims.")
@click.argument("name", required=False, metavar="STUDY")
@click.option("--list", "listed", is_flag=True, help="List the included studies.")
@click.option(
    "--dry-run", "--estimate", "dry_run", is_flag=True, help="Only say what is missing and how long it takes."
)
@click.option("--dataset", "datasets", metavar="NAME[,NAME...]", help="Only the searches on these data sets.")
@click.option(
    "--plots",
    "folder",
    metavar="DIR",
    type=PathType(file_okay=False),
    help="Folder for the figures and the report.  [default: plots/STUDY]",
)
@run_options
def reproduce(
    name: str | None, listed: bool, dry_run: bool, datasets: str | None, folder: Path | None, **given: Any
) -> None:
    """Run a study from what is there to the verdicts: STUDY is an included one (--list), or a study file.

    Checks the table, the images and the device; says how long the missing runs will take, from parts of an epoch that
    it really runs; runs or resumes; draws the figures; writes the report; and prints a verdict on each claim and on
    each published number. The exit code is 0 when that was done, whatever the verdicts are.

    \b
        nbeval reproduce digits                     # minutes on a CPU, no download
        nbeval reproduce figure5 --dry-run          # what is missing, and the estimated time
        nbeval reproduce figure5 --scale small      # the same searches, reduced
        nbeval reproduce my_study.toml --workers 4
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    from runners.cli.studies import fetch_for, findings_text, require_complete, run_and_score
    from runners.reproduce import findings

    if listed:
        return _list()
    if name is None:
        raise UsageError("name a study: a file, or an included one (`nbeval reproduce --list`)")
    options = RunOptions(**given)
    study = options.study(name, datasets)
    inputs, executor, reporter = options.inputs(study), options.executor(), options.reporter()
    say = partial(click.echo, err=options.as_json)  # stdout has nothing but the events then
    if options.fetch and not dry_run:
        fetch_for(study.specs, inputs)
    say(f"{study.title}\n{study.question}".strip())
    # What is measured here tells nothing of machines elsewhere, and submit hosts are not for training.
    _plan(study, inputs, say, measured=dry_run or not inputs.elsewhere)
    if dry_run:
        return None
    outcome = run_and_score(study, inputs, reporter, wait=options.wait, executor=executor)
    for failure in outcome.failures:
        click.echo(f"nbeval: {failure.words}", err=True)
    if outcome.runs:
        _draw(study, outcome, folder or Path("plots") / study.name, say)
    say(findings_text(findings(study, outcome.runs, outcome.failures)))
    require_complete(outcome, len(study.specs))
    return None


def _list() -> None:
    from tabulate import tabulate

    from runners.study import load_study, study_names

    rows = [(study.name, study.title, study.question) for study in map(load_study, study_names())]
    click.echo(
        tabulate(rows, ("study", "what it runs", "what it asks"), tablefmt="simple", maxcolwidths=[None, 40, 50])
    )


def _plan(study: Study, inputs: Inputs, say: Callable[[str], None], *, measured: bool) -> None:
    """Print what is missing, on which device it would run, and how long that would take."""
    from runners.estimate import estimate
    from runners.inputs import check, prepare
    from runners.reproduce import require_inputs

    work: list[Work] = []
    if require_inputs(study, inputs) is None:
        context = prepare(study.specs, inputs)
        check(study.specs, context)
        work = estimate(study.specs, context, rank_cells=study.rank_cells(), on_variant=_measuring, measured=measured)
        _measuring("")
    total = len(study.specs)
    missing = sum(each.runs for each in work)
    say(f"{total - missing:,} of {total:,} runs are complete.")
    if work and measured:
        say(_work_text(work, study.specs, inputs.workers, context.device))


def _measuring(title: str) -> None:
    """Say what is measured, on a terminal: it can take a minute a method."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{f'measuring {title} ...' if title else ''}", nl=False, err=True)


def _work_text(work: Sequence[Work], specs: Sequence[RunSpec], workers: int, device: str) -> str:
    """Return how long each search takes, and all of them; ``specs`` are all runs of the study."""
    import textwrap
    from collections import Counter

    from tabulate import tabulate

    from nasbench_eval.analysis.labels import changes
    from nasbench_eval.analysis.layout import WIDTH
    from nasbench_eval.analysis.tables import seconds_text
    from runners.device import describe
    from runners.estimate import total_seconds
    from runners.spec import by_variant

    names = [(each.spec.method, each.spec.search_dataset, each.spec.scale) for each in work]
    # A method of which the study has several variants, complete ones among them, is named with its changed settings.
    variants = Counter(
        (group[0].method, group[0].search_dataset, group[0].scale) for group in by_variant(specs).values()
    )
    rows = [
        (name + (changes(each.spec.changed) if variants[name, dataset, scale] > 1 else ""), dataset,
         scale if each.epochs or each.cells else "", each.runs or "", each.epochs or "", each.cells or "",
         seconds_text(each.seconds))
        for (name, dataset, scale), each in zip(names, work, strict=True)
    ]  # fmt: skip
    header = ("method", "searches on", "scale", "missing runs", "epochs", "cells to score", "time")
    table = tabulate(rows, header, tablefmt="simple", disable_numparse=True)
    total = total_seconds(work, workers)
    side = f", {workers} searches side by side" if workers > 1 else ""
    unknown = sum(each.seconds != each.seconds for each in work)
    about = f"About {seconds_text(total)} in all on {describe(device)}{side}"
    trainings = sum(each.trainings for each in work)
    left_out = [f"{unknown} that cannot be measured"] if unknown else []
    left_out += [f"the {trainings} trainings of final cells from scratch, which may take longest"] if trainings else []
    without = f", without {' and '.join(left_out)}" if left_out else ""
    how = "extrapolated from a part of an epoch of each search that was really run, and one run of each tabular search"
    return f"\n{table}\n\n{textwrap.fill(f'{about}{without}: {how}.', WIDTH)}\n"


def _draw(study: Study, outcome: Outcome, folder: Path, say: Callable[[str], None]) -> None:
    """Draw every figure that the runs allow, write the report, and print the paths."""
    from nasbench_eval.analysis.figures import FIGURES, NothingToDraw, View, draw_figure
    from nasbench_eval.analysis.labels import divergence_notes
    from runners.report import write_report

    view = View(methods=study.methods, notes=divergence_notes(outcome.failures, outcome.runs))
    for figure in FIGURES:
        try:
            paths = draw_figure(figure, outcome.runs, folder, ["png", "pdf"], view)
        except NothingToDraw:
            continue
        say(str(paths[0]))
    page = folder / "report.html"
    command = shlex.join(["nbeval", *sys.argv[1:]])
    write_report(page, outcome.runs, outcome.failures, study=study, command=command)
    say(str(page))
