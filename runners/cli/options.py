"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
data_option = click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of the image data sets [NBEVAL_DATA]."
)
where_option = click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only runs with this setting or fact: arch_lr=4, scale=full, method!=rs,rea, seed<3, ...; may be repeated.",
)
split_option = click.option(
    "--split",
    "--split-file",
    "split_file",
    metavar="official|FILE",
    type=click.Path(path_type=Path),
    help="The official split of each data set, or a split file.  [default: seeded halves]",
)
