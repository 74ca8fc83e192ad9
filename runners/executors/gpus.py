"""Which GPU each of some searches in parallel uses."""

from __future__ import annotations

from collections.abc import Mapping

from nasbench_eval.errors import UsageError
from nasbench_eval.utils.checks import parse_whole_number


def share_gpus(workers: int, free: Mapping[int, float], needed: float | None = None) -> list[int]:
    """Return the GPU of each worker: the next one goes where fewest are, and of these where most memory is left.

    Args:
        workers: How many searches run in parallel; more than there are GPUs share them.
        free: Free memory of each GPU in GB, by number.
        needed: Memory that a search needs in GB; None if unknown: then memory limits nothing.

    Raises:
        UsageError: If they do not all fit.
    """
    left, used = dict(free), dict.fromkeys(free, 0)
    chosen: list[int] = []
    for _ in range(workers):
        fitting = [gpu for gpu in free if needed is None or left[gpu] >= needed]
        if not fitting:
            raise UsageError(
                f"--workers {workers}: only {len(chosen)} searches of {needed:g} GB fit on "
                f"{'this GPU' if len(free) == 1 else f'these {len(free)} GPUs'} "
                f"({', '.join(f'{number}: {memory:.1f} GB free' for number, memory in free.items())})"
            )
        gpu = min(fitting, key=lambda each: (used[each], -left[each], each))
        chosen.append(gpu)
        used[gpu] += 1
        left[gpu] -= needed or 0.0
    return chosen


def parse_gpus(text: str, there: int) -> list[int]:
    """Return the numbers of the GPUs that an option names: ``all``, or numbers such as ``0,2``.

    Raises:
        UsageError: If a number is none, or there is no such GPU.
    """
    if text == "all":
        return list(range(there))
    numbers = [parse_whole_number(part) for part in text.split(",")]
    found = [number for number in numbers if number is not None and number < there]
    if len(found) < len(numbers):
        raise UsageError(f"gpus={text}: name GPUs by numbers such as 0,1 (torch sees {there} here), or all")
    return list(dict.fromkeys(found))
