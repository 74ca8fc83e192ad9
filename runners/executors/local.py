"""Searches on this machine: one after the other in this process, or several at once in processes of their own."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_eval.settings import setting
from nasbench_eval.utils.processes import mp_context, run_jobs
from runners.device import resolve_device
from runners.executors.base import Done, Executor, Job, know_methods, plain, search_here
from runners.executors.gpus import parse_gpus, share_gpus
from runners.threads import share, warn_if_busy

if TYPE_CHECKING:
    from nasbench_eval.errors import RunError
    from runners.context import Inputs
    from runners.outcome import InUse
    from runners.progress import Reporter
    from runners.search import Progress

logger = logging.getLogger("nbeval")


@dataclass(frozen=True)
class LocalOptions:
    """Options of searches on this machine; how many run at once is ``--workers``."""

    gpus: str = setting("The GPUs that searches in parallel share: all, or their numbers, such as 0,1.", default="all")
    gpu_memory: float | None = setting(
        "GB of GPU memory that a search needs: no GPU gets more searches than fit; none limits nothing.",
        default=None,
        above=0,
    )


class Local(Executor):
    """Runs searches on this machine, ``inputs.workers`` at once."""

    Options = LocalOptions

    def __init__(self, options: LocalOptions) -> None:
        self.options = options

    def run(self, jobs: Sequence[Job], inputs: Inputs, reporter: Reporter) -> Iterator[Done]:  # noqa: D102 - as above
        # Threads follow from what was asked for: the trajectory of a search must not depend on how many are left.
        threads = share(inputs.workers, inputs.threads)
        inputs = replace(inputs, workers=min(inputs.workers, len(jobs)), threads=threads)
        if not resolve_device(inputs.device).startswith("cuda"):
            warn_if_busy(threads, inputs.workers)
        if inputs.workers > 1:
            yield from self._in_processes(jobs, inputs, reporter)
            return
        from runners.inputs import prepare

        inputs = replace(inputs, device=self._devices(inputs)[0])
        context = prepare([job.spec for job in jobs], inputs)
        for job in jobs:
            yield search_here(job, context, reporter)

    def _in_processes(self, jobs: Sequence[Job], inputs: Inputs, reporter: Reporter) -> Iterator[Done]:
        from runners.progress.stream import following

        # Every optimizer imports torch._dynamo.
        processes = mp_context(["nasbench_eval.methods.weight_sharing", "torch._dynamo"])
        devices = processes.SimpleQueue()
        for device in self._devices(inputs):
            devices.put(device)
        numbered = list(enumerate(plain(jobs)))
        with tempfile.TemporaryDirectory(prefix="nbeval-events-") as folder:
            sent = [job for _, job in numbered]
            start = partial(_start, sent, inputs, reporter.on_step, Path(folder), devices)
            with following(Path(folder), reporter) as read_events:
                done = run_jobs(_search, numbered, workers=inputs.workers, context=processes, initializer=start)
                for number, instead in done:
                    read_events()
                    yield Done(jobs[number], instead)

    def _devices(self, inputs: Inputs) -> list[str]:
        """Return the device of each worker."""
        from runners.device import free_memory

        if resolve_device(inputs.device) != "cuda":
            if self.options != LocalOptions():
                logger.warning(
                    "gpus and gpu_memory have no effect with --device %s here: they share the GPUs of --device cuda",
                    inputs.device,
                )
            return [inputs.device] * inputs.workers
        free = free_memory()
        named = {gpu: free[gpu] for gpu in parse_gpus(self.options.gpus, len(free))}
        return [f"cuda:{gpu}" for gpu in share_gpus(inputs.workers, named, self.options.gpu_memory)]


_worker: list[Any] = []  # of this process: context, function that opens its file of events


def _start(jobs: Sequence[Job], inputs: Inputs, on_step: Progress, folder: Path, devices: Any) -> None:
    from runners.inputs import prepare
    from runners.progress.stream import events_to

    if hasattr(signal, "SIGUSR2"):
        # Slurm sends it to every process of a job that is to stop; the first one stops the others.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    open_events = partial(events_to, folder / f"{os.getpid()}.jsonl", on_step)
    with open_events():
        know_methods(jobs)
        context = prepare([job.spec for job in jobs], replace(inputs, device=devices.get()))
    _worker[:] = [context, open_events]


def _search(number: int, job: Job) -> tuple[int, InUse | RunError | None]:
    context, open_events = _worker
    with open_events() as reporter:
        return number, search_here(job, context, reporter).instead
