"""The stand-alone network against the plain form."""

from __future__ import annotations

import numpy as np
import torch
from network_inputs import GEN, batch, difference
from plain import PlainSupernet

from nasbench_eval.cell import Cell
from nasbench_eval.networks.standalone import StandaloneNet
from nasbench_eval.networks.supernet import one_hot


def test_equals_the_plain_form_with_affine_batch_norm() -> None:
    rng = np.random.default_rng(3)
    for _ in range(3):
        cell = Cell.random(rng)
        net = StandaloneNet(cell, 4, 1, 10, generator=GEN.torch("weights")).double()
        plain = PlainSupernet(4, 1, 10, affine=True).double()
        with torch.no_grad():
            plain.stem.load_state_dict(net.stem.state_dict())
            plain.classifier.load_state_dict(net.classifier.state_dict())
            for s, stage in enumerate(net.stages):
                for edge, conv in stage[0].convs.items():
                    plain.stages[s][0].edges[int(edge)][cell.ops[int(edge)]].load_state_dict(conv.state_dict())
            for s, reduction in enumerate(net.reductions):
                theirs = plain.reductions[s]
                theirs.conv_a[1].load_state_dict(reduction.conv_a.state_dict())
                theirs.conv_b[1].load_state_dict(reduction.conv_b.state_dict())
                theirs.downsample[1].load_state_dict(reduction.downsample.state_dict())
        images, _ = batch()
        assert difference(net(images), plain(images, one_hot(cell).double(), sampled=True)) < 1e-10
