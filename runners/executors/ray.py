"""Searches on a Ray cluster: one that is there, or one on this machine for as long as the command runs."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_eval.errors import NbevalError
from nasbench_eval.settings import setting
from runners.executors.base import Done, Executor, Job, plain
from runners.executors.remote import POLL, Work, new_folder, raise_all, remove_folder

if TYPE_CHECKING:
    from runners.context import Inputs
    from runners.progress import Reporter

logger = logging.getLogger("nbeval")


@dataclass(frozen=True)
class RayOptions:
    """Options of searches on Ray; as many run at once as the cluster has room for."""

    address: str | None = setting(
        "The cluster: auto, or ray://HOST:10001; none starts one on this machine, unless RAY_ADDRESS names one.",
        default=None,
    )
    cpus: float = setting("CPU cores that a search reserves, and its threads.", default=1.0, above=0)
    gpus: float = setting("GPUs that a search reserves; 0.5 puts two searches on a GPU.", default=0.0, at_least=0)
    memory: float | None = setting("GB of memory that a search reserves; none reserves none.", default=None, above=0)
    retries: int = setting(
        "How often a search is resumed elsewhere after its process or machine died.", default=20, at_least=0
    )


class OnRay(Executor):
    """Runs searches as Ray tasks, which share the results folder.

    Args:
        options: The options.

    Raises:
        NbevalError: If Ray is not installed.
    """

    Options = RayOptions

    def __init__(self, options: RayOptions) -> None:
        self.options = options
        if find_spec("ray") is None:
            raise NbevalError("--executor ray needs Ray: pip install 'nbeval[ray]'")

    def run(self, jobs: Sequence[Job], inputs: Inputs, reporter: Reporter) -> Iterator[Done]:  # noqa: D102 - as above
        import ray

        from runners.progress.stream import following

        if mine := not ray.is_initialized():
            self._connect()
        if inputs.workers > 1:
            logger.warning(
                "--workers has no effect with --executor ray: as many searches run at once as the cluster has room for"
            )
        folder = new_folder(inputs)
        try:
            tasks = self._start(jobs, inputs, folder)
            with following(folder, reporter) as read_events:
                for done in _wait(tasks):
                    read_events()
                    yield done
        finally:
            if mine:
                ray.shutdown()
        remove_folder(folder)

    def _connect(self) -> None:
        import ray

        address = self.options.address or os.environ.get("RAY_ADDRESS")
        try:
            ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # noqa: BLE001 - Ray raises a plain one if its processes take too long to start
            failed = f"cannot connect to {address}" if address else "Ray does not start on this machine"
            raise NbevalError(f"--executor ray: {failed}: {' '.join(str(error).split())}") from None

    def _start(self, jobs: Sequence[Job], inputs: Inputs, folder: Path) -> dict[Any, Job]:
        """Start a task for each search, and return the search of each task."""
        import ray

        options = self.options
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        at_once = max((_fitting(node["Resources"], options) for node in nodes if node["Alive"]), default=0)
        if not at_once:
            raise NbevalError(
                f"no machine of the Ray cluster has {options.cpus:g} CPU cores and {options.gpus:g} GPUs, which each "
                "search reserves: change --executor-option cpus=... or gpus=..."
            )
        inputs = replace(
            inputs,
            workers=1,
            side_by_side=min(at_once, len(jobs)),
            threads=inputs.threads or max(int(options.cpus), 1),
        )
        task = ray.remote(
            num_cpus=options.cpus,
            num_gpus=options.gpus,
            memory=(options.memory or 0.0) * 1e9,
            max_retries=options.retries,
        )(Work.run)
        works = [Work([job], inputs, Path.cwd(), folder / f"{number}.jsonl") for number, job in enumerate(plain(jobs))]
        return {task.remote(work): job for work, job in zip(works, jobs, strict=True)}


def _fitting(resources: Mapping[str, float], options: RayOptions) -> int:
    """Return how many searches a machine has room for."""
    wanted = {"CPU": options.cpus, "GPU": options.gpus}
    return min(int(resources.get(name, 0.0) // amount) for name, amount in wanted.items() if amount)


def _wait(tasks: Mapping[Any, Job]) -> Iterator[Done]:
    """Yield the search of each task that ends; at last raise the errors of those that failed."""
    import ray

    waiting, errors = list(tasks), Counter[str]()
    while waiting:
        ended, waiting = ray.wait(waiting, timeout=POLL)
        for task in ended:
            try:
                result = ray.get(task)
            except ray.exceptions.RayError as error:
                if isinstance(error, ray.exceptions.RayTaskError):
                    raise  # an exception that has no message for the user
                result = NbevalError(
                    f"Ray gave up a search ({' '.join(str(error).split())[:200]}): run the same command again to "
                    "continue from what is done"
                )
            if isinstance(result, NbevalError):
                errors[str(result)] += 1
            else:
                yield Done(tasks[task], result[0])
    raise_all(errors)
