"""The table in memory and on disk, the import from a flat file, and the commands that print it."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from paths import SHARED_DATA

from nasbench_eval.cell import Cell, all_archs
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.table import Key, Table, find_table
from nasbench_eval.table.locate import default_path
from nasbench_eval.table.noise import trial_noise
from nasbench_eval.table.sources.flat import Mapping, import_flat
from runners.cli.table import table as command
from runners.lookup import TableLookup

needs_shared = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="../shared/data is absent")

ROW = np.arange(15625, dtype=np.float32)
VALID = {seed: Key("cifar10", 200, "valid", "accuracy", str(seed)) for seed in (777, 888, 999)}
TEST = Key("cifar10", 200, "test", "accuracy")
SECONDS = Key("cifar10", 200, "train", "train_seconds")
SOURCE = {"importer": "test", "file": "made up", "sha256": "0"}


@pytest.fixture
def made():
    """Trials are 10, 20 and (even cells only) 60; on test cell 5 is best, then 3 and 7 in a tie, then 9."""
    third = np.where(ROW % 2 == 0, 60, np.nan)
    test = np.ones(15625)
    test[[5, 3, 7, 9]] = 99, 98, 98, 97
    columns = {VALID[777]: np.full(15625, 10), VALID[888]: np.full(15625, 20), VALID[999]: third}
    columns |= {TEST: test, SECONDS: ROW * 2, Key("cifar10", None, "-", "params_mb"): ROW / 1e5}
    return Table.build(columns, name="test", source=SOURCE)


@pytest.fixture
def saved(made, tmp_path):
    return made.save(tmp_path / "table.parquet")


@pytest.mark.parametrize("which", ["made", "saved"])
def test_a_table_answers(which, request):
    table = request.getfixturevalue(which)
    even, odd = Cell.from_index(4), Cell.from_index(7)
    assert table.accuracy(even, "cifar10", "valid", epochs=200) == 30
    assert table.accuracy(odd, "cifar10", "valid", epochs=200) == 15
    assert table.accuracy(even, "cifar10", "valid", epochs=200, trial=999) == 60
    assert table.train_seconds(odd, "cifar10", epochs=200) == 14
    assert table.cost(even, "cifar10") == {"params_mb": np.float32(4e-5)}
    assert table.datasets == ("cifar10",)
    assert table.epochs("cifar10") == (200,)
    assert table.trials("cifar10", "valid", epochs=200) == (777, 888, 999)
    assert table.trials("cifar10", "test", epochs=200) == ()
    column = table.column("cifar10", "valid", epochs=200)
    assert column.dtype == np.float32
    np.testing.assert_array_equal(column, np.where(ROW % 2 == 0, 30, 15))
    np.testing.assert_array_equal(table.column("cifar10", metric="params_mb", epochs=None), ROW / np.float32(1e5))
    # Even cells: 10, 20, 60 around 30, squares 400 + 100 + 900, two degrees of freedom; odd cells: 25 + 25, one.
    even_cells, odd_cells = 7813, 7812
    expected = np.sqrt((even_cells * 1400 + odd_cells * 50) / (even_cells * 2 + odd_cells))
    assert table.noise("cifar10", "valid", epochs=200) == pytest.approx(expected)
    assert np.isnan(table.noise("cifar10", "test", epochs=200))


def test_the_best_cells_come_first_with_ties_in_official_order(saved):
    assert saved.best("cifar10") == (Cell.from_index(5), 99)
    top = [(cell.index, value) for cell, value in saved.top("cifar10", count=1000)]
    assert top[:4] == [(5, 99), (3, 98), (7, 98), (9, 97)]
    assert [index for index, _ in top[4:]] == [index for index in range(1000) if index not in (3, 5, 7, 9)]


def test_an_empty_column_has_no_best_cell():
    table = Table.build({TEST: np.full(15625, np.nan)}, name="t", source=SOURCE)
    with pytest.raises(NbevalError, match="no value in cifar10/200/test"):
        table.best("cifar10")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t, c: t.accuracy(c, "cifar10", "valid", epochs=200, trial=999), r"no value for cell 7 .*not run"),
        (lambda t, c: t.accuracy(c, "cifar10", "valid", epochs=12), r"no column cifar10/12/valid/accuracy/mean; for "),
        (lambda t, c: t.accuracy(c, "cifar1", "valid", epochs=200), "did you mean 'cifar10'"),
        (lambda t, c: t.column("cifar10", "valid", "loss", epochs=200), "for cifar10 loss it has none"),
        (lambda t, c: t.eval_seconds(c, "cifar10", "valid", epochs=200), "no column cifar10/200/valid/eval_seconds"),
        (lambda t, c: t.cost(c, "cifar100"), "unknown data set in the table 'cifar100'"),
        (lambda t, c: t.curve(c, "cifar10", "valid", epochs=200), "no learning curves at .*curves.parquet"),
    ],
)
def test_values_missing_from_the_table_raise(saved, call, message):
    with pytest.raises(NbevalError, match=message):
        call(saved, Cell.from_index(7))


def test_a_given_mean_is_kept_and_a_wrong_length_is_refused():
    given = {VALID[777]: ROW * 0, VALID[777]._replace(trial="mean"): ROW * 0 + 50}
    assert Table.build(given, name="t", source=SOURCE).column("cifar10", "valid", epochs=200)[0] == 50
    with pytest.raises(NbevalError, match=r"cifar10/200/test/accuracy/mean has shape \(3,\)"):
        Table.build({TEST: np.zeros(3)}, name="t", source=SOURCE)


def test_saving_and_opening_keep_everything(made, saved):
    assert saved.metadata == Table.open(saved.path).metadata
    assert saved.metadata.content_hash == made.metadata.content_hash
    assert set(saved.keys) == set(made.keys)
    frame = saved.to_pandas()
    assert frame.shape == (15625, 1 + len(made.keys))
    assert frame.index.name == "index"
    assert tuple(frame["arch"]) == all_archs()
    np.testing.assert_array_equal(frame["cifar10/200/valid/accuracy/999"], made.values(VALID[999]))
    with pytest.raises(ValueError, match="read-only"):
        saved.column("cifar10", "test", epochs=200)[0] = 1


def test_a_replaced_file_does_not_change_an_open_table(made, tmp_path):
    path = tmp_path / "t.parquet"
    first = made.save(path)
    Table.build({TEST: ROW * 0 + 3}, name="t", source=SOURCE).save(path, force=True)
    assert first.accuracy(Cell.from_index(5), "cifar10", "test", epochs=200) == 99


def with_metadata(saved, tmp_path, change):
    table = pq.read_table(saved.path)
    values = json.loads(table.schema.metadata[b"nbeval"])
    change(values)
    path = tmp_path / "changed.parquet"
    pq.write_table(table.replace_schema_metadata({b"nbeval": json.dumps(values)}), path)
    return path


def test_files_that_are_not_tables(saved, tmp_path):
    with pytest.raises(NbevalError, match="no table at"):
        Table.open(tmp_path / "nothing.parquet")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(NbevalError, match="is a text file, not a table of nbeval"):
        Table.open(tmp_path / "text")
    (tmp_path / "cut.parquet").write_bytes(saved.path.read_bytes()[:-100])
    with pytest.raises(NbevalError, match=r"is a Parquet file without its end, not a table of nbeval: it is truncated"):
        Table.open(tmp_path / "cut.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(NbevalError, match=r"not a table of nbeval: make a table of it with `nbeval table import"):
        Table.open(tmp_path / "other.parquet")
    with pytest.raises(NbevalError, match="schema version 99, this nbeval reads version 1"):
        Table.open(with_metadata(saved, tmp_path, lambda values: values.update(schema=99)))
    short = pq.read_table(saved.path).slice(0, 10)
    pq.write_table(short, tmp_path / "short.parquet")
    with pytest.raises(NbevalError, match="has 10 rows, expected 15625"):
        Table.open(tmp_path / "short.parquet")


@pytest.mark.parametrize("name", ["a/b", "cifar10/200/test/accuracies/mean", "cifar10/x/test/accuracy/mean"])
def test_bad_column_names(name):
    with pytest.raises(NbevalError, match="is not a column of a table"):
        Key.parse(name)


def test_a_key_is_its_column_name():
    for name in ("cifar10/200/valid/accuracy/777", "cifar10/-/-/params_mb/mean", "cifar10/12/test@train/loss/mean"):
        assert str(Key.parse(name)) == name


def test_the_content_hash_does_not_depend_on_order_or_storage(made, saved):
    columns = {key: made.values(key) for key in reversed(made.keys)}
    assert Table.build(columns, name="u", source={}).metadata.content_hash == saved.metadata.content_hash
    columns[TEST] = columns[TEST] + np.float32(0.001)
    assert Table.build(columns, name="u", source={}).metadata.content_hash != saved.metadata.content_hash


def test_changed_bits_in_a_table_are_found(saved, tmp_path):
    """Not by what they make of the numbers, which may be plausible."""
    content = bytearray(saved.path.read_bytes())
    group = pq.read_metadata(saved.path).row_group(0)
    [column] = [c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == str(SECONDS)]
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 4
    (tmp_path / "flipped.parquet").write_bytes(content)
    with pytest.raises(NbevalError, match=r"flipped\.parquet is not a readable Parquet file"):
        Table.open(tmp_path / "flipped.parquet").values(SECONDS)
    # A file from before there were checksums.
    columns = pq.read_table(saved.path)
    at = columns.schema.get_field_index(str(TEST))
    changed = columns.column(at).to_numpy().copy()
    changed[17] += 0.5
    pq.write_table(columns.set_column(at, columns.field(at), pa.array(changed)), tmp_path / "changed.parquet")
    with pytest.raises(NbevalError, match=r"changed\.parquet is damaged, its numbers are not those"):
        TableLookup(Table.open(tmp_path / "changed.parquet")).facts()


def test_a_link_to_a_table_stays_when_the_table_is_replaced(made, tmp_path):
    (tmp_path / "shared").mkdir()
    link, target = tmp_path / "link.parquet", tmp_path / "shared/t.parquet"
    made.save(target)
    link.symlink_to(target)
    Table.build({TEST: ROW * 0 + 3}, name="t", source=SOURCE).save(link, force=True)
    assert link.is_symlink()
    assert Table.open(target).accuracy(Cell.from_index(5), "cifar10", "test", epochs=200) == 3
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link.parquet", "shared", "t.parquet"]


def test_a_folder_named_digits_does_not_hide_the_table_in_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert Table.open(find_table("digits")).datasets == ("digits",)


def test_where_the_table_is_found(monkeypatch, tmp_path, saved):
    monkeypatch.setenv("NBEVAL_TABLE", str(saved.path))
    assert find_table() == default_path() == saved.path
    with pytest.raises(NbevalError) as error:
        find_table(tmp_path / "nothing.parquet")
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    assert "nothing.parquet" in lines[0]
    assert "docs/data.md" in lines[1]
    monkeypatch.delenv("NBEVAL_TABLE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path().name == "nasbench201.parquet"


MAPPING = """
name = "test"
arch = "cell"
[columns]
"cifar10/200/test/accuracy/mean" = "acc"
"cifar10/200/train/train_seconds/mean" = { from = "secs", times = 0.06 }
"""


def flat(tmp_path, *, csv=False, change=None):
    """A flat file with shuffled rows; accuracies are the cell's index / 1000, seconds 100 times the index."""
    frame = pd.DataFrame({"cell": all_archs(), "acc": ROW / 1000, "secs": ROW.astype(float) * 100})
    if change is not None:
        frame = change(frame)
    frame = frame.sample(frac=1, random_state=0)
    path = tmp_path / ("flat.csv" if csv else "flat.parquet")
    if csv:
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    (tmp_path / "map.toml").write_text(MAPPING)
    return path, tmp_path / "map.toml"


@pytest.mark.parametrize("csv", [False, True])
def test_a_flat_file_is_matched_by_cell_not_by_row(tmp_path, csv):
    table = import_flat(*flat(tmp_path, csv=csv))
    np.testing.assert_allclose(table.column("cifar10", "test", epochs=200), ROW / 1000, rtol=1e-6)
    np.testing.assert_allclose(table.values(SECONDS), ROW * 6, rtol=1e-6)
    assert table.metadata.source["file"] == ("flat.csv" if csv else "flat.parquet")
    assert len(table.metadata.source["sha256"]) == 64
    assert table.metadata.source["importer"] == "flat (map.toml)"


def set_value(row, column, value):
    def change(frame):
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame if isinstance(value, str) else frame.astype({column: float})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(index=[7, 8]), r"2 of the 15625 cells are missing, the first is cell 7 \(\|"),
        (lambda f: pd.concat([f, f.iloc[[7]]]), r"cell 7 \(.*\) appears twice, in rows \d+ and \d+"),
        (set_value(7, "cell", "|none~0|"), r"row \d+, column cell: not an architecture string: character 9"),
        (set_value(7, "acc", np.nan), r"cifar10/200/test/accuracy/mean of cell 7 .* is missing, expected 0 to 100"),
        (set_value(7, "acc", 100.5), r"cell 7 .* is 100\.5, expected 0 to 100"),
        (set_value(7, "acc", 1e300), r"cell 7 .* is inf, expected 0 to 100"),  # too large for the table
        (set_value(7, "acc", np.inf), r"cell 7 .* is inf, expected 0 to 100"),
        (lambda f: f.assign(secs=-f.secs), r"cell 1 .* is -6, expected 0 or more \(and 15,623 more cells\)"),
        (set_value(7, "acc", "high"), r"column acc of flat\.csv holds string, expected numbers"),
        (
            lambda f: f.drop(columns="secs"),
            r"map\.toml names columns that the file lacks: secs; it has",
        ),
    ],
)
def test_a_bad_flat_file_names_the_cell(tmp_path, change, message):
    path, mapping = flat(tmp_path, csv=True, change=change)
    with pytest.raises(NbevalError, match=message):
        import_flat(path, mapping)


def test_columns_that_no_table_can_be_made_of_are_one_line(tmp_path):
    path, mapping = flat(tmp_path, csv=True)
    path.write_text(path.read_text().replace("cell,acc,secs", "cell,acc,acc", 1))
    with pytest.raises(NbevalError, match=r"flat\.csv has several columns named acc: rename them"):
        import_flat(path, mapping)
    path, _ = flat(tmp_path, change=lambda f: f.assign(secs=2**53 + 1 + 2 * f.index.to_numpy()))
    assert import_flat(path, mapping).metadata.source["file"] == "flat.parquet", "large whole numbers are rounded"
    path, _ = flat(tmp_path, change=lambda f: f.assign(cell=[[arch] for arch in f.cell]))
    with pytest.raises(NbevalError, match=r"row 1, column cell: not an architecture string"):
        import_flat(path, mapping)


@pytest.mark.parametrize("words", [["import", "x.csv"], ["fetch"]])
def test_the_table_in_the_package_is_not_a_place_to_write_to(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, [*words, "--table", "digits"])
    assert "digits is the table in the package" in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_flat_files_that_cannot_be_read(tmp_path):
    path, mapping = flat(tmp_path)
    with pytest.raises(NbevalError, match="no file or folder at"):
        import_flat(tmp_path / "nothing.csv", mapping)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(NbevalError, match=r"flat\.parquet is a Parquet file without its end"):
        import_flat(path, mapping)
    with pytest.raises(UsageError, match="cannot read the mapping"):
        import_flat(flat(tmp_path)[0], tmp_path / "nothing.toml")
    with pytest.raises(
        UsageError,
        match=r"no mapping in the package fits .*flat\.parquet, which lacks arch, .* more of nasbench201-flat\.toml: ",
    ):
        import_flat(flat(tmp_path)[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arch = ", "mapping m: "),
        ("[columns]", "expected arch = COLUMN"),
        ('arch = "a"\n[columns]\n', r"\[columns\] names no column"),
        ('arch = "a"\n[columns]\n"/1/s/loss/mean" = "y"', "the data set or the split has no name"),
        ('arch = "a"\nother = 1\n[columns]', "expected arch = COLUMN"),
        ('arch = "a"\n[columns]\n"x" = "y"', "'x' is not a column of a table"),
        ('arch = "a"\n[columns]\n"d/1/s/loss/mean" = 3', "'d/1/s/loss/mean' is 3, expected"),
        ('arch = "a"\n[columns]\n"d/1/s/loss/mean" = { from = "a", time = 2 }', "expected"),
        (
            'arch = "a"\n[columns]\n"d/1/s/loss/mean" = { from = "a", times = "2" }',
            r"times of .* is '2', expected",
        ),
    ],
)
def test_bad_mappings(text, message):
    with pytest.raises(NbevalError, match=message):
        Mapping.parse(text, "m")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    path = tmp_path_factory.mktemp("real") / "real.parquet"
    result = CliRunner().invoke(
        command, ["import", str(SHARED_DATA / "nasbench201-real.parquet"), "--table", str(path)], catch_exceptions=False
    )
    assert "15,625 cells, 30 columns, cifar10, cifar100, imagenet16-120" in result.output
    return path


@needs_shared
def test_the_real_file_has_the_known_accuracies(real):
    table = Table.open(real)
    for dataset, index, best, skip in (
        ("cifar10", 6111, 94.373, 54.297),
        ("cifar100", 9930, 73.513, 15.607),
        ("imagenet16-120", 857, 47.311, 16.322),
    ):
        cell, accuracy = table.best(dataset)
        assert (cell.index, accuracy) == (index, pytest.approx(best, abs=5e-4))
        known = table.accuracy(Cell.from_index(1835), dataset, "test", epochs=200)
        assert known == pytest.approx(skip, abs=5e-4)
    raw = pq.read_table(SHARED_DATA / "nasbench201-real.parquet").to_pydict()
    cell = Cell.from_index(7)
    assert table.accuracy(cell, "cifar10", "valid", epochs=12) == raw["cifar10.e12.valid"][7]
    assert table.train_seconds(cell, "cifar100", epochs=200) == raw["cifar100.e200.train_seconds"][7]
    short = table.train_seconds(cell, "cifar100", epochs=12)
    assert short == pytest.approx(raw["cifar100.e200.train_seconds"][7] * 12 / 200, rel=1e-6)
    assert int(np.sum(~np.isnan(table.column("cifar10", "valid", epochs=200, trial=999)))) == 8169


@needs_shared
def test_the_commands_print_the_real_table(real):
    def run(*words):
        return CliRunner().invoke(command, [*words, "--table", str(real)], catch_exceptions=False).output

    info = run("info")
    assert "release: NATS-tss-v1_0" in info
    assert "777 (15,625) 888 (15,625) 999 (8,169)" in info
    assert "second half of the official test set (5,000)" in info
    best = run("best", "--dataset", "cifar100", "--top", "2").splitlines()
    assert best[2].split()[:3] == ["cifar100", "73.513", "9930"]
    assert len(best) == 4
    assert [line.split()[2] for line in run("best").splitlines()[2:]] == ["6111", "9930", "857"]
    query = run("query", "6111")
    assert query == run("query", str(Cell.from_index(6111)))
    row = next(line for line in query.splitlines() if line.split()[:3] == ["cifar10", "200", "test"])
    assert row.split()[-1] == "94.3733"
    two = int(np.flatnonzero(np.isnan(Table.open(real).column("cifar10", "valid", epochs=200, trial=999)))[0])
    assert "999: not run" in run("query", str(two), "--dataset", "cifar10")
    only = run("query", "0", "--dataset", "cifar10", "--split", "valid", "--epochs", "200", "--trial", "777")
    assert len(only.splitlines()) == 5
    with pytest.raises(NbevalError, match=r"no column with --split vaild: `nbeval table info`"):
        run("query", "0", "--split", "vaild")
    with pytest.raises(UsageError, match="--curve needs"):
        run("query", "0", "--curve")


def test_no_table_command_loads_torch(saved):
    code = f"""
import sys
from click.testing import CliRunner
from runners.cli.table import table
for words in (["info"], ["query", "3"], ["best"], ["verify"]):
    CliRunner().invoke(table, [*words, "--table", {str(saved.path)!r}])
import nasbench_eval.table.sources.build, nasbench_eval.table.sources.flat, nasbench_eval.table.sources.official
import nasbench_eval.table.sources.trained, nasbench_eval.training.records
assert "torch" not in sys.modules
assert "pandas" not in sys.modules
print("done")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout == "done\n", result.stderr


def test_the_noise_is_that_of_the_test_split_where_its_trials_are_there() -> None:
    def two_trials(split: str, apart: float) -> dict[Key, np.ndarray]:
        trials = (("777", 50.0), ("888", 50.0 + apart))
        return {Key("cifar10", 200, split, "accuracy", trial): np.full(15625, value) for trial, value in trials}

    columns = two_trials("valid", 8) | two_trials("valid+test", 4) | two_trials("test", 2)
    table = Table.build(columns, name="test", source=SOURCE)
    assert trial_noise(table, "cifar10") == (pytest.approx(2**0.5), "test")
    table = Table.build(two_trials("valid", 8) | two_trials("valid+test", 4), name="test", source=SOURCE)
    assert trial_noise(table, "cifar10") == (pytest.approx(8**0.5), "valid+test")
