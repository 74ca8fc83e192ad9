"""Running a study and judging its claims: what ``nbeval run STUDY`` and ``nbeval reproduce`` share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from nasbench_eval.analysis.agreement import agreement
from nasbench_eval.analysis.claims import Verdict, judge
from nasbench_eval.analysis.labels import distinct_runs
from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.failures import Failure, load_failures
from nasbench_eval.runs.store import Run, load_runs
from nasbench_eval.utils.paths import is_dir
from runners.context import Inputs
from runners.execute import run_all
from runners.executors import Executor
from runners.needs import missing_for
from runners.outcome import InUse, Outcome
from runners.progress import Reporter
from runners.rank_correlation import can_score, measure_all, scored
from runners.study import Study


@dataclass(frozen=True)
class Findings:
    """What the runs of a study say.

    Attributes:
        verdicts: A verdict on each claim at each scale.
        agreement: The comparison with published numbers, from ``agreement.agreement``.
    """

    verdicts: list[Verdict]
    agreement: pd.DataFrame


def require_inputs(study: Study, inputs: Inputs) -> Outcome | None:
    """Check that the missing runs of a study find the table and the images.

    Returns:
        The runs that are complete, if that is all of them and the table or images are not here: then they are taken as
        they are. Otherwise None.

    Raises:
        NbevalError: If runs are missing and the table or images are not here; the message says how to get them.
    """
    lacking = missing_for(study.specs, inputs)
    if not lacking.words:
        return None
    done = _stored(study, inputs)
    if len(done.runs) + len(done.failures) == len(study.specs):
        return done
    names = " ".join(study.datasets)
    raise NbevalError(
        f"this machine lacks {' and '.join(lacking.words)}: --fetch, or `nbeval fetch {names}`, downloads what has a "
        "public address; or name yours with --table and --data, or keep some of the searches with --dataset"
    )


def _stored(study: Study, inputs: Inputs) -> Outcome:
    """Return what is in the results folder of a study's runs."""
    folder = inputs.results_dir / "runs"
    runs, _ = distinct_runs(study.of(load_runs([folder])) if is_dir(folder) else [])
    asked = {spec.run_id for spec in study.specs} - {run.record.run_id for run in runs}
    return Outcome(runs, [each for each in load_failures([inputs.results_dir]) if each.run_id in asked], [])


def run_study(
    study: Study,
    inputs: Inputs,
    reporter: Reporter | None = None,
    *,
    wait: bool = False,
    executor: Executor | None = None,
) -> Outcome:
    """Run what is missing of a study, and return what became of all its runs.

    Raises:
        NbevalError: As :func:`runners.execute.run_all`; or if the table or images are missing.
    """
    outcome = require_inputs(study, inputs) or run_all(study.specs, inputs, reporter, wait=wait, executor=executor)
    home = inputs.results_dir.absolute()
    return outcome._replace(runs=[replace(run, home=home) for run in outcome.runs])


def score_cells(
    study: Study, runs: Sequence[Run], inputs: Inputs, reporter: Reporter | None = None, *, wait: bool = False
) -> tuple[list[InUse], list[str]]:
    """Score the cells that a study asks for with the shared weights of its runs; what is there is not repeated.

    Returns:
        The runs that other commands are at work on, and one sentence for each other reason to leave runs out.
    """
    from runners.device import resolve_device

    wanted = study.rank_cells()
    asked = {run.record.run_id: run for run in runs if run.record.run_id in wanted}
    left = {run_id: run for run_id, run in asked.items() if scored(run) < wanted[run_id]}
    if left and inputs.truth != "table":
        return [], [f"no cells are scored with shared weights: that needs the table, not --truth {inputs.truth}"]
    bare = [run_id for run_id, run in left.items() if not can_score(run, wanted[run_id])]
    in_use: list[InUse] = []
    for cells in sorted(set(wanted.values())):
        in_use += measure_all(
            [run for run_id, run in left.items() if wanted[run_id] == cells and run_id not in bare],
            cells,
            device=resolve_device(inputs.device, elsewhere=inputs.elsewhere),
            table=inputs.table,
            data=inputs.data,
            split_file=inputs.split_file,
            reporter=reporter,
            wait=wait,
        )
    return in_use, [f"no cells are scored for runs that kept no shared weights: {', '.join(bare)}"] if bare else []


def findings(study: Study, runs: Sequence[Run], failures: Sequence[Failure]) -> Findings:
    """Return what the runs of a study say about its claims and the published numbers."""
    verdicts = judge(study.claims, runs, failures, scales=study.scales, variant_of=study.variant_of)
    asked = [(spec.method, spec.search_dataset) for spec in study.specs]
    return Findings(verdicts, agreement(runs, failures, asked=asked))
