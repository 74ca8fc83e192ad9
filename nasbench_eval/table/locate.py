"""Where the table lies: the path given, else ``NBEVAL_TABLE``, else the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from nasbench_eval.errors import NbevalError

TABLE_FILE = "nasbench201.parquet"


def default_path() -> Path:
    """Return where ``nbeval table import`` and ``build`` put the table when nothing else is said."""
    return Path(os.environ.get("NBEVAL_TABLE") or platformdirs.user_cache_path("nbeval") / TABLE_FILE)


def find_table(path: str | Path | None = None) -> Path:
    """Return the path of the table to use.

    Args:
        path: The user's ``--table``; it wins over ``NBEVAL_TABLE`` and the cache folder.

    Raises:
        NbevalError: If there is no file there; two lines say how to get one.
    """
    found = Path(path) if path is not None else default_path()
    if not found.is_file():
        raise NbevalError(
            f"no benchmark table at {found}: make it once with `nbeval table import FILE`,\n"
            "or say where it lies with --table or NBEVAL_TABLE; where no table is wanted, run with --truth train or none"
        )
    return found
