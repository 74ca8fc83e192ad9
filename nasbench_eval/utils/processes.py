"""A pool of worker processes that never outlive the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.signals import Stopped, ask, asked, say_waiting

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

T = TypeVar("T")

AGAIN = 1.0
"""Seconds after which a worker that should end gets another signal."""


def usable_cores() -> int:
    """Return how many cores this process may use: its affinity (which Slurm sets), and its container's quota."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return affinity if quota == "max" else max(min(affinity, int(quota) // int(period)), 1)
    except (OSError, ValueError):  # not Linux, or not version 2 of control groups
        return affinity


def mp_context(preload: Sequence[str] = ()) -> BaseContext:
    """Return the context that starts worker processes: forkserver, or spawn where the system has no forkserver.

    Workers are never forked from this process, which may hold threads and a GPU.

    Args:
        preload: Modules that the fork server imports once for all workers. Ignored with spawn, and when the fork
            server is already running.
    """
    methods = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(list(preload))
    return context  # type: ignore[no-any-return]


def run_jobs(
    function: Callable[..., T],
    jobs: Iterable[tuple[Any, ...]],
    *,
    workers: int,
    context: BaseContext,
    initializer: Callable[[], object] | None = None,
    if_killed: str = "run the same command again to continue from what is done",
) -> Iterator[T]:
    """Run jobs in worker processes and yield their results in the order in which they finish.

    Args:
        function: Called in a worker with the arguments of one job. The function, its arguments and its result must be
            picklable.
        jobs: The arguments of each job.
        workers: Number of processes.
        context: What :func:`mp_context` returns.
        initializer: Called once in each worker before its first job.
        if_killed: What to do after a worker was killed; the end of the error message.

    Raises:
        NbevalError: If a worker was killed, or its initializer raised one. An exception raised by a job is raised here
            too. In all cases the unfinished jobs are abandoned.
    """
    others = set(multiprocessing.active_children())  # of the program that calls this
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(initializer,)) as pool:
        waiting = iter(jobs)
        running: set[Future[T]] = set()
        try:
            # Start all workers before the first job. The executor would not notice the death of a worker that it
            # started while it was already waiting for another: it looks again only at the next result, which here may
            # be hours away.
            wait([pool.submit(os.getpid) for _ in range(workers)])
            while True:
                # Two jobs per worker: no worker is idle, and few jobs are cancelled at Ctrl-C.
                for job in waiting:
                    running.add(pool.submit(_do, function, *job))
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for finished in done:
                    yield finished.result()
        except BrokenProcessPool:
            raise NbevalError(f"a worker process was killed, possibly out of memory: {if_killed}") from None
        finally:
            if running:  # A job may take hours; it resumes in the next run.
                _end(others)
            pool.shutdown(wait=True, cancel_futures=True)


def _end(others: Set[BaseProcess]) -> None:
    """End workers at once, or after their step if this process got SIGTERM, and not again.

    Args:
        others: Processes that are no workers.
    """
    number = signal.SIGTERM if asked() else signal.SIGUSR1
    to_say, stopped = asked(), None
    while True:  # a signal may come at any moment, also before the first worker has got its own
        try:
            if to_say:
                to_say = False
                say_waiting()
            _signal_until_gone(set(multiprocessing.active_children()) - others, number)
            break
        except KeyboardInterrupt as error:
            number, stopped = signal.SIGUSR1, error
    if stopped is not None:
        raise stopped


def _signal_until_gone(workers: Iterable[BaseProcess], number: int) -> None:
    """Send a signal more than once: Python acts on it between two calls, and one that has just begun may take long."""
    left = list(workers)
    while left:
        for worker in left:
            assert worker.pid is not None
            with suppress(ProcessLookupError):
                os.kill(worker.pid, number)
        gone = wait_for([worker.sentinel for worker in left], timeout=AGAIN)
        left = [worker for worker in left if worker.sentinel not in gone]


def _start_worker(initializer: Callable[[], object] | None) -> None:
    """Leave Ctrl-C to the parent process, exit when the parent does, then call the initializer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, _on_sigusr1)
    signal.signal(signal.SIGTERM, _on_sigterm)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait_for([parent.sentinel]), os._exit(1)), daemon=True).start()
    global _not_ready
    try:
        if initializer is not None:
            initializer()
    except NbevalError as error:  # the executor would only say that the worker is gone
        _not_ready = error


_in_job = False
_not_ready: NbevalError | None = None


def _do(function: Callable[..., T], *arguments: Any) -> T:
    """Do a job; if it is stopped, end this worker as soon as nothing is left half written."""
    global _in_job
    if _not_ready is not None:
        raise _not_ready
    _in_job = True
    try:
        return function(*arguments)
    except KeyboardInterrupt:
        os._exit(1)  # an exception would only end this job, and the executor has more for this worker
    finally:
        _in_job = False


def _on_sigterm(number: int, frame: Any) -> None:
    """Finish the step, whatever the number of signals: the executor sends one when the first worker has ended."""
    if not _in_job:
        os._exit(1)
    if not asked():
        ask()


def _on_sigusr1(number: int, frame: Any) -> None:
    """Stop at once; nothing may interrupt the clearing up."""
    if not _in_job:
        os._exit(1)
    for each in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped
