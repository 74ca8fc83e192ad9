"""Few-shot NAS (Zhao et al., ICML 2021): several supernets, each for one operation of an edge, share less than one.

1. Train one supernet on uniform cells, as in SPOS.
2. Split it on one edge: for each operation of that edge, a copy of the supernet trains on for some epochs, on the cells
   with this operation. Its optimiser and its cosine schedule start anew: :meth:`Split.begin`, :meth:`Split.rate`.
3. Score each cell with the supernet of its own operation: :meth:`Split.supernet_of`. Until that is trained, it is the
   supernet that was split.

The epochs and the optimiser follow the released ``Few-Shot_NasBench201``, which splits the first edge.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from nasbench_eval.cell import Cell
from nasbench_eval.methods.weight_sharing.base import ArchParameters, Continuation
from nasbench_eval.networks.supernet import Supernet
from nasbench_eval.utils.schedules import cosine

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


@final
class Split(Continuation):
    """The epochs after the search, in which one supernet after another trains.

    Args:
        settings: The settings of the search.
        architecture: Its architecture, whose decided edge this sets.
        supernet: The supernet of the search, which every part trains in.
    """

    def __init__(self, settings: WeightSharingSettings, architecture: ArchParameters, supernet: Supernet) -> None:
        assert settings.split_edge is not None
        self._edge, self._settings = settings.split_edge, settings
        self._architecture, self._supernet = architecture, supernet
        self._whole: Supernet | None = None
        self._trained: dict[int, Supernet] = {}

    def begin(self, epoch: int) -> bool:
        """Start the supernet of the next operation where its epochs begin, and keep the one before."""
        number, within = divmod(epoch, self._settings.split_epochs)
        if within:
            return False
        if self._whole is None:
            self._whole = copy.deepcopy(self._supernet)
        else:
            self._trained[self._architecture.decided[self._edge]] = copy.deepcopy(self._supernet)
        self._supernet.load_state_dict(self._whole.state_dict())
        self._architecture.decided = {self._edge: self._architecture.ops[number]}
        return True

    def rate(self, epoch: int) -> float:
        """Return the learning rate of a cosine schedule over the epochs of one supernet."""
        s = self._settings
        return cosine(s.lr, s.lr_min, epoch % s.split_epochs, s.split_epochs)

    def supernet_of(self, cell: Cell) -> Supernet:
        """Return the supernet that scores a cell."""
        op = cell.ops[self._edge]
        if self._whole is None or self._architecture.decided.get(self._edge) == op:
            return self._supernet
        return self._trained.get(op, self._whole)

    def state_dict(self) -> dict[str, Any]:
        """Return the supernet that was split, and those that are trained, by operation."""
        return {
            "whole": None if self._whole is None else self._whole.state_dict(),
            "trained": {op: supernet.state_dict() for op, supernet in self._trained.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of a search."""

        def filled(weights: Mapping[str, Any]) -> Supernet:
            supernet = copy.deepcopy(self._supernet)
            supernet.load_state_dict(weights)
            return supernet

        self._whole = None if state["whole"] is None else filled(state["whole"])
        self._trained = {op: filled(weights) for op, weights in state["trained"].items()}
