"""The public face, and methods in files of a user's own: the examples and every snippet of docs/api.md are run here."""

from __future__ import annotations

import pickle
import re
import shlex
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from broken_methods import BAD, Greedy
from command import TINY, call, untimed
from own_methods import forget
from paths import ROOT
from tables import synthetic_table

from nasbench_eval.methods import plugins
from nasbench_eval.runs.store import Run, load_runs
from nasbench_eval.table import Key, Table
from nbeval import api
from runners import presets
from runners.context import Inputs
from runners.executors.base import Job, know_methods, plain
from runners.inputs import make_specs
from runners.spec import RunSpec, parse_overrides
from runners.study import load_study

SMALL = {**parse_overrides(TINY[1::2]), "epochs": 2}
"""Settings that make a weight-sharing search fast."""


def runs(folder: str = "results") -> dict[str, Run]:
    return {f"{run.record.method} {run.record.seed} {run.record.variant_id}": run for run in load_runs([Path(folder)])}


# search and evaluate


def test_a_search_is_the_run_of_the_command(folder: Path) -> None:
    kept = set(folder.rglob("*"))
    result = api.search("rea", "cifar10", seed=3, settings={"budget_seconds": 20_000})
    assert set(folder.rglob("*")) == kept, "without results= nothing is written"
    assert call("run", "--method", "rea", "--dataset", "cifar10", "--seeds", "3,", "--set", "budget_seconds=20000") == 0
    (run,) = runs().values()
    assert run.record.run_id == result.record.run_id
    assert run.steps.equals(result.steps)
    assert result.test_acc == run.test_acc
    assert result.test_acc["cifar10"] == synthetic_table().accuracy(result.cell, "cifar10", "test", epochs=200)
    assert result.seconds == result.steps["seconds"].sum() <= 20_000
    (path,) = Path("results/runs").iterdir()
    before = path.stat().st_mtime_ns
    again = api.search("rea", "cifar10", seed=3, settings={"budget_seconds": 20_000}, results="results")
    assert again.record.finished == run.record.finished
    assert path.stat().st_mtime_ns == before


def test_an_interrupted_search_goes_on(folder: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, row: Any) -> None:
        raise Stop

    seen: list[int] = []
    given: dict[str, Any] = {"settings": SMALL, "truth": "none", "device": "cpu"}
    whole = api.search("gdas", "digits", **given, on_step=lambda done, row: seen.append(done))
    assert seen == [1, 2]
    assert whole.test_acc == {}
    with pytest.raises(Stop):
        api.search("gdas", "digits", **given, results="here", on_step=stop)
    rest: list[int] = []
    resumed = api.search("gdas", "digits", **given, results="here", on_step=lambda done, row: rest.append(done))
    assert rest == [1, 2]  # the first is the row of the checkpoint
    assert untimed(resumed.steps).equals(untimed(whole.steps))
    assert resumed.record.started <= resumed.record.finished


def test_evaluate_says_what_the_table_knows_of_a_cell() -> None:
    columns = {Key("toy", 12, "test", "accuracy", "777"): np.full(15_625, 10.0)}
    for trial, value in (("777", 50.0), ("888", 52.0), ("999", np.nan)):
        columns[Key("toy", 200, "test", "accuracy", trial)] = np.full(15_625, value)
    columns[Key("toy", 200, "valid", "accuracy")] = np.arange(15_625.0)
    columns[Key("other", 200, "test", "accuracy")] = np.full(15_625, 7.0)
    made = Table.build(columns, name="toy", source={}, splits={})
    cell = api.Cell.from_index(5)
    for asked in (cell, str(cell), 5):
        found = api.evaluate(asked, table=made)
        assert sorted(found) == ["other", "toy"]
        assert found["other"] == api.TrueAccuracy(7.0, None, 0, None, 200)
        toy = found["toy"]
        assert (toy.test_acc, toy.valid_acc, toy.trials, toy.epochs) == (51.0, 5.0, 2, 200)
        assert toy.test_std == pytest.approx(2**0.5)
    assert list(api.evaluate(5, "toy", table=made)) == ["toy"]
    with pytest.raises(api.UsageError, match=r"unknown data set in the table 'toi': did you mean 'toy'\?"):
        api.evaluate(5, "toi", table=made)
    with pytest.raises(api.UsageError, match="a cell index lies in"):
        api.evaluate(15_625, table=made)


# A method in a file of one's own, through the command


def test_a_users_search_in_the_table_runs_like_any_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("run", "--method", "my_method:CrossEntropy,rs", "--dataset", "cifar10", "--seeds", "3", "--set",
               "budget_seconds=40000")  # fmt: skip
    assert call(*command) == 0
    assert "Cross-entropy" in capsys.readouterr().out
    (files,) = [[path.name for path in Path("results/runs").glob("my_method.CrossEntropy-cifar10-*")]]
    assert len(files) == 1
    found = [run for run in runs().values() if run.record.method == "my_method:CrossEntropy"]
    assert len(found) == 3
    record = found[0].record
    assert (record.title, record.block, record.cost_kind) == ("Cross-entropy", "standard HPO", "simulated")
    assert record.settings["batch"] == 12
    assert len(record.versions["method"]) == 12
    assert all(len(run.steps) > 60 for run in found), "the distribution has moved several times"
    before = {path: path.stat().st_mtime_ns for path in Path("results/runs").iterdir()}
    forget(folder)
    assert call(*command) == 0
    assert {path: path.stat().st_mtime_ns for path in Path("results/runs").iterdir()} == before
    capsys.readouterr()
    assert call("compare") == 0
    assert "Cross-entropy [budget_seconds=40000]" in capsys.readouterr().out
    assert call("plot", "anytime", "figure5", "--format", "svg") == 0
    assert "Cross-entropy" in Path("plots/figure5.svg").read_text()
    assert "Cross-entropy" in Path("plots/anytime.svg").read_text()


def test_a_users_weight_sharing_search_is_cut_drawn_and_ranked(
    folder: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "my_weight_sharing:SharpDarts"
    command = ("run", "--method", name, "--dataset", "digits", "--scale", "small", "--epochs", "2", *TINY)
    assert call(*command, "--table", str(table_file)) == 0
    (run,) = runs().values()
    assert "channels 16 -> 2" in run.record.reductions
    assert run.record.scale == "small"
    assert run.record.settings["temperature"] == 0.2
    assert run.record.block == "weight sharing"
    assert RunSpec(name, "digits", 0, "small").values["channels"] == 8
    assert not list(Path("results/checkpoints").iterdir())
    assert call("plot", "entropy", "--format", "svg") == 0
    assert "Sharp DARTS" in Path("plots/entropy.svg").read_text()
    # The setting of its own does what it says: a sharper softmax has less entropy.
    given: dict[str, Any] = {"settings": {**SMALL, "temperature": 0.002}, "truth": "none", "device": "cpu"}
    sharper = api.search(name, "digits", **given)
    assert sharper.steps["entropy"].iloc[0] < run.steps["entropy"].iloc[0] - 0.05
    # Its shared weights are kept and score cells, until it is edited.
    rank = ("rank", "--run", run.record.run_id, "--table", str(table_file), "--device", "cpu", "--format", "svg")
    assert call(*rank, "--cells", "10") == 0
    source = Path("my_weight_sharing.py")
    source.write_text(source.read_text() + "EDITED = 1\n")
    forget(folder)
    capsys.readouterr()
    assert call(*rank, "--cells", "11") == 1
    assert "my_weight_sharing:SharpDarts was edited since run" in capsys.readouterr().err


def test_an_edited_method_is_another(folder: Path) -> None:
    source = Path("mine.py")
    source.write_text(
        "from nbeval.api import TabularSettings, register\nfrom my_method import CrossEntropy\n"
        "from mine_tools import LUCK\n\nclass Mine(CrossEntropy):\n    '''Mine.'''\n\n"
        "register(Mine, extends='rs')\n"
    )
    Path("mine_tools.py").write_text("LUCK = 1\n")
    command = ("run", "--method", "mine:Mine", "--dataset", "cifar10", "--set", "budget_seconds=3000")

    def variants() -> int:
        forget(folder)
        assert call(*command) == 0
        return len({run.record.variant_id for run in runs().values()})

    assert variants() == 1
    assert variants() == 1
    for number, file in enumerate(("mine.py", "mine_tools.py", "my_method.py"), 2):
        Path(file).write_text(Path(file).read_text() + "ANOTHER_LINE = 1\n")
        assert variants() == number, f"an edit of {file} must not be taken for the old method"
    Path("unrelated.py").write_text("X = 1\n")
    assert variants() == 4


def test_a_search_interrupted_before_its_method_was_edited_is_said_to_stay(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, row: Any) -> None:
        raise Stop

    given: dict[str, Any] = {"settings": SMALL, "truth": "none", "device": "cpu", "results": "here", "on_step": stop}

    def begin(seed: int = 0) -> list[str]:
        forget(folder)
        caplog.clear()
        with pytest.raises(Stop):
            api.search("my_weight_sharing:SharpDarts", "digits", seed=seed, **given)
        return [record.message for record in caplog.records if "not continued" in record.message]

    assert begin() == []
    assert begin() == [], "it is continued"
    source = Path("my_weight_sharing.py")
    source.write_text(source.read_text() + "EDITED = 1\n")
    [old] = [path.stem for path in Path("here/checkpoints").glob("*.pt")]
    Path("here/checkpoints/damaged.json").write_text("{")
    assert begin(seed=1) == [], "that is another search"
    assert begin() == [
        "my_weight_sharing:SharpDarts digits seed 0 begins anew: its files or its images have changed since a search "
        f"was interrupted after epoch 1 (run {old}), which is not continued"
    ]


def test_a_class_is_named_as_if_its_script_were_imported_and_needs_a_source(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("from nbeval.api import *\nclass Typed(TabularMethod):\n    Settings = TabularSettings", names)
    script = sys.modules["__main__"]
    monkeypatch.setattr(script, "__file__", str(folder / "my_method.py"), raising=False)  # a worker's has none
    assert plugins.path_of(names["Typed"]) == "my_method:Typed"
    assert plugins.source_hash(names["Typed"]) == plugins.source_hash(plugins.load_class("my_method:CrossEntropy"))
    monkeypatch.delattr(script, "__file__")
    plugins.source_hash.cache_clear()
    assert plugins.path_of(names["Typed"]) == "__main__:Typed"
    with pytest.raises(api.UsageError, match="the source of __main__:Typed cannot be read: put the class in a file"):
        plugins.source_hash(names["Typed"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing:Mine", "there is no module nothing in"),
        ("bad:Mine", "bad has no Mine; its methods: NoSettings, Half, Unreadable, Thawed, Undeclared, BareField, "),
        ("bad:Plain", "bad:Plain is not a SearchMethod"),
        ("bad:", "is named module:Class"),
        ("bad:NoSettings", "`Settings` to a frozen dataclass"),
        ("bad:Thawed", "`Settings` to a frozen dataclass"),
        (
            "bad:NotDecorated",
            "a frozen dataclass: Undecorated declares greedy without @dataclass(frozen=True, kw_only=True)",
        ),
        ("bad:BaseNotDecorated", "a frozen dataclass: Undecorated declares greedy without @dataclass"),
        ("bad:Undeclared", "the setting cooling as `cooling: float = setting('what it is', default=0.95)`"),
        ("bad:BareField", "declare the setting size as `size: int | None = setting('what it is')`"),
        ("bad:Unreadable", "bad:Unreadable: the type of a setting cannot be read: name 'flaot' is not defined"),
        ("bad:Listed", "the setting size must be an int, float, bool or str"),
        ("bad:NoValue", 'needs a value for budget_seconds: end its file with register(NoValue, extends="rs"), the'),
        (
            "bad:NoSize",
            "needs a value for budget_seconds, size: give a default in Sized, or settings={...} in register(",
        ),
        ("bad:NoNeeds", "`needs` to one of images, table"),
        ("bad:Half", "it lacks load_own_state, observe, own_state"),
        ("broken:Mine", "broken cannot be imported: SyntaxError"),
        ("wanting:Mine", "wanting cannot be imported: No module named 'not_there'"),
        ("my_method:CrossEntropy --set batches=3", "did you mean 'batch'?"),
        ("my_method:CrossEntropy --set batch=1", "batch must be at least 2"),
        ("my_method:CrossEntropy --truth none", "it cannot run with --truth none"),
    ],
)
def test_what_is_no_method_gets_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    Path("bad.py").write_text(BAD)
    Path("broken.py").write_text("def Mine(:\n")
    Path("wanting.py").write_text("import not_there\n")
    assert call("run", "--dataset", "cifar10", "--method", *name.split()) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert not Path("results").exists()


def test_a_settings_class_without_settings_of_its_own_needs_no_decorator(folder: Path) -> None:
    class Same(api.TabularSettings):
        """Other words for the same settings, and what is none."""

        MOST: ClassVar[int] = 3
        fidelity: str

    cls = type("Other", (Greedy,), {"Settings": Same, "__module__": Greedy.__module__})
    assert api.register(cls, extends="rs").settings["budget_seconds"] == 12_000


def test_methods_shows_a_users_settings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("methods", "my_weight_sharing:SharpDarts") == 0
    out = capsys.readouterr().out
    assert out.startswith("Sharp DARTS: DARTS with a sharper softmax\n"), "a report adds the full stop, as for presets"
    assert re.search(r"temperature +0.2 +of the softmax", out)
    assert re.search(r"epochs +50 .*NAS-Bench-201", out)  # what it has from `darts`, with its source


def test_methods_shows_the_values_of_a_setting_on_other_data_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("methods", "rs") == 0
    assert re.search(r"budget_seconds +12000.0 \(digits: 350.0\) ", capsys.readouterr().out)


def test_a_package_brings_methods_by_entry_points(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = folder / "site" / "plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[nbeval.methods]\ncross_entropy = my_method:CrossEntropy\nbroken = nothing:Mine\nrs = nothing:Mine\n"
        "wrong = wrong_module:Mine\n"
    )
    (folder / "wrong_module.py").write_text("undefined\n")
    sys.path.insert(0, str(folder / "site"))
    assert call("methods") == 0
    out = capsys.readouterr().out
    assert re.search(r"^cross_entropy +Cross-entropy +Cross-entropy method: ind", out, re.MULTILINE)
    assert re.search(r"^broken +cannot be loaded: nothing:Mine: there is no module", out, re.MULTILINE)
    assert re.search(r"^wrong +cannot be loaded: wrong_module:Mine: .* NameError", out, re.MULTILINE)
    kept, left_out = make_specs("all", "digits", [0], {}, Inputs(folder / "results", "cpu"))
    assert {spec.method for spec in kept} > {"rs", "my_method:CrossEntropy"}
    assert [line.partition(",")[0] for line in left_out if "cannot be loaded" in line] == [
        "left out broken", "left out wrong"
    ]  # fmt: skip
    assert re.search(r"^rs +RS ", out, re.MULTILINE), "a preset's name stays the preset's"
    in_order = ["\ndifferentiable\n", "\ngaea_darts ", "\ntabular\n", "\nrs ", "\nyour own\n", "\ncross_entropy "]
    assert sorted(in_order, key=out.index) == in_order, "methods are listed by family"
    assert call("run", "--method", "cross_entropy", "--dataset", "cifar10", "--set", "budget_seconds=3000") == 0
    (run,) = runs().values()
    assert run.record.method == "my_method:CrossEntropy"
    claim = '[[claim]]\ntext = "c"\ntest = "above"\nvalue = 1\nmethod = "cross_entropy"\ndataset = "cifar10"\n'
    run_table = '[[run]]\nmethod = "cross_entropy"\ndataset = "cifar10"\nset = { budget_seconds = 3000 }\n'
    (folder / "s.toml").write_text(run_table + claim)
    study = load_study("s.toml")
    assert [spec.run_id for spec in study.specs] == [run.record.run_id], "whatever name a study uses"
    assert study.claims[0].method == ("my_method:CrossEntropy",)


# register and check


def test_what_was_registered_reaches_other_processes(folder: Path) -> None:
    """A script under ``if __name__ == "__main__"`` does not register again where its searches run."""
    api.register(Greedy, title="Greedy search", settings={"budget_seconds": 2000.0})
    spec = RunSpec("broken_methods:Greedy", "cifar10", 0)
    sent = pickle.loads(pickle.dumps(plain([Job("a search", spec)])))
    api.register(Greedy, settings={"budget_seconds": 3000.0})
    assert RunSpec("broken_methods:Greedy", "cifar10", 0).run_id != spec.run_id
    know_methods(sent)
    assert sent[0].spec.run_id == spec.run_id
    assert sent[0].spec.preset.title == "Greedy search"


def test_registering_gives_name_title_and_settings(folder: Path) -> None:
    api.register(Greedy, "greedy", title="Greedy search", settings={"budget_seconds": 2000.0}, paper="nowhere")
    results = [api.search(method, "cifar10") for method in (Greedy, "greedy", "broken_methods:Greedy")]
    assert len({result.record.run_id for result in results}) == 1
    assert results[0].record.title == "Greedy search"
    assert results[0].record.settings["budget_seconds"] == 2000
    api.register(Greedy, "greedy", extends="rs", settings={"fidelity": "200"})
    preset = presets.load_preset("greedy")
    assert (preset.title, preset.settings["budget_seconds"], preset.settings["fidelity"]) == ("Greedy", 12_000, "200")
    assert preset.sources["fidelity"] == "broken_methods:Greedy"
    with pytest.raises(api.UsageError, match="there is already a method 'rs'"):
        api.register(Greedy, "rs", extends="rs")
    with pytest.raises(api.UsageError, match=r"^rs has the title 'RS': give broken_methods:Greedy another one$"):
        api.register(Greedy, title="RS", extends="rs")
    named = type("ENAS", (Greedy,), {"__module__": Greedy.__module__})
    assert api.register(named, extends="rs").title == "broken_methods:ENAS", "nobody chose it"
    with pytest.raises(api.UsageError, match="letters, digits and _"):
        api.register(Greedy, "a,b", extends="rs")
    with pytest.raises(
        api.UsageError, match="unknown setting of broken_methods:Greedy 'fidelty': did you mean 'fidelity'"
    ):
        api.register(Greedy, extends="rs", settings={"fidelty": "12"})
    with pytest.raises(api.UsageError, match="needs a value for budget_seconds: end its file with register"):
        api.register(Greedy)
    with pytest.raises(api.UsageError, match="the block of a method is one of standard HPO, weight sharing"):
        api.register(Greedy, extends="rs", block="mine")


# The documentation


def test_the_snippets_of_the_documentation_run(folder: Path) -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    snippets = re.findall(r"```(python|bash)\n(.*?)```", text, re.DOTALL)
    assert len(snippets) >= 6
    names: dict[str, Any] = {}
    for language, code in snippets:
        if language == "python":
            exec(compile(code, "docs/api.md", "exec"), names)
        else:
            for line in code.splitlines():
                assert call(*shlex.split(line, comments=True)[1:]) == 0, line
