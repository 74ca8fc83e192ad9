"""Searches as Slurm jobs, through submitit. The submitting command waits for them and shows their progress."""

from __future__ import annotations

import logging
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_eval.errors import NbevalError, RunError, UsageError
from nasbench_eval.settings import setting
from nasbench_eval.utils.signals import Stopped, ask
from runners.executors.base import Done, Executor, Job, plain
from runners.executors.remote import POLL, Work, new_folder, raise_all, remember, remove_folder, submitted_before

if TYPE_CHECKING:
    import submitit
    from submitit.helpers import DelayedSubmission

    from runners.context import Inputs
    from runners.outcome import InUse
    from runners.progress import Reporter

    _Submitted = tuple[submitit.Job[Any], Sequence[Job]]

logger = logging.getLogger("nbeval")

SPARE = 60
"""Seconds before the end of a job at which a step that has not ended is given up: its epoch is run again."""


@dataclass(frozen=True)
class SlurmOptions:
    """Options of Slurm jobs; ``--workers N`` runs N searches of a job at once."""

    cluster: str = setting(
        "slurm; to try things out local, which runs the jobs on this machine, or debug, in this process.",
        default="slurm",
        choices=("slurm", "local", "debug"),
    )
    partition: str | None = setting("The partition.", default=None)
    account: str | None = setting("The account that is charged.", default=None)
    qos: str | None = setting("The quality of service.", default=None)
    hours: float = setting("Time limit of a job in hours.", default=24.0, above=0)
    cpus: int = setting("CPU cores of a job.", default=4, at_least=1)
    gpus: int = setting("GPUs of a job.", default=0, at_least=0)
    gres: str | None = setting("Generic resources, such as gpu:a100:1, instead of gpus.", default=None)
    memory: float | None = setting("Memory of a job in GB; none is what the partition gives.", default=None, above=0)
    constraint: str | None = setting("Features that a node must have.", default=None)
    sbatch: str = setting("Other options of sbatch, such as 'exclude=node7 reservation=nas'.", default="")
    setup: str = setting("A shell command before the job, such as 'module load cuda'.", default="")
    searches: int = setting("Searches of a job.", default=1, at_least=1)
    at_once: int = setting("Jobs of the array that may run at once.", default=256, at_least=1)
    notice: int = setting(
        "Seconds before its time limit at which a job is told to end after its epoch.", default=300, at_least=1
    )
    requeues: int = setting("How often a job that reached its time limit is queued again.", default=20, at_least=0)
    detach: bool = setting("Whether the command only submits the jobs; --detach does the same.", default=False)


class Slurm(Executor):
    """Submits searches as an array of Slurm jobs, which share the results folder.

    Args:
        options: The options.

    Raises:
        NbevalError: If submitit is not installed, or this machine does not submit Slurm jobs.
    """

    Options = SlurmOptions

    def __init__(self, options: SlurmOptions) -> None:
        self.options = options
        if find_spec("submitit") is None:
            raise NbevalError("--executor slurm needs submitit: pip install 'nbeval[slurm]'")
        if options.cluster == "slurm" and shutil.which("sbatch") is None:
            raise NbevalError(
                "--executor slurm: there is no sbatch here; run the command where you submit jobs, or try it on this "
                "machine with --executor-option cluster=local"
            )

    def run(self, jobs: Sequence[Job], inputs: Inputs, reporter: Reporter) -> Iterator[Done]:  # noqa: D102 - as above
        from runners.progress.stream import following

        if inputs.workers > self.options.searches:
            logger.warning(
                "--workers %d: a job has %d searches (--executor-option searches=N), and no more at once",
                inputs.workers,
                self.options.searches,
            )
        folder = new_folder(inputs)
        if before := submitted_before(folder.parent, {job.spec.run_id for job in jobs}):
            logger.warning(
                "%d of these searches were submitted before (Slurm jobs %s); if they still wait in the queue, each is "
                "now there twice and runs once: scancel the one or the other",
                sum(before.values()),
                " ".join(before),
            )
        submitted = self._submit(jobs, inputs, folder)
        ids = " ".join(dict.fromkeys(job.job_id.partition("_")[0] for job, _ in submitted))
        remember(folder, ids, jobs)
        reporter.submitted(len(jobs), f"{len(submitted)} Slurm jobs ({ids})", folder, cancel=f"scancel {ids}")
        if self.options.detach:
            return
        try:
            with following(folder, reporter) as read_events:
                for done in _wait(submitted):
                    read_events()
                    yield from done
        except KeyboardInterrupt:
            logger.warning(
                "the jobs go on, and the same command takes up what they finish; to end them: scancel %s", ids
            )
            raise
        remove_folder(folder)

    def _submit(self, jobs: Sequence[Job], inputs: Inputs, folder: Path) -> list[_Submitted]:
        """Submit the searches in groups, and return each job with its searches."""
        import submitit

        logging.getLogger("submitit").setLevel(logging.WARNING)  # it would write to stdout
        options = self.options
        limits = {} if options.cluster == "debug" else {f"{options.cluster}_max_num_timeout": options.requeues}
        executor = submitit.AutoExecutor(folder, cluster=options.cluster, **limits)
        executor.update_parameters(**self._parameters())
        groups = [jobs[start : start + options.searches] for start in range(0, len(jobs), options.searches)]
        works = [
            Work(plain(group), inputs, Path.cwd(), folder / f"{number}.jsonl") for number, group in enumerate(groups)
        ]
        try:
            submitted = executor.map_array(_Task(options.notice), works)
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
            raise NbevalError(f"sbatch refused the jobs: {' '.join(str(error).split())}") from None
        return list(zip(submitted, groups, strict=True))

    def _parameters(self) -> dict[str, Any]:
        """Return the options by the names that submitit has for them; None stands for what is not set."""
        options = self.options
        return {
            "name": "nbeval",
            "timeout_min": max(round(options.hours * 60), 1),
            "cpus_per_task": options.cpus,
            "gpus_per_node": options.gpus or None,
            "mem_gb": options.memory,
            "slurm_partition": options.partition,
            "slurm_account": options.account,
            "slurm_qos": options.qos,
            "slurm_gres": options.gres,
            "slurm_constraint": options.constraint,
            "slurm_additional_parameters": _sbatch_options(options.sbatch),
            "slurm_setup": [options.setup] if options.setup else None,
            "slurm_array_parallelism": options.at_once,
            "slurm_signal_delay_s": options.notice,
        }


def _sbatch_options(text: str) -> dict[str, str]:
    parts = [part.partition("=") for part in text.split()]
    for name, equals, value in parts:
        if not (name and equals and value):
            raise UsageError(f"--executor slurm: sbatch takes NAME=VALUE, several separated by spaces; got {text!r}")
    return {name.removeprefix("--"): value for name, _, value in parts}


class _Task:
    """What a job calls. When Slurm tells it to stop, the same is queued again: searches resume from checkpoints.

    Args:
        notice: Seconds between Slurm's signal and the end of the job.
    """

    def __init__(self, notice: int) -> None:
        self.notice = notice

    def __call__(self, work: Work) -> list[InUse | RunError | None] | NbevalError:
        with _finishing_the_step(self.notice):
            return work.run()

    def checkpoint(self, work: Work) -> DelayedSubmission:
        """Return what the job does when it runs again (submitit's protocol)."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, work)


@contextmanager
def _finishing_the_step(notice: int) -> Iterator[None]:
    """At a signal of Slurm finish the step at hand and write its checkpoint; then do what submitit does at once.

    SIGUSR2 announces a time limit or, on clusters that send it, a preemption: submitit queues the job again. SIGTERM
    comes first at a preemption, and from ``scancel``: whether the job is queued again is then Slurm's decision, so the
    process only waits for what follows.

    Args:
        notice: Seconds between SIGUSR2 and the end of the job; a step that takes longer is given up.
    """
    requeue = signal.getsignal(signal.SIGUSR2)
    if not callable(requeue):  # cluster=debug: this is the user's own process
        yield
        return
    is_told = False

    def give_up(number: int, frame: Any) -> None:
        requeue(signal.SIGUSR2, frame)

    def on_sigusr2(number: int, frame: Any) -> None:
        nonlocal is_told
        is_told = True
        signal.alarm(max(notice - SPARE, 1))
        ask()

    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGUSR2, on_sigusr2)
    signal.signal(signal.SIGTERM, lambda number, frame: ask())
    try:
        yield
    except Stopped:
        signal.signal(signal.SIGUSR2, give_up)
        if not is_told:
            time.sleep(notice)
            sys.exit(128 + signal.SIGTERM)
        give_up(signal.SIGUSR2, None)
    finally:
        signal.alarm(0)


def _wait(submitted: Sequence[_Submitted]) -> Iterator[list[Done]]:
    """Yield the searches of each job that ends; at last raise the errors of those that failed."""
    waiting, errors = list(submitted), Counter[str]()
    while waiting:
        for job, searches in [each for each in waiting if each[0].done()]:
            waiting.remove((job, searches))
            result = _result(job)
            if isinstance(result, NbevalError):
                errors[str(result)] += 1
            else:
                yield [Done(search, instead) for search, instead in zip(searches, result, strict=True)]
        if waiting:
            time.sleep(POLL)
    raise_all(errors)


def _result(job: submitit.Job[Any]) -> list[InUse | RunError | None] | NbevalError:
    from submitit.core.utils import UncompletedJobError

    try:
        result: list[InUse | RunError | None] | NbevalError = job.result()
    except UncompletedJobError:
        return NbevalError(
            f"Slurm job {job.job_id} ended without a result ({job.state.lower()}): its log is {job.paths.stderr}; "
            "run the same command again to continue from what is done"
        )
    return result
