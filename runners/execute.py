"""Running specs: what ``nbeval run`` and ``nbeval.search`` both call."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from runners import tabular
from runners.inputs import prepare
from runners.progress import Reporter

if TYPE_CHECKING:
    from nasbench_eval.runs.store import Run
    from runners.context import Inputs, RunContext
    from runners.spec import RunSpec


def run_all(specs: Sequence[RunSpec], inputs: Inputs, reporter: Reporter | None = None) -> list[Run]:
    """Run what is missing, and return the runs of all specs in their order.

    Complete runs are not repeated, and a search that was interrupted resumes after its last finished epoch.

    Args:
        specs: What to run.
        inputs: Where, on which device and data, and where true accuracies come from.
        reporter: Follows the progress; None: nothing does.

    Raises:
        UsageError: If a setting or an input does not fit; nothing has started then.
        NbevalError: If a table or images are missing or damaged, a file cannot be written, or a worker was killed.
    """
    reporter = reporter or Reporter()
    context = prepare(specs, inputs)
    titles = {
        spec.run_id: f"[{number}/{len(specs)}] {spec.method} {spec.search_dataset} seed {spec.seed}"
        for number, spec in enumerate(specs, 1)
    }
    new = _run_in_parallel(specs, titles, context, inputs, reporter) if inputs.workers > 1 else {}
    runs: list[Run] = []
    for _, group in itertools.groupby(specs, key=lambda spec: spec.variant_id):
        variant = list(group)
        if variant[0].is_tabular:
            with reporter.tabular(f"{variant[0].method} {variant[0].search_dataset}", len(variant)) as on_run:
                runs += tabular.run_variant(variant, context, on_run)
        else:
            runs += [new.get(spec.run_id) or _run_one(spec, titles[spec.run_id], context, reporter) for spec in variant]
    return runs


def _run_one(spec: RunSpec, title: str, context: RunContext, reporter: Reporter) -> Run:
    from runners import search  # imports torch

    run = search.stored(spec, context)
    if run is not None:
        reporter.already_complete(title)
        return run
    with reporter.search(title, spec) as progress:
        return search.run_search(spec, context, progress)


def _run_in_parallel(
    specs: Sequence[RunSpec], titles: dict[str, str], context: RunContext, inputs: Inputs, reporter: Reporter
) -> dict[str, Run]:
    """Run the missing searches that train, several at once, and return these runs by their id."""
    from runners.parallel import search_in_parallel

    trained = [spec for spec in specs if not spec.is_tabular]
    if not trained:
        return {}
    from runners import search

    jobs = [(titles[spec.run_id], spec) for spec in trained if search.stored(spec, context) is None]
    if not jobs:
        return {}
    new: dict[str, Run] = {}
    inputs = replace(inputs, workers=min(inputs.workers, len(jobs)))
    with reporter.parallel(len(jobs)) as on_search:
        for title, spec in search_in_parallel(jobs, inputs, reporter):
            run = search.stored(spec, context)
            assert run is not None
            new[spec.run_id] = run
            on_search(title, spec, run)
    return new
