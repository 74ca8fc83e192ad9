"""What all runs of one command share: folders, device, truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nasbench_eval.runs.store import run_file_name
from runners.lookup import TableTruth
from runners.spec import RunSpec

if TYPE_CHECKING:
    from nasbench_eval.training.recipes import TrainingSettings


@dataclass(frozen=True)
class Environment:
    """What all runs of one command share.

    Attributes:
        results: The results folder; runs go to ``runs/`` below it, checkpoints to ``checkpoints/``, what is kept of
            finished weight-sharing searches to ``supernets/``.
        device: A torch device.
        table: The benchmark table as truth, or None.
        training: How ``--truth train`` trains, or None where the truth is not trained.
        workers: How many searches run side by side.
    """

    results: Path
    device: str = "cpu"
    table: TableTruth | None = None
    training: TrainingSettings | None = None
    workers: int = 1

    @property
    def truth(self) -> Literal["table", "train", "none"]:
        """``table``, ``train`` or ``none``."""
        return "train" if self.training is not None else "none" if self.table is None else "table"

    @property
    def runs_folder(self) -> Path:
        """The folder of run files."""
        return self.results / "runs"

    def run_file(self, spec: RunSpec) -> Path:
        """Return where a spec's run file is, or will be, if it has one of its own."""
        return self.runs_folder / run_file_name(spec.method, spec.search_dataset, spec.seed, spec.run_id)

    def checkpoint(self, spec: RunSpec) -> Path:
        """Return where a spec's checkpoint is while it runs."""
        return self.results / "checkpoints" / f"{spec.run_id}.pt"

    def artifact(self, run_id: str) -> Path:
        """Return where a run's artifact is, or will be, if its method leaves one."""
        return self.results / "supernets" / f"{run_id}.pt"
