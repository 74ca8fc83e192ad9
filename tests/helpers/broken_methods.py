"""Custom methods that each break one rule, for the tests of ``nbeval.api``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbeval import api

BAD = """
from dataclasses import dataclass
from nbeval.api import *

class NoSettings(TabularMethod):
    def propose(self): ...
    def observe(self, cell, rung, reward): ...
    def own_state(self): ...
    def load_own_state(self, state): ...

class Half(TabularMethod):
    Settings = TabularSettings
    def propose(self): ...

@dataclass
class Loose:
    size: int = 3

@dataclass(frozen=True)
class Plain:
    cooling: float = 0.95

@dataclass(frozen=True)
class Bare:
    size: int | None

@dataclass(frozen=True)
class Lists:
    size: list = setting("a list", default=None)

class Undecorated(TabularSettings):
    greedy: bool = setting("whether only better cells are accepted", default=False)

@dataclass(frozen=True, kw_only=True)
class Below(Undecorated):
    more: int = setting("another one", default=1)

@dataclass(frozen=True)
class Misspelt:
    rate: "flaot" = setting("how fast", default=0.1)

class Unreadable(NoSettings):
    Settings = Misspelt

class Thawed(NoSettings):
    Settings = Loose

class Undeclared(NoSettings):
    Settings = Plain

class BareField(NoSettings):
    Settings = Bare

class NotDecorated(NoSettings):
    Settings = Undecorated

class BaseNotDecorated(NoSettings):
    Settings = Below

class Listed(NoSettings):
    Settings = Lists

class NoValue(NoSettings):
    Settings = TabularSettings

@dataclass(frozen=True, kw_only=True)
class Sized(TabularSettings):
    size: int = setting("a size")

class NoSize(NoSettings):
    Settings = Sized

class NoNeeds(SearchMethod):
    Settings = TabularSettings
    budget = step = incumbent = state_dict = load_state_dict = None
"""
"""A module of classes that are not complete methods."""


class Greedy(api.TabularMethod):
    """Proposes random cells and remembers none."""

    Settings = api.TabularSettings

    def propose(self) -> tuple[api.Cell, int]:
        return api.Cell.random(self.rng), 0

    def observe(self, cell: api.Cell, rung: int, reward: float) -> None:
        pass

    def own_state(self) -> dict[str, Any]:
        return {}

    def load_own_state(self, state: Any) -> None:
        pass


class OnlyCell(Greedy):
    def propose(self) -> Any:
        return api.Cell.from_index(3)


class Operations(Greedy):
    def propose(self) -> Any:
        return [1, 2, 3, 4, 0, 0], 0


class Named(Greedy):
    def propose(self) -> Any:
        return api.Cell.from_index(3), "12"


class TooHigh(Greedy):
    def propose(self) -> tuple[api.Cell, int]:
        return api.Cell.from_index(3), 3


class BelowAll(Greedy):
    def propose(self) -> tuple[api.Cell, int]:
        return api.Cell.from_index(3), -1


class NoSuper(Greedy):
    def __init__(self, settings: api.TabularSettings, context: api.SearchContext) -> None:
        self.settings = settings


class Leaky(Greedy):
    def propose(self) -> tuple[api.Cell, int]:
        return api.Cell.random(np.random.default_rng()), 0


class Stubborn(Greedy):
    def propose(self) -> tuple[api.Cell, int]:
        return api.Cell((0, 1, 2, 3, 4, 0)), 0


class Forgetful(Greedy):
    count = 0

    def propose(self) -> tuple[api.Cell, int]:
        self.count += 1
        return api.Cell.from_index(self.count + int(self.rng.integers(2))), 0


class Late(Greedy):
    """Forgets what it counts in its last phase, which begins after step 4."""

    count = late = 0

    def propose(self) -> tuple[api.Cell, int]:
        self.count += 1
        self.late += self.count > 4
        return api.Cell.from_index(self.late + int(self.rng.integers(2))), 0

    def own_state(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_own_state(self, state: Any) -> None:
        self.count = state["count"]


class Hoarder(Greedy):
    def own_state(self) -> dict[str, Any]:
        return {"best": [{"reward": np.float64(3)}]}


class Endless(Greedy):
    budget = api.Budget()  # type: ignore[assignment]

    def step(self) -> api.StepInfo:
        info = super().step()
        return api.StepInfo(-1.0, {**info.metrics, "total_seconds": 1.0, "name": "me"})  # type: ignore[dict-item]


class Overwriting(Greedy):
    def step(self) -> api.StepInfo:
        info = super().step()
        return api.StepInfo(info.seconds, {**info.metrics, "test_acc.cifar10": 100.0})


class Bare(Greedy):
    def step(self) -> Any:
        return super().step().seconds


class Wordy(Greedy):
    def incumbent(self) -> Any:
        return str(super().incumbent())


@dataclass(frozen=True)
class NoChoices:
    """Nothing to set."""


class Peeping(api.SearchMethod):
    """Looks at test images."""

    Settings = NoChoices
    needs = "images"
    cost_kind = "measured"
    budget = api.Budget(steps=2)  # type: ignore[assignment]

    def __init__(self, settings: NoChoices, context: api.SearchContext) -> None:
        self.context, self.epoch = context, 0

    def step(self) -> api.StepInfo:
        self.epoch += 1
        assert self.context.images is not None
        luck = self.context.streams.numpy("luck", self.epoch).random()
        return api.StepInfo(0.1, {"valid_acc": float(self.context.images.test.pixels.float().mean()) + luck})

    def incumbent(self) -> api.Cell:
        return api.Cell.from_index(self.epoch)

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch}

    def load_state_dict(self, state: Any) -> None:
        self.epoch = state["epoch"]
