"""Tables of one's own: networks side by side, records that survive kills and merges, the table made of them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner

from nasbench_eval.cell import Cell, all_cells
from nasbench_eval.equivalence import convolutions, normal_form, representatives
from nasbench_eval.errors import NbevalError
from nasbench_eval.images import ImageData, Reduction
from nasbench_eval.images.custom import own_images
from nasbench_eval.networks.skeleton import REDUCTIONS
from nasbench_eval.networks.stacked import GroupNet
from nasbench_eval.networks.standalone import StandaloneNet
from nasbench_eval.table import Table
from nasbench_eval.table.sources.trained import size_of, trained_table
from nasbench_eval.training.grouped import distinct_cells, groups_of, train_group
from nasbench_eval.training.recipes import Schedule
from runners.cli import cli
from runners.train_table import Records, merge, records_path, train_cells

TINY = Schedule(channels=2, epochs=2, batch_size=16)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 8x8 images: nothing, upper half black, right half white."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (120, 8, 8), dtype=np.uint8)
    labels = np.arange(120) % 3
    images[labels == 1, :4] = 0
    images[labels == 2, :, 4:] = 255
    path = tmp_path_factory.mktemp("own") / "tiny.npz"
    np.savez(path, x_train=images[:90], y_train=labels[:90], x_test=images[90:], y_test=labels[90:])
    return path


@pytest.fixture(scope="module")
def data(npz: Path) -> ImageData:
    return own_images(npz)


def group(first: Cell, size: int) -> list[Cell]:
    """A cell and others that share its live convolutions."""
    found = [normal_form(first)]
    for cell in all_cells():
        if cell == normal_form(cell) and convolutions(cell) == convolutions(first) and cell not in found:
            found.append(cell)
        if len(found) == size:
            return found
    raise AssertionError(f"only {len(found)} cells share {convolutions(first)}")


@pytest.mark.parametrize(
    "ops", [(1, 0, 0, 4, 0, 1), (3, 0, 2, 0, 1, 3), (4, 3, 2, 1, 1, 4), (2, 3, 3, 0, 4, 1), (0, 4, 0, 0, 0, 3)]
)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_networks_side_by_side_are_standalone_networks(ops: tuple[int, ...], reduction: Reduction) -> None:
    cells = group(Cell(ops), 3)  # type: ignore[arg-type]
    plain = [StandaloneNet(cell, 4, 2, 10, generator=seeded(k), reduction=reduction) for k, cell in enumerate(cells)]
    side_by_side = GroupNet(cells, 4, 2, 10, generators=[seeded(9)] * 3, reduction=reduction)
    with torch.no_grad():
        for name, value in side_by_side.parameters.items():
            parts = [module_parameter(net, name) for net in plain]
            value.copy_(torch.stack(parts) if name.startswith("classifier") else torch.cat(parts))
    images, labels = torch.randn(16, 3, 12, 12, generator=seeded(0)), torch.arange(16) % 10
    expected = torch.stack([net(images) for net in plain])
    found = side_by_side(images, training=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    F.cross_entropy(expected.flatten(0, 1), labels.repeat(3)).backward()
    F.cross_entropy(found.flatten(0, 1), labels.repeat(3)).backward()
    for name, value in side_by_side.parameters.items():
        parts = [module_parameter(net, name).grad for net in plain]
        wanted = torch.stack(parts) if name.startswith("classifier") else torch.cat(parts)  # type: ignore[arg-type]
        torch.testing.assert_close(value.grad, wanted, rtol=1e-2, atol=1e-4, msg=name)
    # Running statistics have moved alike, too.
    expected = torch.stack([net.eval()(images) for net in plain])
    torch.testing.assert_close(side_by_side(images, training=False), expected, rtol=1e-4, atol=1e-4)


def module_parameter(net: StandaloneNet, name: str) -> torch.nn.Parameter:
    """The parameter of the plain network that a name of ``GroupNet`` stands for."""
    first, *rest = name.split(".")
    where: dict[str, str] = {"stem": "stem.0.weight", "classifier": "classifier.weight"}
    if name in where:
        return net.get_parameter(where[name])
    kind = rest[-1] if rest and rest[-1] in ("weight", "bias") else "weight"
    if first == "stem":
        return net.get_parameter(f"stem.1.{kind}")
    if first in ("last", "classifier"):
        return net.get_parameter(f"{'last_bn' if first == 'last' else first}.{kind}")
    if first.startswith("cell"):
        n, edge, *norm = rest
        return net.get_parameter(f"stages.{first[4:]}.{n}.convs.{edge}.{2 if norm else 1}.{kind}")
    which, *norm = rest
    names = {"a": ("conv_a", "bn_a"), "b": ("conv_b", "bn_b"), "down": ("downsample", "")}
    return net.get_parameter(f"reductions.{first[6:]}.{names[which][bool(norm)]}.{kind}")


def test_a_cell_trains_the_same_in_any_company(data: ImageData) -> None:
    """To the last bit, at the shipped table's width; narrower networks may round otherwise in other company."""
    schedule = Schedule(channels=8, epochs=2, batch_size=32)
    cells = group(Cell((3, 0, 1, 2, 4, 1)), 5)
    together, _ = train_group(cells, data, schedule, 7)
    alone, _ = train_group(cells[2:3], data, schedule, 7)
    others, _ = train_group([cells[4], cells[2], cells[1]], data, schedule, 7)
    assert alone == together[2:3]
    assert others == [together[4], together[2], together[1]]
    other_trial, _ = train_group(cells[2:4], data, schedule, 8)
    assert other_trial != together[2:4]


def test_training_learns(data: ImageData) -> None:
    (outcome, *_), _ = train_group(
        group(Cell((3, 0, 0, 0, 1, 0)), 2), data, Schedule(channels=4, epochs=8, batch_size=16, lr=0.1), 0
    )
    assert outcome.test[0] > 80
    assert len(outcome.valid) == 8


def test_groups_cover_every_function_once() -> None:
    groups = groups_of(distinct_cells())
    assert sorted(index for group in groups for index in group) == sorted(set(representatives()))
    for members in groups[:50]:
        assert len({tuple(convolutions(Cell.from_index(index)).items()) for index in members}) == 1


CELLS = [0, 1, 2, 3, 11]


@pytest.fixture(scope="module")
def whole(data: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "t.records.jsonl"
    train_cells(lambda: data, TINY, path, trials=[0, 1], cells=CELLS)
    return path


def results(records: Records) -> dict[tuple[int, int], object]:
    return {done: (line["train"], line["valid"], line["test"]) for done, line in records.lines.items()}


def test_a_killed_run_goes_on(whole: Path, data: ImageData, tmp_path: Path) -> None:
    lines = whole.read_text().splitlines(keepends=True)
    path = tmp_path / "t.records.jsonl"
    path.write_text("".join(lines[:4]) + lines[4][:30])  # killed while it wrote the fourth line
    records = train_cells(lambda: data, TINY, path, trials=[0, 1], cells=CELLS)
    assert results(records) == results(Records.read(whole)) == results(Records.read(path))


def test_shares_of_two_machines_are_merged(whole: Path, data: ImageData, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.jsonl" for i in (1, 2)]
    for i, path in enumerate(paths, start=1):
        train_cells(lambda: data, TINY, path, trials=[0, 1], cells=CELLS, share=(i, 2))
    parts = [results(Records.read(path)) for path in paths]
    assert not parts[0].keys() & parts[1].keys()
    assert results(merge(paths)) == parts[0] | parts[1] == results(Records.read(whole))


def test_another_schedule_or_a_damaged_file_is_refused(whole: Path, data: ImageData, tmp_path: Path) -> None:
    path = tmp_path / "t.records.jsonl"
    path.write_text(whole.read_text())
    with pytest.raises(NbevalError, match="schedule differs: choose another --out"):
        train_cells(lambda: data, Schedule(channels=4), path, trials=[0], cells=CELLS)
    lines = whole.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "oops\n", *lines[2:]]))
    with pytest.raises(NbevalError, match="line 3 is damaged"):
        Records.read(path)
    path.write_text("a table\n")
    with pytest.raises(NbevalError, match="does not hold records"):
        Records.read(path)


def test_the_table(whole: Path, tmp_path: Path) -> None:
    records = Records.read(whole)
    table = trained_table(records.head, records.lines)
    known = representatives()
    for index in CELLS:
        line = records.lines[known[index], 1]
        cell = Cell.from_index(index)
        assert table.accuracy(cell, "tiny", "test", epochs=2, trial=1) == pytest.approx(line["test"][0])
        assert table.accuracy(cell, "tiny", "valid", epochs=2, trial=1) == pytest.approx(line["valid"][-1][0])
        assert table.train_seconds(cell, "tiny", epochs=2) > 0
    # Cells of one function share a record; cell 3 is the input and its pool, which 400 cells compute.
    twins = [table.accuracy(Cell.from_index(i), "tiny", "test", epochs=2) for i in range(15625) if known[i] == 3]
    assert len(twins) == 400
    assert len(set(twins)) == 1
    untrained = next(i for i, first in enumerate(known) if first not in {known[c] for c in CELLS})
    with pytest.raises(NbevalError, match="that trial was not run"):
        table.accuracy(Cell.from_index(untrained), "tiny", "test", epochs=2)
    assert table.metadata.source["cells"] == sum(first in {known[c] for c in CELLS} for first in known)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("ops", [(0,) * 6, (3,) * 6, (2, 3, 4, 1, 2, 3)])
def test_sizes_are_those_of_the_plain_network(ops: tuple[int, ...], reduction: Reduction, whole: Path) -> None:
    cell = Cell(ops)  # type: ignore[arg-type]
    net = StandaloneNet(cell, 2, 1, 3, generator=seeded(0), reduction=reduction)
    flops = 0

    def count(module: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal flops
        if isinstance(module, torch.nn.Conv2d):
            flops += module.weight[0].numel() * out[0].numel()
        elif isinstance(module, torch.nn.Linear):
            flops += module.weight.numel()

    for module in net.modules():
        module.register_forward_hook(count)
    net(torch.zeros(2, 3, 8, 8))
    expected = (sum(p.numel() for p in net.parameters()), flops)
    assert size_of(cell, Records.read(whole).head | {"reduction": reduction}) == expected


def test_the_command_line(npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["table", "train", "--images", str(npz), "--cells", "0,11", "--workers", "1"]
    command += ["--set", "channels=2", "--set", "epochs=3"]
    for trial, out in (("0,", "a.parquet"), ("1,", "b.parquet")):
        result = CliRunner().invoke(cli, [*command, "--trials", trial, "--out", out], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    result = CliRunner().invoke(cli, ["table", "train", "--merge", "a.parquet", "b.parquet", "--out", "c.parquet"])
    assert result.exit_code == 0, result.output
    table = Table.open("c.parquet")
    assert table.trials("tiny", "test", epochs=3) == (0, 1)
    curve = table.curve(Cell.from_index(11), "tiny", "valid", epochs=3, trial=1)
    assert curve[-1] == pytest.approx(table.accuracy(Cell.from_index(11), "tiny", "valid", epochs=3, trial=1))
    assert len(curve) == 3


def test_two_processes_give_the_same(npz: Path, whole: Path, tmp_path: Path) -> None:
    """From the command line, for the workers are spawned; channels, epochs and batch are those of TINY."""
    out = tmp_path / "t.parquet"
    command = "from runners.cli import main; main()"
    changes = [f"--set={key}={getattr(TINY, key)}" for key in ("channels", "epochs", "batch_size")]
    cells, words = ",".join(map(str, CELLS)), ["table", "train", "--trials=2", "--workers=2"]
    subprocess.run(
        [sys.executable, "-c", command, *words, f"--images={npz}", f"--cells={cells}", *changes, f"--out={out}"],
        check=True,
        capture_output=True,
    )
    assert results(Records.read(records_path(out))) == results(Records.read(whole))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--merge"], "--merge takes the tables to join"),
        (["a.parquet"], "--merge takes the tables to join"),
        (["--merge", "a.parquet"], "--merge needs --out"),
        (["--share", "3/2"], "--share is I/N"),
        (["--cells", "15625"], "--cells is a list of indices"),
        (["--images", "nowhere.npz"], "no images at nowhere.npz"),
        (["--set", "chanels=2"], "channels"),
    ],
)
def test_bad_calls(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NbevalError, match=message):
        CliRunner().invoke(cli, ["table", "train", *arguments], catch_exceptions=False)


def test_a_folder_of_images(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("cat", "ant"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)
            pixels[:, :, 0] = 255 if name == "cat" else 0
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    data = own_images(tmp_path / "photos")
    assert (data.name, data.classes) == ("photos", 2)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [12, 4, 4]
    # Classes are in the order of their names: cat, the red one, is 1.
    assert torch.equal(data.test.pixels[:, 0].float().mean((1, 2)) == 255, data.test.labels == 1)
    Image.new("RGB", (16, 16)).save(tmp_path / "photos" / "ant" / "big.png")
    with pytest.raises(NbevalError, match="make all images one size"):
        own_images(tmp_path / "photos")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": np.zeros((90, 10, 10), np.uint8)}, "should be square, the side 8, 12"),
        ({"x_train": np.zeros((90, 8, 8))}, "should be uint8"),
        ({"y_train": np.zeros(89, int)}, "one label"),
        ({"y_test": -np.ones(30, int)}, "one label"),
        ({"x_test": None}, "should be an .npz file with"),
    ],
)
def test_bad_arrays(change: dict[str, object], message: str, npz: Path, tmp_path: Path) -> None:
    arrays = {**np.load(npz), **change}
    np.savez(tmp_path / "bad.npz", **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(NbevalError, match=message):
        own_images(tmp_path / "bad.npz")


def test_records_are_json_lines(whole: Path) -> None:
    head, first, *_ = map(json.loads, whole.read_text().splitlines())
    assert head["schedule"]["channels"] == 2
    assert set(first) >= {"cell", "trial", "train", "valid", "test", "group", "group_seconds"}
