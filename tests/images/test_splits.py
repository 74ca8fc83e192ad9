"""The seeded splits are the same everywhere, and an official split file is accepted only if it adds up."""

import hashlib
import json

import numpy as np
import pytest
from command import call
from mirror import mirror_of
from paths import SHARED_DATA

from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.images import splits
from nasbench_eval.images.splits import SPLIT_FILES, find_split, seeded_split, split_from_file, stratified_parts
from runners.inputs import split_hash
from runners.spec import RunSpec


def test_the_seeded_halves_are_these_on_every_machine():
    # Pinned: different halves would silently be a different experiment.
    split = seeded_split("cifar10", 12)
    assert split.first.tolist() == [0, 3, 5, 7, 8, 11]
    assert seeded_split("cifar100", 12).first.tolist() == [0, 1, 4, 5, 6, 7]
    assert split.words == "seeded random halves 6/6, seed 0"


def test_the_seeded_halves_contain_every_image_once():
    first, second, _ = seeded_split("cifar10", 5001)
    assert (len(first), len(second)) == (2500, 2501)
    assert sorted([*first, *second]) == list(range(5001))
    # The mean index of a random half has a standard deviation of about 20.
    assert abs(first.mean() - 2500) < 80


def test_stratified_parts_hold_their_share_of_every_class():
    labels = np.array([0] * 10 + [1] * 5)
    parts, words = stratified_parts("x", labels, (0.6, 0.2, 0.2))
    assert [np.bincount(labels[part]).tolist() for part in parts] == [[6, 3], [2, 1], [2, 1]]
    assert sorted(np.concatenate(parts)) == list(range(15))
    assert words == "seeded stratified split 9/3/3, seed 0"


OFFICIAL = """{
  "train"              : ["int"   , ["0", "5", "3"]],
  "valid"              : ["int"   , ["1", "2", "4"]]
}"""


def test_an_official_split_file_is_read(tmp_path):
    path = tmp_path / "cifar-split.txt"
    path.write_text(OFFICIAL)
    first, second, words = split_from_file(path, 6)
    assert (first.tolist(), second.tolist()) == ([0, 3, 5], [1, 2, 4])
    # The checksum pins the contents: `sha256sum` of the text above.
    assert words == "cifar-split.txt (sha256 0bef03a7), 3/3"
    path.write_text(json.dumps({"xvalid": ["int", ["1"]], "xtest": ["int", ["0"]]}))
    first, second, _ = split_from_file(path, 2)
    assert (first.tolist(), second.tolist()) == ([1], [0])


def halves(first, second):
    return json.dumps({"train": ["int", first], "valid": ["int", second]})


BAD = {
    "overlap": (halves(["0", "1"], ["1", "2"]), r"does not split these 4 images: its 2 \+ 2 .* each of 0\.\.3 once"),
    "too few": (halves(["0", "1"], ["2"]), "does not split these 4 images"),
    "of another set": (halves(["0", "1"], ["2", "4"]), "does not split these 4 images"),
    "negative": (halves(["0", "1"], ["2", "-1"]), "does not split these 4 images"),
    "fraction": (halves(["0", "1"], ["2", 3.5]), r"valid: .*3\.5"),
    "word": (halves(["0", "x"], ["2", "3"]), "train: .*'x'"),
    "huge": (halves(["0", "9" * 30], ["2", "3"]), "train: "),
    "other type": (json.dumps({"train": ["float", []], "valid": ["int", []]}), 'train: must be \\["int"'),
    "bare lists": (json.dumps({"train": [0, 1], "valid": [2, 3]}), 'train: must be \\["int"'),
    "other keys": (json.dumps({"train": ["int", ["0"]]}), "must have the keys train and valid"),
    "no object": ("[]", "must have the keys train and valid"),
    "no JSON": ("0 1 2", "cannot read the split file"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_split_file_that_does_not_add_up_is_refused(tmp_path, case):
    text, message = BAD[case]
    path = tmp_path / "split.txt"
    path.write_text(text)
    with pytest.raises(NbevalError, match=message):
        split_from_file(path, 4)


def test_a_missing_split_file_is_named(tmp_path):
    with pytest.raises(NbevalError, match=r"cannot read the split file .*none\.txt"):
        split_from_file(tmp_path / "none.txt", 4)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Split files of six images, in place of the published ones; returns their folder."""
    folder = tmp_path / "published"
    folder.mkdir()
    for dataset, file in SPLIT_FILES.items():
        (folder / file.name).write_text(OFFICIAL + "\n" * len(dataset))
        digest = hashlib.sha256((folder / file.name).read_bytes()).hexdigest()
        monkeypatch.setitem(SPLIT_FILES, dataset, splits.SplitFile(file.name, digest))
    return folder


def test_official_splits_are_fetched_once_and_found(published, home, monkeypatch, capsys):
    with mirror_of(published, monkeypatch) as server:
        monkeypatch.setattr(splits, "_AUTODL", server.url)
        assert call("data", "fetch", "splits", "--data", "here") == 0
        assert capsys.readouterr().out.splitlines() == [f"{file.name}: now in here" for file in SPLIT_FILES.values()]
        assert call("data", "fetch", "splits", "--data", "here") == 0
        assert capsys.readouterr().out.splitlines()[0] == "cifar-split.txt: already there, in here"
        assert len(server.asked) == 3
        server.broken["cifar-split.txt"] = (404, 0.0)
        assert call("data", "fetch", "splits", "--data", "there") == 1
        assert "cifar-split.txt: the server answers 404; try again later, or put" in capsys.readouterr().err
    found = find_split("cifar100", home / "here")
    assert found == home / "here" / "cifar100-test-split.txt"
    # A run with the file and one with the word are the same run.
    assert split_hash(found, "cifar100") == split_hash(splits.OFFICIAL, "cifar100") == SPLIT_FILES["cifar100"].sha256


def test_an_official_split_that_is_missing_or_changed_is_named(published):
    with pytest.raises(NbevalError, match=r"no cifar-split\.txt in .*: `nbeval data fetch splits --data .*` down"):
        find_split("cifar10", published.parent)
    (published / "cifar-split.txt").write_text("{}")
    with pytest.raises(NbevalError, match="is not the official split file"):
        find_split("cifar10", published)
    with pytest.raises(UsageError, match="digits has no official split"):
        find_split("digits", published)


def test_halves_of_a_test_set_are_the_official_ones_unless_others_are_named():
    """The table's test accuracies are those of the second official half: no search may validate on its images."""
    file = SPLIT_FILES["cifar100"].sha256
    assert [split_hash(given, "cifar100") for given in (None, splits.OFFICIAL, splits.SEEDED)] == [file, file, ""]
    assert [split_hash(given, "cifar10") for given in (None, splits.SEEDED)] == ["", ""]
    assert split_hash(None, "digits") == ""
    shared = RunSpec("darts", "cifar100", 0, split_hash=file)
    assert shared.run_id != RunSpec("darts", "cifar100", 0).run_id
    tabular = RunSpec("rea", "cifar100", 0, split_hash=file)
    assert tabular.run_id == RunSpec("rea", "cifar100", 0).run_id, "a search in the table uses no images"


@pytest.mark.skipif(not (SHARED_DATA / "upstream").is_dir(), reason="the genuine split files are not here")
@pytest.mark.parametrize(("dataset", "n"), [("cifar10", 50_000), ("cifar100", 10_000), ("imagenet16-120", 6_000)])
def test_the_genuine_split_files_halve_their_images(dataset, n):
    first, second, _ = split_from_file(find_split(dataset, SHARED_DATA / "upstream"), n)
    assert len(first) == len(second) == n // 2
