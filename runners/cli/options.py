"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
data_option = click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of the image data sets [NBEVAL_DATA]."
)
split_option = click.option(
    "--split",
    "--split-file",
    "split_file",
    metavar="official|FILE",
    type=click.Path(path_type=Path),
    help="The official split of each data set, or a split file.  [default: seeded halves]",
)
