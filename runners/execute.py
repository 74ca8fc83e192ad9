"""Running specs: what ``nbeval run`` and ``nbeval.search`` both call."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nasbench_eval.runs.failures import Failure
from runners import locks, tabular
from runners.inputs import check, prepare
from runners.locks import Lock
from runners.outcome import InUse, Outcome
from runners.progress import Reporter

if TYPE_CHECKING:
    from nasbench_eval.runs.store import Run
    from runners.context import Inputs, RunContext
    from runners.spec import RunSpec


def run_all(
    specs: Sequence[RunSpec], inputs: Inputs, reporter: Reporter | None = None, *, wait: bool = False
) -> Outcome:
    """Run what is missing, and return what became of all specs, in their order.

    Complete runs are not repeated, and a search that was interrupted resumes after its last finished epoch. A run that
    diverges is recorded as a failure; the others go on. A run that another command is at work on is left to it; one
    whose owner is dead is taken over, which for an owner on another host takes ``locks.STALE`` seconds to find out.

    Args:
        specs: What to run.
        inputs: Where, on which device and data, and where true accuracies come from.
        reporter: Follows the progress; None: nothing does.
        wait: Whether to wait for the runs that other commands are at work on.

    Raises:
        UsageError: If a setting or an input does not fit; nothing has started then.
        NbevalError: If a table or images are missing or damaged, a file cannot be written, or a worker was killed.
    """
    reporter = reporter or Reporter()
    context = prepare(specs, inputs)
    check(specs, context)
    titles = {
        spec.run_id: f"[{number}/{len(specs)}] {spec.method} {spec.search_dataset} seed {spec.seed}"
        for number, spec in enumerate(specs, 1)
    }
    held = {spec.lock_name: spec.lock(context.results_dir) for spec in specs}
    found = _run_free(specs, titles, held, context, inputs, reporter)
    if in_use := [result for result in found.values() if isinstance(result, InUse)]:
        reporter.in_use(in_use, wait)
    while left := [
        spec for spec in specs if isinstance(found[spec.run_id], InUse) and (wait or held[spec.lock_name].is_undecided)
    ]:
        time.sleep(locks.POLL)
        free = [spec for spec in left if held[spec.lock_name].look() is None]
        found |= _run_free(free, titles, held, context, inputs, reporter)
    results = [found[spec.run_id] for spec in specs]
    return Outcome(
        [result for result in results if not isinstance(result, Failure | InUse)],
        [result for result in results if isinstance(result, Failure)],
        [result for result in results if isinstance(result, InUse)],
    )


def _run_free(
    specs: Sequence[RunSpec],
    titles: Mapping[str, str],
    held: Mapping[str, Lock],
    context: RunContext,
    inputs: Inputs,
    reporter: Reporter,
) -> dict[str, Run | Failure | InUse]:
    """Run what is missing and nobody else is at work on; return what became of every spec, by the run's id."""
    found = _run_in_parallel(specs, titles, held, context, inputs, reporter) if inputs.workers > 1 else {}
    for _, group in itertools.groupby(specs, key=lambda spec: spec.variant_id):
        variant = list(group)
        if variant[0].is_tabular:
            with reporter.tabular(f"{variant[0].method} {variant[0].search_dataset}", len(variant)) as on_run:
                runs, failures, in_use = tabular.run_variant(variant, context, on_run, held[variant[0].lock_name])
            found |= {run.record.run_id: run for run in runs}
            found |= {failure.run_id: failure for failure in failures} | {each.run_id: each for each in in_use}
            continue
        for spec in variant:
            if spec.run_id not in found:
                found[spec.run_id] = _run_one(spec, titles[spec.run_id], held[spec.lock_name], context, reporter)
    return found


def _run_one(spec: RunSpec, title: str, lock: Lock, context: RunContext, reporter: Reporter) -> Run | Failure | InUse:
    from runners import search  # imports torch

    known = search.known(spec, context)
    if known is not None:
        reporter.already_done(title, known)
        return known
    if (owner := lock.look()) is not None:
        return InUse(spec.run_id, spec.words, owner)
    with reporter.search(title, spec) as progress:
        return search.run_or_fail(spec, context, progress, lock)


def _run_in_parallel(
    specs: Sequence[RunSpec],
    titles: Mapping[str, str],
    held: Mapping[str, Lock],
    context: RunContext,
    inputs: Inputs,
    reporter: Reporter,
) -> dict[str, Run | Failure | InUse]:
    """Run the missing searches that train, several at once, and return what became of them by their id."""
    from runners.parallel import search_in_parallel

    trained = [spec for spec in specs if not spec.is_tabular]
    if not trained:
        return {}
    from runners import search

    jobs = [
        (titles[spec.run_id], spec)
        for spec in trained
        if search.known(spec, context) is None and held[spec.lock_name].look() is None
    ]
    if not jobs:
        return {}
    new: dict[str, Run | Failure | InUse] = {}
    inputs = replace(inputs, workers=min(inputs.workers, len(jobs)))
    with reporter.parallel(len(jobs)) as on_search:
        for title, spec, in_use in search_in_parallel(jobs, inputs, reporter):
            found = in_use or search.known(spec, context)
            assert found is not None
            new[spec.run_id] = found
            on_search(title, spec, found)
    return new
