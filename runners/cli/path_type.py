"""The type of all options and arguments that are paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class PathType(click.Path):
    """A path that is not empty: an empty one is a variable that was not set, and would mean the current folder."""

    def __init__(self, *, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; see :meth:`click.ParamType.convert`."""
        if not str(value).strip():
            self.fail("it is empty: is a variable of the shell not set?", param, ctx)
        return super().convert(value, param, ctx)
