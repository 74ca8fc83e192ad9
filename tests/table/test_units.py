"""Numbers in another unit are refused with the line of a mapping that converts them, and wrong sizes are found."""

import re

import numpy as np
import pandas as pd
import pytest
from paths import SHARED_DATA

from nasbench_eval.cell import Cell, all_archs
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.table import Key, Table
from nasbench_eval.table.schema import MEAN
from nasbench_eval.table.sizes import all_sizes, network_size
from nasbench_eval.table.sources.flat import Mapping, import_flat
from nasbench_eval.table.units import dead_cells, wrong_units
from nasbench_eval.table.verify import verify

KEY = "d/200/test/accuracy/mean"


def accuracies():
    """Between 50 and 90 percent; 10 without a path from input to output."""
    return np.where(dead_cells(), 10.0, np.linspace(50, 90, 15625))


def flat(tmp_path, values, source='"acc"', key=KEY, name="own"):
    pd.DataFrame({"cell": all_archs(), "acc": values}).to_csv(tmp_path / "f.csv", index=False)
    (tmp_path / "map.toml").write_text(f'name = "{name}"\narch = "cell"\n[columns]\n"{key}" = {source}\n')
    return tmp_path / "f.csv", tmp_path / "map.toml"


def test_dead_cells_have_no_path():
    dead = np.flatnonzero(dead_cells())
    assert len(dead) == 341
    assert {Cell.from_index(int(i)).ops.count(0) for i in dead} >= {3, 6}
    assert not dead_cells()[1835]


@pytest.mark.parametrize("name", ["own", "NAS-Bench-201"])
@pytest.mark.parametrize(
    ("convert", "word", "line"),
    [
        (lambda a: a / 100, "fractions", '{ from = "acc", times = 100 }'),
        (lambda a: 100 - a, "error rates", '{ from = "acc", one_minus = true }'),
        (lambda a: 1 - a / 100, "fractions and error rates", '{ from = "acc", times = 100, one_minus = true }'),
    ],
)
def test_another_unit_is_refused_and_the_named_line_converts_it(convert, word, line, name, tmp_path):
    with pytest.raises(NbevalError, match=f": {word}, not accuracies in percent; write this line") as error:
        import_flat(*flat(tmp_path, convert(accuracies()), name=name))
    assert str(error.value).endswith(f'"{KEY}" = {line}')
    table = import_flat(*flat(tmp_path, convert(accuracies()), line, name=name))
    np.testing.assert_allclose(table.column("d", "test", epochs=200), accuracies(), rtol=1e-6)


def test_a_wrong_conversion_is_noticed_too(tmp_path):
    for source in ('{ from = "acc", times = 0.01 }', '{ from = "acc", one_minus = true }'):
        with pytest.raises(NbevalError, match=re.escape(f'"{KEY}" = {{ from = "acc" }}')):
            import_flat(*flat(tmp_path, accuracies(), source))
    turned = '{ from = "acc", one_minus = true }'
    for values, line in (
        (accuracies() / 100, '{ from = "acc", times = 100 }'),
        (1 - accuracies() / 100, '{ from = "acc", times = 100, one_minus = true }'),
    ):
        with pytest.raises(NbevalError) as error:
            import_flat(*flat(tmp_path, values, turned))
        assert str(error.value).endswith(f'"{KEY}" = {line}')
    with pytest.raises(NbevalError, match=re.escape(f'"{KEY}" = {{ from = "acc", times = 100, one_minus = true }}')):
        import_flat(*flat(tmp_path, 1 - accuracies() / 100, '{ from = "acc", one_minus = true }'))


def test_counts_of_parameters_become_millions(tmp_path):
    counts = np.linspace(73306, 1531546, 15625)
    with pytest.raises(NbevalError, match=r"counts, not millions; .* times = 1e-06 }"):
        import_flat(*flat(tmp_path, counts, key="d/-/-/params_mb/mean"))


@pytest.mark.parametrize("seed", range(3))
def test_chance_accuracies_are_no_error_rates(seed):
    values = np.random.default_rng(seed).normal(10, 0.5, 15625)
    values[dead_cells()] = 10.7
    assert not list(wrong_units(Table.build({Key.parse(KEY): values}, name="t", source={})))


def test_verify_names_another_unit():
    table = Table.build({Key.parse(KEY): accuracies() / 100}, name="t", source={})
    (line,) = next(check for check in verify(table) if check.name == "values").problems
    assert line == f"{KEY} is 0.1 to 0.9: fractions, not accuracies in percent"


@pytest.mark.parametrize(
    ("trial", "right"), [("seed777", "777"), ("trial_1_seed_888", "888"), ("0777", "777"), ("average", MEAN)]
)
def test_a_trial_is_named_by_its_seed(trial, right):
    text = f'arch = "a"\n[columns]\n"d/200/valid/accuracy/{trial}" = "x"'
    with pytest.raises(UsageError, match=f"mapping m: .* write 'd/200/valid/accuracy/{right}'$"):
        Mapping.parse(text, "m")


@pytest.mark.parametrize("name", ["d/²/test/accuracy/mean", "d/-/test/accuracy/mean", "d/200/-/params_mb/mean"])
def test_only_sizes_have_no_schedule(name):
    with pytest.raises(NbevalError, match="EPOCHS is"):
        Key.parse(name)


def test_one_minus_is_for_accuracies(tmp_path):
    source = '{ from = "acc", one_minus = true }'
    with pytest.raises(UsageError, match="one_minus of 'd/200/test/loss/mean' is for accuracies"):
        import_flat(*flat(tmp_path, accuracies(), source, key="d/200/test/loss/mean"))


def sized(change):
    sizes = all_sizes(channels=16, cells=5, side=32, classes=10) / 1e6
    params = sizes[:, 0].copy()
    change(params)
    columns = {Key("cifar10", None, "-", "params_mb"): params, Key("cifar10", None, "-", "flops_m"): sizes[:, 1]}
    table = Table.build(columns, name="NAS-Bench-201", source={})
    return next(check for check in verify(table) if check.name == "sizes")


def test_sizes_follow_the_published_formula():
    for index in (0, 11, 327):
        cell = Cell.from_index(index)
        expected = 73306 + 28000 * cell.ops.count(2) + 243040 * cell.ops.count(3)
        assert network_size(cell, channels=16, cells=5, side=32, classes=10)[0] == expected


def test_wrong_sizes_are_a_note_as_far_as_published_and_a_problem_beyond():
    assert not sized(lambda params: None).notes
    published = sized(lambda params: params.__setitem__(slice(150), 9))
    assert not published.problems
    assert published.notes[0].startswith("cifar10/-/-/params_mb/mean of 150 cells (0, 1, 2, 3, 4, ...) is not that of")
    assert sized(lambda params: params.__setitem__(slice(151), 9)).problems


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="../shared/data is absent")
def test_the_published_table_has_150_wrong_sizes_and_right_units():
    table = import_flat(SHARED_DATA / "nasbench201-real.parquet")
    check = next(check for check in verify(table) if check.name == "sizes")
    assert (len(check.problems), len(check.notes)) == (0, 3)
    assert all(" of 150 cells (" in note and note.endswith("as published") for note in check.notes)
