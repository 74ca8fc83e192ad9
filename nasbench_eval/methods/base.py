"""What a search method is. Needs no torch, so that methods on the table never load it."""

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
    """What one step of a search cost and showed.

    Attributes:
        seconds: Cost of this step: measured wall time, or simulated seconds from the table (``cost_kind`` says which).
        metrics: What the method observed, by the field's words: ``train_loss``, ``train_acc``, ``valid_loss``,
            ``valid_acc`` (percent, of the supernet or of the queried cell), ``entropy`` (nats, mean over edges).
            A quantity that a method does not have is left out.
    """

    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """When a search ends: after ``steps`` steps, or before the step that would take the cost past ``seconds``."""

    steps: int | None = None
    seconds: float | None = None


class Objective(Protocol):
    """All that a method on the table sees: never a test accuracy.

    A fidelity is ``"12"`` or ``"200"``, one of the benchmark's training schedules, or ``"4/12"``: the schedule of 12
    epochs, stopped after 4.
    """

    def evaluate(self, cell: Cell, fidelity: str, draw: float | None = None) -> tuple[float, float]:
        """Return a cell's validation accuracy in percent and the simulated seconds that finding it out cost.

        Args:
            cell: The cell.
            fidelity: How long it is trained.
            draw: None for the mean over the trials; a number in [0, 1) picks one of them.
        """
        ...

    def describe(self, fidelities: Sequence[str], *, single_trials: bool = False) -> str:
        """Say in words what rewards and costs at these fidelities are made of.

        Raises:
            NbevalError: If one of them is not known; the message says what is missing.
        """
        ...


@dataclass(frozen=True)
class SearchContext:
    """What the runner hands a method.

    Attributes:
        dataset: The data set that the search trains on or queries.
        streams: The run's random generators.
        images: Its images, for methods whose ``needs`` is ``"images"``.
        objective: The table as an objective, for methods whose ``needs`` is ``"table"``.
        device: A torch device, such as ``cpu`` or ``cuda:0``.
    """

    dataset: str
    streams: Streams
    images: ImageData | None = None
    objective: Objective | None = None
    device: str = "cpu"


class SearchMethod(abc.ABC):
    """A search: the one extension point.

    A concrete class is final, takes ``(settings, context)``, and names its frozen dataclass of settings in
    ``Settings``; each field's metadata has ``help``. The runner asks for steps until the budget ends and looks up the
    truth itself; a method never sees a test accuracy.
    """

    Settings: ClassVar[type[Any]]
    needs: ClassVar[Literal["images", "table"]]
    cost_kind: ClassVar[CostKind]

    @property
    def facts(self) -> Mapping[str, str]:
        """What a result row must say of the search beyond its settings, in words: ``split``, ``batch_norm``.

        A method with an :meth:`artifact` also says ``scored_on``: which images :meth:`score_cells` counts on.
        """
        return {}

    @property
    @abc.abstractmethod
    def budget(self) -> Budget:
        """When the search ends."""

    @abc.abstractmethod
    def step(self) -> StepInfo:
        """Do one epoch, or one query of the table."""

    @abc.abstractmethod
    def incumbent(self) -> Cell:
        """Return the cell that the method would return now."""

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on: tensors and plain Python values only."""

    @abc.abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that ``state_dict`` of the same spec returned."""

    def artifact(self) -> dict[str, Any] | None:
        """Return what a finished search keeps for ``nbeval rank``: tensors and plain values; None for nothing.

        It is written after the last step, before the run's file. A method with an artifact has :meth:`score_cells` too.
        """
        return None

    def score_cells(self, artifact: Mapping[str, Any], cells: Iterable[Cell]) -> Iterator[tuple[float, float]]:
        """Yield the loss and the accuracy in percent that shared weights give each cell on the whole valid part.

        Args:
            artifact: What :meth:`artifact` of a run with the same settings returned.
            cells: The cells, in this order.
        """
        raise NotImplementedError(f"{type(self).__name__} has an artifact, so it needs score_cells as well")
