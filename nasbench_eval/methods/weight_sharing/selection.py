"""How a weight-sharing search chooses its cell, epoch by epoch; its state is that of the choice."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nasbench_eval.cell import Cell
from nasbench_eval.methods.weight_sharing.base import ArchParameters, Score
from nasbench_eval.methods.weight_sharing.parts import EVOLVING, MIXTURES
from nasbench_eval.methods.weight_sharing.robust_darts import stop_epoch
from nasbench_eval.methods.weight_sharing.scoring import SharedWeights
from nasbench_eval.methods.weight_sharing.spos import evolve
from nasbench_eval.utils.rng import Streams

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


class Selection:
    """The cell that a search would return if it ended now.

    Args:
        settings: The settings of the search.
        architecture: Its architecture.
        scoring: Scores cells with the shared weights.
        streams: The random generators of the run.
    """

    def __init__(
        self, settings: WeightSharingSettings, architecture: ArchParameters, scoring: SharedWeights, streams: Streams
    ) -> None:
        self._settings, self._architecture, self._scoring, self._streams = settings, architecture, scoring, streams
        self.incumbent: Cell | None = None
        self.stopped = False
        """Whether the search ends early, after the epoch that was observed last."""
        self._best_valid = -math.inf
        self._watched: list[tuple[float, list[int]]] = []  # the eigenvalue and the cell after each epoch

    def choose(self, epoch: int, epoch_acc: float) -> tuple[dict[str, float], float]:
        """Set the incumbent after an epoch; return what the choice observed and the seconds spent on candidates.

        Args:
            epoch: The epoch.
            epoch_acc: The accuracy by which ``genotype=best`` chooses the epoch (:func:`accuracy_of_epoch`).
        """
        start = time.perf_counter()
        settings, architecture = self._settings, self._architecture
        candidates = architecture.candidates(settings.select_cells, self._streams.torch("cells", epoch))
        if candidates is not None:
            evolves = settings.select_by == "evolution" and settings.parametrisation in EVOLVING
            if evolves and epoch + 1 in (settings.epochs, settings.steps):
                self.incumbent, selected_acc = self._evolved(epoch)
            else:
                # What counts is the evolution. Before it, the whole valid part would cost far more than the training.
                score = self.scorer("selection", epoch) if evolves else self._selector(epoch)
                self.incumbent, selected_acc = _best(candidates, score)
            return {"selected_acc": selected_acc}, time.perf_counter() - start
        # After the search, DARTS-PT decides edge by edge, so there is no epoch to go back to.
        if settings.genotype == "last" or architecture.decided:
            self.incumbent = architecture.cell()
        elif epoch_acc > self._best_valid:
            self._best_valid, self.incumbent = epoch_acc, architecture.cell()
        return {}, 0.0

    def _evolved(self, epoch: int) -> tuple[Cell, float]:
        """Return the best cell that evolution finds (SPOS), and its shared-weight accuracy in percent."""
        cell, accuracy = evolve(
            self._architecture.ops,
            self._selector(epoch),
            population=self._settings.evolution_population,
            generations=self._settings.evolution_generations,
            generator=self._streams.torch("evolution"),
        )
        return cell, 100 * accuracy

    def _selector(self, epoch: int) -> Score:
        """Return the function that scores candidates: ``select_on``."""
        if self._settings.select_on == "whole":
            return lambda cells: [accuracy / 100 for _, accuracy in self._scoring.evaluate_cells(cells)]
        return self.scorer("selection", epoch)

    def scorer(self, purpose: str, epoch: int) -> Score:
        """Return a function that scores cells, each on one batch of the valid part."""
        generator = self._streams.torch(purpose, epoch)
        return self._scoring.on_one_batch_each(generator, augmented=self._architecture.scores_augmented)

    def watch(self, epoch: int, eigenvalue: float) -> None:
        """End the search early if the eigenvalues so far say so, with the cell of an earlier epoch (RobustDARTS).

        Args:
            epoch: The epoch.
            eigenvalue: The largest eigenvalue after it; NaN where it was not measured.
        """
        settings = self._settings
        assert self.incumbent is not None
        assert settings.stop_factor is not None
        self._watched.append((eigenvalue, list(self.incumbent.ops)))
        if epoch >= settings.epochs - 1:
            return
        kept = stop_epoch([value for value, _ in self._watched], settings.stop_factor, settings.stop_from)
        if kept is not None:
            self.stopped = True
            self.incumbent = Cell(tuple(self._watched[kept][1]))  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """Return the current choice and all that later ones depend on."""
        return {
            "incumbent": None if self.incumbent is None else list(self.incumbent.ops),
            "best_valid": self._best_valid,
            "watched": list(self._watched),
            "stopped": self.stopped,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self.incumbent = None if state["incumbent"] is None else Cell(tuple(state["incumbent"]))
        self._best_valid = state["best_valid"]
        # Checkpoints from before RobustDARTS existed have none of the rest.
        self._watched, self.stopped = list(state.get("watched", [])), state.get("stopped", False)


def accuracy_of_epoch(
    settings: WeightSharingSettings, architecture: ArchParameters, deciding: Callable[[], SharedWeights]
) -> float:
    """Return the accuracy by which ``genotype=best`` chooses the epoch, in percent; NaN with ``genotype=last``.

    It is that of the mixture. Where operations are drawn, it is that of the most probable cell, as in the released code
    of GAEA (``train_search.py`` and ``architect_egdas.py``): an accuracy over random draws would say little about it.

    Args:
        settings: The settings of the search.
        architecture: Its architecture.
        deciding: Returns the scoring on the images that decide.
    """
    if settings.genotype == "last":
        return math.nan
    if settings.parametrisation in MIXTURES:
        return deciding().evaluate(architecture.sample)[1]
    return deciding().evaluate_cell(architecture.cell())[1]


def _best(cells: list[Cell], score: Score) -> tuple[Cell, float]:
    """Return the cell with the best shared-weight accuracy, and that accuracy in percent."""
    scores = score(cells)
    best = max(range(len(cells)), key=scores.__getitem__)
    return cells[best], 100 * scores[best]
