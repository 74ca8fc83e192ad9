"""What all runs of one command share: the results folder, device and data, and where true accuracies come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from nasbench_eval.runs.store import run_file_name
from nasbench_eval.table import Table
from runners.lookup import TableLookup
from runners.spec import RunSpec

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from nasbench_eval.training.recipes import TrainingSettings

Truth = Literal["table", "train", "none"]
TRUTHS: tuple[str, ...] = get_args(Truth)


@dataclass(frozen=True)
class Inputs:
    """What the user gave. ``runners.inputs.prepare`` makes a context of it, also in every worker process.

    Attributes:
        results_dir: The results folder.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:n``.
        truth: Where true accuracies come from: the benchmark table, training the final cell from scratch, or nowhere.
        table: The benchmark table or its path; None: where ``find_table`` finds the one of each data set.
        data: Folder of the image data sets; None: where ``find_images`` looks.
        split_file: A split file, ``official`` or ``seeded``; None: the default of each data set.
        scale: The scale of the training from scratch, for ``truth="train"``.
        workers: How many searches run in parallel.
        log: ``tensorboard``, or None to write no log of the steps.
        threads: CPU threads of each search; None: the cores that this process may use, divided among the workers.
        side_by_side: How many searches share the machine, for their record; None: as many as there are workers.
        elsewhere: Whether searches that train run on other machines, so that this one need not have the device.
    """

    results_dir: Path
    device: str = "auto"
    truth: Truth = "table"
    table: Table | Path | None = None
    data: Path | None = None
    split_file: Path | None = None
    scale: str = "full"
    workers: int = 1
    log: str | None = None
    threads: int | None = None
    side_by_side: int | None = None
    elsewhere: bool = False


@dataclass(frozen=True)
class RunContext:
    """Everything that a run needs besides its spec.

    Attributes:
        results_dir: Run files go to ``runs/`` below it, checkpoints to ``checkpoints/``, artifacts to ``supernets/``.
        images: Returns an image data set by name, loading each only once.
        device: A torch device.
        tables: The benchmark table of each search data set; empty unless it is where true accuracies come from.
        training: How ``truth="train"`` trains; None where true accuracies are not trained.
        side_by_side: How many searches share the machine.
        log: ``tensorboard``, or None.
        threads: CPU threads of each search.
    """

    results_dir: Path
    images: Callable[[str], ImageData]
    device: str = "cpu"
    tables: Mapping[str, TableLookup] = field(default_factory=dict)
    training: TrainingSettings | None = None
    side_by_side: int = 1
    log: str | None = None
    threads: int = 1

    @property
    def truth(self) -> Truth:
        """Where true accuracies come from."""
        return "train" if self.training is not None else "table" if self.tables else "none"

    @property
    def runs_dir(self) -> Path:
        """The folder of run files."""
        return self.results_dir / "runs"

    def run_file(self, spec: RunSpec) -> Path:
        """Return the path of the file that holds only this run."""
        return self.runs_dir / run_file_name(spec.method, spec.search_dataset, spec.seed, spec.run_id)
