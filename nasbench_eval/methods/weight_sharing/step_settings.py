"""The settings of the two steps of a weight-sharing search: what trains the weights, and what the architecture."""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_eval.cell import N_OPS
from nasbench_eval.methods.weight_sharing.parts import MIXTURES, OBJECTIVES, OPTIMIZERS, PARAMETRISATIONS, PENALTIES
from nasbench_eval.settings import setting

GRADIENT = {"arch_optimizer": ("adam", "eg", "experts")}
DIRICHLET = {"parametrisation": ("dirichlet",)}
GUMBEL = {"parametrisation": ("gumbel", "gumbel_simplex")}
TEMPERATURE = {"parametrisation": ("gumbel", "gumbel_simplex", "concrete")}
MIXTURE = {"parametrisation": ("softmax", "simplex")}
NOTHING_DRAWN = {"parametrisation": MIXTURES}
CONTROLLER = {"parametrisation": ("controller",)}


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """The settings of the weights step and of the architecture step."""

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
        "operation weights that the weights step trains at: moved at random (SDARTS-RS), to where the train loss is "
        "largest (adversarial, SDARTS-ADV), or not (none)",
        choices=("none", "random", "adversarial"),
        default="none",
        before="none",
        only_with=MIXTURE,
    )
    perturbation_max: float = setting(
        "largest change of an operation weight by the perturbation at the end of the search; it rises from 0.03",
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
        "weight at the end of the search of the mean cosine between two cells' gradients in their operation weights, "
        "which the weights step raises; it rises from 0 (Lambda-DARTS)",
        at_least=0,
        default=0.0,
        before=0.0,
        only_with=NOTHING_DRAWN,
    )

    tau_max: float = setting("Gumbel temperature in the first epoch", above=0, default=10.0, only_with=TEMPERATURE)
    tau_min: float = setting(
        "Gumbel temperature in the last epoch, linear in between; with a warm-up of the architecture the fall begins "
        "after it and, as in the released code of GAEA, does not reach this value",
        above=0,
        default=0.1,
        only_with=TEMPERATURE,
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
