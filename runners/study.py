"""Study files (``studies/*.toml`` and a user's own): what to run, and the claims that the runs are to decide."""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from nasbench_eval.analysis.claims import Claim, Side, read_claims
from nasbench_eval.errors import UsageError, unknown
from nasbench_eval.images.catalogue import DATASETS
from nasbench_eval.runs.store import Run
from nasbench_eval.utils.checks import mapping, shown, whole_number
from nasbench_eval.utils.files import reading
from nasbench_eval.utils.paths import is_file
from nasbench_eval.utils.toml_tables import TomlTable
from runners.context import TRUTHS, Truth
from runners.inputs import split_hash
from runners.presets import load_preset, load_scale
from runners.spec import MOST_SEEDS, RunSpec, require_distinct

STUDIES_FOLDER = Path(__file__).parent / "studies"

_SHARED = ("dataset", "seeds", "scale", "rank_cells")
"""Keys that stand in ``[[run]]``, or above all of them for every one that does not have them."""
_KEYS = ("title", "question", "text", "truth", "split", *_SHARED, "run", "claim")
_RUN_KEYS = ("method", *_SHARED, "set")


@dataclass(frozen=True)
class RunGroup:
    """One ``[[run]]`` of a study file: every combination of its methods, data sets, scales, settings and seeds.

    Attributes:
        methods: Names of methods.
        datasets: What the searches train on or query.
        seeds: The seeds.
        scales: The scales.
        settings: The changed settings; one mapping for each variant.
        rank_cells: How many cells the shared weights of each run score, as ``nbeval rank --cells``; None: none.
        where: Its place in the file, for messages.
    """

    methods: tuple[str, ...]
    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    scales: tuple[str, ...]
    settings: tuple[Mapping[str, Any], ...]
    rank_cells: int | None
    where: str


@dataclass(frozen=True)
class Study:
    """A study: runs and claims.

    Attributes:
        name: The name of its file, without suffix.
        title: A title.
        question: What it asks, in a sentence.
        text: What a reader should know; empty if nothing.
        groups: What it runs.
        claims: What its runs are to decide.
        truth: Where true accuracies come from, as ``nbeval run --truth``.
        split_file: A split file, ``official`` or ``seeded``; None: the default of each data set.
        changes: Further changed settings, each of every run whose method has it.
    """

    name: str
    title: str
    question: str
    text: str
    groups: tuple[RunGroup, ...]
    claims: tuple[Claim, ...]
    truth: Truth = "table"
    split_file: Path | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def specs(self) -> list[RunSpec]:
        """Its runs, each once.

        Raises:
            UsageError: If a setting is unknown or does not fit.
        """
        found: dict[str, RunSpec] = {}
        for group in self.groups:
            try:
                for spec in self._specs(group):
                    found.setdefault(spec.run_id, spec)
            except UsageError as error:
                raise _at(group.where, error) from None
        return list(found.values())

    def _specs(self, group: RunGroup) -> Iterator[RunSpec]:
        for method, dataset, scale, settings in itertools.product(
            group.methods, group.datasets, group.scales, group.settings
        ):
            yield from self._spec(method, dataset, scale, settings).with_seeds(group.seeds)

    def _spec(self, method: str, dataset: str, scale: str, settings: Mapping[str, Any]) -> RunSpec:
        if self.changes:
            known = _setting_names(method)
            settings = {**settings, **{key: value for key, value in self.changes.items() if key in known}}
        return RunSpec(method, dataset, 0, scale, settings, self._splits[dataset])

    @cached_property
    def _splits(self) -> dict[str, str]:
        return {dataset: split_hash(self.split_file, dataset) for dataset in self.datasets}

    @property
    def scales(self) -> list[str]:
        """The scales of its runs, in the order of the file."""
        return list(dict.fromkeys(scale for group in self.groups for scale in group.scales))

    @property
    def methods(self) -> list[str]:
        """The methods of its runs, in the order of the file."""
        return list(dict.fromkeys(method for group in self.groups for method in group.methods))

    @property
    def datasets(self) -> list[str]:
        """The data sets that its runs search on, in the order of the file."""
        return list(dict.fromkeys(dataset for group in self.groups for dataset in group.datasets))

    @property
    def training_scale(self) -> str:
        """The scale at which ``truth="train"`` trains the final cells.

        Raises:
            UsageError: If it trains them and the runs are of several scales.
        """
        if self.truth == "train" and len(self.scales) > 1:
            raise UsageError(
                f"truth = train needs one scale, but {self.name} has {', '.join(self.scales)}: use --scale"
            )
        return self.scales[0]

    def rank_cells(self) -> dict[str, int]:
        """Return how many cells the shared weights of a run are to score, by the run's id."""
        wanted: dict[str, int] = {}
        for group in self.groups:
            for spec in self._specs(group) if group.rank_cells else ():
                if not spec.is_tabular:
                    wanted[spec.run_id] = max(group.rank_cells or 0, wanted.get(spec.run_id, 0))
        return wanted

    def of(self, runs: Sequence[Run]) -> list[Run]:
        """Return those of some runs that belong to this study."""
        own = {spec.run_id for spec in self.specs}
        return [run for run in runs if run.record.run_id in own]

    def variant_of(self, side: Side) -> str:
        """Return the id of the variant that a claim of this study means by a side; empty if the study has none.

        It has none either where a setting that the claim names has been changed to another value.
        """
        settings = self._settings_of(side)
        if settings is None or any(self.changes.get(key, value) != value for key, value in side.settings.items()):
            return ""
        return self._spec(side.method, side.search_dataset, side.scale, settings).variant_id

    def _settings_of(self, side: Side) -> Mapping[str, Any] | None:
        """Return the changed settings of the variant that a claim means: the fewest that contain those it names.

        Raises:
            UsageError: If several variants change as few.
        """
        variants = []
        for group in self.groups:
            if side.method not in group.methods or side.search_dataset not in group.datasets:
                continue
            # A tabular search has no scale.
            if side.scale in group.scales or RunSpec(side.method, side.search_dataset, 0).is_tabular:
                variants += [settings for settings in group.settings if side.settings.items() <= settings.items()]
        if not variants:
            return None
        fewest = [each for each in variants if len(each) == min(map(len, variants))]
        if any(each != fewest[0] for each in fewest):
            words = " and ".join(" ".join(f"{key}={value}" for key, value in each.items()) for each in fewest)
            raise UsageError(f"the study runs {side.method} with {words}: say with `set` which one the claim means")
        return fewest[0]

    def changed(
        self,
        *,
        seeds: Sequence[int] | None = None,
        scale: str | None = None,
        datasets: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        split_file: Path | None = None,
        truth: Truth | None = None,
    ) -> Study:
        """Return this study with what the command line changes.

        Args:
            seeds: The seeds of every run.
            scale: The scale of every run.
            datasets: Search data sets to keep; empty for all.
            settings: Further changed settings, each of every run whose method has it.
            split_file: The split of every run.
            truth: Where true accuracies come from.

        Raises:
            UsageError: If the scale, a data set or a setting is unknown.
        """
        if scale is not None:
            load_scale(scale)
        for name in datasets:
            if name not in self.datasets:
                raise unknown(f"search data set of {self.name}", name, self.datasets)
        if settings:
            known = sorted({name for method in self.methods for name in _setting_names(method)})
            for key in settings:
                if key not in known:
                    raise unknown(f"setting of the methods of {self.name}", key, known)
        groups = []
        for group in self.groups:
            kept = tuple(name for name in group.datasets if not datasets or name in datasets)
            changes: dict[str, Any] = {
                "datasets": kept,
                "seeds": tuple(seeds) if seeds is not None else group.seeds,
                "scales": (scale,) if scale is not None else group.scales,
            }
            groups += [replace(group, **changes)] if kept else []
        return replace(
            self,
            groups=tuple(groups),
            split_file=self.split_file if split_file is None else split_file,
            truth=self.truth if truth is None else truth,
            changes={**self.changes, **(settings or {})},
        )


def _setting_names(method: str) -> set[str]:
    """Return the names of a method's settings."""
    return {each.name for each in dataclasses.fields(RunSpec(method, "", 0).implementation.Settings)}


def study_names() -> list[str]:
    """Return the names of the included studies."""
    return sorted(path.stem for path in STUDIES_FOLDER.glob("*.toml"))


def load_study(name: str) -> Study:
    """Read a study by its name, or by the path of its file.

    Raises:
        UsageError: If there is none, or a key, name or value in it is unknown or does not fit; the message says where.
        NbevalError: If the file cannot be read.
    """
    path = Path(name)
    if name in study_names():
        path = STUDIES_FOLDER / f"{name}.toml"
    elif not is_file(path):
        if path.suffix == ".toml":
            raise UsageError(f"there is no study file {name}; the included studies are {', '.join(study_names())}")
        raise unknown("study", name, study_names())
    with reading(path, "study file", "correct it"):
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    return _study(path.stem, TomlTable(values, _KEYS, path.name))


def _study(name: str, table: TomlTable) -> Study:
    own_names: dict[str, str] = {}
    groups = [
        _group(values, f"{table.where}, run {i}", table, own_names) for i, values in enumerate(table.tables("run"), 1)
    ]
    if not groups:
        raise UsageError(f"{table.where} runs nothing: write at least one [[run]]")
    truth = cast(Truth, table.text("truth", "table"))
    if truth not in TRUTHS:
        raise _at(table.where, unknown("truth", truth, TRUTHS))
    study = Study(
        name=name,
        title=table.text("title", name),
        question=table.text("question", ""),
        text=table.text("text", ""),
        groups=tuple(groups),
        claims=(),
        truth=truth,
        split_file=Path(table.text("split")) if "split" in table else None,
    )
    known = list(dict.fromkeys([*own_names, *study.methods]))
    claims = [
        replace(
            claim,
            method=tuple(own_names.get(name, name) for name in claim.method),
            against=tuple(own_names.get(name, name) for name in claim.against),
        )
        for claim in read_claims(table.tables("claim"), methods=known, datasets=DATASETS, where=table.where)
    ]
    for claim in claims:
        _check_runs(claim, study, table.where)
    return replace(study, claims=tuple(claims))


def _group(values: object, where: str, above: TomlTable, own_names: dict[str, str]) -> RunGroup:
    """Read one ``[[run]]``; ``own_names`` is given the name under which each method's runs are recorded."""
    table = TomlTable(values, _RUN_KEYS, where)

    def of(key: str) -> TomlTable:
        return table if key in table else above

    group = RunGroup(
        methods=table.names("method"),
        datasets=of("dataset").names("dataset"),
        seeds=_seeds(of("seeds").raw("seeds", 1), of("seeds").where),
        scales=of("scale").names("scale", ("full",)),
        settings=_settings(table.raw("set"), where),
        rank_cells=of("rank_cells").whole("rank_cells", at_least=10, at_most=15_625),
        where=where,
    )
    try:
        for method in group.methods:
            own_names[method] = load_preset(method).name
        for dataset in group.datasets:
            if dataset not in DATASETS:
                raise unknown("data set", dataset, DATASETS)
        for scale in group.scales:
            load_scale(scale)
    except UsageError as error:
        raise _at(where, error) from None
    return replace(group, methods=tuple(own_names[method] for method in group.methods))


def _seeds(value: object, where: str) -> tuple[int, ...]:
    """Return the seeds that a number of seeds, or a list of them, gives."""
    if isinstance(value, list):
        if not value:
            raise UsageError(f"{where}: seeds is a number of seeds or a list of them; got an empty list")
        seeds = tuple(whole_number(each, f"{where}: a seed") for each in value)
        require_distinct(seeds, f"{where}: ")
        return seeds
    number = whole_number(value, f"{where}: seeds", at_least=1)
    if number > MOST_SEEDS:
        raise UsageError(f"{where}: at most {MOST_SEEDS:,} seeds; got {shown(value)}")
    return tuple(range(number))


def _settings(value: object, where: str) -> tuple[Mapping[str, Any], ...]:
    """Return the changed settings: one table, or a list of tables for several variants."""
    several = value if isinstance(value, list) and value else [value]
    return tuple(mapping(each, f"{where}: set") for each in several)


def _check_runs(claim: Claim, study: Study, where: str) -> None:
    """Raise if a claim is about searches that the study does not run."""
    sides = [(name, claim.settings) for name in claim.method] + [
        (name, claim.against_settings) for name in claim.against
    ]
    same = [name for name in claim.method if name in claim.against and claim.settings == claim.against_settings]
    if same:
        raise _at(f'{where}, claim "{claim.text}"', UsageError(f"it compares {same[0]} with itself"))
    for (method, settings), dataset in itertools.product(sides, claim.dataset):
        home = claim.searched_for(dataset)
        try:
            sides_here = [Side(method, home, scale, settings) for scale in study.scales]
            if all(study._settings_of(side) is None for side in sides_here):
                raise UsageError(f"the study has no [[run]] of {sides_here[0]}")
        except UsageError as error:
            raise _at(f'{where}, claim "{claim.text}"', error) from None


def _at(where: str, error: UsageError) -> UsageError:
    return UsageError(f"{where}: {error}")
