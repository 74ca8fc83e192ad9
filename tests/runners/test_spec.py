"""What a run is: settings, identity, scales and presets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nasbench_eval.analysis.published import published
from nasbench_eval.errors import UsageError
from nasbench_eval.runs import BLOCKS
from runners import presets
from runners.presets import FAMILIES, load_preset, load_scale, preset_names, scale_names, scaled
from runners.record import recorded_scale
from runners.spec import RunSpec, parse_overrides, parse_seeds


def test_a_run_is_what_its_settings_are() -> None:
    base = RunSpec("darts", "cifar10", 0)
    assert RunSpec("darts", "cifar10", 0, overrides={"channels": 16}).run_id == base.run_id
    assert RunSpec("darts", "cifar10", 0, overrides={"channels": 8}).run_id != base.run_id
    assert RunSpec("darts", "cifar10", 1).run_id != base.run_id
    assert RunSpec("darts", "cifar10", 1).variant_id == base.variant_id
    assert RunSpec("darts", "cifar100", 0).variant_id != base.variant_id
    assert RunSpec("darts", "cifar10", 0, split_hash="ab12").variant_id != base.variant_id
    # A setting that was added later counts where it has an effect and another value than earlier results had.
    assert RunSpec("darts", "cifar10", 0, overrides={"reward_bound": 2.0}).variant_id == base.variant_id
    xnas = RunSpec("xnas", "cifar10", 0)
    assert RunSpec("xnas", "cifar10", 0, overrides={"reward_bound": 1.0}).variant_id == xnas.variant_id
    assert RunSpec("xnas", "cifar10", 0, overrides={"reward_bound": 2.0}).variant_id != xnas.variant_id


def test_a_search_with_other_seeds_is_that_with_each_of_them() -> None:
    base = RunSpec("darts", "cifar10", 0, "small", {"channels": 4}, "ab12")
    assert base.run_id  # what was worked out for one seed must not be taken for another
    several = list(base.with_seeds([0, 3]))
    alone = [RunSpec("darts", "cifar10", seed, "small", {"channels": 4}, "ab12") for seed in (0, 3)]
    assert several == alone
    assert [(spec.seed, spec.variant_id, spec.run_id, spec.values) for spec in several] == [
        (spec.seed, spec.variant_id, spec.run_id, spec.values) for spec in alone
    ]
    with pytest.raises(UsageError, match="channels"):
        next(RunSpec("darts", "cifar10", 0, overrides={"channels": "wide"}).with_seeds([0]))


def test_reductions_name_every_size_below_the_presets() -> None:
    available = {"train_images": 25_000, "valid_images": 25_000}
    assert RunSpec("darts", "cifar10", 0).reductions(available) == ()
    assert RunSpec("darts", "cifar10", 0, overrides={"channels": 24, "lr": 0.1}).reductions(available) == ()
    small = RunSpec("gaea_darts", "cifar10", 0, scale="small")
    sizes = ("epochs 25 -> 5", "channels 16 -> 8", "cells 5 -> 1")
    assert small.reductions(available) == (*sizes, "train_images 25000 -> 4000", "valid_images 25000 -> 2000")
    assert "select_cells 100 -> 20" in RunSpec("rs_ws", "cifar10", 0, scale="small").reductions(available)
    # digits has fewer images than the limits: they limit nothing there.
    on_digits = small.reductions({"train_images": 3956, "valid_images": 1432})
    assert not [words for words in on_digits if "images" in words]
    assert small.changed == {}


def test_the_steps_of_a_run_are_those_of_the_search_and_of_what_follows_it() -> None:
    assert RunSpec("darts", "digits", 0).steps == 50
    assert RunSpec("darts", "digits", 0, overrides={"selection": "perturbation"}).steps == 75
    assert RunSpec("few_shot", "digits", 0).steps == 600 + 5 * 150
    assert RunSpec("naswot", "digits", 0).steps == RunSpec("naswot", "digits", 0).settings.candidates
    assert RunSpec("rea", "digits", 0).steps is None


def test_changed_settings_without_effect_are_known() -> None:
    def idle(method: str, **changes: Any) -> list[str]:
        return RunSpec(method, "digits", 0, overrides=changes).without_effect

    assert idle("gaea_gdas", auxiliary_skip=1.0, tau_max=5.0) == ["auxiliary_skip"]
    assert idle("darts", tau_max=5.0, lr=0.1) == ["tau_max"]
    assert idle("darts", tau_max=RunSpec("darts", "digits", 0).settings.tau_max) == [], "not changed"


def test_a_scale_never_enlarges() -> None:
    assert scaled({"channels": 2, "epochs": 250, "lr_epochs": None}, "small", "weight_sharing")["channels"] == 2
    assert scaled({"epochs": 3}, "small", "weight_sharing")["epochs"] == 1
    assert scaled({"arch_warmup_epochs": 0}, "small", "weight_sharing")["arch_warmup_epochs"] == 0
    assert load_scale("full") == {}


def test_the_shallow_scale_changes_nothing_but_the_size_of_the_network() -> None:
    full, shallow = RunSpec("gaea_darts", "cifar10", 0), RunSpec("gaea_darts", "cifar10", 0, scale="shallow")
    assert {key: value for key, value in shallow.values.items() if value != full.values[key]} == {
        "channels": 8,
        "cells": 1,
    }
    by_hand = RunSpec("gaea_darts", "cifar10", 0, overrides={"channels": 8, "cells": 1})
    assert by_hand.run_id == shallow.run_id


@pytest.mark.parametrize("scale", scale_names())
@pytest.mark.parametrize("name", preset_names())
def test_every_scale_leaves_each_search_epochs_in_which_its_architecture_moves(name: str, scale: str) -> None:
    values = RunSpec(name, "cifar10", 0, scale=scale).values
    if "arch_warmup_epochs" in values:
        full = RunSpec(name, "cifar10", 0).values
        share = values["arch_warmup_epochs"] / values["epochs"]
        assert share == pytest.approx(full["arch_warmup_epochs"] / full["epochs"], abs=0.05)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_names_a_source_for_each_value(name: str) -> None:
    preset = load_preset(name)
    spec = RunSpec(name, "cifar10", 0)
    assert preset.settings.keys() == preset.sources.keys()
    for key, value in preset.settings.items():
        assert spec.values[key] == value or (value == "none" and spec.values[key] is None)
        assert len(preset.sources[key]) > 5
    assert preset.title
    assert preset.block in BLOCKS
    assert preset.family in FAMILIES


def test_seeds_and_overrides() -> None:
    assert parse_seeds("4") == [0, 1, 2, 3]
    assert parse_seeds("0,3,7") == [0, 3, 7]
    assert parse_seeds("5,") == [5]
    with pytest.raises(UsageError, match="--seeds: seed 1 is given twice: the two runs would be the same"):
        parse_seeds("1,1,2")
    with pytest.raises(UsageError):
        parse_seeds("-1")
    values: dict[str, Any] = parse_overrides(["lr=1e-3", "zero_op=true", "objective=erm", "epochs=5", "clip=none"])
    assert values == {"lr": 1e-3, "zero_op": True, "objective": "erm", "epochs": 5, "clip": "none"}


def test_presets_and_published_rows_call_a_method_the_same() -> None:
    """A figure shows a measured and a published bar of one method under one name."""
    rows = published()
    primary = rows[(rows["primary"] == 1) & rows["preset"].isin(preset_names())]
    assert len(primary) > 20
    for preset, title in set(zip(primary["preset"], primary["title"], strict=True)):
        assert load_preset(preset).title == title


def test_a_setting_given_as_it_is_anyway_is_not_a_change() -> None:
    base = RunSpec("darts", "cifar10", 0)
    same = RunSpec("darts", "cifar10", 0, overrides={"epochs": base.values["epochs"], "lr": 0.1})
    assert same.changed == {"lr": 0.1}
    scaled_down = RunSpec("gaea_darts", "cifar10", 0, scale="small", overrides={"channels": 8})
    assert scaled_down.changed == {}, "eight is what the scale makes of it"


def test_a_custom_method_without_sizes_is_never_reduced() -> None:
    small, full = (RunSpec("broken_methods:Peeping", "digits", 0, scale=scale) for scale in ("small", "full"))
    assert small.run_id == full.run_id
    assert (small.is_scaled, recorded_scale(small), recorded_scale(small, "train")) == (False, "full", "small")
    assert recorded_scale(RunSpec("darts", "digits", 0, scale="small")) == "small"
    assert recorded_scale(RunSpec("rs", "digits", 0, scale="small"), "train") == "full", "a table cannot be cut"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "darts"\ntitle = "Mine', "my_preset.toml: "),
        ('extends = "darts"\n[settings]\narch_lr = 0.01', "my_preset.toml: write arch_lr = { value = ..., source = "),
        (
            'extends = "darts"\n[settings]\narch_lr = {value = 1}',
            "my_preset.toml: write arch_lr = { value = ..., source",
        ),
        ('extends = "darts"\ntitle = "Mine"', "my_preset.toml lacks paper, summary"),
        ('extends = "darts"\ntitle = "M"\nsummary = "s"\npaper = "p"\narch_lr = 1', "there is no place for arch_lr"),
    ],
)
def test_a_preset_that_is_written_wrongly_is_one_line_that_names_its_file(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in presets.PRESETS_FOLDER.glob("*.toml"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "my_preset.toml").write_text(text)
    monkeypatch.setattr(presets, "PRESETS_FOLDER", tmp_path)
    with pytest.raises(UsageError, match=re.escape(message)):
        presets._read("my_preset")


def test_what_a_method_of_ones_own_is_called_is_said() -> None:
    with pytest.raises(UsageError, match="a class of your own is named MODULE:CLASS"):
        load_preset("annealing")
    with pytest.raises(UsageError, match="none is installed: write annealing:Annealing"):
        load_preset("annealing.py:Annealing")
