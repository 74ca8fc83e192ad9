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
            f"no benchmark table at {found}: give one with --table or NBEVAL_TABLE, or make it once with\n"
            "`nbeval table build OFFICIAL_FILE` or `nbeval table import FLAT_FILE` (see docs/data.md)"
        )
    return found
