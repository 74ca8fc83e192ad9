"""Checkpoints that are damaged or belong to something else."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import TINY, runs, search

from nasbench_eval.errors import NbevalError
from nasbench_eval.methods import StepInfo
from nasbench_eval.methods.weight_sharing.search import WeightSharing
from runners.checkpoints import load_checkpoint, read_position, save_checkpoint
from runners.spec import RunSpec, parse_overrides
from runners.steps import take_steps


def test_a_damaged_checkpoint_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = RunSpec("darts", "digits", 0, overrides={**parse_overrides(TINY[1::2]), "epochs": 2})
    path = Path("results/checkpoints") / f"{spec.run_id}.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no checkpoint")
    assert search("--method", "darts", "--truth", "none") == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(f"nbeval: cannot read the checkpoint {path}")
    assert "delete it" in line


def _interrupted(method: str, table_file: Path) -> Path:
    """Interrupt a search after its first epoch, and return the path of its checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runners.search.take_steps", lambda *a, **k: itertools.islice(take_steps(*a, **k), 1))
        patch.setattr("runners.search.write_run", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        assert search("--method", method, "--table", str(table_file)) == 130
    [path] = Path("results/checkpoints").glob("*.pt")
    return path


def _with_row(**changed: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {**state, "rows": [{**state["rows"][0], **changed}]}


SPOIL: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
    lambda state: {},
    lambda state: {**state, "method": None},
    lambda state: {**state, "rows": []},
    lambda state: {**state, "rows": 3},
    lambda state: {**state, "rows": ["a row"]},
    lambda state: {**state, "rows": [{name: value for name, value in state["rows"][0].items() if name != "cell"}]},
    _with_row(step=7),
    _with_row(cell="|x~0|"),
    _with_row(total_seconds=-5.0),
    _with_row(total_seconds=True),
    _with_row(total_seconds=float("inf")),
    _with_row(selection_seconds="a"),
    _with_row(train_loss="a"),
    lambda state: {**state, "started": None},
    lambda state: {**state, "continues": 3},
    lambda state: {**state, "threads": "many"},
    lambda state: {**state, "code": 3},
    lambda state: {**state, "devices": [3]},
    lambda state: {**state, "run_id": "that of another seed"},
    lambda state: {**state, "method": {**state["method"], "supernet": {}}},
    lambda state: {**state, "method": {**state["method"], "arch_optimizer": None}},
    lambda state: {**state, "method": {**state["method"], "architecture": {"wrong": torch.zeros(2)}}},
    lambda state: {key: value for key, value in state.items() if key != "started"},
]


def test_a_checkpoint_of_the_wrong_structure_is_named(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _interrupted("darts", table_file)
    state = torch.load(path)
    for number, spoil in enumerate(SPOIL):
        torch.save(spoil(state), path)
        before = path.read_bytes()
        capsys.readouterr()
        assert search("--method", "darts", "--table", str(table_file)) == 1, number
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert line.startswith(f"nbeval: the checkpoint {path} does not fit this search ("), number
        assert line.endswith("delete it to start that run again")
        assert path.read_bytes() == before
    path.unlink()
    assert search("--method", "darts", "--table", str(table_file)) == 0


def test_a_checkpoint_of_another_method_is_named(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = _interrupted("gdas", table_file).read_bytes()
    shutil.rmtree("results")
    path = _interrupted("darts", table_file)
    path.write_bytes(other)
    assert search("--method", "darts", "--table", str(table_file)) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(f"nbeval: the checkpoint {path} does not fit this search (")


def test_a_pickle_of_another_protocol_is_named_without_a_warning_of_torch(tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    file.write_bytes(b"\x80\x04N.")
    with pytest.raises(NbevalError, match=r"a\.pt.*: delete it"):
        load_checkpoint(file)


def test_a_state_that_is_no_mapping_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    torch.save([torch.zeros(2)], file)
    with pytest.raises(NbevalError, match=r"a\.pt is not a checkpoint of a run: delete it to start that run again"):
        load_checkpoint(file)


class Harmful:
    """Runs code where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.trace,)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    """It may come from others, with their results folder."""
    file, trace = tmp_path / "a.pt", tmp_path / "trace"
    torch.save({"rows": Harmful(trace)}, file)
    with pytest.raises(NbevalError, match=r"cannot read the checkpoint .*a\.pt"):
        load_checkpoint(file)
    assert not trace.exists()
    torch.load(file, weights_only=False)
    assert trace.exists(), "it would have run"


def test_a_flipped_bit_in_a_tensor_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    save_checkpoint(file, {"weights": torch.arange(1000.0)})
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert torch.load(file)["weights"].shape == (1000,)  # torch does not mind
    with pytest.raises(
        NbevalError, match=r"cannot read the checkpoint .*a\.pt \(archive/data/0 in it is damaged\): delete"
    ):
        load_checkpoint(file)


def test_a_search_that_goes_on_without_a_table_drops_the_accuracies_it_had(home: Path, table_file: Path) -> None:
    state = torch.load(_interrupted("rs_ws", table_file))
    assert "test_acc.digits" in state["rows"][0]
    assert search("--method", "rs_ws", "--truth", "none") == 0
    run = runs()["rs_ws 0"]
    assert (len(run.steps), run.record.truth) == (2, "none")
    assert not [name for name in run.steps if name.startswith("test_acc")]


def test_a_search_that_goes_on_started_when_it_began(home: Path, table_file: Path) -> None:
    path = _interrupted("rs_ws", table_file)
    torch.save(torch.load(path) | {"started": "2025-01-01T00:00:00Z"}, path)
    assert search("--method", "rs_ws", "--table", str(table_file)) == 0
    assert runs()["rs_ws 0"].record.started == "2025-01-01T00:00:00Z"


def test_an_interrupted_search_tells_how_far_it_is(home: Path, table_file: Path) -> None:
    path = _interrupted("rs_ws", table_file)
    [row] = torch.load(path)["rows"]
    position = read_position(path.with_suffix(".json"))
    assert position is not None
    assert (position.method, position.search_dataset, position.seed) == ("rs_ws", "digits", 0)
    assert (position.step, position.steps) == (1, 2)
    assert (position.cell, position.seconds) == (row["cell"], row["total_seconds"])


def test_a_search_does_not_go_on_with_other_images(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _interrupted("rs_ws", table_file)
    state = torch.load(path)
    assert len(state["images"]) == 64
    torch.save(state | {"images": "0" * 64}, path)
    assert search("--method", "rs_ws", "--table", str(table_file)) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("nbeval: rs_ws digits seed 0 began on other images than these: name those with --data")
    assert str(path) in line
    del state["images"]  # as before December 2026
    torch.save(state, path)
    assert search("--method", "rs_ws", "--table", str(table_file)) == 0


def test_a_search_whose_method_observes_numbers_of_numpy_goes_on(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with ``np.mean``; torch refuses to read them from a checkpoint."""
    step = WeightSharing.step

    def observed(method: WeightSharing) -> StepInfo:
        info = step(method)
        return StepInfo(np.float64(info.seconds), {"own": np.float64(0.5), "count": np.int64(3)})

    monkeypatch.setattr(WeightSharing, "step", observed)
    _interrupted("rs_ws", table_file)
    assert search("--method", "rs_ws", "--table", str(table_file)) == 0
    assert runs()["rs_ws 0"].steps[["own", "count"]].to_numpy().tolist() == [[0.5, 3.0]] * 2
