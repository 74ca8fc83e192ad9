"""Tables from the official files: every number is what the published API returns, and every bad file is refused."""

import copy
import errno
import os
import pickle
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from command import call
from nas_201_api import NASBench201API
from official_layout import content, record, write_nats, write_pth, write_small
from paths import SHARED_DATA

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.table import Key, Table
from nasbench_eval.table.curves import curves_path
from nasbench_eval.table.sources.build import build_table
from nasbench_eval.table.sources.official import NatsFolder
from nasbench_eval.table.sources.official_record import read_record
from runners.locks import Lock

needs_shared = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="../shared/data is absent")

CELLS = (0, 11, 124, 125, 15624)
OURS = {"cifar10-valid": "cifar10", "cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "imagenet16-120"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One file and one folder of the same cells; the last cell has only one trial."""
    folder = tmp_path_factory.mktemp("official")
    made = write_pth(folder / "NAS-Bench-201-v1_1-012345.pth", CELLS)
    single = record(15624, seeds=(777,))
    made["arch2infos"][15624] = single
    import torch

    torch.save(made, folder / "NAS-Bench-201-v1_1-012345.pth")
    write_nats(folder / "NATS-tss-v1_0-3ffb9-simple", CELLS)
    write_small(
        folder / "NATS-tss-v1_0-3ffb9-simple/015624.pickle.pbz2",
        OrderedDict([("12", single["less"]), ("200", single["full"])]),
    )
    return folder


@pytest.fixture(scope="module")
def tables(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return [
        build_table(source, folder / f"{number}.parquet", curves=True, partial=True, workers=1)
        for number, source in enumerate(sorted(files.iterdir()))
    ]


@pytest.fixture(scope="module")
def api(files):
    # From the dictionary: the API cannot read the file under torch 2.6 and later.
    made = content(CELLS)
    made["arch2infos"][15624] = record(15624, seeds=(777,))
    return NASBench201API(made, verbose=False)


def test_both_readers_give_the_same_table(tables):
    assert tables[0].metadata.content_hash == tables[1].metadata.content_hash
    assert tables[0].metadata.source["importer"] != tables[1].metadata.source["importer"]
    assert tables[0].metadata.source["cells"] == len(CELLS)
    assert len(tables[0].metadata.source["sha256"]) == 64


@pytest.mark.parametrize("index", CELLS)
@pytest.mark.parametrize("epochs", [12, 200])
@pytest.mark.parametrize("dataset", OURS)
def test_every_number_is_what_get_more_info_returns(tables, api, index, epochs, dataset):
    table, cell, ours = tables[0], Cell.from_index(index), OURS[dataset]
    train = "train@train+valid" if dataset == "cifar10" else "train"
    part = "train+valid" if dataset == "cifar10" else "train"
    splits = {
        "cifar10-valid": {"train": train, "valid": "valid", "test": "test@train"},
        "cifar10": {"train": train, "test": "test"},
    }.get(dataset, {"train": train, "valid": "valid", "test": "test", "valtest": "valid+test"})
    seeds = api.arch2infos_dict[index][str(epochs)].get_dataset_seeds(dataset)
    for trial in (None, *seeds):
        info = api.get_more_info(index, dataset, hp=str(epochs), is_random=False if trial is None else trial)
        assert {key.split("-")[0] for key in info} == set(splits)
        for official, split in splits.items():
            key = Key(ours, epochs, split, "loss", "mean" if trial is None else str(trial))
            assert table.values(key)[index] == np.float32(info[f"{official}-loss"])
            accuracy = table.accuracy(cell, ours, split, epochs=epochs, trial=trial)
            assert accuracy == np.float32(info[f"{official}-accuracy"])
            if official != "train":
                seconds = table.eval_seconds(cell, ours, split, epochs=epochs)
                assert seconds == pytest.approx(info[f"{official}-per-time"], rel=1e-6)
        seconds = table.train_seconds(cell, ours, epochs=epochs, part=part)
        assert seconds == pytest.approx(info["train-all-time"], rel=1e-6)
    costs = api.get_cost_info(index, "cifar10-valid" if ours == "cifar10" else dataset)
    assert table.cost(cell, ours) == {
        "flops_m": np.float32(costs["flops"]),
        "latency_s": np.float32(costs["latency"]),
        "params_mb": np.float32(costs["params"]),
    }


def test_a_trial_that_was_not_run_is_missing(tables):
    cell = Cell.from_index(15624)
    assert tables[0].accuracy(cell, "cifar10", "valid", epochs=200) == tables[0].accuracy(
        cell, "cifar10", "valid", epochs=200, trial=777
    )
    with pytest.raises(NbevalError, match=r"no value for cell 15624 in cifar10/200/valid/accuracy/888"):
        tables[0].accuracy(cell, "cifar10", "valid", epochs=200, trial=888)
    assert np.isnan(tables[0].column("cifar10", "valid", epochs=200, trial=888)[15624])
    with pytest.raises(NbevalError, match="no value for cell 1 "):
        tables[0].accuracy(Cell.from_index(1), "cifar10", "valid", epochs=200)


def test_curves_are_what_the_api_returns_epoch_by_epoch(tables, api):
    cell = Cell.from_index(125)
    for number in (0, 1):
        curve = tables[number].curve(cell, "cifar10", "valid", epochs=200)
        loss = tables[number].curve(cell, "cifar100", "valid+test", epochs=12, metric="loss", trial=111)
        assert curve.shape == (200,)
        assert loss.shape == (12,)
        for epoch in (0, 7, 199):
            info = api.get_more_info(125, "cifar10-valid", iepoch=epoch, hp="200", is_random=False)
            assert curve[epoch] == pytest.approx(info["valid-accuracy"], rel=1e-6)
        for epoch in range(12):
            info = api.get_more_info(125, "cifar100", iepoch=epoch, hp="12", is_random=111)
            assert loss[epoch] == np.float32(info["valtest-loss"])


def test_curves_of_all_cells_at_once(tables):
    every = tables[0].curves("cifar10", "valid", epochs=200)
    assert every.shape == (15625, 200)
    assert set(np.flatnonzero(~np.isnan(every[:, 199]))) == set(CELLS)
    one = tables[0].curves("cifar10", "valid", epochs=200, trial=888)
    for index in CELLS:
        np.testing.assert_array_equal(
            every[index], tables[0].curve(Cell.from_index(index), "cifar10", "valid", epochs=200)
        )
    assert np.isnan(one[15624]).all()
    np.testing.assert_array_equal(
        one[0], tables[0].curve(Cell.from_index(0), "cifar10", "valid", epochs=200, trial=888)
    )


def test_a_missing_curve_says_so(tables, files, tmp_path):
    with pytest.raises(NbevalError, match=r"no curves cifar100/200/test/accuracy/mean; for cifar100 there are .*train"):
        tables[0].curve(Cell.from_index(0), "cifar100", "test", epochs=200)
    with pytest.raises(NbevalError, match=r"no curve for cell 15624 .* not run"):
        tables[0].curve(Cell.from_index(15624), "cifar10", "valid", epochs=200, trial=888)
    with pytest.raises(NbevalError, match="no curve for cell 3 "):
        tables[0].curve(Cell.from_index(3), "cifar10", "valid", epochs=200)
    plain = build_table(next(files.glob("*.pth")), tmp_path / "plain.parquet", partial=True, workers=1)
    with pytest.raises(NbevalError, match="build --curves"):
        plain.curve(Cell.from_index(0), "cifar10", "valid", epochs=200)
    other = build_with(tmp_path / "other.pth", tmp_path / "others.parquet", generator=1, curves=False)
    shutil.copy(curves_path(tables[0].path), curves_path(other.path))
    with pytest.raises(NbevalError, match="belong to another table"):
        other.curve(Cell.from_index(0), "cifar10", "valid", epochs=200)


def build_with(source, out, *, curves=False, **options):
    write_pth(source, CELLS[:2], **options)
    return build_table(source, out, partial=True, curves=curves, workers=1)


@needs_shared
@pytest.mark.parametrize("name", ["NAS-Bench-201-v1_1-sample.pth", "nats-tss-sample"])
def test_the_genuine_samples_give_the_numbers_of_the_real_table(name, tmp_path):
    from nasbench_eval.table.sources.flat import import_flat

    real = import_flat(SHARED_DATA / "nasbench201-real.parquet")
    built = build_table(SHARED_DATA / name, tmp_path / "t.parquet", partial=True, workers=1)
    for key in real.keys:
        np.testing.assert_allclose(built.values(key)[[0, 11]], real.values(key)[[0, 11]], rtol=1e-6)


def test_the_older_torch_layout_is_read_too(files, tables, tmp_path):
    made = write_pth(tmp_path / "old.pth", CELLS[:2], zipped=False)
    assert not (tmp_path / "old.pth").read_bytes().startswith(b"PK")
    old = build_table(tmp_path / "old.pth", tmp_path / "old.parquet", partial=True, workers=1)
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(made, protocol=4))
    plain = build_table(tmp_path / "plain.pth", tmp_path / "plain.parquet", partial=True, workers=1)
    assert old.metadata.content_hash == plain.metadata.content_hash
    key = Key("cifar100", 200, "test", "accuracy")
    np.testing.assert_array_equal(old.values(key)[[0, 11]], tables[0].values(key)[[0, 11]])


def test_workers_and_resume_give_the_same_table(files, tables, tmp_path, monkeypatch):
    folder = next(files.glob("NATS*"))
    broken = tmp_path / folder.name
    shutil.copytree(folder, broken)
    good = (broken / "015624.pickle.pbz2").read_bytes()
    (broken / "015624.pickle.pbz2").write_bytes(good[:-20])
    with pytest.raises(NbevalError, match=r"015624\.pickle\.pbz2 is truncated"):
        build_table(broken, tmp_path / "t.parquet", partial=True, workers=2)
    assert not (tmp_path / "t.parquet").exists()
    # A worker reaches the damaged part after another one is finished; a part still in work then is abandoned.
    parts = {path.name for path in (tmp_path / ".t.parquet.parts").glob("*.parquet")}
    assert parts
    assert parts <= {"000.parquet", "001.parquet"}
    # With the file repaired the folder counts as another one, so its parts are made again; the third call reuses them.
    (broken / "015624.pickle.pbz2").write_bytes(good)
    take = NatsFolder.take
    read = []

    def counted(self, index):
        read.append(index)
        return take(self, index)

    monkeypatch.setattr(NatsFolder, "take", counted)
    os.utime(broken / "015624.pickle.pbz2")
    with monkeypatch.context() as patch:
        patch.setattr(Table, "save", lambda *_, **_options: (_ for _ in ()).throw(NbevalError("stopped here")))
        with pytest.raises(NbevalError, match="stopped here"):
            build_table(broken, tmp_path / "t.parquet", partial=True, workers=1)
    assert read == list(CELLS)
    read.clear()
    table = build_table(broken, tmp_path / "t.parquet", partial=True, workers=1)
    assert read == []
    assert table.metadata.content_hash == tables[0].metadata.content_hash
    assert not (tmp_path / ".t.parquet.parts").exists()


def damaged(made, change):
    made = copy.deepcopy(made)
    change(made)
    return made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["meta_archs"].__setitem__(5, d["meta_archs"][3]), r"as cell 5, which is also cell 3; expected"),
        (lambda d: d["meta_archs"].pop(), "lists 15624 cells"),
        (lambda d: d["arch2infos"].__setitem__(5, d["arch2infos"][11]), "cell 5 is in only one of"),
        (lambda d: d["arch2infos"].__setitem__(0, d["arch2infos"][11]), "cell 0: the record .* is that of cell 11"),
        (lambda d: d.pop("arch2infos"), "it has no arch2infos"),
        (lambda d: d["arch2infos"].__setitem__(0, 7), "no arch2infos with records"),
        (lambda d: d["arch2infos"][0]["less"].pop("all_results"), "cell 0: not an official record"),
        (lambda d: d["arch2infos"][0].__setitem__("90", {}), r"unknown schedules \['90'\]"),
        (
            lambda d: d["arch2infos"][0]["full"]["all_results"]["cifar100", 777]["eval_acc1es"].__setitem__(
                "x-test@199", float("nan")
            ),
            "cell 0: the x-test accuracy of trial 777 on cifar100 after 200 epochs is nan",
        ),
        (
            lambda d: d["arch2infos"][0]["full"]["all_results"]["cifar100", 777]["train_acc1es"].update({199: 101.0}),
            r"cifar100/200/train/accuracy/777 of cell 0 .* is 101, expected 0 to 100",
        ),
        (
            lambda d: d["arch2infos"][0]["full"]["all_results"]["cifar100", 777].__setitem__("epochs", 90),
            "cell 0: trial 777 on cifar100 ran 90 epochs, expected 200",
        ),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_and_the_cell_named(change, message, tmp_path, two_cells):
    import torch

    torch.save(damaged(two_cells, change), tmp_path / "bad.pth")
    with pytest.raises(NbevalError, match=message):
        build_table(tmp_path / "bad.pth", tmp_path / "t.parquet", partial=True, workers=1)
    assert not (tmp_path / "t.parquet").exists()


@pytest.fixture(scope="module")
def two_cells():
    return content((0, 11))


def test_missing_cells_are_an_error_unless_allowed(files, tmp_path):
    for source in sorted(files.iterdir()):
        with pytest.raises(
            NbevalError, match=r"15,620 of the 15,625 cells are missing .* first is cell 1 \(.*--partial"
        ):
            build_table(source, tmp_path / "t.parquet")


def test_an_unreadable_folder(tmp_path, monkeypatch):
    folder = write_nats(tmp_path / "nats", [])

    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(NbevalError, match=r"cannot read .*nats: Permission denied"):
        build_table(folder, tmp_path / "t.parquet")


def test_a_full_disk_leaves_the_old_table(files, tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    source, out = next(files.glob("*.pth")), tmp_path / "t.parquet"
    before = build_table(source, out, partial=True, workers=1).metadata.content_hash

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(NbevalError, match=r"cannot write .*: No space left on device"):
        build_table(source, out, partial=True, workers=1)
    assert Table.open(out).metadata.content_hash == before
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".tmp"] == []


def test_a_name_with_digits_of_another_md5_is_noted(files, tables, tmp_path):
    one = next(table for table in tables if "md5" in table.metadata.source)
    assert "ends in 012345" in one.metadata.source["warning"]
    digits = one.metadata.source["md5"][-6:]
    renamed = tmp_path / f"NAS-Bench-201-v1_1-{digits}.pth"
    shutil.copy(next(files.glob("*.pth")), renamed)
    source = build_table(renamed, tmp_path / "t.parquet", partial=True, workers=1).metadata.source
    assert "warning" not in source
    assert source["release"] == "NAS-Bench-201-v1_1"


def test_seconds_that_differ_between_trials_are_kept(two_cells, tmp_path):
    import torch

    made = copy.deepcopy(two_cells)
    trial = made["arch2infos"][0]["full"]["all_results"]["cifar100", 777]
    trial["train_times"] = dict.fromkeys(range(200), 20.0)
    torch.save(made, tmp_path / "t.pth")
    table = build_table(tmp_path / "t.pth", tmp_path / "t.parquet", partial=True, workers=1)
    assert table.values(Key("cifar100", 200, "train", "train_seconds", "777"))[0] == 4000
    # The other two trials take 10 seconds per epoch.
    seconds = table.train_seconds(Cell.from_index(0), "cifar100", epochs=200)
    assert seconds == pytest.approx((4000 + 2000 + 2000) / 3)
    assert Key("cifar10", 200, "train", "train_seconds", "777") not in table.keys


def test_records_without_times_or_latency_leave_them_missing():
    made = record(0)
    for schedule in made.values():
        for state in schedule["all_results"].values():
            state.update(train_times=None, eval_times={}, latency=None)
    scalars, _ = read_record(0, made)
    assert {key.metric for key in scalars} == {"accuracy", "loss", "params_mb", "flops_m"}


def test_the_published_tar_is_read_where_it_is(files, tables, tmp_path):
    import tarfile

    folder = next(path for path in files.iterdir() if path.is_dir())
    archive = tmp_path / "NATS-tss-v1_0-3ffb9-simple.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, folder.name)
    table = build_table(archive, tmp_path / "t.parquet", partial=True, workers=1)
    (same,) = (t for t in tables if t.metadata.source["file"] == folder.name)
    assert table.metadata.content_hash == same.metadata.content_hash
    for key in ("sha256", "release", "cells"):
        assert table.metadata.source[key] == same.metadata.source[key]
    archive.write_bytes(archive.read_bytes()[:20000])
    with pytest.raises(NbevalError, match=r"simple\.tar is truncated or damaged"):
        build_table(archive, tmp_path / "t.parquet", partial=True, workers=1)


def test_a_folder_is_named_where_it_is_the_current_one(files, tables, tmp_path, monkeypatch):
    folder = next(path for path in files.iterdir() if path.is_dir())
    (same,) = (t for t in tables if t.metadata.source["file"] == folder.name)
    monkeypatch.chdir(folder)
    found = build_table(".", tmp_path / "t.parquet", partial=True, workers=1).metadata.source
    assert (found["file"], found["release"]) == (folder.name, same.metadata.source["release"])


def test_curves_are_found_beside_the_table_that_a_link_names(tables, tmp_path):
    link = tmp_path / "link.parquet"
    link.symlink_to(tables[0].path)
    every = Table.open(link).curves("cifar10", "valid", epochs=200)
    np.testing.assert_array_equal(every, tables[0].curves("cifar10", "valid", epochs=200))


def test_a_second_build_of_the_same_table_is_refused(files, tmp_path, monkeypatch, capsys):
    out = tmp_path / "t.parquet"
    with Lock(tmp_path, out.name, f"the table {out}") as lock:
        lock.take()
        assert call("table", "build", str(next(iter(files.iterdir()))), "--partial", "--table", str(out)) == 75
    assert f"is at work on the table {out}: wait for it" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_around_the_official_one_names_it(files, tmp_path):
    write_nats(tmp_path / "outer/NATS-tss-v1_0-3ffb9-simple", [0])
    with pytest.raises(NbevalError, match=r"has no meta\.pickle\.pbz2; give .*outer/NATS-tss-v1_0-3ffb9-simple$"):
        build_table(tmp_path / "outer", tmp_path / "t.parquet")


@pytest.mark.parametrize("key", [str(Cell.from_index(3)), (0, 1, 2, 3, 4, 0)])
def test_the_pickle_of_naslib_is_recognised(key, tmp_path):
    curves = {"train_acc1es": [10.0, 20.0], "eval_acc1es": [10.0, 20.0], "cost_info": {"flops": 1.0}}
    path = tmp_path / "nb201_cifar10_full_training.pickle"
    path.write_bytes(pickle.dumps({key: {"cifar10-valid": curves}}))
    with pytest.raises(NbevalError, match=r"is NASLib's extract of NAS-Bench-201 \(1 cells, cifar10-valid\)"):
        build_table(path, tmp_path / "t.parquet")
