"""Any sampler of Optuna as a search: ``--method optuna:TPESampler`` (Akiba et al., KDD 2019).

A step asks the sampler for one operation per edge, as six categorical parameters, and tells it the reward. The settings
are those of every tabular search and, by its own names and defaults, every option of the sampler that is a number, a
truth value or a word.

A sampler's state is not made of plain values, so a search is resumed by asking and telling once more what had been
asked and told; its sampler is then where it was, whatever it remembers.
"""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from nasbench_eval.cell import EDGES, N_OPS, Cell
from nasbench_eval.errors import NbevalError, UsageError, unknown
from nasbench_eval.methods.base import SearchContext
from nasbench_eval.methods.tabular.base import TabularMethod, TabularSettings, cell_of
from nasbench_eval.settings import setting
from nasbench_eval.utils.files import in_one_line

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

_EDGES = tuple(f"{target}<-{source}" for target, source in EDGES)
_KINDS = {"int": int, "float": float, "bool": bool, "str": str}
_NUMBERS_ONLY = ("CmaEsSampler", "QMCSampler")
"""Samplers that draw categories, such as operations, at random."""


class OptunaSearch(TabularMethod):
    """A search in which an Optuna sampler proposes the cells."""

    sampler: ClassVar[type[BaseSampler]]

    def __init__(self, settings: Any, context: SearchContext) -> None:
        import optuna
        from optuna.distributions import BaseDistribution, CategoricalDistribution

        super().__init__(settings, context)
        ours = {field.name for field in dataclasses.fields(TabularSettings)}
        # What the user does not set is left to Optuna, which deprecates some of its options.
        options = {
            field.name: value
            for field in dataclasses.fields(settings)
            if field.name not in ours and (value := getattr(settings, field.name)) != field.default
        }
        seed = int(context.streams.numpy("optuna").integers(2**32))
        with _quiet():
            try:
                sampler = self.sampler(**options, seed=seed)  # type: ignore[call-arg]
                self._study = optuna.create_study(direction="maximize", sampler=sampler)
            except ImportError as error:
                raise NbevalError(f"optuna:{self.sampler.__name__} cannot be used: {in_one_line(error)}") from None
            except (ValueError, TypeError, AssertionError) as error:
                raise UsageError(f"optuna:{self.sampler.__name__}: {in_one_line(error)}") from None
        operations: BaseDistribution = CategoricalDistribution(range(N_OPS))
        self._distributions = dict.fromkeys(_EDGES, operations)
        self._asked: Trial | None = None
        self._told: list[tuple[Cell, float]] = []

    def propose(self) -> tuple[Cell, int]:
        """Ask the sampler for a cell."""
        with _quiet():
            self._asked = self._study.ask(self._distributions)
        return cell_of([self._asked.params[edge] for edge in _EDGES]), 0

    def observe(self, cell: Cell, rung: int, reward: float) -> None:
        """Tell the sampler the reward."""
        assert self._asked is not None
        with _quiet():
            try:
                self._study.tell(self._asked, reward)
            except RuntimeError:  # a sampler without replacement has no cell left, and stops the study
                raise UsageError("the sampler has asked for every cell: give a smaller budget_seconds") from None
        self._told.append((cell, reward))

    def own_state(self) -> dict[str, Any]:
        """Return what was asked and told."""
        return {"told": [[list(cell.ops), reward] for cell, reward in self._told]}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Ask and tell it once more.

        Raises:
            NbevalError: If the sampler asks for another cell than it did.
        """
        for ops, reward in state["told"]:
            cell, rung = self.propose()
            if cell != cell_of(ops):
                raise NbevalError("the sampler asks for other cells than before: was Optuna updated in between?")
            self.observe(cell, rung, reward)


@cache
def sampler_search(name: str) -> type[OptunaSearch]:
    """Return the search of an Optuna sampler.

    Args:
        name: The name of a class in ``optuna.samplers``.

    Raises:
        NbevalError: If Optuna is not installed.
        UsageError: If it has no such sampler, or the sampler needs more than plain options.
    """
    try:
        import optuna
    except ImportError:
        raise NbevalError(f"optuna:{name} needs Optuna: pip install 'nbeval[optuna]'") from None
    if name in _NUMBERS_ONLY:
        raise UsageError(f"optuna:{name} would be random search: it models numbers only, and operations are categories")
    found = {key: value for key in optuna.samplers.__all__ if _is_sampler(value := getattr(optuna.samplers, key))}
    sampler = found.get(name)
    if sampler is None:
        raise unknown("Optuna sampler", name, sorted(found))
    attributes = {
        "__module__": "optuna",
        "__doc__": f"{sampler.__name__} of Optuna proposes the cells: 12,000 simulated seconds (350 on digits)",
        "Settings": _settings(sampler),
        "sampler": sampler,
        "library": f"optuna {optuna.__version__}",
    }
    return type(sampler.__name__, (OptunaSearch,), attributes)


def _is_sampler(value: Any) -> bool:
    from optuna.samplers import BaseSampler

    if not (isinstance(value, type) and issubclass(value, BaseSampler)) or inspect.isabstract(value):
        return False
    if value.__name__ in _NUMBERS_ONLY:
        return False
    parameters = inspect.signature(value).parameters
    return "seed" in parameters and all(each.default is not each.empty for each in parameters.values())


def _settings(sampler: type[BaseSampler]) -> type[Any]:
    """Return the settings of every tabular search and the options of a sampler that are plain values."""
    fields = []
    for option in inspect.signature(sampler).parameters.values():
        kind, _, rest = str(option.annotation).partition(" | ")
        if option.name != "seed" and kind in _KINDS and rest in ("", "None"):
            hint = _KINDS[kind] | None if rest else _KINDS[kind]
            declared = setting(f"option of Optuna's {sampler.__name__}", default=option.default)
            fields.append((option.name, hint, declared))
    return dataclasses.make_dataclass("Settings", fields, bases=(TabularSettings,), frozen=True, kw_only=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's log, and its warnings of what is experimental, deprecated or falls back to random sampling."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
