"""Reading a huge pickle one item at a time gives the same as unpickling it as a whole."""

import collections
import pickle

import numpy as np
import pytest
from official_layout import content, write_pth

from nasbench_eval.errors import NbevalError
from nasbench_eval.table.sources import pickle_slices as module
from nasbench_eval.table.sources.official import ALLOWED, find_source
from nasbench_eval.table.sources.pickle_slices import NotSplittable, split


def cut(path, value, protocol=2, before=b""):
    path.write_bytes(before + pickle.dumps(value, protocol))
    return split(path, len(before), "items", ALLOWED)


END = list(range(1000))


def items(count):
    """Items that share strings, a type and a dict with others, in all ways that records do."""
    shared_text, shared_dict = "".join(["sha", "red"]), {"common": [1, 2]}
    rng = np.random.default_rng(0)
    return {
        index: {
            "text": shared_text,
            "own": f"item-{index}",
            "twice": [f"item-{index}"] * 2,
            "common": shared_dict,
            "times": collections.OrderedDict.fromkeys(range(3), 0.5 + index),
            "numbers": [np.float64(rng.uniform()), -1, 255, 256, 65535, 65536, -(2**31), 1.5, None, True, False],
            ("tuple", index): (1, (2, 3), (4, 5, 6), (7, 8, 9, 10), ()),
            "one": {0: [1]},
        }
        for index in rng.permutation(count).tolist()
    }


@pytest.mark.parametrize("count", [1, 2, 1000, 1001, 2500])
def test_every_item_and_the_rest_come_back(tmp_path, count):
    made = items(count) if count > 1 else {7: items(2)[1], 8: {"own": "x"}}
    value = {"before": ["a", "b"], "items": made, "after": {1, 2, 3}, "names": [f"item-{i}" for i in range(3)]}
    rest, slices = cut(tmp_path / "p", value, before=b"header")
    assert rest == {**value, "items": {}}
    assert list(slices.ranges) == list(made)
    # In any order, and repeatedly: every item is built on its own.
    for index in [*sorted(made), next(iter(made))]:
        assert slices.load(index, ALLOWED) == made[index]
    assert pickle.loads(pickle.dumps(slices)).load(index, ALLOWED) == made[index]


def test_ordered_dicts_are_cut_as_well(tmp_path):
    ordered = collections.OrderedDict
    made = ordered((index, ordered(item)) for index, item in items(1200).items())
    rest, slices = cut(tmp_path / "p", ordered(before=[1], items=made, after={1, 2}))
    assert rest == ordered(before=[1], items={}, after={1, 2})
    assert all(slices.load(index, ALLOWED) == made[index] for index in made)


def test_operations_across_block_boundaries(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 5000)
    value = {"items": items(60), "long": list(range(40000))}
    rest, slices = cut(tmp_path / "p", value)
    assert rest["long"] == value["long"]
    assert {index: slices.load(index, ALLOWED) for index in slices.ranges} == value["items"]


def test_only_shared_objects_are_kept(tmp_path):
    _, slices = cut(tmp_path / "p", {"items": items(1500), "end": END})
    assert len(slices.shared) < 20


@pytest.mark.parametrize(
    "value",
    [
        {"other": {1: {}, 2: {}}, "end": END},
        {"items": items(5)},
        {"items": {}, "end": END},
        {"items": [1, 2], "end": END},
        {"items": {1: 5, 2: 6}, "end": END},
        {"items": {"a": {1: 2, 3: 4}, "b": {}}, "end": END},
        {"items": {1: {"text": "x" * 200}, 2: {}}, "end": END},
        {"items": {1: {"big": 2**40}, 2: {}}, "end": END},
        {"items": (made := items(3)), "end": END, "after": made[2]["times"]},
        [1, 2],
        5,
    ],
)
def test_other_layouts_are_not_split(tmp_path, value):
    with pytest.raises(NotSplittable):
        cut(tmp_path / "p", value)


@pytest.mark.parametrize("protocol", [0, 1, 3, 4, 5])
def test_other_protocols_are_not_split(tmp_path, protocol):
    with pytest.raises(NotSplittable, match="protocol"):
        cut(tmp_path / "p", {"items": items(2)}, protocol)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file(tmp_path, share):
    data = pickle.dumps({"items": items(20)}, 2)
    (tmp_path / "p").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(NbevalError, match="p is truncated or not a pickle"):
        split(tmp_path / "p", 0, "items", ALLOWED)


def test_an_item_twice_is_an_error(tmp_path):
    data = pickle.dumps({"items": {5: {"a": "b"}, 6: {"a": "c"}}, "end": END}, 2)
    assert data.count(b"K\x06}") == 1
    (tmp_path / "p").write_bytes(data.replace(b"K\x06}", b"K\x05}"))
    with pytest.raises(NbevalError, match="item 5 appears twice"):
        split(tmp_path / "p", 0, "items", ALLOWED)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_layouts_of_torch_are_read_item_by_item(tmp_path, zipped):
    cells = (3, 0, 15624)
    write_pth(tmp_path / "f.pth", cells, zipped=zipped)
    source = find_source(tmp_path / "f.pth")
    assert source.open() == sorted(cells)
    assert source.parallel
    made = content(cells)
    for index in cells:
        assert source.take(index) == (made["arch2infos"][index], "")


def test_a_file_in_another_layout_is_read_as_a_whole(tmp_path):
    made = content((0, 3))
    (tmp_path / "f.pth").write_bytes(pickle.dumps(made, protocol=4))
    source = find_source(tmp_path / "f.pth")
    assert source.open() == [0, 3]
    assert not source.parallel
    assert source.take(3) == (made["arch2infos"][3], "")


def test_memory_does_not_grow_with_the_file(tmp_path):
    import tracemalloc

    def peak(count):
        made = {index: {"a": [index + i / 7 for i in range(200)], "b": []} for index in range(count)}
        (tmp_path / "p").write_bytes(pickle.dumps({"items": made, "end": END}, 2))
        del made
        tracemalloc.start()
        _, slices = split(tmp_path / "p", 0, "items", ALLOWED)
        for index in slices.ranges:
            slices.load(index, ALLOWED)
        assert len(slices.ranges) == count
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    block, module._BLOCK = module._BLOCK, 1 << 16
    try:
        small, large = peak(100), peak(800)
    finally:
        module._BLOCK = block
    size = (tmp_path / "p").stat().st_size
    assert size > 1_000_000
    # Of an item only its position is kept, about 250 of its 1,800 bytes; the built items would take more than the file.
    assert large - small < size / 2
