"""Row-sparse updates: Adam where every row is read, nothing at all where none is."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import recpref
from recpref import components
from recpref.losses.sampled_softmax import SampledSoftmax
from recpref.models.sasrec import SASRec
from recpref.negatives import different
from recpref.objectives.score import Score
from recpref.samplers.uniform import Uniform
from recpref.training.lazy_adam import LazyAdam, clip, tables_of
from recpref.training.optimizer import Optimizer
from recpref.types import Batch, History, Step
from recpref.workplace import STATE

V = 500


def one_row(weight: list[list[float]]) -> nn.Embedding:
    table = nn.Embedding(len(weight), len(weight[0]), sparse=True)
    table.weight.data = torch.tensor(weight)
    return table


def test_by_hand() -> None:
    """Row 1 is read with gradient 2: m = .2, v = .004, both corrected to 2 and 4, so the step is lr = .1; before it, 1 * (1 - .1 * .5)."""
    table = one_row([[5.0], [1.0]])
    optimizer = LazyAdam([{"params": [table.weight], "weight_decay": 0.5}], decoupled=True, lr=0.1, eps=0.0)
    (2 * table(torch.tensor([1]))).sum().backward()
    optimizer.step()
    torch.testing.assert_close(table.weight.detach(), torch.tensor([[5.0], [0.95 - 0.1]]))


def test_the_second_step_by_hand() -> None:
    """Row 1 is read in steps 1 and 3, with gradients 2 and 4: m = .9 * .2 + .1 * 4, v = .999 * .004 + .001 * 16, corrected for 3 steps."""
    table = one_row([[5.0], [1.0]])
    optimizer = LazyAdam([{"params": [table.weight], "weight_decay": 0.0}], decoupled=True, lr=0.1, eps=0.0)
    for row, gradient in ((1, 2.0), (0, 1.0), (1, 4.0)):
        optimizer.zero_grad()
        (gradient * table(torch.tensor([row]))).sum().backward()
        optimizer.step()
    m, v = 0.9 * 0.2 + 0.1 * 4, 0.999 * 0.004 + 0.001 * 16
    expected = 0.9 - 0.1 * (m / (1 - 0.9**3)) / (v / (1 - 0.999**3)) ** 0.5
    assert float(table.weight.detach()[1]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", ["adamw", "adam"])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_where_every_row_is_read_it_is_torchs(method: str, decay: float) -> None:
    """The oracle: torch's AdamW and Adam over five steps. A row that is read twice has the sum of both gradients."""
    torch.manual_seed(0)
    dense, sparse = nn.Embedding(7, 3), nn.Embedding(7, 3, sparse=True)
    sparse.load_state_dict(dense.state_dict())
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[method]
    theirs = kind(dense.parameters(), lr=0.05, weight_decay=decay)
    ours = LazyAdam([{"params": [sparse.weight], "weight_decay": decay}], decoupled=method == "adamw", lr=0.05)
    for _ in range(5):
        items, target = torch.cat([torch.randperm(7), torch.tensor([3, 3])]), torch.randn(9, 3)
        for table, optimizer in ((dense, theirs), (sparse, ours)):
            optimizer.zero_grad()
            F.mse_loss(table(items), target).backward()
            optimizer.step()
    assert sparse.weight.grad.is_sparse
    torch.testing.assert_close(sparse.weight, dense.weight, rtol=1e-5, atol=1e-6)


def batch(rng: torch.Generator, n_items: int = V) -> Batch:
    items = torch.randint(1, n_items + 1, (3, 5), generator=rng)
    return Batch(History(items[:, :-1], torch.arange(1, 4)), items[:, 1:])


class Train:
    user = torch.ones(1, dtype=torch.long).numpy()
    item = torch.ones(1, dtype=torch.long).numpy()


def learned(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3, *, shared: bool = True) -> set[int]:
    """Trains, and returns the items that some step read."""
    rng, read = torch.Generator().manual_seed(1), set[int]()
    sampler = Uniform(V, Train(), n_negatives=4, shared=shared)
    for number in range(steps):
        asked = batch(rng)
        drawn = []
        objective = Score(lambda b, g: drawn.append(sampler(b, g)) or drawn[-1], SampledSoftmax())  # noqa: B023
        optimizer.zero_grad()
        total, count, _ = objective(model, asked, Step(0, number, rng))
        (total / count).backward()
        optimizer.step()
        read |= set(torch.cat([asked.history.items.flatten(), asked.targets.flatten(), drawn[0].negatives.flatten()]).tolist())
    return read


def model_named(name: str) -> nn.Module:
    torch.manual_seed(0)
    model = components.build(components.find("model", name), {"d_model": 8, "max_len": 6}, {"n_items": V, "n_users": 3})
    return model.eval()


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", ["sasrec", "gru4rec", "bert4rec", "esasrec", "fmlprec", "hstu", "nextitnet", "srgnn"])
def test_rows_that_nobody_read_keep_every_bit(name: str, shared: bool) -> None:
    """And those that were read moved; the gradient never had another row."""
    model = model_named(name)
    before = model.items.weight.detach().clone()
    read = learned(model, Optimizer(sparse=True, weight_decay=0.1)(model, 10)[0], shared=shared)
    assert model.items.weight.grad.is_sparse
    moved = (model.items.weight.detach() != before).any(1).nonzero().flatten().tolist()
    assert set(moved) <= read | {0}
    assert len(moved) >= len(read) - 1


def test_the_gradients_are_those_of_the_whole_table() -> None:
    """One backward pass each, the same candidates."""
    gradients = []
    for sparse in (False, True):
        model = model_named("sasrec")
        Optimizer(sparse=sparse)(model, 10)
        rng = torch.Generator().manual_seed(1)
        total, count, _ = Score(Uniform(V, Train(), n_negatives=4, shared=True), SampledSoftmax())(model, batch(rng), Step(0, 0, rng))
        (total / count).backward()
        gradient = model.items.weight.grad
        assert gradient.is_sparse == sparse
        gradients.append(gradient.to_dense() if sparse else gradient)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("method", ["adamw", "adam"])
def test_the_decay_of_dense_weights_is_not_left_to_torch(method: str) -> None:
    """Adam of torch 2.6 has no decoupled decay, so torch's step is asked for none: the oracle is torch's AdamW."""
    torch.manual_seed(0)
    one, other = nn.Linear(4, 3), nn.Linear(4, 3)
    other.load_state_dict(one.state_dict())
    theirs = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[method](one.parameters(), lr=0.05, weight_decay=0.3)
    ours = LazyAdam([{"params": list(other.parameters()), "weight_decay": 0.3}], decoupled=method == "adamw", lr=0.05)
    for _ in range(5):
        x = torch.randn(8, 4)
        for layer, optimizer in ((one, theirs), (other, ours)):
            optimizer.zero_grad()
            layer(x).square().sum().backward()
            optimizer.step()
    (group,) = ours.param_groups
    assert (group["weight_decay"], group.get("decoupled_weight_decay", False)) == (0.3, False)
    torch.testing.assert_close(other.weight, one.weight, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(other.bias, one.bias, rtol=1e-6, atol=1e-7)


def test_a_gradient_of_all_rows_is_torchs_own_step() -> None:
    """Where a loss scores the whole catalogue, the table learns as ever."""
    weights = []
    for sparse in (False, True):
        model = model_named("sasrec")
        optimizer, _ = Optimizer(sparse=sparse)(model, 10)
        model.score(torch.ones(2, 8)).where(torch.arange(V + 1) > 0, 0).square().sum().backward()
        optimizer.step()
        weights.append(model.items.weight.detach())
    torch.testing.assert_close(*weights)


@pytest.mark.parametrize("algorithm", ["norm", "value"])
@pytest.mark.parametrize("most", [0.1, 1e6])
def test_clipping_is_torchs(algorithm: str, most: float) -> None:
    """The oracle: the same gradients as whole tables, clipped by torch. A row that is read twice counts once, with its sum."""
    torch.manual_seed(0)
    dense, sparse = (nn.Sequential(nn.Embedding(6, 3, sparse=kind), nn.Linear(3, 2)) for kind in (False, True))
    sparse.load_state_dict(dense.state_dict())
    for net in (dense, sparse):
        (net(torch.tensor([1, 1, 4])) ** 2).sum().backward()
    clip(sparse, most, algorithm)
    if algorithm == "norm":
        torch.nn.utils.clip_grad_norm_(dense.parameters(), most)
    else:
        torch.nn.utils.clip_grad_value_(dense.parameters(), most)
    torch.testing.assert_close(sparse[0].weight.grad.to_dense(), dense[0].weight.grad)
    torch.testing.assert_close(sparse[1].weight.grad, dense[1].weight.grad)


def test_the_state_is_saved_and_goes_on() -> None:
    """Two steps, saved and loaded into another optimiser, then two more: as four steps."""
    results = []
    for cut in (False, True):
        model = model_named("sasrec")
        optimizer, _ = Optimizer(sparse=True)(model, 10)
        learned(model, optimizer, 2)
        if cut:
            state = optimizer.state_dict()
            optimizer, _ = Optimizer(sparse=True)(model, 10)
            optimizer.load_state_dict(state)
        learned(model, optimizer, 2)
        results.append(model.items.weight.detach())
    assert torch.equal(*results)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"optimizer\.sparse=true .* optimizer\.average=0\.9 moves all of them; say optimizer\.average=0"):
        Optimizer(sparse=True, average=0.9)
    with pytest.raises(ValueError, match=r"optimizer\.sparse=true needs a model with a whole table of items"):
        Optimizer(sparse=True)(nn.Linear(2, 2), 10)


def test_tables_are_found_inside() -> None:
    """In the model of a module that trains more than it."""
    model = SASRec(3, d_model=4)
    assert tables_of(nn.ModuleList([model, nn.Linear(2, 2)])) == [model.items]


def test_a_training_of_its_own_resumes_to_the_bit(tmp_path, monkeypatch, unchecked) -> None:
    """From a state in the middle, and with clipping that is always at work."""
    frame = pd.DataFrame({"user_id": [n // 6 for n in range(120)], "item_id": [n * 7 % 40 for n in range(120)]})
    data = recpref.Interactions.from_dataframe(frame, user="user_id", item="item_id")
    options = [
        "model=sasrec",
        "model.d_model=8",
        "loss=sampled_softmax",
        "sampler=uniform",
        "sampler.n_negatives=3",
        "optimizer.sparse=true",
    ]
    options += [
        "optimizer.average=0",
        "trainer.max_epochs=3",
        "trainer.gradient_clip_val=0.01",
        "stopping.save_seconds=0",
        "loader.batch_size=8",
    ]
    saved = []

    def copied(trainer, path, *arguments, **named):
        original(trainer, path, *arguments, **named)
        saved.append((path, path.read_bytes()))

    import pytorch_lightning as pl

    original = pl.Trainer.save_checkpoint
    monkeypatch.setattr(pl.Trainer, "save_checkpoint", copied)
    run = recpref.fit(*options, f"out={tmp_path}", data=data)
    path, content = saved[2]
    place = path.parent
    place.mkdir(parents=True)
    (place / STATE).write_bytes(content)
    (place / "experiment.yaml").write_text((run.path / "experiment.yaml").read_text())
    again = recpref.fit(resume=run.path, data=data)
    assert all(torch.equal(value, again.model.state_dict()[name]) for name, value in run.model.state_dict().items())


def test_different_items() -> None:
    """Of a large catalogue: different, all as likely as each other, in random order; of a small one, a permutation."""
    rng = torch.Generator().manual_seed(0)
    draws = torch.stack([different(200, 3, rng) for _ in range(4000)])
    assert (draws.sort(1).values.diff() > 0).all()
    for place in range(3):
        counts = torch.bincount(draws[:, place], minlength=201)[1:].float()
        assert float(((counts - 20) ** 2 / 20).sum()) < 270  # chi-squared of 199: above 270 once in 1600
    assert sorted(different(5, 5, rng).tolist()) == [1, 2, 3, 4, 5]
