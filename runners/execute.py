"""Running specs: what ``nbeval run`` and ``nbeval.search`` both call."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasbench_eval.errors import MethodError, NbevalError, RunError
from nasbench_eval.runs.failures import Failure
from runners import locks, tabular
from runners.executors import Executor, Job, make_executor
from runners.inputs import check, prepare
from runners.outcome import InUse, Outcome
from runners.progress import Reporter
from runners.threads import sleep_while_waiting

if TYPE_CHECKING:
    from nasbench_eval.runs.store import Run
    from runners.context import Inputs, RunContext
    from runners.locks import Owner
    from runners.spec import RunSpec

    Result = Run | Failure | InUse | RunError

logger = logging.getLogger("nbeval")

LATE = 90.0
"""Seconds after which the file of a search that has ended on another machine is given up."""


def run_all(
    specs: Sequence[RunSpec],
    inputs: Inputs,
    reporter: Reporter | None = None,
    *,
    wait: bool = False,
    executor: Executor | None = None,
) -> Outcome:
    """Run what is missing, and return what became of all specs, in their order.

    Complete runs are not repeated, and a search that was interrupted resumes after its last finished epoch. A run that
    diverges is recorded as a failure; the others go on, as they do if the training of one final cell diverges, or a
    tabular method of the user's breaks a rule. A run that another command is at work on is left to it; one whose owner
    is dead is taken over, which for an owner on another host takes ``locks.STALE`` seconds to find out.

    Args:
        specs: What to run.
        inputs: Where, on which device and data, and where true accuracies come from.
        reporter: Follows the progress; None: nothing does.
        wait: Whether to wait for the runs that other commands are at work on.
        executor: Runs the searches that train; None: this machine. Tabular searches run in this process.

    Raises:
        UsageError: If a setting or an input does not fit; nothing has started then.
        NbevalError: If a table or images are missing or damaged, a file cannot be written, or a worker was killed.
    """
    sleep_while_waiting()
    reporter = reporter or Reporter()
    executor = executor or make_executor()
    context = prepare(specs, inputs)
    check(specs, context)
    _tell_unused(specs, inputs, executor)
    batch = _Batch(specs, context, inputs, reporter, executor)
    reporter.start(len(specs))
    found = batch.run(specs)
    if in_use := [result for result in found.values() if isinstance(result, InUse)]:
        reporter.in_use(in_use, wait)
    while left := [
        spec for spec in specs if isinstance(found.get(spec.run_id), InUse) and (wait or batch.is_undecided(spec))
    ]:
        time.sleep(locks.POLL)
        found |= batch.run([spec for spec in left if batch.owner(spec) is None])
    results = [found[spec.run_id] for spec in specs if spec.run_id in found]
    outcome = Outcome(
        [result for result in results if not isinstance(result, Failure | InUse | RunError)],
        [result for result in results if isinstance(result, Failure)],
        [result for result in results if isinstance(result, InUse)],
        [spec.run_id for spec in specs if spec.run_id not in found],
        list(dict.fromkeys(result for result in results if isinstance(result, RunError))),
    )
    reporter.finish(outcome)
    _tell_other_truths(outcome.runs, context)
    return outcome


def _tell_unused(specs: Sequence[RunSpec], inputs: Inputs, executor: Executor) -> None:
    """Say which settings and inputs no search uses: searches in the table train nothing, and run in this process."""
    acts: dict[str, bool] = {}
    for spec in specs:
        idle = spec.without_effect
        acts |= {name: acts.get(name, False) or name not in idle for name in spec.changed}
    if idle_everywhere := [name for name, does in acts.items() if not does]:
        verb = "has" if len(idle_everywhere) == 1 else "have"
        logger.warning("%s %s no effect on these searches", ", ".join(idle_everywhere), verb)
    if not all(spec.is_tabular for spec in specs):
        return
    given = {
        "--device": inputs.device != "auto",
        "--data": inputs.data is not None,
        "--split": inputs.split_file is not None,
        "--workers": inputs.workers > 1,
        "--threads": inputs.threads is not None,
        "--log": inputs.log is not None,
        "--scale": any(spec.scale != "full" for spec in specs),
        "--executor": inputs.elsewhere,
        "--executor-option": executor.options != type(executor).Options(),
    }
    if unused := [option for option, is_given in given.items() if is_given]:
        verb = "has" if len(unused) == 1 else "have"
        logger.warning("%s %s no effect: searches in the table train nothing", ", ".join(unused), verb)


def _tell_other_truths(runs: Sequence[Run], context: RunContext) -> None:
    """Say how many runs keep an accuracy that is not the table's: a cell that was trained is not looked up instead."""
    trained = sum(run.record.truth == "train" for run in runs)
    if context.truth == "table" and trained:
        logger.warning(
            "%d of %d runs keep the accuracy of their final cell trained from scratch (--truth train); "
            "for the table's, search in another results folder (--results)",
            trained,
            len(runs),
        )


class _Batch:
    """The runs of one command, with their titles and locks."""

    def __init__(
        self,
        specs: Sequence[RunSpec],
        context: RunContext,
        inputs: Inputs,
        reporter: Reporter,
        executor: Executor,
    ) -> None:
        self._context, self._inputs, self._reporter, self._executor = context, inputs, reporter, executor
        self._titles = {spec.run_id: f"[{number}/{len(specs)}] {spec.words}" for number, spec in enumerate(specs, 1)}
        self._locks = {spec.lock_name: spec.lock(context.results_dir) for spec in specs}

    def owner(self, spec: RunSpec) -> Owner | None:
        """Return who is at work on a run."""
        return self._locks[spec.lock_name].look()

    def is_undecided(self, spec: RunSpec) -> bool:
        """Return whether the owner of a run has not yet been seen to be alive."""
        return self._locks[spec.lock_name].is_undecided

    def run(self, specs: Sequence[RunSpec]) -> dict[str, Result]:
        """Run what is missing and nobody else is at work on; return what became of the specs, by the run's id.

        A run that was only submitted to a cluster is not among them.
        """
        found: dict[str, Result] = {}
        tabular_specs = [spec for spec in specs if spec.is_tabular]
        for _, group in itertools.groupby(tabular_specs, key=lambda spec: spec.variant_id):
            found |= self._run_variant(list(group))
        jobs: list[Job] = []
        for spec in specs:
            if spec.is_tabular:
                continue
            if (result := self._known(spec)) is not None:
                found[spec.run_id] = result
            else:
                jobs.append(Job(self._titles[spec.run_id], spec))
        return found | self._search(jobs) if jobs else found

    def _run_variant(self, variant: list[RunSpec]) -> dict[str, Result]:
        first = variant[0]
        try:
            with self._reporter.tabular(f"{first.method} {first.search_dataset}", len(variant)) as on_run:
                outcome = tabular.run_variant(variant, self._context, on_run, self._locks[first.lock_name])
        except MethodError as error:
            return {spec.run_id: error for spec in variant}
        found: dict[str, Result] = {run.record.run_id: run for run in outcome.runs}
        found |= {failure.run_id: failure for failure in outcome.failures}
        return found | {each.run_id: each for each in outcome.in_use}

    def _known(self, spec: RunSpec) -> Run | Failure | InUse | None:
        """Return what is known of a search before it runs: its result, or who else is at work on it."""
        from runners import search  # imports torch

        if (known := search.known(spec, self._context, write=True)) is not None:
            self._reporter.known(self._titles[spec.run_id], spec, known)
            return known
        owner = self.owner(spec)
        return None if owner is None else InUse(spec.run_id, spec.words, owner)

    def _result(self, spec: RunSpec) -> Run | Failure:
        """Return what a search that has ended left; on a network file system its file may be late."""
        from runners import search

        until = time.monotonic() + LATE
        while (result := search.known(spec, self._context)) is None:
            if time.monotonic() > until:
                raise NbevalError(
                    f"{spec.words} has ended, and its file is not in {self._context.runs_dir}: if it was not removed, "
                    "the same command goes on with it"
                )
            time.sleep(locks.POLL)
            search.look_again(self._context.results_dir)
        return result

    def _search(self, jobs: Sequence[Job]) -> dict[str, Result]:
        found: dict[str, Result] = {}
        self._reporter.searches(len(jobs))
        for job, instead in self._executor.run(jobs, self._inputs, self._reporter):
            result = instead or self._result(job.spec)
            found[job.spec.run_id] = result
            self._reporter.end(job.title, job.spec, result)
        return found
