"""Several searches at once, each in a worker process that does one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_eval.utils.processes import mp_context, run_jobs

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from runners.context import Environment
    from runners.spec import RunSpec

Search = Callable[["RunSpec", "Environment", "Callable[[str], ImageData]", str, int], Any]
"""Runs a spec: where, with which images, under which title, and as which of the workers, from 1."""


def search_all(
    search: Search,
    specs: Sequence[RunSpec],
    titles: Sequence[str],
    *,
    environments: Callable[[Sequence[RunSpec]], Mapping[str, Environment]],
    data: Path | None,
    split_file: Path | None,
    workers: int,
) -> Iterator[int]:
    """Run specs in worker processes, and yield the place of each in the list when it is complete.

    Args:
        search: What runs one, a function of a module.
        specs: What to run; their methods are of modules, for the workers import them.
        titles: What to call them.
        environments: Makes their environments, by search data set, in each worker.
        data: Folder of the image data sets.
        split_file: Official split file.
        workers: How many processes; each takes its share of the threads that torch takes alone.

    Raises:
        NbevalError: What a search raises, or that a worker was killed.
    """
    from tqdm import tqdm

    context = mp_context(["nasbench_eval.methods.weight_sharing"])
    slots = context.SimpleQueue()
    for slot in range(1, workers + 1):
        slots.put(slot)
    lock = context.RLock()
    tqdm.set_lock(lock)
    plain = [replace(spec) for spec in specs]  # without what was worked out, and cannot be pickled
    prepare = partial(_prepare, partial(environments, plain), data, split_file, workers, slots, lock)
    jobs = [(search, number, spec, title) for number, (spec, title) in enumerate(zip(plain, titles, strict=True))]
    yield from run_jobs(_search, jobs, workers=workers, context=context, initializer=prepare)


_here: list[Any] = []


def _prepare(
    environments: Callable[[], Mapping[str, Environment]],
    data: Path | None,
    split_file: Path | None,
    workers: int,
    slots: Any,
    lock: Any,
) -> None:
    import torch
    from tqdm import tqdm

    from runners.inputs import image_loader

    torch.set_num_threads(max(torch.get_num_threads() // workers, 1))
    tqdm.set_lock(lock)
    _here[:] = [environments(), image_loader(data, split_file), slots.get()]


def _search(search: Search, number: int, spec: RunSpec, title: str) -> int:
    envs, images_of, slot = _here
    search(spec, envs[spec.search_dataset], images_of, title, slot)
    return number
