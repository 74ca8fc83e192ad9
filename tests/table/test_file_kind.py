"""A file of the wrong kind is named as what it is, with the command that fits it."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from nasbench_eval.errors import NbevalError
from nasbench_eval.table import Key, Table
from nasbench_eval.table.file_kind import CURVES_KEY, Kind, kind_of
from runners.cli.table import table as command

PAGE = "\n<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>"


def parquet(metadata=None):
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata(metadata), buffer)
    return buffer.getvalue()


def archive(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def zipped(name):
    def write(buffer):
        with zipfile.ZipFile(buffer, "w") as made:
            made.writestr(name, "x" * 100)

    return archive(write)


def tarred(buffer):
    with tarfile.open(fileobj=buffer, mode="w") as made:
        made.addfile(tarfile.TarInfo("a"))


FILES = {
    "table": (Kind.TABLE, parquet({"nbeval": "{}"})),
    "curves": (Kind.CURVES, parquet({CURVES_KEY: "0"})),
    "parquet": (Kind.PARQUET, parquet()),
    "cut parquet": (Kind.CUT_PARQUET, parquet()[:-9]),
    "damaged parquet": (Kind.CUT_PARQUET, b"PAR1" + bytes(50) + b"PAR1"),
    "text": (Kind.TEXT, "arch,acc\n" + "é" * 5000),
    "text with a byte order mark": (Kind.TEXT, b"\xef\xbb\xbfarch,acc\n"),
    "page": (Kind.WEB_PAGE, PAGE),
    "pointer": (Kind.LFS_POINTER, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
    "torch": (Kind.TORCH, zipped("archive/data.pkl")),
    "zip": (Kind.ZIP, zipped("a.csv")),
    "empty zip": (Kind.ZIP, archive(lambda buffer: zipfile.ZipFile(buffer, "w").close())),
    "cut zip": (Kind.CUT_ZIP, zipped("archive/data.pkl")[:-30]),
    "pickle": (Kind.PICKLE, pickle.dumps({"a": 1})),
    "pandas": (Kind.PANDAS, b"\x80\x05\x95" + b"\0" * 20 + b"\x8c\x11pandas.core.frame\x94"),
    "tar": (Kind.TAR, archive(tarred)),
    "bzip2": (Kind.BZIP2, bz2.compress(b"x")),
    "gzip": (Kind.GZIP, gzip.compress(b"x")),
    "xz": (Kind.XZ, lzma.compress(b"x")),
    "hdf5": (Kind.HDF5, b"\x89HDF\r\n\x1a\n" + bytes(100)),
    "numpy": (Kind.NUMPY, archive(lambda buffer: np.save(buffer, np.zeros(3)))),
    "empty": (Kind.EMPTY, b""),
    "noise": (Kind.UNKNOWN, bytes(range(255, -1, -1)) * 40),
    "zeros": (Kind.UNKNOWN, bytes(4096)),
}


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", FILES)
def test_the_content_decides_not_the_name(name, tmp_path):
    kind, content = FILES[name]
    for suffix in (".pth", ".parquet", ".csv"):
        assert kind_of(write(tmp_path / f"file{suffix}", content)) is kind


READS = {
    "build": (["build", "FILE", "--table", "out.parquet"], {Kind.FOLDER, Kind.TAR, Kind.TORCH, Kind.PICKLE}),
    "import": (["import", "FILE", "--table", "out.parquet"], {Kind.TEXT, Kind.PARQUET}),
    "--table": (["info", "--table", "FILE"], {Kind.TABLE}),
    "--against": (["verify", "--table", "digits", "--against", "FILE"], {Kind.TABLE}),
}


@pytest.mark.parametrize("reader", READS)
def test_every_command_names_a_kind_that_it_does_not_read(reader, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, fitting = READS[reader]
    files = {name: (kind, write(tmp_path / name.replace(" ", "-"), content)) for name, (kind, content) in FILES.items()}
    (tmp_path / "folder").mkdir()
    files["folder"] = (Kind.FOLDER, tmp_path / "folder")
    for kind, path in files.values():
        if kind not in fitting:
            result = CliRunner().invoke(command, [str(path) if word == "FILE" else word for word in words])
            assert isinstance(result.exception, NbevalError), (path, result.exception)
            assert str(result.exception).startswith(f"{path} is {kind.value}"), result.exception
            assert "\n" not in str(result.exception)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("name", "reader", "message"),
    [
        ("page", "build", r"is a web page \(Google Drive - Quota exceeded\), .*open the link in a browser"),
        ("parquet", "build", "make a table of it with `nbeval table import .*parquet`"),
        ("text", "build", "csv with one row per cell, make a table of it with `nbeval table import .*text`"),
        ("table", "build", "use it as it is, with --table"),
        ("table", "import", "use it as it is, with --table"),
        ("pickle", "import", "make a table of it with `nbeval table build .*pickle`"),
        ("torch", "--table", "make a table of it with `nbeval table build .*torch`"),
        ("tar", "import", "make a table of it with `nbeval table build .*tar`"),
        ("bzip2", "build", "single file is not supported"),
        ("pandas", "build", "write it as Parquet or csv"),
    ],
)
def test_the_message_names_the_command_that_fits(name, reader, message, tmp_path):
    path = write(tmp_path / name, FILES[name][1])
    words = [str(path) if word == "FILE" else word for word in READS[reader][0]]
    with pytest.raises(NbevalError, match=message):
        CliRunner().invoke(command, words, catch_exceptions=False)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(NbevalError, match=r"no file or folder at .*nowhere"):
        kind_of(tmp_path / "nowhere")
    path = write(tmp_path / "closed", b"x")

    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(NbevalError, match=r"cannot read .*closed: Permission denied"):
        kind_of(path)


def test_a_saved_table_is_of_its_kind(tmp_path):
    made = Table.build({Key("d", 1, "test", "accuracy"): np.linspace(1, 90, 15625)}, name="t", source={})
    assert kind_of(made.save(tmp_path / "t.parquet").path) is Kind.TABLE
