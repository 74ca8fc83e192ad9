"""Files in the formats of the public files that ``nbeval table fetch`` reads, with made-up numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench_eval.cell import N_CELLS, all_archs
from nasbench_eval.table.schema import Key
from nasbench_eval.table.sources import public

_LIKE = {"cifar10": 10.0, "cifar100": 1.0, "imagenet16-120": 0.8}


def write_public(folder: Path, patch: pytest.MonkeyPatch) -> dict[Key, np.ndarray]:
    """Write all files, make their SHA-256 the published ones, and return the columns that the table must have."""
    rng = np.random.default_rng(0)
    columns: dict[Key, np.ndarray] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for dataset, chance in _LIKE.items():
        for epochs, split in ((12, "valid"), (12, "test"), (200, "test"), (200, "valid")):
            columns[Key(dataset, epochs, split, "accuracy")] = rng.uniform(chance, 90, N_CELLS)
        columns[Key(dataset, 200, "train", "train_seconds")] = rng.uniform(500, 9000, N_CELLS)
        short = {"imagenet16-120": "imagenet"}.get(dataset, dataset)
        official = {"imagenet16-120": "ImageNet16-120"}.get(dataset, dataset)
        test, valid = (columns[Key(dataset, 200, split, "accuracy")] for split in ("test", "valid"))
        lines = ["index,accuracy", *(f"{i},{value!r}" for i, value in enumerate(test.tolist()))]
        (folder / f"freerea-{official}-accuracies.csv").write_text("\n".join(lines))  # no break at the end
        seconds = columns[Key(dataset, 200, "train", "train_seconds")] * (2 if dataset == "cifar10" else 1)
        shown = test if dataset == "cifar10" else (test + valid) / 2
        # The seconds of an epoch are wrong by a factor of ten in the original, too.
        rows = np.stack([np.arange(N_CELLS), shown, seconds / 2000, seconds], 1)
        np.savetxt(folder / f"freerea-{short}_perfmetrics.txt", rows, header="ArchitectureIdx, Test-Accuracy, ...")
        columns[Key(dataset, 12, "train", "train_seconds")] = seconds / (2 if dataset == "cifar10" else 1) * 12 / 200
        if dataset != "cifar10":
            columns[Key(dataset, 200, "valid+test", "accuracy")] = shown
    np.save(
        folder / "all_score_accs_nasbench201_cifar10-valid_True.npy", columns[Key("cifar10", 200, "valid", "accuracy")]
    )
    (folder / "mini-bench-arch-cell-accs.pd").write_bytes(frame_of_pandas_1(_twelve(columns), patch))
    publish(folder, patch)
    return columns


def publish(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make the files in a folder the published ones."""
    made = [
        dataclasses.replace(file, path=file.name, sha256=hashlib.sha256((folder / file.name).read_bytes()).hexdigest())
        for file in public.FILES
    ]
    patch.setattr(public, "FILES", tuple(made))


def _twelve(columns: dict[Key, np.ndarray]) -> dict[str, np.ndarray]:
    names = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "imagenet"}
    frame = {"arch": np.arange(N_CELLS), "cellstr": np.array(all_archs(), dtype=object)}
    for dataset, short in names.items():
        for split, theirs in (("test", "test"), ("valid", "val")):
            frame[f"{short}-{theirs}"] = columns[Key(dataset, 12, split, "accuracy")]
    return frame


class _Part:
    """A part of a data frame; pickled as an empty object with a state."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def __getstate__(self) -> Any:
        return self._state


def frame_of_pandas_1(columns: dict[str, np.ndarray], patch: pytest.MonkeyPatch, extra: Any = None) -> bytes:
    """Return a data frame as pandas 1 pickles it, with ``extra`` in its state."""
    data_frame, manager, index = (
        type("DataFrame", (_Part,), {}),
        type("BlockManager", (_Part,), {}),
        type("Index", (), {}),
    )

    def new_index(cls: type, parts: dict[str, Any]) -> None:
        """Only its name is pickled."""

    names = list(columns)
    labels = {"data": np.array(names, dtype=object), "name": None}
    index.__reduce__ = lambda self: (new_index, (index, labels))  # type: ignore[attr-defined]
    blocks = []
    for kind in "iOf":
        at = [i for i, name in enumerate(names) if columns[name].dtype.kind == kind]
        place = slice(at[0], at[-1] + 1, 1)
        blocks.append({"values": np.stack([columns[names[i]] for i in at]), "mgr_locs": place})
    state = ([index()], [], [], {"0.14.1": {"axes": [index()], "blocks": blocks}})
    frame = data_frame({"_data": manager(state), "_typ": "dataframe", "extra": extra})
    file = io.BytesIO()
    with patch.context() as inside:
        for module, name, thing in (
            ("pandas.core.frame", "DataFrame", data_frame),
            ("pandas.core.internals.managers", "BlockManager", manager),
            ("pandas.core.indexes.base", "Index", index),
            ("pandas.core.indexes.base", "_new_Index", new_index),
        ):
            thing.__module__, thing.__qualname__ = module, name
            # pickle looks a name up in its module, and refuses another thing of that name.
            known = sys.modules[module] if isinstance(sys.modules.get(module), _Fake) else _Fake(module)
            setattr(known, name, thing)
            inside.setitem(sys.modules, module, known)
        pickle.Pickler(file, protocol=5).dump(frame)
    return file.getvalue()


class _Fake(types.ModuleType):
    """Stands in for a module of pandas while a frame is pickled."""
