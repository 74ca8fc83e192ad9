"""Official files that are damaged, or something else: one line says so, and no half table is written."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from official_layout import content, write_nats, write_pth, write_small

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


class Attack:
    def __reduce__(self):
        return (os.system, (f"touch {self.trace}",))


def test_a_pickle_cannot_run_code(tmp_path):
    import torch

    attack = Attack()
    attack.trace = tmp_path / "ran"
    folder = write_nats(tmp_path / "nats", [])
    write_small(folder / "000000.pickle.pbz2", {"12": attack})
    torch.save({**content([]), "evaluated_indexes": attack}, tmp_path / "evil.pth")
    for source in (folder, tmp_path / "evil.pth"):
        with pytest.raises(NbevalError, match=r"asks for posix\.system.* refused"):
            build_table(source, tmp_path / "t.parquet", partial=True, workers=1)
    assert not attack.trace.exists()


@pytest.mark.parametrize(("zipped", "length"), [(True, 0), (True, 5000), (True, -200), (False, 10), (False, -1000)])
def test_a_truncated_file(zipped, length, tmp_path):
    write_pth(tmp_path / "whole.pth", [0], zipped=zipped)
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:length])
    with pytest.raises(NbevalError, match=r"truncated|is empty"):
        build_table(tmp_path / "cut.pth", tmp_path / "t.parquet", partial=True, workers=1)


def test_files_that_are_something_else(tmp_path):
    with pytest.raises(NbevalError, match=r"no file or folder at .* \(docs/data\.md"):
        build_table(tmp_path / "nothing", tmp_path / "t.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NbevalError, match=r"has no meta\.pickle\.pbz2"):
        build_table(tmp_path / "empty", tmp_path / "t.parquet")
    shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path / "empty")
    with pytest.raises(NbevalError, match=r"other\.zip is a zip archive, not an official file .*: unpack it"):
        build_table(tmp_path / "other.zip", tmp_path / "t.parquet")
    (tmp_path / "list.pth").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(NbevalError, match="not NAS-Bench-201's file"):
        build_table(tmp_path / "list.pth", tmp_path / "t.parquet")
    sizes = tmp_path / "sss"
    sizes.mkdir()
    write_small(sizes / "meta.pickle.pbz2", {"meta_archs": ["8:8:8:8:8"]})
    with pytest.raises(NbevalError, match="lists '8:8:8:8:8' as cell 0; expected"):
        build_table(sizes, tmp_path / "t.parquet")
