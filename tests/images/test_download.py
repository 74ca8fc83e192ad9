"""Downloads are complete and verified, or leave nothing behind; tested against a local server."""

import dataclasses
import errno
import hashlib
import io
import os
import pickle
import socket
import sys
import tarfile

import numpy as np
import pytest
import requests
from mirror import mirror_of

from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.images import download, load_images
from nasbench_eval.images.catalogue import LAYOUTS
from nasbench_eval.images.download import fetch_images
from runners.cli import main

LAYOUT = LAYOUTS["cifar10"]


def archive_bytes():
    """Return a tiny archive like the official one, with a member that would escape the folder."""
    rng = np.random.default_rng(0)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        batch = {"data": rng.integers(0, 256, (4, 3072), dtype=np.uint8), "labels": [0, 1, 2, 3]}
        contents = {f"{LAYOUT.folder}/{name}": pickle.dumps(batch) for name in LAYOUT.names}
        for name, content in {"../escaped": b"x", f"{LAYOUT.folder}/readme.html": b"x", **contents}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


ARCHIVE = archive_bytes()


@pytest.fixture
def server(monkeypatch, tmp_path, tmp_path_factory):
    """Serve the archive in place of Toronto, with no images on this machine yet."""
    for name in ("NBEVAL_DATA", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    folder = tmp_path_factory.mktemp("server")
    (folder / LAYOUT.archive).write_bytes(ARCHIVE)
    with mirror_of(folder, monkeypatch) as server:
        layout = dataclasses.replace(LAYOUT, url=server.url, md5=hashlib.md5(ARCHIVE).hexdigest())
        monkeypatch.setitem(LAYOUTS, "cifar10", layout)
        yield server


def everything(folder):
    """Return the names of all files below a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_data_set_is_fetched_once_and_can_be_loaded(server, tmp_path, capfd):
    path, new = fetch_images("cifar10", progress=True)
    assert f"{LAYOUT.archive}: 100%" in capfd.readouterr().err
    assert (path, new) == (tmp_path / "cache/nbeval/data" / LAYOUT.folder, True)
    # The archive is removed again, and none of its files escaped.
    assert everything(tmp_path) == sorted(LAYOUT.names)
    assert len(load_images("cifar10").train) == 10
    assert fetch_images("cifar10") == (path, False)
    assert server.asked == [LAYOUT.archive]


def test_what_is_downloaded_can_be_read_by_others(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_unpack", lambda layout, archive: modes.append(archive.stat().st_mode & 0o777))
    modes, before = [], os.umask(0o027)
    try:
        fetch_images("cifar10", tmp_path)
    finally:
        os.umask(before)
    assert modes == [0o640]


def test_the_user_chooses_the_folder(server, tmp_path, monkeypatch):
    assert fetch_images("cifar10", tmp_path / "a").path == tmp_path / "a" / LAYOUT.folder
    # Another folder gets its own copy, even if there is one elsewhere.
    assert fetch_images("cifar10", tmp_path / "b").new
    monkeypatch.setenv("NBEVAL_DATA", str(tmp_path / "c"))
    assert fetch_images("cifar10").path == tmp_path / "c" / LAYOUT.folder


def test_images_in_torch_home_are_not_fetched_again(server, tmp_path, monkeypatch):
    fetch_images("cifar10", tmp_path / "cifar.python")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert fetch_images("cifar10") == (tmp_path / "cifar.python" / LAYOUT.folder, False)


@pytest.mark.parametrize(
    ("md5", "broken", "message"),
    [
        ("0" * 32, (200, 1.0), r"is not the published file \(its MD5 sum differs\)"),
        (None, (200, 0.5), "the transfer was interrupted"),
        (None, (404, 1.0), "the server answers 404"),
        (None, (503, 1.0), "the server answers 503"),
    ],
)
def test_a_failed_transfer_leaves_nothing_and_the_next_call_succeeds(
    server, tmp_path, monkeypatch, md5, broken, message
):
    server.broken[LAYOUT.archive] = broken
    published = LAYOUTS["cifar10"]
    monkeypatch.setitem(LAYOUTS, "cifar10", dataclasses.replace(published, md5=md5 or published.md5))
    with pytest.raises(NbevalError, match=message) as caught:
        fetch_images("cifar10")
    assert "\n" not in str(caught.value)
    assert everything(tmp_path) == []
    server.broken.clear()
    monkeypatch.setitem(LAYOUTS, "cifar10", published)
    assert fetch_images("cifar10").new
    assert len(load_images("cifar10").test) == 4


def test_a_full_disk_while_unpacking(server, tmp_path, monkeypatch):
    copy, calls = download.shutil.copyfileobj, []

    def full(source, target):
        if isinstance(source, tarfile.ExFileObject):  # the server copies a file too
            calls.append(target)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(download.shutil, "copyfileobj", full)
        with pytest.raises(NbevalError, match=r"cannot write .*: No space left on device"):
            fetch_images("cifar10")
    # The copied files are complete, but not the whole data set; the verified archive is not downloaded again.
    folder = tmp_path / "cache/nbeval/data"
    assert everything(folder) == [LAYOUT.archive, *LAYOUT.names[:2]]
    assert fetch_images("cifar10").new
    assert everything(folder) == sorted(LAYOUT.names)
    assert server.asked == [LAYOUT.archive]


def test_a_full_disk_while_downloading(server, tmp_path, monkeypatch):
    def full(self, chunk_size):
        yield b"the first piece"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(requests.Response, "iter_content", full)
    with pytest.raises(NbevalError, match=r"cannot write .*cifar-10-python\.tar\.gz: No space left on device"):
        fetch_images("cifar10")
    assert everything(tmp_path) == []


def test_a_folder_that_cannot_be_created(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NbevalError, match="cannot write"):
        fetch_images("cifar10", tmp_path / "file")


def test_a_folder_that_cannot_be_written(server, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    with pytest.raises(NbevalError) as caught:
        fetch_images("cifar10", tmp_path)
    assert str(caught.value) == f"cannot write {tmp_path / LAYOUT.archive}: Operation not permitted"


def test_an_archive_put_in_the_folder_by_hand_is_unpacked(server, tmp_path):
    (tmp_path / LAYOUT.archive).write_bytes(ARCHIVE)
    assert fetch_images("cifar10", tmp_path).new
    assert everything(tmp_path) == sorted(LAYOUT.names)
    assert server.asked == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("imagenet16-120", "cannot fetch imagenet16-120: no public direct download: .*ImageNet16"),
        ("digits", "nothing to fetch"),
        ("cifar11", "did you mean 'cifar1"),
    ],
)
def test_data_sets_that_cannot_be_fetched(name, message):
    with pytest.raises(UsageError, match=message):
        fetch_images(name)


@pytest.fixture
def nbeval(monkeypatch, capfd):
    """Run the command line; return its exit code, its output and its errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["nbeval", *(str(argument) for argument in arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        return code, *capfd.readouterr()

    return run


def test_fetch_and_info_on_the_command_line(server, tmp_path, nbeval):
    folder = tmp_path / LAYOUT.folder
    code, out, err = nbeval("data", "info", "cifar10", "--data", tmp_path)
    assert (code, err) == (1, "")
    assert out.startswith(f"no images of cifar10: no {LAYOUT.folder}/ with data_batch_1 .. test_batch in {tmp_path};\n")
    assert f"  `nbeval data fetch cifar10 --data {tmp_path}` downloads them" in out
    assert nbeval("data", "fetch", "cifar10", "--data", tmp_path) == (0, f"cifar10: now in {folder}\n", "")
    assert nbeval("data", "fetch", "cifar10", "--data", tmp_path) == (0, f"cifar10: already there, in {folder}\n", "")
    code, out, _ = nbeval("data", "info", "--data", tmp_path)
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == f"cifar10: {folder}"
    assert lines[1].startswith("  10 train, 10 valid, 4 test; 3x32x32, 10 classes; training set halved")
    assert lines[2].startswith("no images of cifar100")
    assert lines[-2:] == [
        "digits: scikit-learn",
        "  3,956 train, 1,432 valid, 5,400 test; 3x12x12, 10 classes; source digits in a seeded stratified split "
        "989/358/450, seed 0; each placed 4/4/12 times; networks with pooling reductions; SHA-256 dcf83b0a9ca9",
    ]


def test_no_connection_is_one_line(server, tmp_path, monkeypatch, nbeval):
    # A port that was free a moment ago: no server listens on it.
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    monkeypatch.setitem(LAYOUTS, "cifar10", dataclasses.replace(LAYOUT, url=f"http://127.0.0.1:{port}"))
    code, out, err = nbeval("data", "fetch", "cifar10", "--data", tmp_path)
    assert (code, out) == (1, "")
    assert err == (
        f"nbeval: cannot fetch http://127.0.0.1:{port}/{LAYOUT.archive}: no connection; "
        f"try again later, or put {LAYOUT.archive} into {tmp_path} by hand\n"
    )
