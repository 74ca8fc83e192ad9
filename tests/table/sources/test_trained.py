"""The table made from records of trained cells."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from paths import ROOT
from tiny_cells import made_records

from nasbench_eval.cell import Cell
from nasbench_eval.equivalence import representatives
from nasbench_eval.errors import NbevalError
from nasbench_eval.images import Reduction
from nasbench_eval.networks.skeleton import REDUCTIONS
from nasbench_eval.networks.standalone import StandaloneNet
from nasbench_eval.table import Table
from nasbench_eval.table.locate import EMBEDDED
from nasbench_eval.table.sizes import network_size
from nasbench_eval.table.sources.trained import trained_table, write_curves
from nasbench_eval.training.records import Records

CELLS = [0, 1, 2, 3, 11]


def test_every_cell_has_the_record_of_its_function() -> None:
    known = representatives()
    records = made_records(sorted({known[index] for index in CELLS}), [0, 1])
    table = trained_table(records)
    for index in CELLS:
        line = records.lines[known[index], 1]
        cell = Cell.from_index(index)
        assert table.accuracy(cell, "tiny", "test", epochs=2, trial=1) == pytest.approx(line["test"][0])
        assert table.accuracy(cell, "tiny", "valid", epochs=2, trial=1) == pytest.approx(line["valid"][-1][0])
        assert table.train_seconds(cell, "tiny", epochs=2) > 0
    # Cells of one function share a record; cell 3 is the input plus its pool, which 400 cells compute.
    twins = [table.accuracy(Cell.from_index(i), "tiny", "test", epochs=2) for i in range(15625) if known[i] == 3]
    assert len(twins) == 400
    assert len(set(twins)) == 1
    untrained = next(i for i, first in enumerate(known) if first not in {known[c] for c in CELLS})
    with pytest.raises(NbevalError, match="that trial was not run"):
        table.accuracy(Cell.from_index(untrained), "tiny", "test", epochs=2)
    assert table.metadata.source["cells"] == sum(first in {known[c] for c in CELLS} for first in known)


def test_curves_are_the_validation_results_after_each_epoch(tmp_path: Path) -> None:
    records = made_records([0, 3], [5])
    table = trained_table(records).save(tmp_path / "t.parquet")
    write_curves(records, table)
    for at, metric in enumerate(("accuracy", "loss")):
        curve = table.curve(Cell.from_index(3), "tiny", "valid", epochs=2, metric=metric, trial=5)
        assert curve.tolist() == pytest.approx([epoch[at] for epoch in records.lines[3, 5]["valid"]])
    with pytest.raises(NbevalError, match="that trial was not run"):
        table.curve(Cell.from_index(1), "tiny", "valid", epochs=2, trial=5)


def test_the_table_in_the_package_is_made_from_the_committed_records() -> None:
    records = Records.read(ROOT / "results" / "reference" / "digits-table.records.jsonl")
    assert trained_table(records).metadata.content_hash == Table.open(EMBEDDED["digits"]).metadata.content_hash


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("ops", [(0,) * 6, (3,) * 6, (2, 3, 4, 1, 2, 3)])
def test_sizes_are_those_of_the_plain_network(ops: tuple[int, ...], reduction: Reduction) -> None:
    cell = Cell(ops)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    net = StandaloneNet(cell, 2, 1, 3, generator=generator, reduction=reduction)
    flops = 0

    def count(module: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal flops
        if isinstance(module, torch.nn.Conv2d):
            flops += module.weight[0].numel() * out[0].numel()
        elif isinstance(module, torch.nn.Linear):
            flops += module.weight.numel()

    for module in net.modules():
        module.register_forward_hook(count)
    net(torch.zeros(2, 3, 8, 8))
    expected = (sum(p.numel() for p in net.parameters()), flops)
    head = made_records([], []).head
    shape = {name: head["schedule"][name] for name in ("channels", "cells")}
    shape |= {name: head[name] for name in ("side", "classes")}
    assert network_size(cell, **shape, reduction=reduction) == expected
