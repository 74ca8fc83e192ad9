"""A machine without table and images: one message names everything, and one command gets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import call
from mirror import mirror_of
from public_files import write_public

from nasbench_eval.images import download
from nasbench_eval.images.download import Fetched
from nasbench_eval.table import Table
from nasbench_eval.table.locate import default_path
from nasbench_eval.table.sources import public

RUN = ["run", "--method", "gaea_darts", "--seeds", "4", "--dataset"]


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("cifar10", "lacks the benchmark table (8 MB) and the images of cifar10 (170 MB): `nbeval fetch cifar10`"),
        ("cifar100", "the images of cifar100 (169 MB) and the official halves of cifar100 (under 1 MB): `nb"),
        (
            "cifar10,cifar100",
            "images of cifar10 (170 MB), the images of cifar100 (169 MB) and the official halves of c",
        ),
        ("imagenet16-120", "images of imagenet16-120 (no public direct download: unpack"),
    ],
)
def test_one_message_names_everything_that_is_missing(
    home: Path, capsys: pytest.CaptureFixture[str], dataset: str, words: str
) -> None:
    assert call(*RUN, dataset) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert words in line
    assert "with --fetch" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "rs", "--dataset", "cifar100"], "no benchmark table at"),
        (["--method", "darts", "--dataset", "cifar10", "--truth", "none"], "no images of cifar10"),
        (["--method", "darts", "--dataset", "cifar100", "--truth", "none", "--split", "seeded"], "no images of cifar1"),
    ],
)
def test_a_single_missing_thing_has_its_own_message(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert call("run", *arguments) == 1
    assert capsys.readouterr().err.startswith(f"nbeval: {words}")


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of data sets whose images were asked for, in place of downloading them."""
    asked: list[str] = []

    def fetch(name: str, root: Path | None = None, *, progress: bool = False) -> Fetched:
        asked.append(name)
        return Fetched(Path("images") / name, new=True)

    def fetch_splits(root: Path | None = None, *, progress: bool = False) -> list[Fetched]:
        asked.append("splits")
        return [Fetched(Path("images") / "split.txt", new=True)]

    monkeypatch.setattr(download, "fetch_images", fetch)
    monkeypatch.setattr(download, "fetch_splits", fetch_splits)
    return asked


def test_fetch_gets_the_table_and_the_images(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], images: list[str]
) -> None:
    write_public(home / "files", monkeypatch)
    with mirror_of(home / "files", monkeypatch) as server:
        monkeypatch.setattr(public, "_GITHUB", server.url)
        assert call("fetch", "cifar100", "imagenet16-120") == 0
        said = capsys.readouterr().out.splitlines()
        assert said[0].startswith("imagenet16-120: no public direct download")
        assert said[1].startswith(f"the benchmark table: now {default_path()}, from public files")
        assert said[2] == "the official halves of the images: now in images"
        assert said[3] == "cifar100: now in images/cifar100"
        assert Table.open(default_path()).datasets == ("cifar10", "cifar100", "imagenet16-120")
        # A search in the table needs no images; with the table there, nothing is downloaded again.
        default_path().unlink()
        asked = len(server.asked)
        search = ["run", "--method", "rs", "--dataset", "cifar10", "--set", "budget_seconds=5000", "--fetch"]
        assert call(*search) == 0
        assert len(server.asked) == 2 * asked
        assert call(*search) == 0
        assert len(server.asked) == 2 * asked
        assert images == ["splits", "cifar100"]
        default_path().unlink()
        assert call("fetch", "digits") == 0, "its table is in the package"
        assert "everything is there already" in capsys.readouterr().out
        assert not default_path().exists()
    assert call("fetch", "cifar1") == 2
    monkeypatch.setenv("NBEVAL_TABLE", "digits")
    assert call("fetch", "cifar10") == 2
    assert "digits is the table in the package: name another file" in capsys.readouterr().err
    assert not Path("digits").exists()
