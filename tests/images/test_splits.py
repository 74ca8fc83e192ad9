"""The seeded splits are the same everywhere, and an official split file is accepted only if it adds up."""

import json

import numpy as np
import pytest

from nasbench_eval.errors import NbevalError
from nasbench_eval.images.splits import seeded_split, split_from_file, stratified_parts


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
