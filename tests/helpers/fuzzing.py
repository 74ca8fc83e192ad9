"""What every call of ``nbeval`` keeps, whatever it is given, and how files are damaged."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

from command import call
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from permissions import obedient

LONGER = int(os.environ.get("NBEVAL_FUZZ", "0"))
"""How many times more cases to try; 0: the same few hundred every time."""


def cases(count: int) -> settings:
    return settings(
        max_examples=count * max(LONGER, 1),
        derandomize=not LONGER,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def _content(path: Path) -> bytes | None:
    """Return a file's content; None if it is too large to compare or may not be read."""
    readable = path.is_file() and path.stat().st_size < 1 << 24 and os.access(path, os.R_OK)
    return path.read_bytes() if readable else None


def judge(arguments: list[str], folder: Path) -> int:
    """Call ``nbeval`` in a folder; fail on a traceback, an unclear error, a leftover or a changed input."""
    before = {path: content for path in folder.rglob("*") if (content := _content(path)) is not None}
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.chdir(folder), obedient():
        code = call(*arguments)
    said = f"nbeval {' '.join(arguments)}\nexit code {code}\n{out.getvalue()[-1000:]}\n{err.getvalue()[-1000:]}"
    assert code in (0, 1, 2), said
    assert "Traceback" not in out.getvalue() + err.getvalue(), said
    lines = err.getvalue().splitlines()
    errors = [line for line in lines if line.startswith("nbeval: ")]
    if code and arguments[:2] != ["data", "info"]:  # it prints what is missing as its answer
        assert errors, said
        assert len(errors[-1]) > len("nbeval: ") + 5, said
    left = [path for path in folder.rglob("*") if path.name.endswith(".tmp")]
    assert not left, f"{said}\nleft {left}"
    for path, content in before.items():
        assert path.read_bytes() == content if path.is_file() else code == 0, f"{said}\n{path} was changed"
    return code


def truncated(content: bytes, at: float) -> bytes:
    return content[: int(at * len(content))]


def flipped(content: bytes, at: float) -> bytes:
    if not content:
        return content
    changed, place = bytearray(content), min(int(at * len(content)), len(content) - 1)
    changed[place] ^= 1 << (place % 8)
    return bytes(changed)


OTHER_KINDS = (
    b"",
    b"\n",
    b"<!DOCTYPE html><html><body>404</body></html>\n",
    b"PAR1PAR1",
    b"PK\x03\x04",
    b"\x80\x04N.",
    b"BZh9",
    b"\x1f\x8b\x08",
    b"[]",
    b"{}",
    b"null\n",
    b"\xff\xfe\x00\x01" * 9,
    b"a,b\n1,2\n",
)


def _write(content: bytes) -> Callable[[Path], None]:
    def do(path: Path) -> None:
        path.write_bytes(content)

    return do


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _forbidden(path: Path) -> None:
    path.chmod(0)


def _huge(path: Path) -> None:
    os.truncate(path, max(1 << 25, path.stat().st_size))  # sparse: takes no space


def _change(how: Callable[[bytes, float], bytes], at: float) -> Callable[[Path], None]:
    return lambda path: _write(how(path.read_bytes(), at))(path) and None


DAMAGE = st.one_of(
    st.floats(0, 0.999).map(lambda at: _change(truncated, at)),
    st.floats(0, 0.999).map(lambda at: _change(flipped, at)),
    st.floats(0.95, 0.999).map(lambda at: _change(flipped, at)),  # where Parquet and zip files have their directory
    st.floats(0, 0.02).map(lambda at: _change(flipped, at)),
    st.sampled_from(OTHER_KINDS).map(_write),
    st.binary(max_size=60).map(_write),
    st.sampled_from((_folder, _huge, _forbidden, Path.unlink)),
)
"""Ways to damage a file."""
