"""The interface of a search method. Imports no torch, so tabular methods never load it."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from nasbench_eval.cell import Cell
from nasbench_eval.utils.rng import Streams

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData

CostKind = Literal["measured", "simulated"]


@dataclass(frozen=True)
class StepInfo:
    """The cost and the observations of one step of a search.

    Attributes:
        seconds: Cost of the step, of the method's :attr:`SearchMethod.cost_kind`, without ``selection_seconds``.
        metrics: Observations: ``train_loss``, ``train_acc``, ``valid_loss``, ``valid_acc`` (in percent, of the supernet
            or of the queried cell), ``entropy`` (nats, mean over edges). A method leaves out those it does not have.
        selection_seconds: Cost of choosing the incumbent, where a search needs that only once, after its last step. The
            total counts the latest one only.
    """

    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    selection_seconds: float = 0.0


@dataclass(frozen=True)
class Budget:
    """When a search ends: after ``steps`` steps, or before the step that would exceed ``seconds`` of cost."""

    steps: int | None = None
    seconds: float | None = None


class Objective(Protocol):
    """All that a tabular method sees of the benchmark: validation accuracies and costs, never a test accuracy.

    A fidelity is a training schedule of the benchmark, ``"12"`` or ``"200"``, or a part of one: ``"4/12"`` is the
    schedule of 12 epochs, stopped after 4.
    """

    def evaluate(self, cell: Cell, fidelity: str, draw: float | None = None) -> tuple[float, float]:
        """Return the validation accuracy of a cell in percent, and the cost of the query in simulated seconds.

        Args:
            cell: The cell.
            fidelity: How long the cell is trained.
            draw: None for the mean over trials; a number in [0, 1) picks one trial.
        """
        ...

    def describe(self, fidelities: Sequence[str], *, single_trials: bool = False) -> str:
        """Describe what the rewards and costs at these fidelities consist of.

        Raises:
            NbevalError: If one of them is unknown; the message says what is missing.
        """
        ...


@dataclass(frozen=True)
class SearchContext:
    """What the runner passes to a method.

    Attributes:
        dataset: The data set that the search trains on or queries.
        streams: The random generators of the run.
        images: The images of the data set, for methods that need ``"images"``.
        objective: The objective, for methods that need the ``"table"``.
        device: A torch device, such as ``cpu`` or ``cuda:0``.
    """

    dataset: str
    streams: Streams
    images: ImageData | None = None
    objective: Objective | None = None
    device: str = "cpu"


class SearchMethod(abc.ABC):
    """A search; the one class to derive from to add a method.

    A concrete class is constructed with ``(settings, context)``. The runner calls :meth:`step` until the budget ends
    and looks up the true accuracy of every incumbent itself: a method never sees a test accuracy.
    """

    Settings: ClassVar[type[Any]]
    """The frozen dataclass of the method's settings; its fields are declared with ``setting``."""

    needs: ClassVar[Literal["images", "table"]]
    """What the method searches with: ``"images"`` to train on, or the ``"table"``, queried through an objective."""

    cost_kind: ClassVar[CostKind]
    """What ``StepInfo.seconds`` are: ``"measured"`` wall time, or ``"simulated"`` seconds from the table."""

    library: ClassVar[str] = ""
    """The library that does the search, and its version, such as ``optuna 5.0.0``; it then identifies the code of the
    method in place of a hash of its source."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What a result row must say about the search beyond its settings: ``split`` and ``batch_norm``.

        A method with :meth:`score_cells` adds ``scored_on``, the images that it uses, and ``orders_by``, what orders
        cells, unless that is the shared-weight accuracy.
        """
        return {}

    @property
    @abc.abstractmethod
    def budget(self) -> Budget:
        """When the search ends."""

    @abc.abstractmethod
    def step(self) -> StepInfo:
        """Train for one epoch, or query the table once."""

    @abc.abstractmethod
    def incumbent(self) -> Cell:
        """Return the cell that the method would return if the search ended now."""

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to continue the search: tensors and plain Python values only."""

    @abc.abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that :meth:`state_dict` returned under the same settings and seed."""

    def artifact(self) -> dict[str, Any] | None:
        """Return what :meth:`score_cells` needs of a finished search, tensors and plain values; None for nothing.

        It is saved after the last step, before the run file. A method with an artifact also needs :meth:`score_cells`.
        """
        return None

    def continue_from(self, artifact: Mapping[str, Any]) -> None:
        """Begin after the steps of a finished search; needed by methods with settings declared ``afterwards``.

        Args:
            artifact: What :meth:`artifact` returned in a run with the same other settings and the same seed.
        """
        raise NotImplementedError(f"{type(self).__name__} has settings declared afterwards: it needs continue_from")

    def score_cells(self, artifact: Mapping[str, Any], cells: Iterable[Cell]) -> Iterator[tuple[float, float]]:
        """Yield, for each cell in order, what ``nbeval rank`` orders it by, after a loss that may be NaN.

        A weight-sharing search yields loss and accuracy in percent with its shared weights on the whole valid part.

        Args:
            artifact: What :meth:`artifact` returned in a run with the same settings; empty if it returns None.
            cells: The cells.
        """
        raise NotImplementedError(f"{type(self).__name__} has an artifact, so it also needs score_cells")

    def discretisation(self, artifact: Mapping[str, Any], cell: Cell) -> Mapping[str, tuple[float, float]]:
        """Return the loss before and after discretisation to a cell, by the statistics of BatchNorm; empty for none.

        ``running``: its running statistics; ``batch``: in the cells those of each batch; ``batch_all``: in all layers.

        Args:
            artifact: What :meth:`artifact` returned in a run with the same settings.
            cell: The final cell of that run.
        """
        return {}
