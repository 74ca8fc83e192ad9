"""The settings of the weight-sharing searches; a preset gives each its published value."""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_eval.cell import N_EDGES, N_OPS
from nasbench_eval.methods.weight_sharing.contradictions import check
from nasbench_eval.methods.weight_sharing.darts_pt import tuning_epochs
from nasbench_eval.methods.weight_sharing.parts import CHOOSING, EVOLVING
from nasbench_eval.methods.weight_sharing.step_settings import NOTHING_DRAWN, StepSettings
from nasbench_eval.settings import setting

CANDIDATES = {"parametrisation": CHOOSING}
ONE_SHOT = {"parametrisation": EVOLVING}
EVOLUTION = {**ONE_SHOT, "select_by": ("evolution",)}


@dataclass(frozen=True, kw_only=True)
class WeightSharingSettings(StepSettings):
    """The settings of a weight-sharing search: its two steps, how it chooses its cell, and its network."""

    genotype: str = setting(
        "last: the cell of the last epoch; best: that of the epoch with the best supernet validation accuracy, of the "
        "mixture, or of the most probable cell where operations are drawn",
        choices=("last", "best"),
        default="last",
    )
    selection: str = setting(
        "argmax: the most probable operation of every edge; perturbation: after the search, edge by edge, the "
        "operation without which the supernet gets worst (DARTS-PT)",
        choices=("argmax", "perturbation"),
        default="argmax",
        before="argmax",
        afterwards=True,
        only_with=NOTHING_DRAWN,
    )
    projection_interval: int = setting(
        "perturbation: epochs of training between two edges, five times after the epochs of the search",
        at_least=1,
        default=5,
        before=5,
        reduces=True,
        only_with={**NOTHING_DRAWN, "selection": ("perturbation",)},
    )
    split_edge: int | None = setting(
        "the edge on which the supernet is split after the epochs of the search, into one for each operation "
        "(few-shot NAS); none: it is not",
        at_least=0,
        at_most=N_EDGES - 1,
        default=None,
        before=None,
        afterwards=True,
        only_with=ONE_SHOT,
    )
    split_epochs: int = setting(
        "split_edge: epochs of each of these supernets",
        at_least=1,
        default=150,
        before=150,
        reduces=True,
        only_with={**ONE_SHOT, "split_edge": tuple(range(N_EDGES))},
    )
    hessian: bool = setting(
        "whether to record after each epoch the largest eigenvalue of the valid loss's Hessian in the architecture",
        default=False,
        before=False,
        only_with=NOTHING_DRAWN,
    )
    stop_factor: float | None = setting(
        "growth of that eigenvalue that ends the search (RobustDARTS's early stopping): it is measured in every second "
        "epoch, and averages over five measurements are compared, four measurements apart; none: no early stop",
        at_least=1,
        default=None,
        before=None,
        only_with=NOTHING_DRAWN,
    )
    stop_from: int = setting(
        "stop_factor: the first epoch whose cell an early stop can keep",
        at_least=0,
        default=0,
        before=0,
        only_with=NOTHING_DRAWN,
    )
    select_cells: int = setting(
        "candidate cells scored with the shared weights after each epoch",
        at_least=1,
        default=100,
        reduces=True,
        only_with=CANDIDATES,
    )
    select_by: str = setting(
        "random: the candidates of the last epoch are drawn at random; evolution: they evolve (SPOS)",
        choices=("random", "evolution"),
        default="random",
        before="random",
        only_with=ONE_SHOT,
    )
    evolution_population: int = setting(
        "evolution: cells of a generation",
        at_least=1,
        default=50,
        before=50,
        reduces=True,
        only_with=EVOLUTION,
    )
    evolution_generations: int = setting(
        "evolution: generations, the first random one included",
        at_least=1,
        default=20,
        before=20,
        reduces=True,
        only_with=EVOLUTION,
    )
    select_on: str = setting(
        "one_batch: each candidate on the next of the shuffled validation batches, as published; whole: each on the "
        "whole valid part (where cells evolve, only those of the evolution)",
        choices=("one_batch", "whole"),
        default="one_batch",
        only_with=CANDIDATES,
    )

    channels: int = setting("channels C of the first stage of the supernet", at_least=1, default=16, reduces=True)
    cells: int = setting("cells N per stage", at_least=1, default=5, reduces=True)
    track_running_stats: bool = setting(
        "whether BatchNorm in the cells keeps running statistics and evaluates with them", default=True
    )
    partial_channels: int = setting(
        "K: only one in K channels goes through the operations, the others bypass them (PC-DARTS); 1: all channels",
        at_least=1,
        default=1,
    )
    edge_normalisation: bool = setting("whether the edges that enter a node have weights too (PC-DARTS)", default=False)
    valid_batch_size: int = setting("images per validation batch", at_least=1, default=512)
    train_images: int | None = setting(
        "use only this many images of the train part", at_least=2, default=None, reduces=True
    )
    valid_images: int | None = setting(
        "use only this many images of the valid part", at_least=2, default=None, reduces=True
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def steps(self) -> int:
        """The number of epochs: those of the search, and those of what follows it."""
        after = 0
        if self.selection == "perturbation":
            after = tuning_epochs(self.projection_interval)
        if self.split_edge is not None and self.parametrisation in EVOLVING:
            after = self.split_epochs * (N_OPS if self.zero_op else N_OPS - 1)
        return self.epochs + after
