"""Records of trained cells survive kills and merges, and refuse to be mixed with others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from paths import ROOT
from tiny_cells import made_records

from nasbench_eval.errors import NbevalError
from nasbench_eval.training.records import Records, merge_records, require_same_head

COMMITTED = ROOT / "results" / "reference" / "digits-table.records.jsonl"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.records.jsonl"
    made_records([0, 1, 2, 3, 11], [0, 1]).write(path)
    return path


def test_they_are_json_lines(whole: Path) -> None:
    head, first, *_ = map(json.loads, whole.read_text().splitlines())
    assert head["schedule"]["channels"] == 2
    assert set(first) >= {"cell", "trial", "train", "valid", "test", "group", "group_seconds"}


def test_a_committed_file_is_read_and_written_back_unchanged(tmp_path: Path) -> None:
    Records.read(COMMITTED).write(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == COMMITTED.read_bytes()


def test_appended_lines_are_here_and_in_the_file(whole: Path, tmp_path: Path) -> None:
    lines = Records.read(whole).lines
    path = tmp_path / "t.records.jsonl"
    records = Records(Records.read(whole).head)
    records.write(path)
    for line in lines.values():
        records.append(path, [line])
    assert records.lines == Records.read(path).lines == lines


def test_a_line_that_a_kill_left_unfinished_is_ignored(whole: Path) -> None:
    lines = whole.read_text().splitlines(keepends=True)
    whole.write_text("".join(lines[:4]) + lines[4][:30])
    assert len(Records.read(whole).lines) == 3


def test_a_damaged_file_is_refused(whole: Path) -> None:
    lines = whole.read_text().splitlines(keepends=True)
    whole.write_text("".join([*lines[:2], "oops\n", *lines[2:]]))
    with pytest.raises(NbevalError, match="line 3 is damaged"):
        Records.read(whole)
    for name, message in (
        ("group_seconds", "line 2 is damaged"),
        ("split", "its first line"),
        ("epochs", "its first line"),
    ):
        whole.write_text("".join(lines).replace(f'"{name}":', '"other":', 1))
        with pytest.raises(NbevalError, match=message):
            Records.read(whole)
    for text in ("a table\n", '{"format": "another"}\n', ""):
        whole.write_text(text)
        with pytest.raises(NbevalError, match="does not hold records"):
            Records.read(whole)
    with pytest.raises(NbevalError, match="no records of trained cells at"):
        Records.read(whole.parent / "nothing.jsonl")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"cell":1,', '"cell":91835,'),
        ('"cell":1,', '"cell":"1",'),
        ('"trial":0', '"trial":null'),
        ('"group":[', '"group":[99999,'),
        ('"valid":[', '"valid":[[1.0,1.0],'),
    ],
)
def test_a_line_that_cannot_be_true_is_named(whole: Path, old: str, new: str) -> None:
    text = whole.read_text()
    assert old in text
    whole.write_text(text.replace(old, new, 1))
    with pytest.raises(NbevalError, match=r"line \d is damaged"):
        Records.read(whole)


def test_merging_keeps_the_first_file_s_line(whole: Path, tmp_path: Path) -> None:
    first, second = Records.read(whole), made_records([0, 11, 20], [1, 2])
    second.lines[11, 1]["test"] = [0.0, 0.0]
    second.write(tmp_path / "second.jsonl")
    merged = merge_records([whole, tmp_path / "second.jsonl"])
    assert merged.lines == second.lines | first.lines
    assert merged.lines[11, 1]["test"] == first.lines[11, 1]["test"]


def test_records_of_other_images_or_another_schedule_are_not_mixed(whole: Path, tmp_path: Path) -> None:
    other = Records.read(whole)
    other.head |= {"sha256": "1", "split": "another"}
    other.write(tmp_path / "other.jsonl")
    with pytest.raises(NbevalError, match=r"other\.jsonl were trained differently, split, sha256 differs: choose"):
        merge_records([whole, tmp_path / "other.jsonl"])
    require_same_head(other.head, other.head, whole)
