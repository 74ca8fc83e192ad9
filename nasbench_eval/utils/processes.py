"""Jobs done by several processes that end with this one, whatever ends it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import TYPE_CHECKING, Any, TypeVar

from nasbench_eval.errors import NbevalError

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

T = TypeVar("T")


def context(preload: Sequence[str] = ()) -> BaseContext:
    """Return how worker processes are started: never as a fork of this one, which may have threads and a GPU.

    Args:
        preload: Modules that are imported once, for all workers, where the system can do that.
    """
    methods = multiprocessing.get_all_start_methods()
    chosen: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if chosen.get_start_method() == "forkserver":
        chosen.set_forkserver_preload(list(preload))
    return chosen  # type: ignore[no-any-return]


def run_jobs(
    work: Callable[..., T],
    jobs: Iterable[tuple[Any, ...]],
    *,
    workers: int,
    prepare: Callable[[], None],
    how: BaseContext,
) -> Iterator[T]:
    """Call a function with each job's arguments in a worker process, and yield what it returns, as it comes.

    Args:
        work: The function; it and all that it is given and returns can be pickled.
        jobs: Its arguments.
        workers: How many processes.
        prepare: Called once in each of them before its first job.
        how: What :func:`context` returns.

    Raises:
        NbevalError: If a worker was killed. Whatever a job raises is raised here; the other jobs are then given up.
    """
    with ProcessPoolExecutor(workers, mp_context=how, initializer=start_worker, initargs=(prepare,)) as pool:
        waiting = iter(jobs)
        running: set[Future[T]] = set()
        try:
            # All workers are there before the first job: the executor would not notice the death of one that it started
            # while it waited for another (its wait begins anew with the next result only, hours later here).
            wait([pool.submit(os.getpid) for _ in range(workers)])
            while True:
                # Two a worker: none waits for the next, and few are cancelled at Ctrl-C.
                for job in waiting:
                    running.add(pool.submit(work, *job))
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for job_done in done:
                    yield job_done.result()
        except BrokenProcessPool:
            raise NbevalError(
                "a worker process was killed, perhaps for want of memory: the same command goes on from what is done"
            ) from None
        finally:
            if running:  # given up: a job may take hours yet, and goes on from where it was another time
                for process in multiprocessing.active_children():
                    process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)


def start_worker(prepare: Callable[[], None] | None = None) -> None:
    """Make a worker process ready: Ctrl-C is the parent's to handle, and the parent's end is the worker's.

    Args:
        prepare: What else it does before its first job.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait_for([parent.sentinel]), os._exit(1)), daemon=True).start()
    if prepare is not None:
        prepare()
