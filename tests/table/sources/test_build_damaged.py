"""Official files whose records are damaged: the cell is named, and no half table is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from official_layout import content, write_pth

from nasbench_eval.errors import NbevalError
from nasbench_eval.table.sources import official
from nasbench_eval.table.sources.build import build_table
from nasbench_eval.table.sources.pickle_slices import NotSplittable, Slices


def test_a_number_too_large_for_the_table_is_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = content([0])
    for schedule in ("less", "full"):
        for result in made["arch2infos"][0][schedule]["all_results"].values():
            result["params"] = np.float64(1e300)
    monkeypatch.setattr("official_layout.content", lambda *_, **__: made)
    write_pth(tmp_path / "a.pth", [0])
    with pytest.raises(NbevalError, match=r"the record of cell 0 \(.*\) has a number too large: get the file again"):
        build_table(tmp_path / "a.pth", tmp_path / "t.parquet", partial=True, workers=1)
    assert not (tmp_path / "t.parquet").exists()


def test_a_record_that_refers_to_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flipped bit in a number of an object, found only when the record itself is read."""
    write_pth(tmp_path / "a.pth", [0, 1])

    def load(self: Slices, key: int, allowed: object) -> object:
        raise NotSplittable("an object is referred to before it is built")

    monkeypatch.setattr(official.Slices, "load", load)
    with pytest.raises(NbevalError, match=r"a\.pth: the record of cell 0 is damaged .*: get it again"):
        build_table(tmp_path / "a.pth", tmp_path / "t.parquet", partial=True, workers=1)
    assert not (tmp_path / "t.parquet").exists()
