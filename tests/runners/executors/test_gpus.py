"""Which GPU each of some searches in parallel gets."""

from __future__ import annotations

import pytest

from nasbench_eval.errors import UsageError
from runners.executors.gpus import parse_gpus, share_gpus


def test_each_search_gets_a_gpu_of_its_own_before_any_is_shared() -> None:
    assert share_gpus(2, {0: 10.0, 1: 10.0, 2: 10.0}) == [0, 1]
    assert share_gpus(5, {0: 10.0, 1: 10.0}) == [0, 1, 0, 1, 0]
    assert share_gpus(3, {0: 10.0}) == [0, 0, 0]


def test_the_emptiest_gpu_is_taken_first() -> None:
    assert share_gpus(3, {0: 2.0, 1: 40.0, 3: 20.0}) == [1, 3, 0]
    assert share_gpus(4, {0: 20.0, 1: 80.0}, needed=10.0) == [1, 0, 1, 0]


def test_no_gpu_gets_more_than_fits_into_its_memory() -> None:
    assert share_gpus(4, {0: 11.0, 1: 40.0}, needed=10.0) == [1, 0, 1, 1]
    with pytest.raises(UsageError, match=r"6: only 5 searches of 10 GB fit on these 2 GPUs \(0: 11.0 GB free, "):
        share_gpus(6, {0: 11.0, 1: 40.0}, needed=10.0)
    with pytest.raises(UsageError, match=r"only 0 searches of 80 GB fit on this GPU \(2: 79.5 GB free\)"):
        share_gpus(1, {2: 79.5}, needed=80.0)


def test_gpus_are_named_by_number() -> None:
    assert parse_gpus("all", 3) == [0, 1, 2]
    assert parse_gpus("2, 0,2", 3) == [2, 0]
    for wrong in ("3", "0,x", "", "-1"):
        with pytest.raises(UsageError, match="name GPUs by numbers such as 0,1"):
            parse_gpus(wrong, 3)
