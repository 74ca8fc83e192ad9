"""The settings of the weight-sharing searches; a preset gives each its published value."""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_eval.cell import N_OPS
from nasbench_eval.methods.weight_sharing.contradictions import check
from nasbench_eval.methods.weight_sharing.darts_pt import tuning_epochs
from nasbench_eval.methods.weight_sharing.parts import (
    EVOLVING,
    MIXTURES,
    OBJECTIVES,
    OPTIMIZERS,
    PARAMETRISATIONS,
    PENALTIES,
)
from nasbench_eval.settings import setting

GRADIENT = {"arch_optimizer": ("adam", "eg", "experts")}
DIRICHLET = {"parametrisation": ("dirichlet",)}
GUMBEL = {"parametrisation": ("gumbel", "gumbel_simplex")}
TEMPERATURE = {"parametrisation": ("gumbel", "gumbel_simplex", "concrete")}
MIXTURE = {"parametrisation": ("softmax", "simplex")}
NOTHING_DRAWN = {"parametrisation": MIXTURES}
CONTROLLER = {"parametrisation": ("controller",)}
CANDIDATES = {"parametrisation": ("uniform", "fair", "setn", "controller")}
ONE_SHOT = {"parametrisation": EVOLVING}
EVOLUTION = {**ONE_SHOT, "select_by": ("evolution",)}


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

    neumann_terms: int | None = setting(
        "K: the architecture gradient is taken through the trained weights, with K terms of the Neumann series more "
        "than the first (iDARTS); none: at the current weights",
        at_least=0,
        default=None,
        before=None,
        only_with=GRADIENT,
    )
    arch_interval: int = setting(
        "steps of the weights for each step of the architecture", at_least=1, default=1, before=1, only_with=GRADIENT
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
    arch_penalty: str = setting(
        "a term of the architecture's loss: beta, the log-sum-exp of the logits, whose weight rises from 0 "
        "(beta-DARTS); zero_one, which draws sigmoids to 0 or 1 (FairDARTS); or none",
        choices=tuple(PENALTIES),
        default="none",
        before="none",
        only_with=GRADIENT,
    )
    arch_penalty_weight: float = setting(
        "weight of arch_penalty; beta: at the end of the search",
        at_least=0,
        default=1.0,
        before=1.0,
        only_with={"arch_penalty": ("beta", "zero_one")},
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

    auxiliary_skip: float = setting(
        "weight of an extra skip connection on every edge in the first epoch, which falls to 0 (DARTS-)",
        at_least=0,
        default=0.0,
        before=0.0,
        only_with=MIXTURE,
    )
    perturbation: str = setting(
        "edge weights that the weights step trains at: moved at random (SDARTS-RS), to where the train loss is largest "
        "(adversarial, SDARTS-ADV), or not (none)",
        choices=("none", "random", "adversarial"),
        default="none",
        before="none",
        only_with=MIXTURE,
    )
    perturbation_max: float = setting(
        "largest change of an edge weight by the perturbation at the end of the search; it rises from 0.03",
        above=0,
        default=0.3,
        before=0.3,
        only_with={**MIXTURE, "perturbation": ("random", "adversarial")},
    )
    perturbation_steps: int = setting(
        "adversarial: steps of gradient ascent",
        at_least=1,
        default=7,
        before=7,
        only_with={**MIXTURE, "perturbation": ("adversarial",)},
    )
    alignment: float = setting(
        "weight at the end of the search of the mean cosine between two cells' gradients in their edge weights, which "
        "the weights step raises; it rises from 0 (Lambda-DARTS)",
        at_least=0,
        default=0.0,
        before=0.0,
        only_with=NOTHING_DRAWN,
    )

    tau_max: float = setting("Gumbel temperature in the first epoch", above=0, default=10.0, only_with=TEMPERATURE)
    tau_min: float = setting(
        "Gumbel temperature in the last epoch; linear in between", above=0, default=0.1, only_with=TEMPERATURE
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
    selection: str = setting(
        "argmax: the most probable operation of every edge; perturbation: after the search, edge by edge, the "
        "operation without which the supernet gets worst (DARTS-PT)",
        choices=("argmax", "perturbation"),
        default="argmax",
        before="argmax",
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
    hessian: bool = setting(
        "whether to record after each epoch the largest eigenvalue of the valid loss's Hessian in the architecture",
        default=False,
        before=False,
        only_with=NOTHING_DRAWN,
    )
    stop_factor: float | None = setting(
        "growth of that eigenvalue, averaged over five epochs, within four epochs that ends the search (RobustDARTS's "
        "early stopping); none: the search does not end early",
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
        "candidate cells scored with the shared weights after each epoch (uniform, setn, controller)",
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
        check(self)

    @property
    def steps(self) -> int:
        """The number of epochs: those of the search, and those after it in which DARTS-PT decides the edges."""
        after = tuning_epochs(self.projection_interval) if self.selection == "perturbation" else 0
        return self.epochs + after
