"""What all tabular methods share: the incumbent, the fidelities, and no torch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from paths import HELPERS
from tabular_problems import LONG, TABULAR, Problem, columns, make, planted, steps, table

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.methods.tabular.objective import TableObjective
from nasbench_eval.table import Key


def test_the_methods_of_the_papers_exist():
    assert {"rs", "rea", "reinforce", "bohb", "local_search", "asha", "successive_halving"} <= set(TABULAR)


def test_another_process_gives_the_same_trajectory_and_loads_no_torch():
    code = (
        "import json, sys; from tabular_problems import TABULAR, make, steps; "
        f"print(json.dumps({{name: steps(make(name), {LONG}) for name in TABULAR}})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HELPERS, capture_output=True, text=True, check=True)
    trajectories, torch_there = done.stdout.splitlines()
    assert json.loads(trajectories) == {name: steps(make(name), LONG) for name in TABULAR}
    assert torch_there == "False"


@pytest.mark.parametrize("name", TABULAR)
def test_the_planted_optimum_is_found_and_the_incumbent_is_the_best_by_reward(name):
    problem = Problem()
    method = make(name, seed=2, problem=problem)
    found = steps(method, 200)
    assert planted(method.incumbent()) == 90
    highest = [(cell, at) for cell, at in problem.queries if at == method.fidelities[-1]]
    assert planted(method.incumbent()) == max(planted(cell) for cell, _ in highest)
    assert all(seconds == 10 for _, seconds, _ in found)
    assert [metrics["queried"] for _, _, metrics in found] == [cell.index for cell, _ in problem.queries]


def test_the_first_of_equally_good_cells_stays_the_incumbent():
    method = make("rs", problem=Problem(lambda cell: 50.0))
    first = steps(method, 1)[0][0]
    assert steps(method, 9)[-1][0] == first


def test_a_cell_known_at_a_higher_fidelity_comes_first():
    problem = Problem()
    problem.evaluate = lambda cell, fidelity, draw=None: (90.0 if fidelity == "12" else 20.0, 10.0)
    method = make("successive_halving", problem=problem, eta=2)
    shown = steps(method, 3)  # two cells at 12 epochs, one of them at 200
    assert [metrics["valid_acc"] for _, _, metrics in shown] == [90, 90, 20]
    assert method.state_dict()["best"] == [1, 20.0]


@pytest.mark.parametrize("fidelity", ["200,12", "6/12,3/12,12"])
def test_fidelities_that_fall_are_refused(fidelity):
    with pytest.raises(UsageError, match=f"listed lowest first, in the order of their epochs; got '{fidelity}'"):
        make("successive_halving", fidelity=fidelity)


def test_several_fidelities_are_for_methods_that_use_them():
    with pytest.raises(UsageError, match="one fidelity; got '12,200'"):
        make("rs", fidelity="12,200")


def test_a_query_that_costs_nothing_is_an_error_and_no_search_without_end():
    made = columns()
    made[Key("cifar10", 12, "train", "train_seconds")][7] = 0
    objective = TableObjective(table(made), "cifar10")
    assert objective.evaluate(Cell.from_index(8), "12")[1] > 0
    with pytest.raises(NbevalError, match="seconds of cell 7 at fidelity 12"):
        objective.evaluate(Cell.from_index(7), "12")
