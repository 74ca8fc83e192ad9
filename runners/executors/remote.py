"""What a process on another machine does with some searches: a Slurm job and a Ray task are both this."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nasbench_eval.errors import NbevalError, RunError
from nasbench_eval.utils.files import atomic_write, reading
from runners.executors.base import Job, know_methods

if TYPE_CHECKING:
    from runners.context import Inputs
    from runners.outcome import InUse

FOLDER = "jobs"
"""The folder in the results folder with the events of jobs and, for Slurm, their scripts and logs."""

_SUBMITTED = "submitted.json"

POLL = 0.5
"""Seconds between two looks at the jobs."""


@dataclass(frozen=True)
class Work:
    """Some searches for one process, which runs them as a command with ``--executor local`` would.

    Attributes:
        jobs: The searches.
        inputs: What the process prepares its context from.
        folder: The working folder of the command, for relative paths and for methods in the user's own files.
        events: The file of its events.
    """

    jobs: Sequence[Job]
    inputs: Inputs
    folder: Path
    events: Path

    def run(self) -> list[InUse | RunError | None] | NbevalError:
        """Run the searches; return what :class:`Done` says of each, or an error that the command is to raise."""
        from runners.executors import make_executor
        from runners.progress.stream import events_to
        from runners.threads import sleep_while_waiting

        os.chdir(self.folder)
        sleep_while_waiting()
        with events_to(self.events) as reporter:
            try:
                know_methods(self.jobs)
                inputs = replace(self.inputs, elsewhere=False)
                done = list(make_executor().run(self.jobs, inputs, reporter))
            except NbevalError as error:
                return error
        instead = {each.job.title: each.instead for each in done}
        return [instead[job.title] for job in self.jobs]


def new_folder(inputs: Inputs) -> Path:
    """Return the folder of new jobs, which is not there yet."""
    return inputs.results_dir.absolute() / FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


def remove_folder(folder: Path) -> None:
    """Remove the folder of jobs that all have a result, and the one that it is in if there are no others."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def remember(folder: Path, ids: str, jobs: Sequence[Job]) -> None:
    """Write into a folder of jobs which searches were submitted, and the ids of the jobs."""
    with atomic_write(folder / _SUBMITTED) as temporary:
        temporary.write_text(json.dumps({"jobs": ids, "run_ids": [job.spec.run_id for job in jobs]}), encoding="utf-8")


def submitted_before(jobs_folder: Path, run_ids: Set[str]) -> dict[str, int]:
    """Return how many of some searches earlier commands have submitted and not seen end, by the ids of the jobs."""
    found = {}
    for path in sorted(jobs_folder.glob(f"*/{_SUBMITTED}")):
        with reading(path, "list of submitted searches", "delete it"):
            values = json.loads(path.read_text(encoding="utf-8"))
            found[str(values["jobs"])] = len(run_ids & set(values["run_ids"]))
    return {ids: number for ids, number in found.items() if number}


def raise_all(errors: Mapping[str, int]) -> None:
    """Raise the errors that ended jobs, each with the number of jobs.

    Raises:
        NbevalError: If there are any.
    """
    if errors:
        raise NbevalError(
            "; ".join(f"{words} ({number} jobs)" if number > 1 else words for words, number in errors.items())
        )
