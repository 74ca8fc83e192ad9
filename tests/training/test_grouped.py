"""Cells trained side by side: every function once, and each cell as if it were trained alone."""

from __future__ import annotations

import pytest
from cell_groups import sharing_convolutions
from tiny_cells import write_images

from nasbench_eval.cell import Cell
from nasbench_eval.equivalence import convolutions, representatives
from nasbench_eval.images import ImageData
from nasbench_eval.images.custom import load_custom_images
from nasbench_eval.training.grouped import distinct_cells, groups_of, train_group
from nasbench_eval.training.recipes import Schedule


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImageData:
    return load_custom_images(write_images(tmp_path_factory.mktemp("images")))


def test_a_cell_trains_the_same_in_any_group(data: ImageData) -> None:
    """To the last bit, at the shipped table's width; narrower networks may round differently in other groups."""
    schedule = Schedule(channels=8, epochs=2, batch_size=32)
    cells = sharing_convolutions(Cell((3, 0, 1, 2, 4, 1)), 5)
    together, _ = train_group(cells, data, schedule, 7)
    alone, _ = train_group(cells[2:3], data, schedule, 7)
    others, _ = train_group([cells[4], cells[2], cells[1]], data, schedule, 7)
    assert alone == together[2:3]
    assert others == [together[4], together[2], together[1]]
    other_trial, _ = train_group(cells[2:4], data, schedule, 8)
    assert other_trial != together[2:4]


def test_training_learns(data: ImageData) -> None:
    schedule = Schedule(channels=4, epochs=8, batch_size=16, lr=0.1)
    (outcome, *_), _ = train_group(sharing_convolutions(Cell((3, 0, 0, 0, 1, 0)), 2), data, schedule, 0)
    assert outcome.test[0] > 80
    assert len(outcome.valid) == 8


def test_groups_cover_every_function_once() -> None:
    groups = groups_of(distinct_cells())
    assert sorted(index for group in groups for index in group) == sorted(set(representatives()))
    for members in groups[:50]:
        assert len({tuple(convolutions(Cell.from_index(index)).items()) for index in members}) == 1
