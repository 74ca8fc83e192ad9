from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from analysis_runs import TRUE, make_run, scored

from nasbench_eval.cell import N_CELLS
from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.rank_scores import rank_file, read_scores, sample


def test_the_sample_has_distinct_cells_and_begins_with_the_smaller_sample() -> None:
    whole = sample(N_CELLS)
    assert sorted(whole) == list(range(N_CELLS))
    assert sample(7) == whole[:7]
    assert whole[:3] == [13854, 1355, 5986]  # the same on every machine and with every version


@pytest.mark.parametrize("text", ["", "index,cell\n1,2\n", "# nbeval rank {}\n", "# nbeval rank [\n", "\xff"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = rank_file(tmp_path, "ab")
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(NbevalError, match=r"ranks/ab\.csv is not a readable file .* delete it and rank again"):
        read_scores(path)


def test_a_truncated_or_altered_file_is_named(tmp_path: Path) -> None:
    run = scored(tmp_path, make_run({}), TRUE, TRUE)
    path = rank_file(tmp_path, run.record.run_id)
    whole = path.read_text()
    for damaged in (whole[:-20], whole.replace("\n13854,", "\n13855,"), whole.replace('"schema": 1', '"schema": 2')):
        assert damaged != whole
        path.write_text(damaged)
        with pytest.raises(NbevalError, match="delete it and rank again"):
            read_scores(path)


def test_a_missing_true_accuracy_is_named_also_for_scores_without_weights(tmp_path: Path) -> None:
    run = scored(tmp_path, make_run({}), [-np.inf, *TRUE[1:]], TRUE, orders_by="score")
    assert read_scores(rank_file(tmp_path, run.record.run_id)) is not None
    scored(tmp_path, make_run({}), TRUE, [np.nan, *TRUE[1:]], orders_by="score")
    with pytest.raises(NbevalError, match="an accuracy is missing"):
        read_scores(rank_file(tmp_path, run.record.run_id))


def test_no_flipped_bit_changes_what_is_read_and_older_files_have_no_checksum(tmp_path: Path) -> None:
    path = rank_file(tmp_path, scored(tmp_path, make_run({}), TRUE, TRUE).record.run_id)
    content = path.read_bytes()
    for place in range(3, len(content), 41):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(NbevalError, match="delete it and rank again"):
            read_scores(path)
    head, _, rows = content.decode().removeprefix("# nbeval rank ").partition("\n")
    facts = json.loads(head)
    assert len(facts.pop("sha256")) == 64
    path.write_text(f"# nbeval rank {json.dumps(facts)}\n{rows}")
    scores = read_scores(path)
    assert scores is not None
    assert scores.cells["test_acc"].tolist() == TRUE
