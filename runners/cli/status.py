"""``nbeval status`` and ``nbeval clean``: what a results folder holds, and what in it nobody needs."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_eval.errors import UsageError
from nasbench_eval.utils.paths import is_dir
from runners.cli.path_type import PathType

if TYPE_CHECKING:
    from runners.spec import RunSpec
    from runners.status import RunStatus

EVERY = 2.0
"""Seconds between two tables of ``--watch``."""

folder_option = click.option(
    "--results",
    type=PathType(),
    default=Path("results"),
    show_default=True,
    help="Results folder.",
)


@click.command(short_help="Remove what nobody needs in a results folder.")
@click.argument("folder", type=PathType(), required=False)
@folder_option
@click.option("--failed", is_flag=True, help="Also the records of failed runs; the same command then runs them again.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
def clean(folder: Path | None, results: Path, failed: bool, yes: bool) -> None:
    """Show the files of a results folder (by default `results`) that nobody needs, and remove them if you agree.

    They are checkpoints of complete runs and trainings, half-written files and locks of killed processes, and shared
    weights and trainings of runs that are gone. What a live process works with, on this host or another, and
    checkpoints of interrupted runs stay.
    """
    import sys

    from tabulate import tabulate

    from runners.clean import leftovers, remove

    folder = results if folder is None else folder
    found = leftovers(folder, failed=failed)
    if not found:
        click.echo(f"nothing to remove in {folder}")
        return
    rows = [[f"{each.size / 1e6:.2f} MB", each.path, each.why] for each in found]
    click.echo(tabulate(rows, tablefmt="plain", disable_numparse=True))
    total = f"{len(found)} files, {sum(each.size for each in found) / 1e6:.2f} MB"
    if not yes and not sys.stdin.isatty():
        click.echo(f"{total}; nothing was removed: --yes removes them")
        return
    if not yes and not click.confirm(f"{total}: remove them?"):
        return
    kept = remove(folder, found)
    click.echo(f"removed {len(found) - len(kept)} files" + (f"; {len(kept)} are in use" if kept else ""))


@click.command(short_help="Show which runs are done, running, waiting, interrupted or failed.")
@click.argument("what", metavar="[STUDY|FOLDER]", required=False)
@folder_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per run.")
@click.option("--watch", is_flag=True, help="Print it again every two seconds, until Ctrl-C.")
def status(what: str | None, results: Path, as_json: bool, watch: bool) -> None:
    """Show which runs are done, running, waiting, interrupted or failed, where they run and how long they will take.

    Of a results FOLDER, the runs that have begun; of a STUDY, its name or file, all its runs in --results.

    \b
        nbeval status
        nbeval status figure5 --watch
        nbeval status /shared/results --json
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    from click.core import ParameterSource

    from runners.status import status as status_of

    given = click.get_current_context().get_parameter_source("results") != ParameterSource.DEFAULT
    folder, specs = _chosen(what, results, given)
    try:
        while True:
            runs = status_of(folder, specs)
            lines = [json.dumps(dataclasses.asdict(run)) for run in runs] if as_json else _lines(runs)
            if watch:
                click.clear()
            for line in lines:
                click.echo(line)
            if not watch:
                return
            time.sleep(EVERY)
    except KeyboardInterrupt:
        if not watch:
            raise


def _chosen(what: str | None, results: Path, given: bool) -> tuple[Path, Sequence[RunSpec] | None]:
    """Return the results folder, and the runs of the study if one is asked for; a study's name is no folder."""
    if what is None:
        return results, None
    from runners.study import load_study, study_names

    if what not in study_names() and is_dir(Path(what)):
        if given:
            raise UsageError(f"{what} is a results folder: leave out --results, or name a study")
        return Path(what), None
    if not what.endswith(".toml") and what not in study_names():
        raise UsageError(
            f"{what} is neither a results folder nor a study; the included studies are {', '.join(study_names())}"
        )
    return results, load_study(what).specs


def _lines(runs: Sequence[RunStatus]) -> list[str]:
    """Return a table of what is not done, one row per run, and of the rest, one row per kind; and a sentence."""
    from tabulate import tabulate

    from nasbench_eval.analysis.tables import seconds_text
    from runners.status import STATES

    alike = Counter(_kind(run) for run in runs)
    variants = Counter(name for name, _ in {(_name(run), run.changed) for run in runs})

    def name_of(run: RunStatus) -> str:
        return _name(run) + (run.changed if variants[_name(run)] > 1 else "")

    rows, shown = [], set[object]()
    for run in sorted(runs, key=lambda run: STATES.index(run.state)):
        kind = _kind(run)
        if kind in shown:
            continue
        if kind is not None and alike[kind] > 1:
            shown.add(kind)
            rows.append([run.state, name_of(run), f"{alike[kind]} seeds", "", "", "", ""])
            continue
        left = "" if run.seconds_left is None else seconds_text(run.seconds_left)
        seed = "" if run.seed is None else f"seed {run.seed}"
        cell = "" if run.cell is None else str(run.cell)
        rows.append([run.state, name_of(run), seed, _where(run), _step(run), cell, run.cause or left])
    header = ["", "run", "", "where", "epoch", "cell", "time left"]
    table = tabulate(rows, header, tablefmt="simple", disable_numparse=True)
    return [*(table.splitlines() if rows else []), *([""] if rows else []), _summary(runs)]


def _kind(run: RunStatus) -> tuple[str, ...] | None:
    """Return what runs have in common that share a row; None for a run that has its own."""
    return (run.state, run.method, run.dataset, run.scale, run.changed) if run.state in ("done", "waiting") else None


def _name(run: RunStatus) -> str:
    if not run.method:
        return f"run {run.run_id}"
    scale = "" if run.scale in ("", "full") else f", scale {run.scale}"
    return f"{run.method} {run.dataset}".strip() + scale


def _where(run: RunStatus) -> str:
    from runners.locks import HEARTBEAT

    if not run.pid:
        return ""
    silent = f", silent for {run.silent:.0f} s" if run.silent > 2 * HEARTBEAT else ""
    return f"{run.host}, process {run.pid}{silent}"


def _step(run: RunStatus) -> str:
    if run.step is None:
        return ""
    return f"{run.step}/{run.steps}" if run.steps is not None else str(run.step)


def _summary(runs: Sequence[RunStatus]) -> str:
    from nasbench_eval.analysis.tables import seconds_text
    from runners.status import STATES

    if not runs:
        return "no run has begun"
    count = Counter[str](run.state for run in runs)
    words = f"{len(runs)} runs: " + ", ".join(f"{count[state]} {state}" for state in STATES if count[state])
    unfinished = [run for run in runs if run.state in ("running", "interrupted", "waiting")]
    known = [run.seconds_left for run in unfinished if run.seconds_left is not None]
    if not known:
        return words
    of = "" if len(known) == len(unfinished) else f" for the {len(known)} of them whose speed has been measured"
    return f"{words}; what is left takes {seconds_text(sum(known))} in one process, at the speed so far{of}"
