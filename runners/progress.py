"""How runs report their progress: silently, or as progress bars on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from nasbench_eval.cell import Cell
from nasbench_eval.runs.failures import Failure
from runners.outcome import InUse, in_use_words
from runners.spec import RunSpec

if TYPE_CHECKING:
    from nasbench_eval.runs.store import Run
    from runners.search import Progress

    OnRun = Callable[[Run, bool], None]
    OnSearch = Callable[[str, RunSpec, Run | Failure | InUse], None]


class Reporter:
    """Follows the progress of runs; this one is silent. Worker processes get a pickled copy.

    Args:
        on_step: Called after each step of a search, besides what the reporter does itself.
    """

    def __init__(self, on_step: Progress | None = None) -> None:
        self.on_step: Progress = on_step or _nothing

    def tabular(self, title: str, total: int) -> AbstractContextManager[OnRun]:
        """Return a context whose value is called with each run of a variant, and whether the run is new."""
        return nullcontext(lambda run, new: None)

    def search(self, title: str, spec: RunSpec, slot: int = 0) -> AbstractContextManager[Progress]:
        """Return a context whose value is called after each step of a search.

        Args:
            title: What to call the search.
            spec: Its spec.
            slot: The number of the worker process, from 1; 0 in the main process.
        """
        return nullcontext(self.on_step)

    def parallel(self, total: int) -> AbstractContextManager[OnSearch]:
        """Return a context whose value is called with each search that a worker process finishes."""
        return nullcontext(lambda title, spec, found: None)

    def cells(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Return a context whose value is called with the number of cells that have been scored."""
        return nullcontext(lambda done: None)

    def already_done(self, title: str, found: Run | Failure) -> None:
        """Report a run that was complete, or had failed, before."""

    def in_use(self, runs: Sequence[InUse], wait: bool) -> None:
        """Report runs that other commands are at work on, and whether this one waits for them."""

    def use_lock(self, lock: Any) -> None:
        """Share a lock of several processes that write to the same terminal."""


class ProgressBars(Reporter):
    """Progress bars on stderr, other messages on stdout."""

    @contextmanager
    def tabular(self, title: str, total: int) -> Iterator[OnRun]:
        """Draw a bar of runs."""
        from tqdm import tqdm

        old = 0
        with tqdm(total=total, desc=title, unit="run", dynamic_ncols=True, mininterval=interval()) as bar:

            def show(run: Run, new: bool) -> None:
                nonlocal old
                old += not new
                bar.update()

            yield show
            if old:
                bar.set_postfix_str(f"{old} were complete already")

    @contextmanager
    def search(self, title: str, spec: RunSpec, slot: int = 0) -> Iterator[Progress]:
        """Draw a bar of epochs, with the current cell and its true accuracy."""
        from tqdm import tqdm

        with tqdm(
            total=spec.values.get("epochs", spec.values.get("candidates")),
            desc=title,
            unit="epoch" if "epochs" in spec.values else "cell",
            dynamic_ncols=True,
            mininterval=interval(),
            position=slot,
            leave=not slot,
            # Many bars at once would be unreadable in a log file.
            disable=slot > 0 and not sys.stderr.isatty(),
        ) as bar:

            def show(done: int, row: Mapping[str, Any]) -> None:
                bar.set_postfix_str(_state(row, spec), refresh=False)
                bar.update(done - bar.n)
                self.on_step(done, row)

            yield show

    @contextmanager
    def parallel(self, total: int) -> Iterator[OnSearch]:
        """Draw a bar of searches, and print a line for each that finishes."""
        from tqdm import tqdm

        with tqdm(total=total, desc="searches", unit="run", dynamic_ncols=True, mininterval=interval()) as bar:

            def show(title: str, spec: RunSpec, found: Run | Failure | InUse) -> None:
                if isinstance(found, InUse):
                    bar.write(f"{title}: {found.owner.words} is at work on it")
                elif isinstance(found, Failure):
                    bar.write(f"{title}: diverged in step {found.step + 1}")
                else:
                    last = found.steps.to_dict("records")[-1]
                    bar.write(f"{title}: {_state(last, spec)}, {last['total_seconds']:.0f} s")
                bar.update()

            yield show

    @contextmanager
    def cells(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Draw a bar of cells."""
        from tqdm import tqdm

        with tqdm(total=total, desc=title, unit="cell", dynamic_ncols=True, mininterval=interval()) as bar:

            def show(done: int) -> None:
                bar.total = max(total, done)  # an earlier command may have scored more
                bar.update(done - bar.n)

            yield show

    def already_done(self, title: str, found: Run | Failure) -> None:
        """Print a line."""
        print(f"{title}: {'diverged before' if isinstance(found, Failure) else 'complete already'}")

    def in_use(self, runs: Sequence[InUse], wait: bool) -> None:
        """Print a line."""
        print(f"{'waiting' if wait else 'left to others'}: {in_use_words(runs)}")

    def use_lock(self, lock: Any) -> None:
        """Have all bars wait for this lock."""
        from tqdm import tqdm

        tqdm.set_lock(lock)


def _nothing(done: int, row: Mapping[str, Any]) -> None:
    pass


def interval() -> float:
    """Return the seconds between two updates of a progress bar: fewer updates in a log file than on a terminal."""
    return 0.1 if sys.stderr.isatty() else 30.0


def _state(row: Mapping[Any, Any], spec: RunSpec) -> str:
    text = f"cell {Cell.parse(row['cell']).index}"
    accuracy = row.get(f"test_acc.{spec.search_dataset}")
    return text if accuracy is None else f"{text}, true test acc {accuracy:.2f}"
