"""Running specs: what ``nbeval run`` and ``nbeval.search`` both call."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from nasbench_eval.runs.failures import Failure
from runners import tabular
from runners.inputs import prepare
from runners.progress import Reporter

if TYPE_CHECKING:
    from nasbench_eval.runs.store import Run
    from runners.context import Inputs, RunContext
    from runners.spec import RunSpec


class Outcome(NamedTuple):
    """What became of some specs: the runs that are complete, and those that diverged."""

    runs: list[Run]
    failures: list[Failure]


def run_all(specs: Sequence[RunSpec], inputs: Inputs, reporter: Reporter | None = None) -> Outcome:
    """Run what is missing, and return what became of all specs, in their order.

    Complete runs are not repeated, and a search that was interrupted resumes after its last finished epoch. A run that
    diverges is recorded as a failure; the others go on.

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
    outcome = Outcome([], [])
    for _, group in itertools.groupby(specs, key=lambda spec: spec.variant_id):
        variant = list(group)
        if variant[0].is_tabular:
            with reporter.tabular(f"{variant[0].method} {variant[0].search_dataset}", len(variant)) as on_run:
                runs, failures = tabular.run_variant(variant, context, on_run)
            outcome.runs.extend(runs)
            outcome.failures.extend(failures)
            continue
        for spec in variant:
            result = new.get(spec.run_id) or _run_one(spec, titles[spec.run_id], context, reporter)
            if isinstance(result, Failure):
                outcome.failures.append(result)
            else:
                outcome.runs.append(result)
    return outcome


def _run_one(spec: RunSpec, title: str, context: RunContext, reporter: Reporter) -> Run | Failure:
    from runners import search  # imports torch

    known = search.stored(spec, context) or search.stored_failure(spec, context)
    if known is not None:
        reporter.already_done(title, known)
        return known
    with reporter.search(title, spec) as progress:
        return search.run_or_fail(spec, context, progress)


def _run_in_parallel(
    specs: Sequence[RunSpec], titles: dict[str, str], context: RunContext, inputs: Inputs, reporter: Reporter
) -> dict[str, Run | Failure]:
    """Run the missing searches that train, several at once, and return what became of them by their id."""
    from runners.parallel import search_in_parallel

    trained = [spec for spec in specs if not spec.is_tabular]
    if not trained:
        return {}
    from runners import search

    def known(spec: RunSpec) -> Run | Failure | None:
        return search.stored(spec, context) or search.stored_failure(spec, context)

    jobs = [(titles[spec.run_id], spec) for spec in trained if known(spec) is None]
    if not jobs:
        return {}
    new: dict[str, Run | Failure] = {}
    inputs = replace(inputs, workers=min(inputs.workers, len(jobs)))
    with reporter.parallel(len(jobs)) as on_search:
        for title, spec in search_in_parallel(jobs, inputs, reporter):
            found = known(spec)
            assert found is not None
            new[spec.run_id] = found
            on_search(title, spec, found)
    return new
