"""What every executor has: jobs go in, and each comes out when its result is in the results folder."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from nasbench_eval.errors import RunError
from runners.outcome import InUse
from runners.presets import Preset, adopt
from runners.spec import RunSpec

if TYPE_CHECKING:
    from runners.context import Inputs, RunContext
    from runners.progress import Reporter


class Job(NamedTuple):
    """A search, and what to call it.

    Attributes:
        title: What to call it.
        spec: The search.
        preset: What the method was registered with, for another process; None in this one.
    """

    title: str
    spec: RunSpec
    preset: Preset | None = None


class Done(NamedTuple):
    """A job that has ended.

    Attributes:
        job: The job.
        instead: None if its run or failure is in the results folder; else who is at work on it, or what ended it.
    """

    job: Job
    instead: InUse | RunError | None


class Executor(abc.ABC):
    """Runs searches that train, here or elsewhere; tabular searches take seconds and stay in the command's process.

    Whatever executes it, a search is :func:`runners.search.run_or_fail` on a folder that all machines share: it takes
    the run's lock, resumes from the run's checkpoint, and writes the run's file.

    Attributes:
        Options: A frozen dataclass of settings, which ``--executor-option`` sets.
        options: The values of the settings.
    """

    Options: ClassVar[type[Any]]
    options: Any

    @abc.abstractmethod
    def __init__(self, options: Any) -> None:
        """Take options; imports nothing that ``run`` alone needs."""

    @abc.abstractmethod
    def run(self, jobs: Sequence[Job], inputs: Inputs, reporter: Reporter) -> Iterator[Done]:
        """Run searches, and yield each one when it has ended.

        Args:
            jobs: The searches; none of them is complete.
            inputs: What every process prepares its context from, in the same working folder: paths may be relative.
            reporter: Follows the progress.

        Raises:
            NbevalError: What a search raises, or that a process was killed.
        """


def plain(jobs: Sequence[Job]) -> list[Job]:
    """Return jobs for other processes: without the cached values of their specs, which cannot be pickled."""
    return [Job(job.title, replace(job.spec), job.spec.preset) for job in jobs]


def know_methods(jobs: Sequence[Job]) -> None:
    """Register the custom methods of jobs as they are in the process that sent them."""
    for preset in {job.preset.name: job.preset for job in jobs if job.preset is not None}.values():
        adopt(preset)


def search_here(job: Job, context: RunContext, reporter: Reporter) -> Done:
    """Run one search in this process."""
    from runners.search import run_or_fail

    try:
        with reporter.search(job.title, job.spec) as on_step:
            found = run_or_fail(job.spec, context, on_step)
    except RunError as error:
        return Done(job, RunError(f"{job.spec.words}: {error}"))
    return Done(job, found if isinstance(found, InUse) else None)
