"""Cells that can be trained side by side."""

from __future__ import annotations

from nasbench_eval.cell import Cell, all_cells
from nasbench_eval.equivalence import convolutions, normal_form


def sharing_convolutions(first: Cell, size: int) -> list[Cell]:
    """Return a cell and others that share its live convolutions."""
    found = [normal_form(first)]
    for cell in all_cells():
        if cell == normal_form(cell) and convolutions(cell) == convolutions(first) and cell not in found:
            found.append(cell)
        if len(found) == size:
            return found
    raise AssertionError(f"only {len(found)} cells share {convolutions(first)}")
