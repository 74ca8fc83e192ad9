"""Study files: what is wrong in one is a line that says where; the included ones name the runs that were committed."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from paths import ROOT

from nasbench_eval.analysis.claims import Side, judge
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.runs.store import load_runs
from runners.study import Study, load_study, study_names

REFERENCE = ROOT / "results" / "reference"
SMALL = """
title = "Mine"
dataset = "digits"
seeds = 2

[[run]]
method = ["rs_ws", "rs"]
scale = "small"
rank_cells = 20

[[run]]
method = "rea"
seeds = [0, 5]
set = [{ population = 3 }, { population = 4 }]

[[claim]]
text = "It is better"
test = "better"
method = "rea"
set = { population = 4 }
against = "rs"
dataset = "digits"
"""


def study(folder: Path, text: str = SMALL) -> Study:
    path = folder / "mine.toml"
    path.write_text(text)
    return load_study(str(path))


def test_a_study_is_every_combination_of_what_it_names(tmp_path: Path) -> None:
    found = study(tmp_path)
    assert (found.name, found.title, found.truth) == ("mine", "Mine", "table")
    named = [(spec.method, spec.seed, spec.scale, dict(spec.overrides)) for spec in found.specs]
    assert named[:4] == [(method, seed, "small", {}) for method in ("rs_ws", "rs") for seed in (0, 1)]
    assert named[4:] == [("rea", seed, "full", {"population": size}) for size in (3, 4) for seed in (0, 5)]
    assert found.rank_cells() == {spec.run_id: 20 for spec in found.specs[:2]}, "tabular searches have no weights"
    assert found.scales == ["small", "full"]


def test_a_claim_means_the_variant_with_its_settings(tmp_path: Path) -> None:
    found = study(tmp_path)
    assert found.variant_of(Side("rea", "digits", "full", {"population": 4})) == found.specs[6].variant_id
    assert found.variant_of(Side("rs", "digits", "full", {})) == found.specs[2].variant_id, "a tabular search"
    assert found.variant_of(Side("rs_ws", "digits", "full", {})) == ""
    assert found.variant_of(Side("darts", "digits", "full", {})) == ""


def test_the_command_line_changes_a_study(tmp_path: Path) -> None:
    changed = study(tmp_path).changed(seeds=[7], scale="shallow", settings={"budget_seconds": 900, "epochs": 3})
    assert {(spec.seed, spec.scale) for spec in changed.specs} == {(7, "shallow")}
    assert dict(changed.specs[-1].overrides) == {"population": 4, "budget_seconds": 900}, "epochs it has not"
    assert dict(changed.specs[0].overrides) == {"epochs": 3}
    side = Side("rea", "digits", "shallow", {"population": 4})
    assert changed.variant_of(side) == changed.specs[-1].variant_id
    # What a claim names cannot be changed into something else.
    assert changed.changed(settings={"population": 5}).variant_of(side) == ""
    assert changed.changed(settings={"population": 4}).variant_of(side) == changed.specs[-1].variant_id
    with pytest.raises(UsageError, match="unknown search data set of mine 'cifar10'"):
        changed.changed(datasets=["cifar10"])
    with pytest.raises(UsageError, match="unknown setting of the methods of mine 'epoch': did you mean 'epochs'"):
        changed.changed(settings={"epoch": 3})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title =", "titel =", "mine.toml: unknown key 'titel': did you mean 'title'?"),
        ("[[run]]", "[[runs]]", "mine.toml: unknown key 'runs': did you mean 'run'?"),
        ('method = "rea"', 'metod = "rea"', "mine.toml, run 2: unknown key 'metod': did you mean 'method'?"),
        ('method = "rea"', 'method = "reaa"', "mine.toml, run 2: unknown method 'reaa': did you mean 'rea'?"),
        ('dataset = "digits"\nseeds = 2', 'dataset = "cifar"\nseeds = 2', "run 1: unknown data set 'cifar'"),
        ('"small"', '"smal"', "mine.toml, run 1: unknown scale 'smal': did you mean 'small'?"),
        ("seeds = 2", "seeds = 0", "seeds is a whole number from 1; got 0"),
        ("seeds = 2", 'seeds = "two"', "seeds is a whole number from 1; got 'two'"),
        ("seeds = [0, 5]", "seeds = [-1]", "a seed is a whole number from 0; got -1"),
        ("seeds = [0, 5]", "seeds = []", "got an empty list"),
        ('scale = "small"', "scale = []", "mine.toml, run 1: scale is at least one name; got []"),
        ("rank_cells = 20", "rank_cells = 2", "rank_cells is a whole number from 10; got 2"),
        ("rank_cells = 20", "rank_cells = 99999", "rank_cells is at most 15,625; got 99999"),
        ("{ population = 3 }", "3", "run 2: set is a mapping"),
        ('title = "Mine"', 'title = "Mine"\ntruth = "tabel"', "mine.toml: unknown truth 'tabel'"),
        ('against = "rs"', 'against = "darts"', "claim 1 (\"It is better\"): unknown method 'darts'"),
        (
            'set = { population = 4 }\nagainst = "rs"',
            'against = ["rs", "rea"]',
            'claim "It is better": it compares rea with itself',
        ),
        ('method = "rea"\nset = { p', 'metho = "rea"\nset = { p', "claim 1 (\"It is better\"): unknown key 'metho'"),
        ("set = { population = 4 }", "set = { population = 9 }", "has no [[run]] of rea population=9 on digits"),
        ("set = { population = 4 }", "", "the study runs rea with population=3 and population=4: say with `set`"),
        ("population = 3 }", "populaton = 3 }", "mine.toml, run 2: unknown setting of rea 'populaton'"),
    ],
)
def test_what_is_wrong_in_a_study_is_one_line_that_says_where(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert old in SMALL
    with pytest.raises(UsageError) as caught:
        _ = study(tmp_path, SMALL.replace(old, new)).specs
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_study_is_one_line(tmp_path: Path) -> None:
    for name, words in (("figure6", "did you mean 'figure5'?"), ("mine.toml", "there is no study file mine.toml")):
        with pytest.raises(UsageError, match=re.escape(words)):
            load_study(name)
    path = tmp_path / "broken.toml"
    for content in ("title = ", "title = 'x'\n"):
        path.write_text(content)
        with pytest.raises(NbevalError, match=r"broken\.toml"):
            load_study(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(NbevalError, match="not a readable study file"):
        load_study(str(path))


INCOMPLETE = ("cifar10-shallow",)
"""Its text says what is there."""
COMMITTED = [path.name for path in sorted(REFERENCE.iterdir()) if path.is_dir()]


@pytest.mark.parametrize("name", COMMITTED)
def test_each_committed_study_is_the_study_file_of_its_name(name: str) -> None:
    runs = load_runs([REFERENCE / name / "runs"])
    specs = load_study(name).specs
    there, asked = {run.record.run_id for run in runs}, {spec.run_id for spec in specs if not spec.is_tabular}
    # Some compare their runs with those of the main study.
    beside = {run.record.run_id for run in load_runs([REFERENCE / "cifar10-small" / "runs"])}
    assert there <= {spec.run_id for spec in specs}
    if name in INCOMPLETE:
        return
    assert asked - there <= (beside if name.endswith(("-none", "-released", "later-methods")) else set())


def test_the_included_studies_are_those_of_the_docs() -> None:
    assert set(study_names()) == {*COMMITTED, "figure5", "digits"}


def test_figure5_runs_every_method_of_the_published_table() -> None:
    from nasbench_eval.analysis.published import published

    rows = published()
    rows = rows[rows["primary"] & rows["paper"].str.contains("GAEA") & (rows["preset"] != "")]
    groups = load_study("figure5").groups
    asked = {pair for group in groups for pair in itertools.product(group.methods, group.datasets)}
    assert set(zip(rows["preset"], rows["search_dataset"], strict=True)) == asked
    assert {(group.scales, *map(bool, group.settings)) for group in groups} == {(("full",), False)}, "as published"


def test_the_committed_runs_are_judged() -> None:
    found = load_study("cifar10-small-rates")
    runs = found.of(load_runs([REFERENCE / "cifar10-small-rates"]))
    verdicts = judge(found.claims, runs, scales=found.scales, variant_of=found.variant_of)
    assert [verdict.word for verdict in verdicts] == ["holds", "holds", "undecided", "undecided", "fails"]
    assert all(verdict.reduced for verdict in verdicts)
