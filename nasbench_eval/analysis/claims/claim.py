"""A claim about methods, as a study file writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nasbench_eval.analysis.claims.quantities import QUANTITIES
from nasbench_eval.errors import UsageError, unknown
from nasbench_eval.utils.checks import mapping
from nasbench_eval.utils.toml_tables import TomlTable

TESTS: Mapping[str, str] = {
    "better": "the mean test accuracy of each method is higher than that of each of `against`, and not only by less "
    "than the table's noise (the deviation between trainings of one cell), or than `margin`",
    "higher": "the mean of the quantity is higher than that of each of `against`; for test accuracies this is `better`",
    "lower": "the mean of the quantity is lower than that of each of `against`, of test accuracies also by more than "
    "the table's noise, or than `margin`",
    "equivalent": "the mean differs from that of each of `against` by less than the table's noise, or than `margin`",
    "above": "the mean of the quantity is above `value`",
    "below": "the mean of the quantity is below `value`",
    "within_noise_of_optimum": "the mean test accuracy is below that of the best cell by less than the table's noise, "
    "or than `margin`",
    "published": "the mean test accuracy agrees with the published one within sampling error",
}
"""The tests of claims, and when each one holds."""

COMPARING = ("better", "higher", "lower", "equivalent")
"""The tests that compare methods with others (``against``)."""

_OF_ACCURACY = ("better", "within_noise_of_optimum", "published")
_KEYS = (
    *("text", "figure", "test", "method", "against", "dataset", "search_dataset", "quantity"),
    *("set", "against_set", "value", "margin"),
)


@dataclass(frozen=True)
class Claim:
    """A claim about methods. With several methods, data sets or ``against``, all comparisons must hold.

    Attributes:
        text: The claim in words.
        test: One of ``TESTS``.
        method: The methods that it is about.
        dataset: The data sets on which it is judged.
        against: The methods that they are compared with.
        search_dataset: The data set that was searched on; empty: the one on which it is judged.
        quantity: One of ``QUANTITIES``.
        figure: The figure or table that states it, such as ``Figure 5``.
        settings: Changed settings of ``method`` (key ``set``).
        against_settings: Changed settings of ``against`` (key ``against_set``).
        value: The number of ``above`` and ``below``.
        margin: What takes the place of the table's noise, if not None: a difference inside it is not called one.
    """

    text: str
    test: str
    method: tuple[str, ...]
    dataset: tuple[str, ...]
    against: tuple[str, ...] = ()
    search_dataset: str = ""
    quantity: str = "test_acc"
    figure: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    against_settings: Mapping[str, Any] = field(default_factory=dict)
    value: float | None = None
    margin: float | None = None

    def searched_for(self, dataset: str) -> str:
        """Return the data set that was searched on, for one on which the claim is judged."""
        return self.search_dataset or dataset


def read_claims(
    tables: Sequence[object], *, methods: Sequence[str] = (), datasets: Sequence[str] = (), where: str = ""
) -> list[Claim]:
    """Return the claims of a study file.

    Args:
        tables: Its tables ``[[claim]]``.
        methods: The methods that a claim may name; empty: any.
        datasets: The data sets that it may name; empty: any.
        where: The file, for messages.

    Raises:
        UsageError: If a key, test, method, data set or quantity is unknown, or keys do not fit each other; the message
            names the claim, and the nearest known name.
    """
    return [
        _claim(table, f"{where}, claim {number}".removeprefix(", "), methods, datasets)
        for number, table in enumerate(tables, 1)
    ]


def _claim(values: object, where: str, methods: Sequence[str], datasets: Sequence[str]) -> Claim:
    if isinstance(values, Mapping) and isinstance(values.get("text"), str):
        where = f'{where} ("{_short(values["text"])}")'
    table = TomlTable(values, _KEYS, where)
    claim = Claim(
        text=table.text("text"),
        test=table.text("test"),
        method=table.names("method"),
        dataset=table.names("dataset"),
        against=table.names("against", ()),
        search_dataset=table.text("search_dataset", ""),
        quantity=table.text("quantity", "test_acc"),
        figure=table.text("figure", ""),
        settings=mapping(table.raw("set"), f"{where}: set"),
        against_settings=mapping(table.raw("against_set"), f"{where}: against_set"),
        value=table.number("value"),
        margin=table.number("margin"),
    )
    try:
        _check_names(claim, methods, datasets)
        _check_keys(claim)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    return claim


def _check_names(claim: Claim, methods: Sequence[str], datasets: Sequence[str]) -> None:
    searched = (claim.search_dataset,) if claim.search_dataset else ()
    named: list[tuple[str, tuple[str, ...], Sequence[str]]] = [
        ("test", (claim.test,), list(TESTS)),
        ("quantity", (claim.quantity,), list(QUANTITIES)),
        ("method", (*claim.method, *claim.against), methods),
        ("data set", (*claim.dataset, *searched), datasets),
    ]
    for kind, names, known in named:
        for name in names:
            if known and name not in known:
                raise unknown(kind, name, list(known))


def _check_keys(claim: Claim) -> None:
    """Raise if a key is missing, or has no effect, with the test of the claim."""
    compares, bounds = claim.test in COMPARING, claim.test in ("above", "below")
    if compares and not claim.against:
        raise UsageError(f"the test {claim.test!r} compares: name the methods in against")
    if bounds and claim.value is None:
        raise UsageError(f"the test {claim.test!r} needs a value")
    idle = {
        "against": bool(claim.against) and not compares,
        "against_set": bool(claim.against_settings) and not compares,
        "value": claim.value is not None and not bounds,
        "margin": claim.margin is not None and not compares and claim.test != "within_noise_of_optimum",
    }
    for key, given in idle.items():
        if given:
            raise UsageError(f"{key} has no effect with the test {claim.test!r}")
    if claim.margin is not None and claim.margin <= 0:
        raise UsageError(f"margin is above 0; got {claim.margin:g}")
    if claim.quantity == "test_acc":
        return
    if claim.test in _OF_ACCURACY:
        raise UsageError(f"the test {claim.test!r} is about test_acc: for {claim.quantity} use higher, lower, ...")
    if claim.test == "equivalent" and claim.margin is None:
        raise UsageError(f"the table has no noise of {claim.quantity}: give the margin that counts as no difference")
    if any(claim.searched_for(name) != name for name in claim.dataset):
        raise UsageError(f"{claim.quantity} is of the data set that was searched on: leave search_dataset out")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
