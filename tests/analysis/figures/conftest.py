from __future__ import annotations

import pytest
from analysis_runs import SMALL, make_run

from nasbench_eval.runs.store import Run


@pytest.fixture
def runs() -> list[Run]:
    """Two full runs and a reduced one, on two data sets."""
    return [
        *(make_run({"cifar10": 93.0 + s, "cifar100": 70.0 + s}, seed=s) for s in (0, 1)),
        make_run({"cifar10": 80.5, "cifar100": 50.0}, **SMALL),
    ]
