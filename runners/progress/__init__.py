"""How runs report their progress: every happening is an event, which a reporter shows, writes or forwards.

An event is a dictionary of plain values. ``nbeval run --json`` prints each as one line of JSON. All have ``event``, its
kind, and ``time`` (ISO 8601, UTC); those about one run also have ``run_id``, ``method``, ``search_dataset``, ``seed``
and ``title``, what messages call it.

=============  ========================================================================================================
``start``      the command knows what to do: ``runs``, how many were asked for
``searches``   so many more searches that train are to be run: ``total``
``known``      a run was ``complete`` or had ``diverged`` before (``state``)
``submitted``  searches that a cluster has taken: ``runs``, how many; ``where``, in which jobs; ``folder``, with their
               logs; ``cancel``, the command that ends them
``begin``      a process begins or resumes a search: ``steps``, how many it takes in all (null if unknown), and their
               ``unit``, epoch or cell; ``host``
``step``       after each step of a search: ``done``, ``steps``, ``unit``; ``row``, the row of the run file; ``cell``,
               the index of the current cell; ``test_acc``, its true accuracy on the search's data set (null if unknown)
``end``        a search ended: ``state`` (``complete``, ``diverged``, ``failed``, or ``in_use`` by another command);
               ``cell``, ``test_acc`` and ``total_seconds`` of its last step, or ``why`` there is no result
``tabular``    runs of a tabular search, about once a second: ``title``, ``done``, ``total``, and ``old``, how many of
               them were complete before
``cells``      ``nbeval rank`` scores cells: ``title``, ``done``, ``total``
``left``       runs that other commands are at work on: ``why``, and whether this one waits (``wait``)
``log``        a message of a worker process: ``level`` and ``message``
``finish``     all is done: how many runs are ``complete``, ``diverged``, ``in_use``, and ``submitted`` to a cluster
=============  ========================================================================================================
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nasbench_eval.cell import Cell
from nasbench_eval.errors import RunError
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import TEST_ACC
from runners.device import now
from runners.outcome import InUse, in_use_words
from runners.spec import RunSpec

if TYPE_CHECKING:
    from pathlib import Path

    from nasbench_eval.runs.store import Run
    from runners.outcome import Outcome
    from runners.search import Progress

    OnRun = Callable[[Run, bool], None]

Event = Mapping[str, Any]

SECOND = 1.0
"""Seconds between two events about quick work, of which there are hundreds a second."""


class Reporter:
    """Follows the progress of runs; this one is silent. A subclass shows events.

    Args:
        on_step: Called after each step of a search, in the process that runs it.
    """

    def __init__(self, on_step: Progress | None = None) -> None:
        self.on_step: Progress = on_step or _nothing

    def emit(self, event: Event) -> None:
        """Take an event, possibly in another thread than the one before."""

    def start(self, runs: int) -> None:
        """Report how many runs were asked for."""
        self._emit("start", runs=runs)

    def searches(self, total: int) -> None:
        """Report how many searches that train are about to be run."""
        self._emit("searches", total=total)

    def known(self, title: str, spec: RunSpec, found: Run | Failure) -> None:
        """Report a run that was complete, or had failed, before."""
        self._emit("known", **_about(title, spec), state="diverged" if isinstance(found, Failure) else "complete")

    def submitted(self, runs: int, where: str, folder: Path, cancel: str) -> None:
        """Report searches that a cluster has taken.

        Args:
            runs: How many.
            where: In which jobs, in words.
            folder: Where the logs of the jobs are.
            cancel: The command that ends them.
        """
        self._emit("submitted", runs=runs, where=where, folder=str(folder), cancel=cancel)

    @contextmanager
    def search(self, title: str, spec: RunSpec) -> Iterator[Progress]:
        """Return a context whose value is called after each step of a search."""
        unit = "epoch" if "epochs" in spec.values else "cell"
        about = {**_about(title, spec), "steps": spec.steps, "unit": unit}
        self._emit("begin", **about, host=platform.node())

        def show(done: int, row: Mapping[str, Any]) -> None:
            self._emit("step", **about, done=done, **_state(row, spec), row=_without_nan(row))
            self.on_step(done, row)

        yield show

    def end(self, title: str, spec: RunSpec, found: Run | Failure | InUse | RunError) -> None:
        """Report what became of a search."""
        what: dict[str, Any]
        if isinstance(found, InUse):
            what = {"state": "in_use", "why": f"{found.owner.words} is at work on it"}
        elif isinstance(found, RunError):
            what = {"state": "failed", "why": str(found)}
        elif isinstance(found, Failure):
            what = {"state": "diverged", "why": f"diverged in step {found.step + 1}: {found.cause}"}
        else:
            last = found.steps.to_dict("records")[-1]
            what = {"state": "complete", "total_seconds": float(last["total_seconds"]), **_state(last, spec)}
        self._emit("end", **_about(title, spec), **what)

    @contextmanager
    def tabular(self, title: str, total: int) -> Iterator[OnRun]:
        """Return a context whose value is called with each run of a variant, and whether the run is new."""
        done = old = 0
        last = -math.inf

        def show(run: Run, new: bool) -> None:
            nonlocal done, old, last
            done, old = done + 1, old + (not new)
            if done == total or time.monotonic() - last > SECOND:
                self._emit("tabular", title=title, done=done, total=total, old=old)
                last = time.monotonic()

        yield show

    @contextmanager
    def cells(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Return a context whose value is called with the number of cells that have been scored."""
        yield lambda done: self._emit("cells", title=title, done=done, total=max(total, done))

    def in_use(self, runs: Sequence[InUse], wait: bool) -> None:
        """Report runs that other commands are at work on, and whether this one waits for them."""
        self._emit("left", why=in_use_words(runs), wait=wait)

    def log(self, level: int, message: str) -> None:
        """Report a message that was logged in this process, to another one."""
        self._emit("log", level=level, message=message)

    def finish(self, outcome: Outcome) -> None:
        """Report what became of all runs."""
        self._emit("finish", **outcome.counts)

    def _emit(self, event: str, **fields: Any) -> None:
        self.emit({"event": event, "time": now(), **fields})


def _about(title: str, spec: RunSpec) -> dict[str, Any]:
    return {
        "run_id": spec.run_id,
        "method": spec.method,
        "search_dataset": spec.search_dataset,
        "seed": spec.seed,
        "title": title,
    }


def _state(row: Mapping[Any, Any], spec: RunSpec) -> dict[str, Any]:
    accuracy = row.get(f"{TEST_ACC}{spec.search_dataset}", math.nan)
    return {"cell": Cell.parse(row["cell"]).index, "test_acc": None if math.isnan(accuracy) else float(accuracy)}


def _without_nan(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON can have it: null is what a step did not observe."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}


def _nothing(done: int, row: Mapping[str, Any]) -> None:
    pass
