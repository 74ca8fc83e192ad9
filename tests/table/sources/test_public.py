"""``nbeval table fetch``: the table from small public files, from a folder, a mirror or the pinned addresses."""

from __future__ import annotations

import http.server
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command import call
from mirror import Handler, Mirror, mirror_of
from paths import SHARED_DATA
from public_files import frame_of_pandas_1, publish, write_public

from nasbench_eval.cell import N_CELLS, Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.table import Table
from nasbench_eval.table.schema import Key
from nasbench_eval.table.sources import public
from nasbench_eval.table.sources.public import FILES, fetch_public
from nasbench_eval.table.verify import compare, verify

UPSTREAM = SHARED_DATA / "upstream"
REAL = SHARED_DATA / "nasbench201-real.parquet"


class Run:
    """Runs code if it is unpickled as usual."""

    def __reduce__(self):
        return os.mkdir, ("run by the pickle",)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[Key, np.ndarray]]:
    return tmp_path / "files", write_public(tmp_path / "files", monkeypatch)


@pytest.fixture
def mirror(files: tuple[Path, object], monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    with mirror_of(files[0], monkeypatch) as server:
        yield server


def test_every_column_is_read_from_its_file(files: tuple[Path, dict[Key, np.ndarray]], tmp_path: Path) -> None:
    folder, expected = files
    table = fetch_public(tmp_path / "unused", origin=str(folder))
    for key, values in expected.items():
        assert np.allclose(table.values(key), values, atol=2e-5, rtol=1e-6), key
    others = {str(key) for key in table.keys} - {str(key) for key in expected}
    assert others == {f"{name}/-/-/{what}/mean" for name in table.datasets for what in ("params_mb", "flops_m")}
    assert table.cost(Cell((3,) * 6), "cifar10")["params_mb"] == pytest.approx((73_306 + 6 * 243_040) / 1e6)
    source = table.metadata.source
    for file in public.FILES:
        assert f"github.com/{file.home}" in source[file.name]
        assert file.licence in source[file.name]
        assert file.sha256 in source[file.name]
    assert "single trials" in source["lacks"]
    assert not (tmp_path / "unused").exists()


def test_the_command_fetches_writes_and_says_what_is_missing(
    mirror: Mirror, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror.broken["freerea-cifar10_perfmetrics.txt"] = (200, 0.5)
    assert call("table", "fetch", "--from", mirror.url) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"nbeval: cannot fetch {mirror.url}/freerea-cifar10_perfmetrics.txt: the transfer was")
    assert len(err.splitlines()) == 1
    assert not list(home.rglob("*.parquet"))
    complete = {path.name for path in home.rglob("public-files/*")}
    assert complete == {file.name for file in FILES[:4]}
    mirror.broken.clear()
    mirror.asked.clear()
    assert call("table", "fetch", "--from", mirror.url) == 0
    assert mirror.asked == [file.name for file in FILES[4:]]
    out = capsys.readouterr().out
    assert "15,625 cells, 26 columns, cifar10, cifar100, imagenet16-120" in out
    assert "Not in it, but in the official file: single trials" in out
    assert not list(home.rglob("public-files"))
    # It is found without an option, and a search in the table runs on it.
    assert call("run", "--method", "rea", "--dataset", "cifar100", "--set", "budget_seconds=3000") == 0
    assert call("table", "info") == 0
    assert "licence: none stated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"<!DOCTYPE html><html></html>", 200, "is not the published file (its SHA-256 differs) and was discarded"),
        (None, 404, "the server answers 404"),
    ],
)
def test_a_wrong_file_leaves_nothing(
    content: bytes | None,
    status: int,
    words: str,
    mirror: Mirror,
    files: tuple[Path, object],
    tmp_path: Path,
) -> None:
    name = FILES[0].name
    mirror.broken[name] = (status, 0.999 if status == 200 else 1.0)
    if content is not None:
        (files[0] / name).write_bytes(content)
        mirror.broken.clear()
    with pytest.raises(NbevalError) as caught:
        fetch_public(tmp_path / "here", origin=mirror.url)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not list((tmp_path / "here").iterdir())


def test_without_a_network_there_is_one_line(tmp_path: Path) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as other:  # closed again: nobody listens there
        port = other.server_port
    with pytest.raises(NbevalError, match=r"no connection; run the same command again later, or .* with --from$"):
        fetch_public(tmp_path, origin=f"http://127.0.0.1:{port}")
    with pytest.raises(NbevalError, match="it is no address of a file"):
        fetch_public(tmp_path, origin="http://")


def test_a_folder_without_the_files_is_named(files: tuple[Path, object], tmp_path: Path) -> None:
    with pytest.raises(NbevalError, match="there is no folder"):
        fetch_public(tmp_path, origin=str(tmp_path / "none"))
    (files[0] / FILES[1].name).write_text("<html></html>")
    with pytest.raises(NbevalError, match=r"is not the published file \(it is a web page, and its SHA-256 differs\)"):
        fetch_public(tmp_path, origin=str(files[0]))
    (files[0] / FILES[1].name).unlink()
    with pytest.raises(NbevalError, match=f"there is no {FILES[1].name} in .*: get it from https://raw"):
        fetch_public(tmp_path, origin=str(files[0]))


def test_a_pickle_that_would_run_code_is_refused(
    files: tuple[Path, object], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = {"a": np.arange(3), "b": np.array(["x"] * 3, dtype=object), "c": np.ones(3)}
    (files[0] / FILES[0].name).write_bytes(frame_of_pandas_1(frame, monkeypatch, extra=Run()))
    publish(files[0], monkeypatch)
    with pytest.raises(NbevalError, match=r"asks for \w+\.mkdir.*nothing was run"):
        fetch_public(home, origin=str(files[0]))
    assert not (home / "run by the pickle").exists()


def test_a_file_with_the_wrong_content_is_named(files: tuple[Path, object], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (
        (FILES[1].name, "index,accuracy\n0,1\n"),
        (FILES[4].name, "no numbers\n"),
        (FILES[7].name, "PK"),
    ):
        kept = (files[0] / name).read_bytes()
        (files[0] / name).write_text(content)
        publish(files[0], monkeypatch)
        with pytest.raises(NbevalError, match=f"{name} is not a readable public file .* get it again from https://raw"):
            fetch_public(files[0], origin=str(files[0]))
        (files[0] / name).write_bytes(kept)


@pytest.mark.skipif(not UPSTREAM.is_dir(), reason="the genuine public files are not here")
def test_the_genuine_files_give_the_real_table(tmp_path: Path) -> None:
    from nasbench_eval.table.sources.flat import import_flat

    for file in FILES:
        assert (UPSTREAM / file.name).stat().st_size == file.size
    assert sum(file.size for file in FILES) < 10e6
    saved = fetch_public(tmp_path, origin=str(UPSTREAM)).save(tmp_path / "table.parquet")
    assert not [problem for check in verify(saved) for problem in check.problems]
    assert [saved.best(name)[0].index for name in saved.datasets] == [6111, 9930, 857]
    differing = {str(d.key): d for d in compare(saved, import_flat(REAL), tolerance=0.001) if d.cells}
    # The numbers of parameters are wrong there in 150 cells.
    assert {name: d.cells for name, d in differing.items() if "params_mb" in name} == {
        f"{name}/-/-/params_mb/mean": 150 for name in saved.datasets
    }
    [valid] = (d for name, d in differing.items() if "params_mb" not in name)
    assert (str(valid.key), valid.cells) == ("cifar10/200/valid/accuracy/mean", 2418)
    assert valid.largest == pytest.approx(3.84, abs=0.005)
    assert Table.open(tmp_path / "table.parquet").values(Key("cifar10", 12, "valid", "accuracy")).shape == (N_CELLS,)
