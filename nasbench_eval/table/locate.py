"""Find the table: the given path, else the package's table for digits, else NBEVAL_TABLE or the cache folder."""

from __future__ import annotations

import os
from pathlib import Path

from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.utils.paths import cache_folder, exists, is_file

TABLE_FILE = "nasbench201.parquet"

EMBEDDED = {"digits": Path(__file__).parent / "digits.parquet"}
"""The tables in the package, by data set; ``--table`` accepts these names too."""


def default_path() -> Path:
    """Return where ``nbeval table import`` and ``build`` put the table by default."""
    return Path(os.environ.get("NBEVAL_TABLE") or cache_folder() / TABLE_FILE)


def output_path(path: Path | None) -> Path:
    """Return where a new table is to be written: the given path, or :func:`default_path`.

    Raises:
        UsageError: If it is the name of a table in the package, which is not replaced.
    """
    out = path or default_path()
    if str(out) in EMBEDDED:
        raise UsageError(f"{out} is the table in the package: name another file with --table or NBEVAL_TABLE")
    return out


def find_table(path: str | Path | None = None, dataset: str | None = None) -> Path:
    """Return the path of the table to use.

    Args:
        path: The user's ``--table``, a file or a name in ``EMBEDDED``; it takes precedence.
        dataset: The data set to look up. One in ``EMBEDDED`` has its table in the package; for all others the table
            is that of ``NBEVAL_TABLE`` or the cache folder.

    Raises:
        NbevalError: If the file does not exist or its folder cannot be read; the message says how to get one.
    """
    if path is None and dataset in EMBEDDED:
        return EMBEDDED[dataset]
    found = Path(path) if path is not None else default_path()
    if str(found) in EMBEDDED and not is_file(found):  # a folder of that name is none
        return EMBEDDED[str(found)]
    hidden = ""
    try:
        there = exists(found)
    except NbevalError as error:
        if path is not None or os.environ.get("NBEVAL_TABLE"):
            raise
        there, hidden = False, f" ({error})"
    if not there:
        raise NbevalError(
            f"no benchmark table at {found}{hidden}: `nbeval table fetch` makes one from public files "
            "(8 MB);\nor give one with --table (from Python: table=) or NBEVAL_TABLE, use --table digits, or make one "
            "with `nbeval table build OFFICIAL_FILE` or `nbeval table import FLAT_FILE` (docs/data.md)"
        )
    return found
