"""Settings of a weight-sharing search that contradict each other, each refused with what to do instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasbench_eval.errors import UsageError
from nasbench_eval.methods.weight_sharing.parts import CHOOSING, MIXTURES, ON_SIMPLEX, OPTIMIZERS, PARAMETRISATIONS

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


def check(settings: WeightSharingSettings) -> None:
    """Raise UsageError if settings contradict each other."""
    s = settings
    part = PARAMETRISATIONS[s.parametrisation]
    if s.arch_optimizer not in part.optimizers:
        raise UsageError(
            f"arch_optimizer {s.arch_optimizer} cannot train parametrisation {s.parametrisation}: "
            f"use {' or '.join(part.optimizers)} ({part.because})"
        )
    if s.arch_lr is None and s.arch_optimizer != "experts":
        raise UsageError(f"arch_optimizer {s.arch_optimizer} needs a number for arch_lr; only experts takes none")
    if s.nesterov and not s.momentum:
        raise UsageError("nesterov needs a momentum above 0: set nesterov=false, or another momentum")
    if s.arch_warmup_epochs >= s.epochs:
        raise UsageError(
            f"arch_warmup_epochs ({s.arch_warmup_epochs}) must be smaller than epochs ({s.epochs}): "
            "otherwise the architecture never moves"
        )
    if s.channels % s.partial_channels:
        raise UsageError(f"channels ({s.channels}) must be a multiple of partial_channels ({s.partial_channels})")
    if s.genotype == "best" and s.parametrisation in CHOOSING:
        raise UsageError(
            f"genotype=best keeps the most probable cell of an epoch, but {s.parametrisation} chooses among candidate "
            "cells after every epoch: set genotype=last"
        )
    if s.stage_two_epoch is not None and s.parametrisation == "dirichlet":
        _check_stages(s, s.stage_two_epoch)
    if s.joint:
        _check_joint(s)
    _check_gradient(s)
    _check_mixture(s)


def check_interval(settings: WeightSharingSettings, batches: int) -> None:
    """Raise UsageError if the architecture would take no step in an epoch of so many batches."""
    every = settings.arch_interval
    if OPTIMIZERS[settings.arch_optimizer] is not None and every > batches:
        raise UsageError(
            f"arch_interval ({every}) must be at most the number of batches of an epoch ({batches}): "
            "otherwise the architecture never moves"
        )


def _check_joint(s: WeightSharingSettings) -> None:
    """Raise UsageError if one backward pass cannot serve both steps."""
    if s.objective != "erm":
        raise UsageError(f"joint needs objective=erm: with {s.objective} the two steps have different images")
    if OPTIMIZERS[s.arch_optimizer] is None:
        raise UsageError(f"joint needs an architecture step, but {s.parametrisation} has none")
    for name, wanted, why in (
        ("unrolled", s.unrolled, "the architecture gradient is taken at other weights"),
        ("neumann_terms", s.neumann_terms is not None, "the architecture gradient is not that of the loss alone"),
        ("clip_architecture", s.clip_architecture, "the gradient that moves the architecture would be clipped too"),
        ("perturbation", s.perturbation != "none", "the weights step evaluates other operation weights"),
    ):
        if wanted:
            raise UsageError(f"joint and {name} exclude each other: {why}")
    if s.parametrisation == "setn":
        raise UsageError("joint is impossible with setn: its two steps evaluate different networks")


def _check_gradient(s: WeightSharingSettings) -> None:
    """Raise UsageError if the gradient of the architecture step is impossible."""
    second_orders = {"unrolled": s.unrolled, "neumann_terms": s.neumann_terms is not None}
    for name in (name for name, wanted in second_orders.items() if wanted):
        if OPTIMIZERS[s.arch_optimizer] is None:
            raise UsageError(f"{name} needs an architecture step, but {s.parametrisation} has none")
    if all(second_orders.values()):
        raise UsageError("unrolled and neumann_terms are two gradients of the architecture: set only one")
    if s.arch_penalty == "beta" and s.arch_optimizer in ON_SIMPLEX:
        raise UsageError("arch_penalty beta is a term of logits, constant on the simplex: use arch_optimizer=adam")
    if (s.arch_penalty == "zero_one") and s.parametrisation != "sigmoid":
        raise UsageError(
            f"arch_penalty zero_one is a term of sigmoids: it needs parametrisation=sigmoid, not {s.parametrisation}"
        )


def _check_mixture(s: WeightSharingSettings) -> None:
    """Raise UsageError if a setting for mixtures of all operations meets another rule."""
    wanted = {
        "unrolled": s.unrolled,  # a difference of gradients in two draws would be their noise
        "neumann_terms": s.neumann_terms is not None,
        "alignment": bool(s.alignment),
        "selection=perturbation": s.selection == "perturbation",
        "hessian": s.hessian,
        "stop_factor": s.stop_factor is not None,
    }
    for name in (name for name, is_wanted in wanted.items() if is_wanted):
        if s.parametrisation not in MIXTURES:
            raise UsageError(
                f"{name} needs a mixture of all operations that is not drawn at random: "
                f"parametrisation {', '.join(MIXTURES)}; got {s.parametrisation}"
            )
    if s.parametrisation in ("softmax", "simplex") and s.auxiliary_skip and s.perturbation != "none":
        raise UsageError(
            "auxiliary_skip does not go with a perturbation, which keeps the sum of operation weights at one"
        )
    if s.selection == "perturbation" and s.stop_factor is not None:
        raise UsageError("selection=perturbation chooses after the search, stop_factor before its end: set only one")


def _check_stages(s: WeightSharingSettings, second: int) -> None:
    """Raise UsageError if the two stages of the progressive search are impossible."""
    if second >= min(s.epochs, s.lr_epochs or s.epochs):
        raise UsageError(
            f"stage_two_epoch ({second}) must be smaller than epochs ({s.epochs}) and lr_epochs: set it too, to "
            "an earlier epoch, or to none for one stage"
        )
    if s.arch_warmup_epochs >= min(second, s.epochs - second):
        raise UsageError(
            f"arch_warmup_epochs ({s.arch_warmup_epochs}) must be smaller than both stages "
            f"({second} and {s.epochs - second} epochs): otherwise the architecture never moves in one"
        )
    if s.partial_channels % s.stage_two_partial_channels:
        raise UsageError(
            f"partial_channels ({s.partial_channels}) must be a multiple of stage_two_partial_channels "
            f"({s.stage_two_partial_channels}): the second stage has as many channels, or more"
        )
