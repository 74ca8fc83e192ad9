"""Where the repository and the data for development lie."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository."""
SHARED_DATA = ROOT.parent / "shared" / "data"
"""Data that is not part of the project: tests that use it skip where it is absent."""
HELPERS = Path(__file__).parent
"""The folder in which another process finds these modules."""
