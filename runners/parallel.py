"""Searches in parallel, each worker process running one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nasbench_eval.utils.processes import mp_context, run_jobs
from runners.outcome import InUse
from runners.progress import Reporter
from runners.spec import RunSpec

if TYPE_CHECKING:
    from runners.context import Inputs, RunContext

Job = tuple[str, RunSpec]
"""A search, and what to call it."""


def search_in_parallel(
    jobs: Sequence[Job], inputs: Inputs, reporter: Reporter
) -> Iterator[tuple[str, RunSpec, InUse | None]]:
    """Run searches in ``inputs.workers`` processes; yield each one when its file is written, or who else has it.

    Args:
        jobs: The searches; their methods can be imported, for every worker imports them.
        inputs: What every worker prepares its context from. Each takes its share of torch's threads.
        reporter: Follows the progress.

    Raises:
        NbevalError: What a search raises, or that a worker was killed.
    """
    processes = mp_context(["nasbench_eval.methods.weight_sharing", "torch._dynamo"])  # which every optimizer imports
    slots, lock = processes.SimpleQueue(), processes.RLock()
    for slot in range(1, inputs.workers + 1):
        slots.put(slot)
    reporter.use_lock(lock)
    plain = [replace(spec) for _, spec in jobs]  # without cached values, which cannot be pickled
    prepare_worker = partial(_prepare_worker, plain, inputs, reporter, slots, lock)
    numbered = [(number, title, spec) for number, ((title, _), spec) in enumerate(zip(jobs, plain, strict=True))]
    done = run_jobs(_search, numbered, workers=inputs.workers, context=processes, initializer=prepare_worker)
    for number, in_use in done:
        yield *jobs[number], in_use


_worker: list[Any] = []  # of this process: context, reporter, slot


def _prepare_worker(specs: Sequence[RunSpec], inputs: Inputs, reporter: Reporter, slots: Any, lock: Any) -> None:
    import torch

    from runners.inputs import prepare

    torch.set_num_threads(max(torch.get_num_threads() // inputs.workers, 1))
    reporter.use_lock(lock)
    _worker[:] = [prepare(specs, inputs), reporter, slots.get()]


def _search(number: int, title: str, spec: RunSpec) -> tuple[int, InUse | None]:
    from runners.search import run_or_fail

    context: RunContext
    context, reporter, slot = _worker
    with reporter.search(title, spec, slot) as progress:
        found = run_or_fail(spec, context, progress)
    return number, found if isinstance(found, InUse) else None
