"""Writes files in the layout of the official ones, with random numbers: any number of cells, no ``../shared`` needed.

The records are made with the ``nas-bench-201`` package's own classes, as its authors made theirs.
"""

import bz2
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from nas_201_api import ArchResults, ResultsCount

from nasbench_eval.cell import Cell, all_archs

DATASETS = {"cifar10-valid": 10, "cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}
EVERY_EPOCH = {"cifar10-valid": "x-valid", "cifar10": "ori-test", "cifar100": "ori-test", "ImageNet16-120": "ori-test"}
LAST_EPOCH = {"cifar10-valid": ["ori-test"], "cifar10": [], "cifar100": ["x-valid", "x-test"]}
LAST_EPOCH["ImageNet16-120"] = LAST_EPOCH["cifar100"]


def trial(arch: str, dataset: str, seed: int, epochs: int, rng: np.random.Generator) -> ResultsCount:
    def curve(low: float, high: float) -> list[float]:
        return np.sort(rng.uniform(low, high, epochs)).tolist()

    config = {"channel": 16, "num_cells": 5, "arch_str": arch, "class_num": DATASETS[dataset]}
    result = ResultsCount(
        dataset, None, {}, {}, np.float64(rng.uniform(0.1, 1.5)), 100.5, config, f"{seed:04d}", epochs,
        [np.float64(rng.uniform(0.01, 0.03))],
    )  # fmt: skip
    names = range(epochs)
    # The benchmark's times are the same for every trial of a cell and every epoch.
    seconds = 10.0 + Cell.parse(arch).index / 1000
    result.update_train_info(
        dict(zip(names, curve(5, 100), strict=True)),
        None,
        dict(zip(names, curve(0.01, 5), strict=True)),
        OrderedDict.fromkeys(names, seconds),
    )
    evaluated = {f"{EVERY_EPOCH[dataset]}@{epoch}": value for epoch, value in zip(names, curve(5, 95), strict=True)}
    result.update_eval(
        evaluated, {key: 5 - value / 20 for key, value in evaluated.items()}, dict.fromkeys(evaluated, 0.0)
    )
    for name in LAST_EPOCH[dataset]:
        if epochs == 12:
            values = {f"{name}@{epoch}": value for epoch, value in zip(names, curve(5, 95), strict=True)}
            result.update_eval(values, dict.fromkeys(values, 1.5), dict.fromkeys(values, 0.0))
        else:
            # At 200 epochs these were evaluated once, after the last.
            result.update_OLD_eval(name, {epochs - 1: rng.uniform(5, 95)}, {epochs - 1: rng.uniform(0.1, 5)})
    for name in result.eval_names:
        result.reset_pseudo_eval_times(name, seconds / 10)
    return result


def record(index: int, *, seeds: tuple[int, ...] = (777, 888, 999), generator: int = 0) -> dict[str, dict]:
    """One cell's record: 12 epochs as the benchmark ran them, 200 with the seeds given."""
    rng = np.random.default_rng([generator, index])
    arch = str(Cell.from_index(index))
    schedules = {}
    for name, epochs in (("less", 12), ("full", 200)):
        results = ArchResults(index, arch)
        for dataset in DATASETS:
            for seed in seeds if epochs == 200 else (111, 777) if dataset == "cifar10-valid" else (111,):
                results.update(dataset, seed, trial(arch, dataset, seed, epochs, rng))
        results.clear_params()
        schedules[name] = results.state_dict()
    return schedules


def content(cells, **options) -> dict:
    """What the one file holds."""
    return {
        "meta_archs": list(all_archs()),
        "total_archs": 15625,
        "arch2infos": {index: record(index, **options) for index in cells},
        "evaluated_indexes": set(cells),
    }


def write_pth(path: Path, cells, *, zipped: bool = True, **options) -> dict:
    """Write NAS-Bench-201's one file, as torch writes now or (the official ones) before 1.6; return its content."""
    made = content(cells, **options)
    torch.save(made, path, _use_new_zipfile_serialization=zipped)
    return made


def write_small(path: Path, value) -> None:
    path.write_bytes(bz2.compress(pickle.dumps(value, protocol=4)))


def write_nats(folder: Path, cells, **options) -> Path:
    """Write NATS-Bench's folder."""
    folder.mkdir(parents=True)
    meta = {"meta_archs": list(all_archs()), "total_archs": 15625}
    write_small(folder / "meta.pickle.pbz2", {**meta, "arch2infos": None, "evaluated_indexes": set()})
    for index in cells:
        made = record(index, **options)
        write_small(folder / f"{index:06d}.pickle.pbz2", OrderedDict([("12", made["less"]), ("200", made["full"])]))
    return folder
