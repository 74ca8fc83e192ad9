"""`nbeval table verify` finds what is wrong with a table and names the cell."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from nasbench_eval.cell import N_CELLS
from nasbench_eval.errors import NbevalError
from nasbench_eval.table import Key, Table
from nasbench_eval.table.verify import ALL_SKIP, OPTIMA, compare, verify
from runners.cli.table import table as command

SOURCE = {"importer": "test", "file": "made up", "sha256": "0"}
SEEDS = ("777", "888", "999")


def columns():
    """A sound NAS-Bench-201: the right optima, 7,456 cells with two trials."""
    made = {}
    for dataset, (index, accuracy) in OPTIMA.items():
        test = np.linspace(1, 40, N_CELLS)
        test[[index, 1835]] = accuracy, ALL_SKIP[dataset]
        made[Key(dataset, 200, "test", "accuracy")] = test
    for seed in SEEDS:
        made[Key("cifar10", 200, "valid", "accuracy", seed)] = np.linspace(1, 40, N_CELLS) + int(seed) / 1000
    made[Key("cifar10", 200, "valid", "accuracy", "999")][:7456] = np.nan
    return made


def build(changed=None, **source):
    return Table.build({**columns(), **(changed or {})}, name="NAS-Bench-201", source={**SOURCE, **source})


def problems(table):
    return {check.name: check.problems for check in verify(table) if check.problems}


def test_a_sound_table_has_no_problems():
    checks = verify(build(release="NATS-tss-v1_0"))
    assert [check.name for check in checks] == [
        "cells",
        "values",
        "means",
        "known cells",
        "trials",
        "sizes",
        "provenance",
        "content hash",
    ]
    assert not any(check.problems or check.notes for check in checks)
    assert checks[4].detail == "7,456 cells with 2, 8,169 cells with 3, as in NATS-tss-v1_0"


def test_a_wrong_optimum_is_named_with_its_value():
    key = Key("cifar100", 200, "test", "accuracy")
    values = columns()[key]
    values[9930] = 73.4
    values[4] = 80
    found = problems(build({key: values}))
    assert list(found) == ["known cells"]
    assert len(found["known cells"]) == 2
    assert found["known cells"][0].startswith("cifar100/200/test/accuracy/mean of cell 9930 (|nor_conv_3x3~0|+")
    assert found["known cells"][0].endswith("is 73.4, expected 73.513")
    assert "is highest, 80, at cell 4 (" in found["known cells"][1]


def test_a_missing_column_of_known_cells():
    made = {key: values for key, values in columns().items() if key.dataset != "cifar100"}
    found = problems(Table.build(made, name="NAS-Bench-201", source=SOURCE))
    assert found == {"known cells": ["there is no column cifar100/200/test/accuracy/mean"]}
    assert "known cells" not in problems(Table.build(made, name="another", source=SOURCE))


@pytest.mark.parametrize("value", [-1.0, 100.1, np.nan, np.inf])
def test_values_out_of_range(value):
    key = Key("cifar10", 200, "test", "accuracy")
    values = columns()[key]
    values[[4, 9]] = value
    (line,) = problems(build({key: values}))["values"]
    word = "missing" if np.isnan(value) else f"{value:g}"
    assert line.startswith("cifar10/200/test/accuracy/mean of cell 4 (")
    assert line.endswith(f"is {word}, expected 0 to 100 (and 1 more cells)")


def test_a_mean_that_is_not_the_mean():
    mean = np.linspace(1, 40, N_CELLS) + (0.777 + 0.888 + 0.999) / 3
    mean[:7456] += (0.777 + 0.888) / 2 - (0.777 + 0.888 + 0.999) / 3
    assert problems(build({Key("cifar10", 200, "valid", "accuracy"): mean})) == {}
    mean[3] += 0.5
    (line,) = problems(build({Key("cifar10", 200, "valid", "accuracy"): mean}))["means"]
    assert line.startswith("cifar10/200/valid/accuracy/mean of cell 3 (")
    assert line.endswith("is 2.339988, but the mean of its trials is 1.839988")


def test_trials_are_counted_and_compared_with_the_release():
    values = columns()[Key("cifar10", 200, "valid", "accuracy", "888")]
    values[0] = np.nan
    changed = {Key("cifar10", 200, "valid", "accuracy", "888"): values}
    line = "1 cells with 1, 7,455 cells with 2, 8,169 cells with 3; NATS-tss-v1_0 has 7,456 cells with 2, 8,169 cells"
    assert problems(build(changed, release="NATS-tss-v1_0"))["trials"][0].startswith(line)
    # The numbers of the older files are as stated by their authors, not counted: a difference is only a note.
    check = verify(build(changed, release="NAS-Bench-201-v1_1"))[4]
    assert not check.problems
    assert "NAS-Bench-201-v1_1 has 2,225 cells with 1" in check.notes[0]
    assert not verify(build(changed))[4].notes


def test_the_trials_of_a_cell_are_the_fewest_over_the_data_sets():
    one = {Key("cifar100", 200, "valid", "accuracy", "777"): np.linspace(1, 40, N_CELLS)}
    assert verify(build(one))[4].detail == "15,625 cells with 1"


def test_a_partial_table_and_missing_provenance():
    assert problems(build(cells=12)) == {"cells": ["the table has only 12 of the 15,625 cells"]}
    assert problems(build(sha256="")) == {"provenance": ["the metadata lack the sha256 of the source"]}
    assert verify(build(warning="odd file"))[6].notes == ["odd file"]


def test_a_changed_file_is_found(tmp_path):
    path = build().save(tmp_path / "t.parquet").path
    data = pq.read_table(path)
    archs = data.column("arch").to_pylist()
    archs[3], archs[4] = archs[4], archs[3]
    test = data.column("cifar10/200/test/accuracy/mean").to_numpy().copy()
    test[10] += 1
    data = data.set_column(0, "arch", [archs])
    data = data.set_column(
        data.schema.get_field_index("cifar10/200/test/accuracy/mean"), "cifar10/200/test/accuracy/mean", [test]
    )
    pq.write_table(data, path)
    found = problems(Table.open(path))
    assert list(found) == ["cells", "content hash"]
    assert found["cells"][0].startswith(f"row 3 is {archs[3]}, expected {archs[4]}")
    assert "values were changed" in found["content hash"][0]


def test_two_tables_are_compared_by_their_largest_difference():
    key, valid = Key("cifar10", 200, "test", "accuracy"), Key("cifar10", 200, "valid", "accuracy", "999")
    values, trial = columns()[key], columns()[valid]
    values[[3, 8]] += 0.25, 0.5
    trial[9000] = np.nan
    trial[9001] += 0.0005
    first, second, *rest = compare(build(), build({key: values, valid: trial}))
    assert (first.key, first.index, first.cells, first.lone) == (key, 8, 2, 0)
    assert first.largest == pytest.approx(0.5, abs=1e-5)
    assert first.values[1] - first.values[0] == pytest.approx(0.5, abs=1e-5)
    assert (second.key, second.index, second.cells, second.lone) in (
        (valid, 9001, 0, 1),
        (valid._replace(trial="mean"), 9000, 1, 0),
    )
    assert rest[-1].largest == 0


def test_the_command(tmp_path):
    sound = build().save(tmp_path / "sound.parquet").path
    key = Key("cifar10", 200, "test", "accuracy")
    values = columns()[key]
    values[6111] = 94.2
    bad = build({key: values}).save(tmp_path / "bad.parquet").path

    def run(*words):
        return CliRunner().invoke(command, ["verify", *words])

    good = run("--table", str(sound), "--against", str(sound))
    assert good.exit_code == 0, good.output
    assert "ok   content hash" in good.output
    result = run("--table", str(bad), "--against", str(sound))
    assert isinstance(result.exception, NbevalError)
    assert str(result.exception) == f"{bad}: 1 problems and 1 columns differ"
    assert "bad  known cells" in result.output
    row = next(line for line in result.output.splitlines() if line.startswith(str(key)))
    assert row.split()[1:5] == ["0.173004", "6111", "94.2", "94.373"]


def test_the_command_compares_what_only_one_table_has(tmp_path):
    key = Key("cifar10", 200, "valid", "accuracy", "999")
    values = columns()[key]
    values[9000:9080] = np.nan
    sound = build().save(tmp_path / "sound.parquet").path
    fewer = build({key: values}).save(tmp_path / "fewer.parquet").path
    other = Table.build({Key("d", 1, "test", "accuracy"): np.full(15625, 50.0)}, name="t", source={}).save(
        tmp_path / "o.parquet"
    )
    for path, words in ((fewer, "columns differ"), (other.path, "have no column in common")):
        result = CliRunner().invoke(command, ["verify", "--table", str(sound), "--against", str(path), "--top", "1"])
        assert words in str(result.exception)
