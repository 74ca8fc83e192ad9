"""Where the table lies: the path given, else the package's own for digits, else NBEVAL_TABLE or the cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from nasbench_eval.errors import NbevalError

TABLE_FILE = "nasbench201.parquet"

EMBEDDED = {"digits": Path(__file__).parent / "digits.parquet"}
"""The tables that come with the package, by data set; ``--table digits`` names one too."""


def default_path() -> Path:
    """Return where ``nbeval table import`` and ``build`` put the table when nothing else is said."""
    return Path(os.environ.get("NBEVAL_TABLE") or platformdirs.user_cache_path("nbeval") / TABLE_FILE)


def find_table(path: str | Path | None = None, dataset: str | None = None) -> Path:
    """Return the path of the table to use.

    Args:
        path: The user's ``--table``, a file or a name of ``EMBEDDED``; it wins over all else.
        dataset: What it is wanted for: a data set of ``EMBEDDED`` has its table in the package; all others are looked
            up in that of ``NBEVAL_TABLE`` or of the cache folder.

    Raises:
        NbevalError: If there is no file there; two lines say how to get one.
    """
    if path is None and dataset in EMBEDDED:
        return EMBEDDED[dataset]
    found = Path(path) if path is not None else default_path()
    if not found.is_file():
        if str(found) in EMBEDDED:
            return EMBEDDED[str(found)]
        raise NbevalError(
            f"no benchmark table at {found}: give one with --table or NBEVAL_TABLE, or make it once with\n"
            "`nbeval table build OFFICIAL_FILE` or `nbeval table import FLAT_FILE` (docs/data.md); or: --table digits"
        )
    return found
