"""Names of NAS-Bench-201, NATS-Bench and NASLib are answered with the name here, by every command that takes a name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import call
from paths import ROOT

from nasbench_eval import official_names
from nasbench_eval.cell import EDGES, OPS, Cell
from nasbench_eval.errors import NbevalError, UsageError, nearest, unknown
from nasbench_eval.images import DATASETS, load_images
from nasbench_eval.table import Key, Table
from nasbench_eval.table.schema import SPLITS


def test_every_name_leads_to_one_that_exists() -> None:
    for dataset, part, splits in official_names.TRAINED_ON.values():
        assert part in ("train", "train+valid")
        assert set(splits.values()) <= set(SPLITS[dataset])
    assert set(official_names.DATASET_NAMES.values()) <= set(DATASETS)
    assert sorted(official_names.NASLIB_OPS) == sorted(OPS) == sorted(official_names.OP_NAMES.values())
    assert sorted(official_names.NASLIB_EDGES) == sorted(EDGES)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cifar10-valid", "the official cifar10-valid is cifar10 here"),
        ("ImageNet16-120", "the official ImageNet16-120 is imagenet16-120 here"),
        ("CIFAR-100", "CIFAR-100 is cifar100 here"),
        ("CIFAR10", "did you mean 'cifar10'?"),
        ("mnist", ""),
        (None, ""),
    ],
)
def test_an_unknown_data_set_is_answered_with_the_right_name(name: Any, words: str) -> None:
    assert words in nearest(name, DATASETS)
    assert bool(words) == bool(nearest(name, DATASETS))
    with pytest.raises(UsageError, match=re.escape(str(unknown("data set", name, DATASETS)))):
        load_images(name)


@pytest.mark.parametrize(
    "command",
    [
        "run --method rs --dataset",
        "run --method rs_ws --truth none --dataset",
        "table query 5 --table {table} --dataset",
        "table best --table {table} --dataset",
        "data info",
        "data fetch",
    ],
)
def test_every_command_answers_an_official_data_set(
    command: str, home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*command.format(table=table_file).split(), "cifar10-valid") == 2
    err = capsys.readouterr().err
    assert "the official cifar10-valid is cifar10 here, its x-valid the split valid" in err
    assert len(err.splitlines()) == 1


@pytest.fixture
def full() -> Table:
    """A table with the columns of NAS-Bench-201."""
    keys = [Key(d, e, s, "accuracy", "777") for d, splits in SPLITS.items() for s in splits for e in (12, 200)]
    keys += [Key("mine", 12, "test", "accuracy", "777"), Key("short", 1, "test", "accuracy", "777")]
    return Table.build(dict.fromkeys(keys, np.full(15_625, 5.0)), name="full", source={})


@pytest.mark.parametrize(
    ("dataset", "split", "epochs", "words"),
    [
        ("cifar10", "x-valid", 200, ": the official split x-valid is valid here; for cifar10 accuracy"),
        ("cifar10", "ori-test", 200, ": the official split ori-test is test@train for cifar10-valid, test for cifar10"),
        ("cifar100", "x-test", 12, ": the official split x-test is test here; "),
        ("imagenet16-120", "ori-test", 12, ": the official split ori-test is valid+test here; "),
        ("mine", "ori-test", 12, ": the official split ori-test is test here; "),
        ("cifar10", "test", "200", ": epochs is a number: NATS-Bench's hp='200' is epochs=200 here; "),
        ("cifar10", "test", 90, ": hp=90 belongs to NATS-Bench's size search space"),
        ("cifar10", "vald", 200, "accuracy/mean; for cifar10 accuracy it has"),
        ("short", "vald", 1, "accuracy/mean; for short accuracy it has"),
        ("mine", "x-valid", 12, "accuracy/mean; for mine accuracy it has"),
    ],
)
def test_official_splits_and_schedules_are_answered_with_the_right_ones(
    dataset: str, split: str, epochs: Any, words: str, full: Table
) -> None:
    with pytest.raises(NbevalError) as caught:
        full.accuracy(Cell.from_index(0), dataset, split, epochs=epochs)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_answers_official_splits(home: Path, full: Table, capsys: pytest.CaptureFixture[str]) -> None:
    full.save("full.parquet")
    query = ("table", "query", "5", "--table", "full.parquet", "--split", "ori-test")
    assert call(*query) == 1
    words = "test@train for cifar10-valid, test for cifar10, valid+test for cifar100 and ImageNet16-120 here"
    assert words in capsys.readouterr().err
    assert call(*query[:-1], "test", "--epochs", "90") == 1
    assert "size search space" in capsys.readouterr().err


def test_an_operation_of_naslib_in_a_string_is_answered_with_its_name() -> None:
    with pytest.raises(
        UsageError, match="begins 'ReLUConvBN3x3', NASLib's ReLUConvBN3x3 is nor_conv_3x3 here; expected"
    ):
        Cell.parse("|ReLUConvBN3x3~0|+|Zero~0|Zero~1|+|Zero~0|Zero~1|Zero~2|")


def test_the_page_shows_every_name() -> None:
    page = (ROOT / "docs" / "coming_from.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    for official, (dataset, _, splits) in official_names.TRAINED_ON.items():
        for name, split in splits.items():
            assert [f"`{official}`", f"`{name}`", f"`{dataset}`", f"`{split}`"] in rows
    for number, name in enumerate(official_names.NASLIB_OPS):
        theirs = next(each for each, ours in official_names.OP_NAMES.items() if ours == name)
        assert [str(number), f"`{theirs}`", f"`{name}`", str(OPS.index(name))] in rows
    names: dict[str, Any] = {}
    exec("\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)), names)
    assert names["cell"] == names["same"]
