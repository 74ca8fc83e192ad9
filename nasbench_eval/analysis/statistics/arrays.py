"""The types of arrays in the statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Values = Sequence[float] | Floats
"""Numbers of shape ``(n,)``."""
