"""Shared fixtures, and the tests' own folder on the path for the plain reference implementations."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Two threads wherever the tests run: the trajectory of a search depends on the number.
os.environ.setdefault("OMP_NUM_THREADS", "2")
sys.path.insert(0, str(Path(__file__).parent))
