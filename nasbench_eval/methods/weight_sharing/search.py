"""The one loop of all weight-sharing searches.

Every method alternates two steps over the batches of an epoch (:meth:`WeightSharing.train_epoch`, ``iteration.py``):

- the weights step trains the supernet with SGD: ``w <- w - eta_w * grad_w loss(w, theta)``;
- the architecture step moves the architecture parameters theta with the method's own optimiser.

After the epoch the method chooses its cell (``selection.py``). The methods differ in what a batch evaluates
(setting ``parametrisation``), in what moves theta (``arch_optimizer``), and in the images of the two steps
(``objective``). Each paper's parts are in its own file beside this one; ``parts.py`` maps the settings to them, and the
presets in ``runners/presets`` give every setting its published value and source.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from nasbench_eval.cell import N_OPS, NONE, Cell
from nasbench_eval.errors import Diverged, UsageError
from nasbench_eval.images import Augment, Images
from nasbench_eval.methods.base import Budget, SearchContext, SearchMethod, StepInfo
from nasbench_eval.methods.weight_sharing.base import ArchParameters, Continuation
from nasbench_eval.methods.weight_sharing.batches import Batch, augmented_batches, subset
from nasbench_eval.methods.weight_sharing.contradictions import check_interval
from nasbench_eval.methods.weight_sharing.darts_pt import Projection
from nasbench_eval.methods.weight_sharing.drnas import Dirichlet, begin_second_stage
from nasbench_eval.methods.weight_sharing.few_shot import Split
from nasbench_eval.methods.weight_sharing.gradients import eigenvalue
from nasbench_eval.methods.weight_sharing.iteration import Iteration
from nasbench_eval.methods.weight_sharing.parts import OBJECTIVES, ON_SIMPLEX, OPTIMIZERS, PARAMETRISATIONS
from nasbench_eval.methods.weight_sharing.passes import Passes, capture_on_gpu
from nasbench_eval.methods.weight_sharing.robust_darts import measured_after
from nasbench_eval.methods.weight_sharing.scoring import SharedWeights
from nasbench_eval.methods.weight_sharing.selection import Selection, accuracy_of_epoch
from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings
from nasbench_eval.networks.supernet import Supernet
from nasbench_eval.utils.schedules import cosine


class WeightSharing(SearchMethod):
    """One supernet whose weights and architecture parameters are trained together.

    A step is one epoch. It costs the measured time of training and, with ``genotype=best``, of the evaluation that
    chooses the epoch. Choosing among candidate cells is measured apart, as only the last choice counts; evaluation that
    is only recorded is free.

    To write your own method, derive from this class and override ``new_architecture``, ``new_arch_optimizer`` or both;
    see ``examples/my_weight_sharing.py``. What a method does in each batch or epoch is up to the
    :class:`ArchParameters` that ``new_architecture`` returns.

    Args:
        settings: The hyperparameters.
        context: Data set, random generators and device.

    Raises:
        UsageError: If the settings contradict each other, or ``new_architecture`` returns something else.
    """

    Settings = WeightSharingSettings
    needs = "images"
    cost_kind = "measured"

    def __init__(self, settings: WeightSharingSettings, context: SearchContext) -> None:
        self.settings = settings
        self.streams = context.streams
        self.device = torch.device(context.device)
        self.capture = partial(capture_on_gpu, self.device) if self.device.type == "cuda" else None
        assert context.images is not None
        data = context.images
        self.augment = Augment.for_data(data)
        train, valid = subset(data.train, settings.train_images), subset(data.valid, settings.valid_images)
        roles = OBJECTIVES[settings.objective](train, valid, data, settings)
        self.held_out = roles.valid_is_held_out
        if settings.genotype == "best" and not self.held_out:
            raise UsageError("genotype=best needs a held-out valid part: set erm_images=train, or genotype=last")
        self.train, self.valid = roles.weights.to(self.device), valid.to(self.device)
        # No image lies on the device twice.
        if roles.architecture is roles.weights:
            self.arch = self.train
        else:
            self.arch = self.valid if roles.architecture is valid else roles.architecture.to(self.device)
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
        if not isinstance(self.architecture, ArchParameters):
            returned = "None" if self.architecture is None else f"a {type(self.architecture).__name__}"
            raise UsageError(
                f"{type(self).__name__}.new_architecture must return an ArchParameters, such as Mixture(distribution); "
                f"it returned {returned}"
            )
        if not self.architecture.stays_on_cpu:
            self.architecture.to(self.device)
        self.scoring = SharedWeights(
            self.supernet, self.augment, self.valid, settings.valid_batch_size, self.architecture.edge_weights
        )
        parameters = list(self.supernet.parameters())
        for p in parameters:
            # An operation that is not sampled gets a zero gradient, not None, so that its weight decay and momentum
            # go on. NAS-Bench-201's code does the same: it zeroes the gradients of earlier batches and keeps them.
            p.grad = torch.zeros_like(p)
        self.optimizer = torch.optim.SGD(
            parameters,
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=settings.nesterov,
            foreach=True,
        )
        check_interval(settings, self._batches_per_epoch)
        learning_epochs = max(settings.epochs - settings.arch_warmup_epochs, 1)
        self.arch_optimizer = self.new_arch_optimizer(
            list(self.architecture.parameters()),
            steps=learning_epochs * (self._batches_per_epoch // settings.arch_interval),
        )
        # DrNAS's progressive search has two stages; every other search has one.
        self._second_stage = settings.stage_two_epoch if isinstance(self.architecture, Dirichlet) else None
        self._stage_start = 0
        self.epoch = 0
        self._continuation = self._new_continuation()
        self.selection = Selection(settings, self.architecture, self.scoring, self.streams)

    def _deciding(self) -> SharedWeights:
        """Return the scoring that decisions rest on: where the valid part only observes, that of the other images."""
        return dataclasses.replace(self.scoring, images=self.valid if self.arch is self.train else self.arch)

    def _new_continuation(self) -> Continuation | None:
        """Return what follows the epochs of the search; if it has several supernets, cells are scored with them."""
        settings, architecture = self.settings, self.architecture
        if settings.steps == settings.epochs:
            return None
        if settings.selection == "perturbation":
            return Projection(settings, architecture, self._deciding(), self.streams)
        split = Split(settings, architecture, self.supernet)
        self.scoring = dataclasses.replace(self.scoring, supernet_of=split.supernet_of)
        return split

    def new_architecture(self, ops: tuple[int, ...], generator: torch.Generator) -> ArchParameters:
        """Return the initial architecture parameters; called once, before the optimisers are built.

        A distribution goes into a rule of what a batch evaluates, such as ``Mixture(distribution)``.

        Args:
            ops: The candidate operations.
            generator: For random initial values.
        """
        return PARAMETRISATIONS[self.settings.parametrisation].build(ops, self.settings, generator)

    def new_arch_optimizer(self, parameters: list[Tensor], steps: int) -> torch.optim.Optimizer | None:
        """Return the optimiser of the architecture parameters, or None if no gradient moves them; called once.

        Args:
            parameters: The architecture parameters.
            steps: The number of architecture steps in the whole search.
        """
        name, distribution = self.settings.arch_optimizer, self.architecture.distribution
        build = OPTIMIZERS[name]
        if name in ON_SIMPLEX and not (distribution is not None and distribution.on_simplex):
            raise UsageError(
                f"arch_optimizer {name} moves probabilities; the parameters of this search are none: set "
                "arch_optimizer=adam, or let new_architecture return a distribution that holds the probabilities "
                f"themselves (on_simplex), as Mixture(Simplex(ops)), if settings.arch_optimizer is {name}"
            )
        return None if build is None else build(parameters, self.settings, steps)

    @property
    def budget(self) -> Budget:
        """The number of epochs: those of the settings, or those so far after an early stop."""
        return Budget(steps=self.epoch if self.selection.stopped else self.settings.steps)

    @property
    def facts(self) -> dict[str, str]:
        """The split, the BatchNorm mode, and the images on which cells are scored."""
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

        Records, beside the metrics named in ``StepInfo``, the supernet's loss and accuracy on the valid part before and
        after discretisation: with the operation weights it trains with, and with the one-hot weights of the chosen cell
        (columns ``loss_before_rounding`` and so on). ``valid_loss`` and ``valid_acc`` are left out if the weights train
        on the valid part.
        """
        start = time.perf_counter()
        self._begin_epoch()
        loss, correct = (self.train_epoch() / len(self.train)).tolist()
        metrics = {"train_loss": loss, "train_acc": 100 * correct}
        self._require_finite(train_loss=loss)
        metrics |= self.architecture.learn(
            self.selection.scorer("controller batches", self.epoch), self.streams.torch("controller", self.epoch)
        )
        self._require_finite()
        entropy = self.architecture.entropy()
        if entropy is not None:
            metrics["entropy"] = float(entropy)
        observed = time.perf_counter()
        decides = self.settings.stop_factor is not None and measured_after(self.epoch)
        if self.settings.hessian or decides:
            batch = next(self._batches(self.arch, "hessian batch"))
            metrics["eigenvalue"] = eigenvalue(self.architecture, self.supernet, self.settings, batch)
        # An early stop depends on these eigenvalues, so the search pays for them.
        free = 0.0 if decides else time.perf_counter() - observed
        trained = time.perf_counter()
        before = self.scoring.evaluate(self.architecture.sample)
        free += time.perf_counter() - trained
        epoch_acc = accuracy_of_epoch(self.settings, self.architecture, self._deciding)
        seconds = time.perf_counter() - start - free
        chosen, selection_seconds = self.selection.choose(self.epoch, epoch_acc)
        metrics |= chosen
        if self.settings.stop_factor is not None:
            self.selection.watch(self.epoch, metrics.get("eigenvalue", math.nan))
        after = self.scoring.evaluate_cell(self.incumbent())
        if self.held_out:
            metrics |= {"valid_loss": before[0], "valid_acc": before[1]}
        for name, (its_loss, its_acc) in (("before", before), ("after", after)):
            metrics |= {f"loss_{name}_rounding": its_loss, f"acc_{name}_rounding": its_acc}
        self.epoch += 1
        return StepInfo(seconds, metrics, selection_seconds)

    def _require_finite(self, **observed: float) -> None:
        """Raise Diverged if an observation or a parameter of the architecture is not finite: nothing can be chosen."""
        for name, value in observed.items():
            if not math.isfinite(value):
                raise Diverged(self.epoch, f"{name} is {value}")
        finite = [parameter.isfinite().all() for parameter in self.architecture.parameters()]
        if finite and not bool(torch.stack(finite).all()):
            raise Diverged(self.epoch, "a parameter of the architecture is not finite")

    def train_epoch(self) -> Tensor:
        """Train for one epoch; return the sums of the loss and of the correct predictions (2,).

        Never waits for the device, except where sampling an architecture does.
        """
        architecture_first = self.settings.order == "architecture_first"
        self._set_lr()
        self.supernet.train()
        iteration = self.iteration()
        totals = torch.zeros(2, device=self.device)
        for batch, arch_batch in self._batch_pairs():
            if arch_batch is batch:
                totals += iteration.weights_step(batch, joint=True)
                continue
            if arch_batch is not None and architecture_first:
                iteration.architecture_step(arch_batch, batch)
            totals += iteration.weights_step(batch)
            if arch_batch is not None and not architecture_first:
                iteration.architecture_step(arch_batch, batch)
        return totals

    def iteration(self) -> Iteration:
        """Return the two steps of an iteration in this epoch."""
        progress = min(self.epoch / self.settings.epochs, 1.0)
        return Iteration(
            self.settings,
            self.supernet,
            self.architecture,
            self.optimizer,
            self.arch_optimizer,
            progress,
            # Anew in each epoch: between epochs, a search can replace its parameters.
            Passes(self.supernet, self.capture),
        )

    @property
    def _batches_per_epoch(self) -> int:
        return math.ceil(len(self.train) / self.settings.batch_size)

    @property
    def _evaluation_batches(self) -> int:
        return math.ceil(len(self.valid) / self.settings.valid_batch_size)

    def _enter_stage_of(self, epoch: int) -> None:
        """Bring supernet and architecture into the stage of an epoch."""
        if self._second_stage is not None and epoch >= self._second_stage > self._stage_start:
            assert isinstance(self.architecture, Dirichlet)
            self._stage_start = self._second_stage
            generator = self.streams.torch("second stage")
            begin_second_stage(self.architecture, self.supernet, self.optimizer, self.settings, generator)

    def _begin_epoch(self) -> None:
        self._enter_stage_of(self.epoch)
        after = self.epoch - self.settings.epochs
        if self._continuation is not None and after >= 0 and self._continuation.begin(after):
            self.optimizer.state.clear()
        # One sample for the weights step and one for the architecture step of each batch; the second order takes four.
        samples = self._batches_per_epoch * (5 if self.settings.unrolled else 2) + self._evaluation_batches
        generator = self.streams.torch("architecture samples", self.epoch)
        self.architecture.begin_epoch(self.epoch, samples, generator, self.device)

    def _set_lr(self) -> None:
        rate = self._rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _rate(self) -> float:
        """Return the learning rate of the weights in this epoch."""
        s = self.settings
        if self._continuation is not None and self.epoch >= s.epochs:
            return self._continuation.rate(self.epoch - s.epochs)
        return cosine(s.lr, s.lr_min, self.epoch, s.lr_epochs or s.epochs, self._stage_start)

    def _batch_pairs(self) -> Iterator[tuple[Batch, Batch | None]]:
        """Yield the batches of the two steps of an iteration; None where the architecture takes no step.

        With the setting ``joint`` the two are the same object.
        """
        batches = self._batches(self.train, "weights batches")
        if self.arch_optimizer is None or self.epoch - self._stage_start < self.settings.arch_warmup_epochs:
            return zip(batches, repeat(None), strict=False)
        every = self.settings.arch_interval
        if self.settings.joint:
            return ((batch, batch if number % every == 0 else None) for number, batch in enumerate(batches, start=1))
        arch = self._batches(self.arch, "architecture batches", like=max(len(self.train) // every, 1))
        return (
            (batch, next(arch, None) if number % every == 0 else None) for number, batch in enumerate(batches, start=1)
        )

    def _batches(self, part: Images, purpose: str, like: int | None = None) -> Iterator[Batch]:
        """Yield augmented batches from shuffled passes over a part, ``like`` images in all (default: one pass)."""
        generator = self.streams.torch(purpose, self.epoch)
        return augmented_batches(part, self.augment, generator, self.settings.batch_size, like)

    def incumbent(self) -> Cell:
        """Return the cell chosen after the latest epoch."""
        assert self.selection.incumbent is not None, "no epoch was trained yet"
        return self.selection.incumbent

    def state_dict(self) -> dict[str, Any]:
        """Return weights, architecture, both optimisers and the current choice; random numbers need no state."""
        return {
            "epoch": self.epoch,
            "optimizer": self.optimizer.state_dict(),
            **self._learned(),
            **self.selection.state_dict(),
        }

    def _learned(self) -> dict[str, Any]:
        """Return what a search has learned, without what only its next epoch or its choice needs."""
        return {
            "supernet": self.supernet.state_dict(),
            "architecture": self.architecture.state_dict(),
            "decided": dict(self.architecture.decided),
            "arch_optimizer": None if self.arch_optimizer is None else self.arch_optimizer.state_dict(),
            **({} if self._continuation is None else self._continuation.state_dict()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue after the epoch at which the state was taken."""
        self._load(state["epoch"], state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.selection.load_state_dict(state)
        if self._continuation is not None:
            self._continuation.load_state_dict(state)

    def _load(self, epoch: int, learned: Mapping[str, Any]) -> None:
        self.epoch = epoch
        self._enter_stage_of(epoch - 1)
        self.supernet.load_state_dict(learned["supernet"])
        self.architecture.load_state_dict(learned["architecture"])
        self._load_decided(learned)
        if self.arch_optimizer is not None:
            self.arch_optimizer.load_state_dict(learned["arch_optimizer"])

    def _load_decided(self, learned: Mapping[str, Any]) -> None:
        # Files from before December 2026 have it only where a continuation decides edges.
        if "decided" in learned:
            self.architecture.decided = dict(learned["decided"])

    def artifact(self) -> dict[str, Any]:
        """Return the weights and buffers of the supernet, float32 (7 MB at C=16, N=5), and the trained architecture.

        Few-shot NAS leaves several supernets.
        """
        edges = self.architecture.edge_weights()
        return self._learned() | ({} if edges is None else {"edges": edges})

    def continue_from(self, artifact: Mapping[str, Any]) -> None:
        """Begin after the epochs of a finished search, with what its supernet and its architecture have learned."""
        self._load(self.settings.epochs, artifact)

    def score_cells(self, artifact: Mapping[str, Any], cells: Iterable[Cell]) -> Iterator[tuple[float, float]]:
        """Yield loss and accuracy of each cell with the supernet of ``artifact``, which replaces this one."""
        self._enter_stage_of(self.settings.epochs)
        self.supernet.load_state_dict(artifact["supernet"])
        if isinstance(self._continuation, Split):
            self._load_decided(artifact)
            self._continuation.load_state_dict(artifact)
        edges = artifact.get("edges")
        kept = None if edges is None else edges.to(self.device)
        return dataclasses.replace(self.scoring, edges=lambda: kept).evaluate_cells(cells)

    def discretisation(self, artifact: Mapping[str, Any], cell: Cell) -> dict[str, tuple[float, float]]:
        """Return the supernet's loss before and after discretisation to a cell, by the statistics of BatchNorm.

        ``running`` are its running statistics, collected on the inputs of the training, if it keeps them; ``batch``
        are those of each batch of the evaluation in the cells, ``batch_all`` in all layers. Empty if the artifact has
        no architecture (before December 2026).

        Args:
            artifact: What :meth:`artifact` returned; its supernet replaces this one.
            cell: The cell.
        """
        if "architecture" not in artifact:
            return {}
        self._load(self.settings.epochs, artifact)
        if self._continuation is not None:
            self._continuation.load_state_dict(artifact)
        losses = {}
        for statistics in (*(("running",) if self.settings.track_running_stats else ()), "batch", "batch_all"):
            if statistics != "running":
                for network in {self.supernet, self.scoring.network_of(cell)}:
                    network.use_batch_statistics(everywhere=statistics == "batch_all")
            generator = self.streams.torch("discretisation")
            self.architecture.begin_epoch(self.settings.steps - 1, self._evaluation_batches, generator, self.device)
            before, _ = self.scoring.evaluate(self.architecture.sample)
            losses[statistics] = before, self.scoring.evaluate_cell(cell)[0]
        return losses
