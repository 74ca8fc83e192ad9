"""Write a drawn figure to a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.utils.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: Figure, path: Path) -> None:
    """Write a picture atomically, in the format of the path's suffix; called with ``_style.RC`` in force.

    Raises:
        NbevalError: If the file cannot be written.
    """
    suffix = path.suffix[1:]
    # Drawn in memory first: matplotlib's own error for a full disk is another one, and leaves the file open.
    content = io.BytesIO()
    # The default compression takes twice the time for a few per cent.
    options: dict[str, Any] = {"pil_kwargs": {"compress_level": 3}} if suffix == "png" else {}
    figure.savefig(content, format=suffix, dpi=style.DPI, metadata=style.METADATA[suffix], **options)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.getbuffer())
