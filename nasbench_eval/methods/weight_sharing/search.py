"""The one loop of all weight-sharing searches: parametrisation x optimiser x objective x selection x supernet option.

Sources: DARTS (ICLR 2019), GDAS (CVPR 2019), RS-WS (UAI 2019), GAEA (ICLR 2021), and for what they leave open
NAS-Bench-201's ``exps/NAS-Bench-201-algos``. Which preset sets what, and why, is said in ``runners/presets``.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.cell import N_OPS, NONE, Cell
from nasbench_eval.errors import UsageError
from nasbench_eval.images import Augment, Images
from nasbench_eval.methods.base import Budget, SearchContext, SearchMethod, StepInfo
from nasbench_eval.methods.weight_sharing.base import ArchParameters, EdgeWeights, Score
from nasbench_eval.methods.weight_sharing.darts import unrolled_gradient
from nasbench_eval.methods.weight_sharing.parts import OBJECTIVES, OPTIMIZERS, PARAMETRISATIONS
from nasbench_eval.methods.weight_sharing.scoring import SharedWeights
from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings
from nasbench_eval.networks.supernet import Supernet
from nasbench_eval.utils.rng import Streams


class WeightSharing(SearchMethod):
    """One supernet whose weights and architecture parameters are trained side by side.

    A step is one epoch. Its cost is the measured time of the training and, where the method chooses by it, of the
    evaluation; an evaluation that is only recorded is not charged.

    A user's method may be derived from it: to put its own parts in place of those that the settings name it overrides
    ``new_architecture``, ``new_arch_optimizer``, or both, and nothing else; ``examples/my_weight_sharing.py`` is one.

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
        roles = OBJECTIVES[settings.objective](train, valid, data, settings)
        self.held_out = roles.valid_is_held_out
        if settings.genotype == "best" and not self.held_out:
            raise UsageError("genotype=best needs a held-out valid part: set erm_images=train, or genotype=last")
        self.train, self.valid = roles.weights.to(self.device), valid.to(self.device)
        self.arch = self.train if roles.architecture is roles.weights else self.valid
        where = roles.words
        if OPTIMIZERS[settings.arch_optimizer] is None:  # no gradient of a batch moves the architecture
            where = f"weights on {len(self.train):,} train images, cells chosen on {len(self.valid):,} valid images"
        self._split = f"{where}; {data.split}"
        self.supernet = Supernet(
            settings.channels,
            settings.cells,
            data.classes,
            track_running_stats=settings.track_running_stats,
            partial_channels=settings.partial_channels,
            reduction=data.reduction,
            generator=self.streams.torch("weights"),
        ).to(self.device)
        ops = tuple(op for op in range(N_OPS) if settings.zero_op or op != NONE)
        self.architecture = self.new_architecture(ops, self.streams.torch("architecture"))
        if not self.architecture.stays_on_cpu:
            self.architecture.to(self.device)
        self.scoring = SharedWeights(
            self.supernet, self.augment, self.valid, settings.valid_batch_size, self.architecture.edge_weights
        )
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
        learning_epochs = max(settings.epochs - settings.arch_warmup_epochs, 1)
        self.arch_optimizer = self.new_arch_optimizer(
            list(self.architecture.parameters()), steps=learning_epochs * self._batches_per_epoch
        )
        self.epoch = 0
        self._incumbent: Cell | None = None
        self._best_valid = -math.inf

    def new_architecture(self, ops: tuple[int, ...], generator: torch.Generator) -> ArchParameters:
        """Return the distribution over cells at its start; called once, before there is an optimiser.

        Args:
            ops: The candidate operations.
            generator: For all that starts at random.
        """
        return PARAMETRISATIONS[self.settings.parametrisation].build(ops, self.settings, generator)

    def new_arch_optimizer(self, parameters: list[Tensor], steps: int) -> torch.optim.Optimizer | None:
        """Return the optimiser of the architecture parameters, or None where no gradient moves them; called once.

        Args:
            parameters: The architecture parameters.
            steps: How many architecture steps the search will do.
        """
        build = OPTIMIZERS[self.settings.arch_optimizer]
        return None if build is None else build(parameters, self.settings, steps)

    @property
    def budget(self) -> Budget:
        """The number of epochs."""
        return Budget(steps=self.settings.epochs)

    @property
    def facts(self) -> dict[str, str]:
        """The split, the BatchNorm mode, and which images cells are scored on."""
        evaluation = "running statistics" if self.settings.track_running_stats else "batch statistics"
        return {
            "split": self._split,
            "batch_norm": f"affine=False, track_running_stats={self.settings.track_running_stats} "
            f"(supernet evaluated with {evaluation})",
            "scored_on": f"{len(self.valid):,} valid images in batches of {self.settings.valid_batch_size}"
            + ("" if self.held_out else ", which the weights were trained on too"),
        }

    def step(self) -> StepInfo:
        """Train for one epoch, then choose the cell.

        Metrics beside those of ``StepInfo``: loss and accuracy of the supernet on the valid part before and after
        discretisation, that is with the edge weights it trains with, and with the one-hot weights of the cell chosen
        (columns ``loss_before_rounding`` and so on). A search that trains on the valid part records no others.
        """
        start = time.perf_counter()
        self._begin_epoch()
        loss, correct = (self.train_epoch() / len(self.train)).tolist()
        metrics = {"train_loss": loss, "train_acc": 100 * correct}
        metrics |= self.architecture.learn(self._score_for_learning(), self.streams.torch("controller", self.epoch))
        entropy = self.architecture.entropy()
        if entropy is not None:
            metrics["entropy"] = float(entropy)
        uncharged = -time.perf_counter()
        before = self.scoring.evaluate(self.architecture.sample)
        if self.settings.genotype == "best":
            uncharged = 0.0  # the search chooses by this evaluation, so it pays for it
        else:
            uncharged += time.perf_counter()
        candidates = self.architecture.candidates(self.settings.select_cells, self.streams.torch("cells", self.epoch))
        if candidates is not None:
            self._incumbent, metrics["selected_acc"] = self._best(candidates)
        elif self.settings.genotype == "last" or before[1] > self._best_valid:
            self._best_valid = before[1]
            self._incumbent = self.architecture.cell()
        seconds = time.perf_counter() - start - uncharged
        after = self.scoring.evaluate_cell(self.incumbent())
        if self.held_out:
            metrics |= {"valid_loss": before[0], "valid_acc": before[1]}
        for name, (its_loss, its_acc) in (("before", before), ("after", after)):
            metrics |= {f"loss_{name}_rounding": its_loss, f"acc_{name}_rounding": its_acc}
        self.epoch += 1
        return StepInfo(seconds, metrics)

    @property
    def _batches_per_epoch(self) -> int:
        return math.ceil(len(self.train) / self.settings.batch_size)

    def _begin_epoch(self) -> None:
        evaluation = math.ceil(len(self.valid) / self.settings.valid_batch_size)
        # A weights step and an architecture step a batch; the second-order step asks four times.
        samples = self._batches_per_epoch * (5 if self.settings.unrolled else 2) + evaluation
        generator = self.streams.torch("architecture samples", self.epoch)
        self.architecture.begin_epoch(self.epoch, samples, generator, self.device)

    def _best(self, cells: list[Cell]) -> tuple[Cell, float]:
        if self.settings.select_on == "whole":
            scores = [accuracy / 100 for _, accuracy in self.scoring.evaluate_cells(cells)]
        else:
            scores = self.scoring.on_one_batch_each(self.streams.torch("selection", self.epoch))(cells)
        best = max(range(len(cells)), key=scores.__getitem__)
        return cells[best], 100 * scores[best]

    def _score_for_learning(self) -> Score:
        return self.scoring.on_one_batch_each(self.streams.torch("controller batches", self.epoch))

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
            for batch in batches:
                totals += self._weights_step(*batch)
            return totals
        arch_batches = self._batches(self.arch, "architecture batches", like=len(self.train))
        learns = self.epoch >= settings.arch_warmup_epochs
        for batch, arch_batch in zip(batches, arch_batches, strict=True):
            if learns and settings.order == "architecture_first":
                self._architecture_step(arch_batch, batch)
            totals += self._weights_step(*batch)
            if learns and settings.order == "weights_first":
                self._architecture_step(arch_batch, batch)
        return totals

    def _set_lr(self) -> None:
        s = self.settings
        turn = self.epoch / (s.lr_epochs or s.epochs)
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

    def _loss(self, batch: tuple[Tensor, Tensor], weights: EdgeWeights) -> Tensor:
        return F.cross_entropy(self.supernet(batch[0], *weights), batch[1])

    def _weights_step(self, images: Tensor, labels: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=False)
        self.architecture.zero_grad()
        with torch.set_grad_enabled(self.settings.clip_architecture):
            weights = self.architecture.sample()
        logits = self.supernet(images, *weights)
        loss = F.cross_entropy(logits, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.settings.clip is not None:
            clipped = [*self.supernet.parameters(), *self.architecture.parameters()]
            torch.nn.utils.clip_grad_norm_(clipped, self.settings.clip)
        self.optimizer.step()
        return torch.stack([loss.detach() * len(labels), (logits.detach().argmax(1) == labels).sum()])

    def _architecture_step(self, batch: tuple[Tensor, Tensor], train_batch: tuple[Tensor, Tensor]) -> None:
        assert self.arch_optimizer is not None
        self.architecture.zero_grad()
        parameters = list(self.architecture.parameters())
        if self.settings.unrolled:
            gradients = unrolled_gradient(
                lambda: self._loss(train_batch, self.architecture.sample()),
                lambda: self._loss(batch, self.architecture.architecture_sample()),
                list(self.supernet.parameters()),
                parameters,
                self.optimizer,
            )
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
        else:
            self.supernet.requires_grad_(False)
            self._loss(batch, self.architecture.architecture_sample()).backward()  # type: ignore[no-untyped-call]
            self.supernet.requires_grad_(True)
        if self.settings.arch_entropy_weight:
            p = self.architecture.probabilities()
            assert p is not None
            # The distance (KL) of the edges' distributions to the uniform one, up to a constant.
            (-self.settings.arch_entropy_weight * torch.special.entr(p).sum()).backward()
        self.arch_optimizer.step()

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

    def artifact(self) -> dict[str, Any]:
        """Return the supernet's weights and buffers, float32 (7 MB at C=16, N=5), and the learned edge weights."""
        edges = self.architecture.edge_weights()
        return {"supernet": self.supernet.state_dict()} | ({} if edges is None else {"edges": edges})

    def score_cells(self, artifact: Mapping[str, Any], cells: Iterable[Cell]) -> Iterator[tuple[float, float]]:
        """Yield loss and accuracy of each cell with the supernet of ``artifact``, which replaces this one."""
        self.supernet.load_state_dict(artifact["supernet"])
        edges = artifact.get("edges")
        kept = None if edges is None else edges.to(self.device)
        return dataclasses.replace(self.scoring, edges=lambda: kept).evaluate_cells(cells)


def _subset(part: Images, limit: int | None) -> Images:
    """A random subset of a part, the same one for every seed of a search."""
    if limit is None or limit >= len(part):
        return part
    return part.subset(torch.randperm(len(part), generator=Streams(0).torch("image subset"))[:limit])
