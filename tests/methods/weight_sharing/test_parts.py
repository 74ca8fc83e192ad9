"""The parts of the other weight-sharing methods: second order, partial channels, SETN, DrNAS, ENAS."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from plain import PlainCell
from torch.distributions.dirichlet import Dirichlet as TorchDirichlet

from nasbench_eval.cell import N_EDGES, NOR_CONV_3X3, SKIP_CONNECT, Cell
from nasbench_eval.errors import UsageError
from nasbench_eval.methods.weight_sharing.darts import Logits, Mixture, unrolled_gradient
from nasbench_eval.methods.weight_sharing.drnas import Dirichlet
from nasbench_eval.methods.weight_sharing.enas import Controller
from nasbench_eval.methods.weight_sharing.gaea import Simplex
from nasbench_eval.methods.weight_sharing.setn import Setn
from nasbench_eval.networks.partial_cell import PartialCell
from nasbench_eval.networks.supernet import ALL_OPS, Supernet
from nasbench_eval.utils.rng import Streams
from runners.spec import RunSpec

NO_NONE = (1, 2, 3, 4)


def generator(purpose: str = "test") -> torch.Generator:
    return Streams(7).torch(purpose)


def test_second_order_gradient_in_closed_form() -> None:
    """Train loss (w - a)^2 / 2, valid loss w^2 / 2: one step gives w - lr (w - a + decay w + momentum m)."""
    lr, decay, momentum = 0.1, 0.01, 0.9
    w = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([w], lr, momentum, weight_decay=decay)
    w.grad = torch.tensor([0.3], dtype=torch.float64)
    sgd.step()  # leaves a momentum buffer behind
    buffer, start = sgd.state[w]["momentum_buffer"].clone(), w.detach().clone()
    found = unrolled_gradient(lambda: ((w - a) ** 2 / 2).sum(), lambda: (w**2 / 2).sum() + a.sum(), [w], [a], sgd)
    after = start - lr * (start - a.detach() + decay * start + momentum * buffer)
    # d valid / d a = direct 1, and through w': w' * dw'/da = w' * lr.
    assert found[0].item() == pytest.approx((1 + after * lr).item(), rel=1e-9)
    assert torch.equal(w.detach(), start)


def test_partial_cell_with_all_channels_is_the_plain_cell() -> None:
    plain = PlainCell(4, affine=False, track=True).double()
    partial = PartialCell(4, 1, track_running_stats=True).double()
    for edge, op in itertools.product(range(N_EDGES), (2, 3)):
        _, conv, _ = plain.edges[edge][op]
        partial.convs[f"{edge}_{op}"][0].load_state_dict(conv.state_dict())
    x = torch.randn(3, 4, 6, 6, generator=generator()).double()
    weights = torch.rand(6, 5, generator=generator("weights")).double()
    for mode in (True, False):
        plain.train(mode)
        partial.train(mode)
        assert torch.allclose(partial(x, weights, ALL_OPS), plain(x, weights, False), atol=1e-10)


def test_partial_cell_lets_the_other_channels_pass_and_shuffles() -> None:
    cell = PartialCell(8, 4, track_running_stats=True).double()
    x = torch.randn(2, 8, 4, 4, generator=generator()).double()
    skip = torch.zeros(6, 5).double()
    skip[:, SKIP_CONNECT] = 1
    edges = torch.tensor([1.0, 0.25, 0.75, 0.2, 0.3, 0.5]).double()
    active = ((SKIP_CONNECT,),) * 6
    # With skip connections alone an edge is its factor times the shuffle.
    shuffle = lambda t: F.channel_shuffle(t, 4)  # noqa: E731
    n1 = shuffle(x)
    n2 = 0.25 * shuffle(x) + 0.75 * shuffle(n1)
    n3 = 0.2 * shuffle(x) + 0.3 * shuffle(n1) + 0.5 * shuffle(n2)
    assert torch.allclose(cell(x, skip, active, None, edges), n3)
    # Weight zero on the operations kills the worked quarter only.
    nothing = cell(x, torch.zeros(6, 5).double(), active, None, torch.tensor([1.0, 0, 0, 1, 0, 0]).double())
    assert (nothing == 0).double().mean().item() == pytest.approx(0.25)


def test_edge_weights_scale_edges_in_the_fused_cell_too() -> None:
    net = Supernet(4, 1, 10, generator=generator()).double()
    x = torch.randn(4, 3, 8, 8, generator=generator("x")).double()
    weights = torch.rand(6, 5, generator=generator("w")).double()
    edges = torch.rand(6, generator=generator("e")).double()
    assert torch.allclose(net(x, weights, edges=edges), net(x, weights * edges[:, None]))


def test_edge_weights_sum_to_one_over_the_edges_that_enter_a_node() -> None:
    for distribution in (
        Logits(NO_NONE, generator(), edge_normalisation=True),
        Simplex(NO_NONE, edge_normalisation=True),
    ):
        edges = Mixture(distribution).sample().edges
        sums = [edges[0].item(), edges[1:3].sum().item(), edges[3:].sum().item()]
        assert sums == pytest.approx([1, 1, 1], abs=1e-6)


def test_setn_trains_sampled_cells_and_chooses_among_the_most_probable() -> None:
    logits = Logits(NO_NONE, generator())
    with torch.no_grad():
        logits.logits[:] = torch.tensor([0.0, 0.0, 3.0, 0.0])
        logits.logits[5] = torch.tensor([0.0, 2.9, 3.0, 0.0])
    setn = Setn(logits)
    setn.begin_epoch(0, 2, generator(), torch.device("cpu"))
    assert setn.sample().values.sum() == 6
    assert torch.allclose(setn.architecture_sample().values[:, 1:], logits.probabilities())
    first, second, *rest = setn.candidates(20, generator())
    assert first == Cell((3, 3, 3, 3, 3, 3))
    assert second == Cell((3, 3, 3, 3, 3, 2))
    assert len(rest) == 18


def test_dirichlet_draws_have_the_mean_and_the_gradient_of_torchs() -> None:
    logits = Logits(NO_NONE, generator())
    with torch.no_grad():
        logits.logits[:] = torch.tensor([1.0, 0.0, -0.5, 2.0])
    drnas = Dirichlet(logits)
    drnas.begin_epoch(0, 0, generator("draws"), torch.device("cpu"))
    values = torch.stack([drnas.sample().values[:, 1:] for _ in range(2000)])
    concentration = F.elu(logits.logits.detach()) + 1
    assert torch.allclose(values.mean((0, 1)), (concentration / concentration.sum(-1, keepdim=True))[0], atol=0.012)
    # The same draw through torch.distributions' own backward pass.
    drnas.begin_epoch(0, 0, generator("one"), torch.device("cpu"))
    weight = torch.rand(6, 4, generator=generator("weight"))
    ours = drnas.sample().values[:, 1:]
    (ours * weight).sum().backward()
    theirs = torch.nn.Parameter(logits.logits.detach().clone())
    alpha = F.elu(theirs) + 1
    from torch.distributions.dirichlet import _Dirichlet_backward

    (gradient,) = torch.autograd.grad(alpha, theirs, _Dirichlet_backward(ours.detach(), alpha.detach(), weight))
    assert torch.allclose(logits.logits.grad, gradient, atol=1e-6)
    assert TorchDirichlet(alpha.detach()).has_rsample


def test_controller_learns_what_is_rewarded() -> None:
    settings = RunSpec("enas", "digits", 0, overrides={"controller_steps": 25, "arch_lr": 0.04}).settings
    controller = Controller(NO_NONE, settings, generator())
    share = lambda cells: [cell.ops.count(NOR_CONV_3X3) / 6 for cell in cells]  # noqa: E731
    before = share(controller.candidates(200, generator("before")))
    found = controller.learn(share, generator("learn"))
    after = share(controller.candidates(200, generator("after")))
    assert sum(before) / 200 < 0.35
    assert sum(after) / 200 > 0.7
    assert 0 < found["reward"] <= 1
    assert 0 < float(controller.entropy()) < 1.387
    state = controller.state_dict()
    other = Controller(NO_NONE, settings, generator("other"))
    other.load_state_dict(state)
    assert other.candidates(5, generator("same")) == controller.candidates(5, generator("same"))


@pytest.mark.parametrize(
    ("method", "changes", "words"),
    [
        ("pc_darts", {"channels": 6}, "channels (6) is no multiple of partial_channels (4)"),
        ("pc_darts", {"epochs": 15}, "arch_warmup_epochs (15) has to be smaller than epochs (15)"),
        ("rs_ws", {"unrolled": True}, "unrolled needs an architecture gradient"),
        ("drnas", {"arch_optimizer": "eg"}, "dirichlet: it goes with adam"),
    ],
)
def test_settings_that_contradict_each_other(method: str, changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        _ = RunSpec(method, "digits", 0, overrides=changes).settings
    assert words in str(caught.value)
