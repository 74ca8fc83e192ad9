"""The one loop of all weight-sharing searches: parametrisation x optimiser x objective x selection.

Sources: DARTS (ICLR 2019), GDAS (CVPR 2019), RS-WS (UAI 2019), GAEA (ICLR 2021), and for what they leave open
NAS-Bench-201's ``exps/NAS-Bench-201-algos``. Which preset sets what, and why, is said in ``runners/presets``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.cell import N_OPS, NONE, Cell
from nasbench_eval.errors import UsageError
from nasbench_eval.images import Augment, Images
from nasbench_eval.methods.architecture import (
    ArchParameters,
    EdgeWeights,
    ExponentiatedGradient,
    Gumbel,
    Simplex,
    Softmax,
    Uniform,
)
from nasbench_eval.methods.base import Budget, SearchContext, SearchMethod, StepInfo
from nasbench_eval.methods.settings import setting
from nasbench_eval.streams import Streams
from nasbench_eval.supernet import Supernet, active_of, one_hot


@dataclass(frozen=True, kw_only=True)
class WeightSharingSettings:
    """Every choice of a weight-sharing search; a preset gives each its published value."""

    epochs: int = setting("epochs of the search", at_least=1)
    batch_size: int = setting("images of a batch", at_least=2)
    lr: float = setting("learning rate of the weights at the start", at_least=0)
    lr_min: float = setting("learning rate of the weights at the end of the cosine", at_least=0)
    weight_decay: float = setting("weight decay of the weights", at_least=0)
    nesterov: bool = setting("whether the weights' SGD uses Nesterov momentum")
    parametrisation: str = setting(
        "how edge weights are parametrised", choices=("softmax", "simplex", "gumbel", "uniform")
    )
    objective: str = setting(
        "bilevel: weights on the train part, architecture on the valid part; erm: both on the same images",
        choices=("bilevel", "erm"),
    )
    order: str = setting(
        "which step an iteration takes first", choices=("weights_first", "architecture_first"), default="weights_first"
    )
    arch_optimizer: str = setting(
        "adam, or eg for exponentiated gradient (simplex only), or none", choices=("adam", "eg", "none")
    )
    arch_lr: float = setting("learning rate of the architecture parameters", at_least=0, default=3e-4)
    arch_beta1: float = setting("Adam's first beta for the architecture", at_least=0, default=0.5)
    arch_beta2: float = setting("Adam's second beta for the architecture", at_least=0, default=0.999)
    arch_weight_decay: float = setting("weight decay of the architecture parameters (Adam)", at_least=0, default=1e-3)
    zero_op: bool = setting("whether `none` is a candidate operation")
    momentum: float = setting("momentum of the weights' SGD", at_least=0, default=0.9)
    lr_epochs: int | None = setting(
        "epochs over which the cosine falls to lr_min; none: those of the search", at_least=1, default=None
    )
    clip: float | None = setting("largest norm of a gradient; none: no clipping", at_least=0, default=5.0)
    clip_architecture: bool = setting(
        "whether the weights step's clipping norm includes the architecture's gradient", default=False
    )
    tau_max: float = setting("Gumbel temperature in the first epoch", at_least=0, default=10.0)
    tau_min: float = setting("Gumbel temperature in the last epoch; linear between", at_least=0, default=0.1)
    other_weights: bool = setting(
        "Gumbel: add the weights of operations not sampled, zero in value but not in gradient", default=False
    )
    genotype: str = setting(
        "last: the cell of the last epoch; best: of the epoch with the best supernet validation accuracy",
        choices=("last", "best"),
        default="last",
    )
    select_cells: int = setting("uniform: random cells scored after each epoch", at_least=1, default=100)
    valid_batch_size: int = setting("images of a validation batch", at_least=1, default=512)
    channels: int = setting("channels C of the supernet's first stage", at_least=1, default=16)
    cells: int = setting("cells N of a stage", at_least=1, default=5)
    track_running_stats: bool = setting(
        "whether the search cell's BatchNorm keeps running statistics and evaluates with them", default=True
    )
    erm_images: str = setting(
        "erm: training_set, all of the official one (of CIFAR-10: train and valid), or train, which holds valid out",
        choices=("train", "training_set"),
        default="train",
    )
    train_images: int | None = setting("use only so many images of the train part", at_least=2, default=None)
    valid_images: int | None = setting("use only so many images of the valid part", at_least=2, default=None)


@final
class WeightSharing(SearchMethod):
    """One supernet whose weights and architecture parameters are trained side by side.

    A step is one epoch. Its cost is the measured time of the training and, where the method chooses by it, of the
    evaluation; an evaluation that is only recorded is not charged.

    Args:
        settings: The choices.
        context: Data set, random generators, device.

    Raises:
        UsageError: If the settings contradict each other.
    """

    Settings = WeightSharingSettings
    needs = "images"
    cost_kind = "measured"

    def __init__(self, settings: WeightSharingSettings, context: SearchContext) -> None:
        self.settings = settings
        self.streams = context.streams
        self.device = torch.device(context.device)
        assert context.images is not None
        data = context.images
        self.augment = Augment.for_data(data)
        train, valid = _subset(data.train, settings.train_images), _subset(data.valid, settings.valid_images)
        self.held_out = True
        if settings.objective == "erm":
            if settings.erm_images == "training_set" and data.valid_is_training_data:
                train = Images(torch.cat([train.pixels, valid.pixels]), torch.cat([train.labels, valid.labels]))
                self.held_out = False
            arch = train
        else:
            arch = valid
        if settings.genotype == "best" and not self.held_out:
            raise UsageError("genotype=best needs a held-out valid part: set erm_images=train, or genotype=last")
        self.train, self.valid = train.to(self.device), valid.to(self.device)
        self.arch = self.train if arch is train else self.valid
        self._split = data.split
        self.supernet = Supernet(
            settings.channels,
            settings.cells,
            data.classes,
            track_running_stats=settings.track_running_stats,
            generator=self.streams.torch("weights"),
        ).to(self.device)
        self.architecture = _parametrisation(settings, self.streams.torch("architecture")).to(self.device)
        parameters = list(self.supernet.parameters())
        for p in parameters:
            # An operation that was not sampled has gradient zero, not none: weight decay and momentum go on, as in
            # the released codes, where the gradients of earlier batches are zeroed and kept.
            p.grad = torch.zeros_like(p)
        self.optimizer = torch.optim.SGD(
            parameters,
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=settings.nesterov,
            foreach=True,
        )
        self.arch_optimizer = _arch_optimizer(settings, list(self.architecture.parameters()))
        self.epoch = 0
        self._incumbent: Cell | None = None
        self._best_valid = -math.inf

    @property
    def budget(self) -> Budget:
        """The number of epochs."""
        return Budget(steps=self.settings.epochs)

    @property
    def facts(self) -> dict[str, str]:
        """The split and the BatchNorm mode."""
        both = "weights and architecture on the same"
        where = {
            "erm": f"{both} {len(self.train):,} images ({'train part' if self.held_out else 'train and valid parts'})",
            "bilevel": f"weights on {len(self.train):,} train images, architecture on {len(self.valid):,} valid images",
        }[self.settings.objective]
        if self.arch_optimizer is None:
            where = f"weights on {len(self.train):,} train images, cells chosen on {len(self.valid):,} valid images"
        evaluation = "running statistics" if self.settings.track_running_stats else "batch statistics"
        return {
            "split": f"{where}; {self._split}",
            "batch_norm": f"affine=False, track_running_stats={self.settings.track_running_stats} "
            f"(supernet evaluated with {evaluation})",
        }

    def step(self) -> StepInfo:
        """Train for one epoch, then choose the cell."""
        start = time.perf_counter()
        n, batch = len(self.train), self.settings.batch_size
        eval_batches = math.ceil(len(self.valid) / self.settings.valid_batch_size)
        self.architecture.begin_epoch(
            self.epoch,
            2 * math.ceil(n / batch) + eval_batches,
            self.streams.torch("architecture samples", self.epoch),
            self.device,
        )
        loss, correct = (self.train_epoch() / n).tolist()
        metrics = {"train_loss": loss, "train_acc": 100 * correct}
        entropy = self.architecture.entropy()
        if entropy is not None:
            metrics["entropy"] = float(entropy)
        charged = time.perf_counter()
        valid_acc = math.nan
        if self.held_out:
            valid_loss, valid_correct = (self._evaluate() / len(self.valid)).tolist()
            valid_acc = 100 * valid_correct
            metrics |= {"valid_loss": valid_loss, "valid_acc": valid_acc}
        recorded = time.perf_counter()
        if isinstance(self.architecture, Uniform):
            self._incumbent, metrics["selected_acc"] = self._best_of_random_cells()
        elif self.settings.genotype == "last" or valid_acc > self._best_valid:
            self._best_valid = valid_acc
            self._incumbent = self.architecture.cell()
        self.epoch += 1
        seconds = time.perf_counter() - start
        if self.settings.genotype == "last":
            seconds -= recorded - charged
        return StepInfo(seconds, metrics)

    def incumbent(self) -> Cell:
        """Return the cell chosen after the last epoch."""
        assert self._incumbent is not None, "no epoch was trained yet"
        return self._incumbent

    def train_epoch(self) -> Tensor:
        """Train for one epoch without waiting for the device; return the sums of the loss and of the hits (2,)."""
        settings = self.settings
        self._set_lr()
        self.supernet.train()
        totals = torch.zeros(2, device=self.device)
        batches = self._batches(self.train, "weights batches")
        if self.arch_optimizer is None:
            for images, labels in batches:
                totals += self._weights_step(images, labels)
            return totals
        arch_batches = self._batches(self.arch, "architecture batches", like=len(self.train))
        for (images, labels), (arch_images, arch_labels) in zip(batches, arch_batches, strict=True):
            if settings.order == "architecture_first":
                self._architecture_step(arch_images, arch_labels)
            totals += self._weights_step(images, labels)
            if settings.order == "weights_first":
                self._architecture_step(arch_images, arch_labels)
        return totals

    def _set_lr(self) -> None:
        s = self.settings
        turn = min(self.epoch / (s.lr_epochs or s.epochs), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = s.lr_min + 0.5 * (s.lr - s.lr_min) * (1 + math.cos(math.pi * turn))

    def _batches(self, part: Images, purpose: str, like: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield augmented batches of shuffled passes over a part, as many images as ``like`` (default: one pass)."""
        n = len(part) if like is None else like
        generator = self.streams.torch(purpose, self.epoch)
        passes = [torch.randperm(len(part), generator=generator) for _ in range(math.ceil(n / len(part)))]
        order = torch.cat(passes).narrow(0, 0, n).to(self.device)
        choices = self.augment.draw(n, generator).to(self.device)
        for at in range(0, n, self.settings.batch_size):
            size = min(self.settings.batch_size, n - at)
            which = order.narrow(0, at, size)
            pixels, labels = part.pixels.index_select(0, which), part.labels.index_select(0, which)
            yield self.augment(pixels, choices.narrow(0, at, size)), labels

    def _forward(self, images: Tensor, weights: EdgeWeights) -> Tensor:
        return self.supernet(images, *weights)  # type: ignore[no-any-return]

    def _weights_step(self, images: Tensor, labels: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=False)
        self.architecture.zero_grad()
        with torch.set_grad_enabled(self.settings.clip_architecture):
            weights = self.architecture.sample()
        logits = self._forward(images, weights)
        loss = F.cross_entropy(logits, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.settings.clip is not None:
            clipped = [*self.supernet.parameters(), *self.architecture.parameters()]
            torch.nn.utils.clip_grad_norm_(clipped, self.settings.clip)
        self.optimizer.step()
        return torch.stack([loss.detach() * len(labels), (logits.detach().argmax(1) == labels).sum()])

    def _architecture_step(self, images: Tensor, labels: Tensor) -> None:
        assert self.arch_optimizer is not None
        self.supernet.requires_grad_(False)
        self.architecture.zero_grad()
        F.cross_entropy(self._forward(images, self.architecture.sample()), labels).backward()  # type: ignore[no-untyped-call]
        self.arch_optimizer.step()
        self.supernet.requires_grad_(True)

    @torch.no_grad()
    def _evaluate(self) -> Tensor:
        """Sum loss and hits of the supernet over the valid part, with the weights that it trains with."""
        self.supernet.eval()
        totals = torch.zeros(2, device=self.device)
        for at in range(0, len(self.valid), self.settings.valid_batch_size):
            rows = slice(at, at + self.settings.valid_batch_size)
            logits = self._forward(self.augment.plain(self.valid.pixels[rows]), self.architecture.sample())
            totals += _loss_and_hits(logits, self.valid.labels[rows])
        return totals

    @torch.no_grad()
    def _best_of_random_cells(self) -> tuple[Cell, float]:
        """Score random cells with the shared weights, each on another batch of the valid part (RS-WS as published)."""
        assert isinstance(self.architecture, Uniform)
        self.supernet.eval()
        size = min(self.settings.valid_batch_size, len(self.valid))
        generator = self.streams.torch("selection", self.epoch)
        order = torch.randperm(len(self.valid), generator=generator).to(self.device)
        # A last, smaller batch would score its cells more noisily than the others: it is left out.
        batches = order[: len(order) // size * size].view(-1, size)
        cells = [
            self.architecture.cell_of(torch.randint(len(self.architecture.ops), (6,), generator=generator))
            for _ in range(self.settings.select_cells)
        ]
        hits = []
        for i, cell in enumerate(cells):
            rows = batches[i % len(batches)]
            images = self.augment.plain(self.valid.pixels.index_select(0, rows))
            logits = self.supernet(images, one_hot(cell, device=self.device), active_of(cell))
            hits.append(_loss_and_hits(logits, self.valid.labels.index_select(0, rows))[1])
        scores = torch.stack(hits).tolist()
        best = max(range(len(cells)), key=scores.__getitem__)
        return cells[best], 100 * scores[best] / size

    def state_dict(self) -> dict[str, Any]:
        """Return weights, architecture, both optimisers and the choice so far; random numbers need no state."""
        return {
            "epoch": self.epoch,
            "supernet": self.supernet.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "architecture": self.architecture.state_dict(),
            "arch_optimizer": None if self.arch_optimizer is None else self.arch_optimizer.state_dict(),
            "incumbent": None if self._incumbent is None else list(self._incumbent.ops),
            "best_valid": self._best_valid,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after the epoch that the state was taken at."""
        self.epoch = state["epoch"]
        self.supernet.load_state_dict(state["supernet"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.architecture.load_state_dict(state["architecture"])
        if self.arch_optimizer is not None:
            self.arch_optimizer.load_state_dict(state["arch_optimizer"])
        self._incumbent = None if state["incumbent"] is None else Cell(tuple(state["incumbent"]))
        self._best_valid = state["best_valid"]


def _loss_and_hits(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([F.cross_entropy(logits, labels, reduction="sum"), (logits.argmax(1) == labels).sum()])


def _subset(part: Images, limit: int | None) -> Images:
    """A random subset of a part, the same one for every seed of a search."""
    if limit is None or limit >= len(part):
        return part
    return part.subset(torch.randperm(len(part), generator=Streams(0).torch("image subset"))[:limit])


def _parametrisation(settings: WeightSharingSettings, generator: torch.Generator) -> ArchParameters:
    ops = tuple(op for op in range(N_OPS) if settings.zero_op or op != NONE)
    match settings.parametrisation:
        case "softmax":
            return Softmax(ops, generator)
        case "simplex":
            return Simplex(ops, generator)
        case "gumbel":
            return Gumbel(
                ops,
                generator,
                epochs=settings.epochs,
                tau=(settings.tau_max, settings.tau_min),
                other_weights=settings.other_weights,
            )
        case _:
            return Uniform(ops)


def _arch_optimizer(settings: WeightSharingSettings, parameters: list[Tensor]) -> torch.optim.Optimizer | None:
    learned = settings.parametrisation != "uniform"
    if learned != (settings.arch_optimizer != "none") or (settings.arch_optimizer == "eg") != (
        settings.parametrisation == "simplex"
    ):
        raise UsageError(
            f"arch_optimizer {settings.arch_optimizer} does not fit parametrisation {settings.parametrisation}: "
            "simplex goes with eg, softmax and gumbel with adam, uniform with none"
        )
    match settings.arch_optimizer:
        case "adam":
            return torch.optim.Adam(
                parameters,
                lr=settings.arch_lr,
                betas=(settings.arch_beta1, settings.arch_beta2),
                weight_decay=settings.arch_weight_decay,
            )
        case "eg":
            return ExponentiatedGradient(parameters, settings.arch_lr)
        case _:
            return None
