"""The settings of the weight-sharing searches; a preset gives each its published value."""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_eval.cell import N_OPS
from nasbench_eval.errors import UsageError
from nasbench_eval.methods.weight_sharing.parts import OBJECTIVES, OPTIMIZERS, PARAMETRISATIONS
from nasbench_eval.settings import setting

GRADIENT = {"arch_optimizer": ("adam", "eg", "experts")}
DIRICHLET = {"parametrisation": ("dirichlet",)}
GUMBEL = {"parametrisation": ("gumbel", "gumbel_simplex")}
CONTROLLER = {"parametrisation": ("controller",)}
CANDIDATES = {"parametrisation": ("uniform", "setn", "controller")}


@dataclass(frozen=True, kw_only=True)
class WeightSharingSettings:
    """The settings of a weight-sharing search."""

    epochs: int = setting("epochs of the search", at_least=1, reduces=True)
    batch_size: int = setting("images per batch", at_least=2)
    lr: float = setting("initial learning rate of the weights", at_least=0)
    lr_min: float = setting("learning rate of the weights at the end of the cosine schedule", at_least=0)
    lr_epochs: int | None = setting(
        "epochs in which the cosine falls to lr_min, after which it rises again; none: the epochs of the search",
        at_least=1,
        default=None,
    )
    weight_decay: float = setting("weight decay of the weights", at_least=0)
    momentum: float = setting("momentum of the SGD of the weights", at_least=0, below=1, default=0.9)
    nesterov: bool = setting("whether the SGD of the weights uses Nesterov momentum")
    clip: float | None = setting("largest gradient norm in the weights step; none: no clipping", above=0, default=5.0)
    clip_architecture: bool = setting(
        "whether the clipping norm of the weights step includes the gradient of the architecture",
        default=False,
        only_with=GRADIENT,
    )

    parametrisation: str = setting(
        "how the distribution over cells is parametrised, and what a batch evaluates", choices=tuple(PARAMETRISATIONS)
    )
    zero_op: bool = setting("whether `none` is a candidate operation")
    objective: str = setting(
        "bilevel: weights on the train part, architecture on the valid part; erm: both on the same images",
        choices=tuple(OBJECTIVES),
    )
    bilevel_images: str = setting(
        "bilevel: parts, the train and the valid part; training_set_halves: the halves of the official training set "
        "(the same on CIFAR-10), as DrNAS does",
        choices=("parts", "training_set_halves"),
        default="parts",
        before="parts",
        only_with={"objective": ("bilevel",)},
    )
    erm_images: str = setting(
        "erm: training_set, the whole official training set (CIFAR-10: train and valid); train: valid is held out",
        choices=("train", "training_set"),
        default="train",
        only_with={"objective": ("erm",)},
    )
    order: str = setting(
        "which step of an iteration comes first",
        choices=("weights_first", "architecture_first"),
        default="weights_first",
        only_with=GRADIENT,
    )
    joint: bool = setting(
        "whether one batch and one backward pass serve both steps of an iteration, which halves its cost; released "
        "codes draw two batches, also with erm",
        default=False,
        before=False,
        only_with={"objective": ("erm",), **GRADIENT},
    )
    unrolled: bool = setting(
        "whether the architecture gradient is taken through one step of the weights (second-order DARTS)",
        default=False,
        only_with=GRADIENT,
    )

    arch_optimizer: str = setting(
        "optimiser of the architecture parameters: adam, eg (exponentiated gradient: GAEA, for any softmax; its "
        "arch_lr is 0.1), experts (XNAS: eg that drops operations that can no longer win), reinforce (the controller "
        "learns after each epoch), or none",
        choices=tuple(OPTIMIZERS),
    )
    arch_lr: float | None = setting(
        "learning rate of the architecture parameters; none (experts only): sqrt(2 ln N / (T L^2)), the optimum for N "
        "operations, T architecture steps and reward bound L",
        at_least=0,
        default=3e-4,
        only_with={"arch_optimizer": ("adam", "eg", "experts", "reinforce")},
    )
    arch_beta1: float = setting(
        "first beta of Adam for the architecture",
        at_least=0,
        below=1,
        default=0.5,
        only_with={"arch_optimizer": ("adam", "reinforce")},
    )
    arch_beta2: float = setting(
        "second beta of Adam for the architecture",
        at_least=0,
        below=1,
        default=0.999,
        only_with={"arch_optimizer": ("adam", "reinforce")},
    )
    arch_eps: float = setting(
        "epsilon of Adam for the architecture",
        above=0,
        default=1e-8,
        only_with={"arch_optimizer": ("adam", "reinforce")},
    )
    arch_weight_decay: float = setting(
        "weight decay of the architecture parameters (Adam)",
        at_least=0,
        default=1e-3,
        only_with={"arch_optimizer": ("adam",)},
    )
    arch_entropy_weight: float = setting(
        "weight of the KL divergence from the uniform distribution in the architecture's loss",
        at_least=0,
        default=0.0,
        only_with=GRADIENT,
    )
    arch_normalise_first: bool = setting(
        "eg: clamp at 1e-5 after normalising instead of before",
        default=False,
        only_with={"arch_optimizer": ("eg",)},
    )
    reward_bound: float = setting(
        "experts: bound L to which the reward of an operation, its negative gradient, is clipped",
        at_least=1e-6,
        default=1.0,
        before=1.0,
        only_with={"arch_optimizer": ("experts",)},
    )
    arch_warmup_epochs: int = setting(
        "epochs before the first architecture step, in each stage",
        at_least=0,
        default=0,
        reduces=True,
        only_with=GRADIENT,
    )

    stage_two_epoch: int | None = setting(
        "dirichlet: the epoch before which operations are pruned and the supernet is widened (the progressive search); "
        "none: one stage",
        at_least=1,
        default=None,
        before=None,
        reduces=True,
        only_with=DIRICHLET,
    )
    stage_two_ops: int = setting(
        "dirichlet: operations that every edge keeps in the second stage",
        at_least=1,
        at_most=N_OPS,
        default=3,
        before=3,
        only_with=DIRICHLET,
    )
    stage_two_partial_channels: int = setting(
        "dirichlet: K in the second stage, at most partial_channels",
        at_least=1,
        default=2,
        before=2,
        only_with=DIRICHLET,
    )

    tau_max: float = setting("Gumbel temperature in the first epoch", above=0, default=10.0, only_with=GUMBEL)
    tau_min: float = setting(
        "Gumbel temperature in the last epoch; linear in between", above=0, default=0.1, only_with=GUMBEL
    )
    other_weights: bool = setting(
        "Gumbel: add the weights of the operations not sampled, which are zero in value but not in gradient",
        default=False,
        only_with=GUMBEL,
    )
    controller_steps: int = setting(
        "controller: updates after each epoch", at_least=1, default=50, reduces=True, only_with=CONTROLLER
    )
    controller_samples: int = setting(
        "controller: cells scored per update", at_least=1, default=20, only_with=CONTROLLER
    )
    controller_entropy: float = setting(
        "controller: weight of the entropy in the reward", at_least=0, default=1e-4, only_with=CONTROLLER
    )
    controller_decay: float = setting(
        "controller: decay of the moving average of the reward",
        at_least=0,
        at_most=1,
        default=0.99,
        only_with=CONTROLLER,
    )

    controller_images: str = setting(
        "controller: augmented, cells are scored on validation batches that are augmented as for training; or plain",
        choices=("augmented", "plain"),
        default="augmented",
        only_with=CONTROLLER,
        before="plain",
    )
    controller_init: str = setting(
        "controller: released, the second LSTM layer and all biases start at torch's default; uniform, all in +-0.1",
        choices=("released", "uniform"),
        default="released",
        only_with=CONTROLLER,
        before="uniform",
    )
    controller_entropy_gradient: bool = setting(
        "controller: whether the entropy in the reward passes on its gradient",
        default=True,
        only_with=CONTROLLER,
        before=False,
    )
    controller_baseline: str = setting(
        "controller: epoch, the moving average of the reward moves once per epoch; sample, with every sample",
        choices=("epoch", "sample"),
        default="epoch",
        only_with=CONTROLLER,
        before="sample",
    )

    genotype: str = setting(
        "last: the cell of the last epoch; best: that of the epoch with the best supernet validation accuracy",
        choices=("last", "best"),
        default="last",
    )
    select_cells: int = setting(
        "candidate cells scored with the shared weights after each epoch (uniform, setn, controller)",
        at_least=1,
        default=100,
        reduces=True,
        only_with=CANDIDATES,
    )
    select_on: str = setting(
        "one_batch: each candidate on a different validation batch, as published; whole: each on the whole valid part",
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
        part = PARAMETRISATIONS[self.parametrisation]
        if self.arch_optimizer not in part.optimizers:
            raise UsageError(
                f"arch_optimizer {self.arch_optimizer} cannot train parametrisation {self.parametrisation}: "
                f"use {' or '.join(part.optimizers)} ({part.because})"
            )
        if self.arch_lr is None and self.arch_optimizer != "experts":
            raise UsageError(
                f"arch_optimizer {self.arch_optimizer} needs a number for arch_lr; only experts takes none"
            )
        if self.nesterov and not self.momentum:
            raise UsageError("nesterov needs a momentum above 0: set nesterov=false, or another momentum")
        if self.arch_warmup_epochs >= self.epochs:
            raise UsageError(
                f"arch_warmup_epochs ({self.arch_warmup_epochs}) must be smaller than epochs ({self.epochs}): "
                "otherwise the architecture never moves"
            )
        if self.channels % self.partial_channels:
            raise UsageError(
                f"channels ({self.channels}) must be a multiple of partial_channels ({self.partial_channels})"
            )
        if self.stage_two_epoch is not None and self.parametrisation == "dirichlet":
            self._check_stages(self.stage_two_epoch)
        if self.joint:
            self._check_joint()
        if self.unrolled and OPTIMIZERS[self.arch_optimizer] is None:
            raise UsageError(f"unrolled needs an architecture step, but {self.parametrisation} has none")

    def _check_joint(self) -> None:
        """Raise UsageError if one backward pass cannot serve both steps."""
        if self.objective != "erm":
            raise UsageError(f"joint needs objective=erm: with {self.objective} the two steps have different images")
        if OPTIMIZERS[self.arch_optimizer] is None:
            raise UsageError(f"joint needs an architecture step, but {self.parametrisation} has none")
        for name, why in (
            ("unrolled", "the architecture gradient is taken at other weights"),
            ("clip_architecture", "the gradient that moves the architecture would be clipped too"),
        ):
            if getattr(self, name):
                raise UsageError(f"joint and {name} exclude each other: {why}")
        if self.parametrisation == "setn":
            raise UsageError("joint is impossible with setn: its two steps evaluate different networks")

    def _check_stages(self, second: int) -> None:
        """Raise UsageError if the two stages of the progressive search are impossible."""
        if second >= min(self.epochs, self.lr_epochs or self.epochs):
            raise UsageError(
                f"stage_two_epoch ({second}) must be smaller than epochs ({self.epochs}) and lr_epochs: set it too, to "
                "an earlier epoch, or to none for one stage"
            )
        if self.arch_warmup_epochs >= min(second, self.epochs - second):
            raise UsageError(
                f"arch_warmup_epochs ({self.arch_warmup_epochs}) must be smaller than both stages "
                f"({second} and {self.epochs - second} epochs): otherwise the architecture never moves in one"
            )
        if self.partial_channels % self.stage_two_partial_channels:
            raise UsageError(
                f"partial_channels ({self.partial_channels}) must be a multiple of stage_two_partial_channels "
                f"({self.stage_two_partial_channels}): the second stage has as many channels, or more"
            )
