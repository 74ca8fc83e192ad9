"""Damaged copies of every kind of file that the program reads: one clear line, and nothing is lost."""

from __future__ import annotations

import csv
import json
import pickle
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from analysis_runs import TRUE, make_run, scored
from command import TINY, runs, search
from fuzzing import DAMAGE, cases, judge
from hypothesis import given
from official_layout import write_nats, write_pth
from tiny_cells import made_records, write_images

from nasbench_eval.cell import all_archs
from nasbench_eval.errors import Diverged
from nasbench_eval.runs.failures import write_failure
from nasbench_eval.runs.store import write_bundle, write_run
from nasbench_eval.table.sources.trained import trained_table, write_curves
from runners.record import make_failure
from runners.spec import RunSpec, parse_overrides


@dataclass
class Kind:
    """A kind of file: how a valid one is made, the command that reads it, and how many damaged copies to try."""

    make: Callable[[Path], str]
    arguments: list[str]
    count: int = 20


def _run(folder: Path) -> str:
    return str(write_run(folder / "runs", make_run({"cifar10": 93.0})).relative_to(folder))


def _bundle(folder: Path) -> str:
    made = [make_run({"cifar10": 93.0 + seed}, seed=seed) for seed in (0, 1)]
    return str(write_bundle(folder / "runs", made).relative_to(folder))


def _scores(folder: Path) -> str:
    run = make_run({"cifar10": 93.0})
    write_run(folder / "runs", run)
    scored(folder, run, TRUE, TRUE)
    return f"ranks/{run.record.run_id}.csv"


def _failure(folder: Path) -> str:
    _run(folder)
    failure = make_failure(RunSpec("darts", "digits", 0), Diverged(1, "train_loss is nan"))
    return str(write_failure(folder, failure).relative_to(folder))


def _records(folder: Path) -> str:
    made_records([0, 1, 2], [0]).write(folder / "a.records.jsonl")
    return "a.records.jsonl"


def _table(folder: Path) -> str:
    records = made_records([0, 1, 2], [0])
    write_curves(records, trained_table(records).save(folder / "t.parquet"))
    return "t.parquet"


def _curves(folder: Path) -> str:
    _table(folder)
    return "t.curves.parquet"


def _cifar(folder: Path) -> str:
    rng = np.random.default_rng(0)
    home = folder / "data" / "cifar-10-batches-py"
    home.mkdir(parents=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        batch = {b"data": rng.integers(0, 255, (12, 3072), dtype=np.uint8), b"labels": [i % 10 for i in range(12)]}
        (home / name).write_bytes(pickle.dumps(batch, protocol=2))
    return "data/cifar-10-batches-py/data_batch_2"


def _split(folder: Path) -> str:
    _cifar(folder)
    halves = {"train": ["int", list(map(str, range(30)))], "valid": ["int", list(map(str, range(30, 60)))]}
    (folder / "split.txt").write_text(json.dumps(halves))
    return "split.txt"


def _mapping(folder: Path) -> str:
    _flat_csv(folder)
    return "map.toml"


def _flat_csv(folder: Path) -> str:
    with (folder / "flat.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arch", "acc"])
        writer.writerows((arch, 50.0 + i / 1000) for i, arch in enumerate(all_archs()))
    (folder / "map.toml").write_text('arch = "arch"\n[columns]\n"cifar10/200/test/accuracy/mean" = "acc"\n')
    return "flat.csv"


def _flat_parquet(folder: Path) -> str:
    _flat_csv(folder)
    values = [50.0 + i / 1000 for i in range(15625)]
    pq.write_table(pa.table({"arch": list(all_archs()), "acc": values}), folder / "flat.parquet")
    return "flat.parquet"


def _pth(folder: Path) -> str:
    write_pth(folder / "NAS-Bench-201.pth", [0, 1])
    return "NAS-Bench-201.pth"


def _nats(folder: Path) -> str:
    write_nats(folder / "nats", [0, 1])
    return "nats/000001.pickle.pbz2"


def _npz(folder: Path) -> str:
    return write_images(folder).name


IMPORT = ["--mapping", "map.toml", "--table", "out.parquet"]
BUILD = ["--partial", "--workers", "1", "--table", "out.parquet"]
KINDS = {
    "run": Kind(_run, ["compare", "--results", "."]),
    "bundle": Kind(_bundle, ["compare", "--results", "."]),
    "scores": Kind(_scores, ["plot", "rank", "--format", "svg", "--results", "."], 5),
    "failure": Kind(_failure, ["compare", "--results", "."], 10),
    "records": Kind(_records, ["table", "train", "--merge", "a.parquet", "--out", "b.parquet"], 5),
    "table": Kind(_table, ["table", "info", "--table", "t.parquet"]),
    "table, query": Kind(_table, ["table", "query", "0", "--table", "t.parquet"]),
    "curves": Kind(
        _curves,
        ["table", "query", "0", "--curve", "--dataset", "tiny", "--split", "valid", "--epochs", "2", "--table",
         "t.parquet"],
    ),
    "images": Kind(_cifar, ["data", "info", "cifar10", "--data", "data"]),
    "split file": Kind(
        _split,
        ["run", "--method", "rs_ws", "--dataset", "cifar10", "--data", "data", "--truth", "none", "--device", "cpu",
         "--split-file", "split.txt", "--epochs", "1", *TINY],
        6,
    ),
    "mapping": Kind(_mapping, ["table", "import", "flat.csv", *IMPORT], 7),
    "csv": Kind(_flat_csv, ["table", "import", "flat.csv", *IMPORT], 7),
    "Parquet": Kind(_flat_parquet, ["table", "import", "flat.parquet", *IMPORT], 8),
    "official file": Kind(_pth, ["table", "build", "NAS-Bench-201.pth", *BUILD], 8),
    "NATS-Bench": Kind(_nats, ["table", "build", "nats", *BUILD], 6),
    "npz": Kind(
        _npz,
        ["table", "train", "--images", "tiny.npz", "--cells", "0", "--trials", "1", "--workers", "1", "--out",
         "t.parquet", "--set", "epochs=1", "--set", "channels=2"],
        6,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_gets_one_clear_line(name: str, home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    kind = KINDS[name]
    original = tmp_path_factory.mktemp("original")
    file = kind.make(original)

    @cases(kind.count)
    @given(damage=DAMAGE)
    def check(damage: Callable[[Path], None]) -> None:
        with tempfile.TemporaryDirectory(dir=home) as place:
            folder = Path(place) / "w"
            shutil.copytree(original, folder)
            damage(folder / file)
            judge(kind.arguments, folder)

    with tempfile.TemporaryDirectory(dir=home) as place:
        shutil.copytree(original, Path(place) / "w")
        assert judge(kind.arguments, Path(place) / "w") == 0, "the file is read as long as it is not damaged"
    check()


@pytest.mark.parametrize("which", ["checkpoint", "artifact"])
def test_a_damaged_state_gets_one_clear_line(home: Path, table_file: Path, which: str) -> None:
    arguments = ["--method", "rs_ws", "--table", str(table_file)]
    assert search(*arguments, epochs=1) == 0
    run_id = runs()["rs_ws 0"].record.run_id
    kept = home / "results" / "supernets" / f"{run_id}.pt"
    command = [
        "rank",
        "--run",
        run_id,
        "--cells",
        "10",
        "--device",
        "cpu",
        "--format",
        "svg",
        "--table",
        str(table_file),
    ]
    file = kept.relative_to(home)
    if which == "checkpoint":
        spec = RunSpec("rs_ws", "digits", 1, overrides={**parse_overrides(TINY[1::2]), "epochs": 1})
        file = Path("results") / "checkpoints" / f"{spec.run_id}.pt"
        (home / file).parent.mkdir(exist_ok=True)
        torch.save({"method": torch.load(kept), "rows": [{"step": 0}], "started": ""}, home / file)
        command = ["run", "--dataset", "digits", "--epochs", "1", "--device", "cpu", *TINY, *arguments, "--seeds", "1,"]

    @cases(7)
    @given(damage=DAMAGE.filter(lambda damage: damage is not Path.unlink))
    def check(damage: Callable[[Path], None]) -> None:
        with tempfile.TemporaryDirectory(dir=home.parent) as place:
            folder = Path(place) / "w"
            shutil.copytree(home / "results", folder / "results")
            damage(folder / file)
            judge(command, folder)

    check()
