"""A fuller table, or a file that is no table, is replaced only by force."""

import numpy as np
import pytest
from click.testing import CliRunner
from official_layout import write_pth

from nasbench_eval.errors import NbevalError
from nasbench_eval.table import Key, Table
from nasbench_eval.table.curves import curves_path
from nasbench_eval.table.schema import MEAN
from nasbench_eval.table.sources import build as module
from nasbench_eval.table.sources.build import build_table
from runners.cli.table import table as command

TEST, SHORT = Key("d", 200, "test", "accuracy"), Key("d", 12, "test", "accuracy")
TRIALS = [Key("d", 200, "valid", "accuracy", seed) for seed in ("777", "888")]


def made(keys, **source):
    return Table.build(dict.fromkeys(keys, np.linspace(1, 90, 15625)), name="t", source=source)


@pytest.mark.parametrize(
    ("keys", "source", "lost"),
    [
        ([TEST, SHORT, *TRIALS], {"cells": 2}, "with 15,625 cells, the new one 2"),
        ([TEST, *TRIALS], {}, "with d/12/test/accuracy/mean, which the new one lacks"),
        ([TEST, SHORT, TRIALS[0]], {}, "with d/200/valid/accuracy/888, which the new one lacks"),
        ([TEST], {}, "with d/12/test/accuracy/mean, .* and 1 more columns, which"),
    ],
)
def test_a_fuller_table_is_replaced_only_by_force(keys, source, lost, tmp_path):
    path = tmp_path / "t.parquet"
    made([TEST, SHORT, *TRIALS]).save(path)
    before = path.read_bytes()
    with pytest.raises(NbevalError, match=rf"a fuller table is at .*t\.parquet, {lost}.* replace it with --force"):
        made(keys, **source).save(path)
    assert path.read_bytes() == before
    made(keys, **source).save(path, force=True)
    forced = Table.open(path)
    assert {key for key in forced.keys if key.trial != MEAN or key in (TEST, SHORT)} == set(keys)
    assert forced.metadata.source.get("cells") == source.get("cells")


def test_a_table_with_fewer_trials_in_the_same_columns_does_not_replace_a_fuller_one(tmp_path):
    path = tmp_path / "t.parquet"
    full = made([TEST, *TRIALS]).save(path)
    columns = {key: full.values(key).copy() for key in full.keys}
    columns[TRIALS[1]][:8000] = np.nan
    fewer = Table.build(columns, name="t", source={})
    with pytest.raises(NbevalError, match="with 8,000 accuracies, such as d/200/valid/accuracy/888, which the new one"):
        fewer.save(path)
    fewer.save(path, force=True)
    full.save(path)


def test_an_equal_fuller_or_damaged_table_is_replaced(tmp_path):
    path = tmp_path / "t.parquet"
    made([TEST]).save(path)
    made([TEST]).save(path)
    made([TEST, SHORT]).save(path)
    path.write_bytes(path.read_bytes()[:-50])
    made([TEST]).save(path)


def test_a_file_that_is_no_table_is_kept(tmp_path):
    path = tmp_path / "accuracies.csv"
    path.write_text("arch,acc\n")
    with pytest.raises(NbevalError, match=r"csv is a text file, not a table of nbeval; nothing was written"):
        made([TEST]).save(path)
    assert path.read_text() == "arch,acc\n"


def failing(*_):
    raise NbevalError("the disk is full")


def test_a_partial_build_keeps_the_full_table_and_its_curves(tmp_path, monkeypatch):
    source, out = write_pth(tmp_path / "two.pth", [0, 11]) and tmp_path / "two.pth", tmp_path / "t.parquet"
    build_table(source, out, curves=True, partial=True, workers=1)
    before = [out.read_bytes(), curves_path(out).read_bytes()]
    write_pth(tmp_path / "one.pth", [0])
    write_pth(tmp_path / "short.pth", [0, 11], seeds=(777,))

    def build(name, *words):
        call = ["build", str(tmp_path / name), "--partial", "--curves", "--workers", "1", "--table", str(out), *words]
        return CliRunner().invoke(command, call)

    for name, message in (("one.pth", "with 2 cells, the new one 1"), ("short.pth", "/888")):
        result = build(name)
        assert isinstance(result.exception, NbevalError)
        assert message in str(result.exception)
        assert [out.read_bytes(), curves_path(out).read_bytes()] == before
    # Fewer cells are noticed before the conversion.
    with monkeypatch.context() as patch:
        patch.setattr(module, "_convert", lambda *_: pytest.fail("converted"))
        assert isinstance(build("one.pth").exception, NbevalError)
    # Nor does a table that cannot be written cost the curves of the one that is there.
    with monkeypatch.context() as patch:
        patch.setattr("nasbench_eval.table.table.write_columns", failing)
        assert isinstance(build("one.pth", "--force").exception, NbevalError)
    assert [out.read_bytes(), curves_path(out).read_bytes()] == before
    assert build("one.pth", "--force").exit_code == 0
    assert Table.open(out).metadata.source["cells"] == 1
