"""The one LightningModule: loss over count, randomness by (seed, step), validation over the full catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from recpref import components
from recpref.data.batches import Batches, Loader
from recpref.data.examples.next_item import NextItem
from recpref.data.interactions import Interactions
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.evaluation.protocol import Evaluation
from recpref.models.sasrec import SASRec
from recpref.retrieval.topk import TopK
from recpref.training.module import Course, Data, Training, train
from recpref.training.optimizer import Optimizer
from recpref.training.stopping import METRIC, Stopping
from recpref.types import Batch, History, Step

BATCH = Batch(History(torch.tensor([[1, 2]]), torch.tensor([1])), torch.tensor([[2, 3]]))


def constant(total: float, count: int) -> Any:
    """An objective that always gives this sum over this count."""
    return lambda model, batch, step: (torch.tensor(total), torch.tensor(count), {})


def protocol(*names: str) -> Evaluation:
    """These metrics at ten."""
    return Evaluation({name: components.find("metric", name) for name in names or ("ndcg", "hr")}, ks=(10,))


def training(objective: Any, *, seed: int = 1, model: Any = None, **options: Any) -> Training:
    """A training that logs nowhere."""
    module = Training(model or SASRec(5, d_model=4), objective, Optimizer(**options), protocol(), seed=seed)
    module.log = module.log_dict = lambda *_, **__: None
    return module


@pytest.fixture(scope="module")
def data() -> Interactions:
    """Users who walk along 0, 1, 2, ..., 14, 0, ... from different places."""
    rows = [(u, (7 * u + t) % 15, 1000 + t) for u in range(24) for t in range(4 + u % 5)]
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    return Interactions.from_dataframe(frame, user="user", item="item", time="time", name="toy")


@pytest.mark.parametrize(("total", "count", "loss"), [(6.0, 4, 1.5), (6.0, 1, 6.0), (0.0, 0, 0.0)])
def test_the_loss_is_the_sum_over_the_count(total: float, count: int, loss: float) -> None:
    """6 / 4 = 1.5; a batch without any position costs nothing and divides by nothing."""
    assert float(training(constant(total, count)).training_step(BATCH, 0)) == loss


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops(value: float) -> None:
    """With the step and what to do."""
    with pytest.raises(FloatingPointError, match=rf"the loss became {value} at step 0; try a smaller optimizer\.lr"):
        training(constant(value, 1)).training_step(BATCH, 0)


class Noted:
    """An objective that notes what randomness it was given."""

    def __init__(self) -> None:
        self.drawn: list[tuple[float, float]] = []
        self.steps: list[Step] = []

    def __call__(self, model: Any, batch: Batch, step: Step) -> tuple[Tensor, Tensor, dict[str, Any]]:
        self.drawn.append((float(torch.rand(())), float(torch.rand((), generator=step.rng))))
        self.steps.append(step)
        return torch.tensor(1.0), torch.tensor(1), {}


def test_randomness_is_a_function_of_seed_and_step() -> None:
    """The same step draws the same dropout and the same samples, whatever was drawn before; another seed draws others."""
    noted = Noted()
    for seed in (1, 1, 2):
        torch.rand(3)
        training(noted, seed=seed).training_step(BATCH, 0)
    assert noted.drawn[0] == noted.drawn[1]
    assert noted.drawn[0][0] != noted.drawn[2][0]
    assert noted.drawn[0][1] != noted.drawn[2][1]
    assert all(dropped != sampled for dropped, sampled in noted.drawn)  # two streams: what is dropped says nothing of what is sampled
    assert noted.steps[0][:2] == (0, 0)


def test_every_step_draws_anew(data: Interactions, tmp_path: Path) -> None:
    """In a real training no two steps share their draws, and steps and epochs count up."""
    noted = Noted()

    def objective(model: Any, batch: Batch, step: Step) -> tuple[Tensor, Tensor, dict[str, Any]]:
        noted(model, batch, step)
        return model.items.weight.square().sum(), torch.tensor(1), {"norm": 2.0}

    trained(data, tmp_path, objective=objective)
    assert len(set(noted.drawn)) == len(noted.drawn) == 6  # 24 rows in batches of 8, twice
    assert [(step.epoch, step.step) for step in noted.steps] == [(0, 0), (0, 1), (0, 2), (1, 3), (1, 4), (1, 5)]


def trained(data: Interactions, place: Path, *, objective: Any = None, **options: Any) -> tuple[Training, Course]:
    """A tiny SASRec after two epochs."""
    torch.manual_seed(0)
    split = LeaveOneOut()(data)
    found = objective or components.find("objective", "score")(
        components.find("sampler", "catalogue")(), components.find("loss", "cross_entropy")()
    )
    model = SASRec(data.n_items, d_model=8, n_layers=1, max_len=10)
    module = Training(model, found, Optimizer(lr=0.02), protocol(), seed=1)
    batches = Data(split.train, split.valid, NextItem(10), Loader(batch_size=8), module.evaluation, seed=1)
    trainer = {"max_epochs": 2, "devices": 1, "accelerator": "cpu", "enable_model_summary": False, "log_every_n_steps": 1}
    trainer |= {"num_sanity_val_steps": 0, **options}
    return module, train(module, batches, Stopping(every=1), trainer, [], place)


def test_the_course_of_a_training(data: Interactions, tmp_path: Path) -> None:
    """Two epochs: two losses, two validations, the better one kept, and the facts that a run records."""
    module, course = trained(data, tmp_path)
    assert [row["epoch"] for row in course.losses] == [row["epoch"] for row in course.validations] == [1.0, 2.0]
    values = [row[METRIC] for row in course.validations]
    assert course.best_epoch == 1 + values.index(max(values))
    assert (course.epochs, course.interrupted) == (2, False)
    assert course.facts == {
        "train/epochs": 2,
        "train/best_epoch": course.best_epoch,
        "train/interrupted": False,
        "train/underfit": course.underfit,
    }
    assert isinstance(module, pl.LightningModule)


def test_validation_is_the_evaluation(data: Interactions, tmp_path: Path) -> None:
    """The value of the kept epoch is what ``Evaluation`` says of the model that training leaves."""
    module, course = trained(data, tmp_path)
    report = protocol()(TopK(module.model.eval().cpu(), seed=1), LeaveOneOut()(data).valid)
    kept = course.validations[course.best_epoch - 1]
    assert kept[METRIC] == pytest.approx(report.means["ndcg@10"], rel=1e-6)
    assert kept["valid/hr@10"] == pytest.approx(report.means["hr@10"], rel=1e-6)


def test_a_sanity_check_is_no_validation(data: Interactions, tmp_path: Path) -> None:
    """trainer.num_sanity_val_steps is the user's to set; the untrained model must not be kept as the best."""
    _, course = trained(data, tmp_path, num_sanity_val_steps=2)
    assert [row["epoch"] for row in course.validations] == [1.0, 2.0]


def test_without_validations_nothing_is_known_of_underfitting(data: Interactions, tmp_path: Path) -> None:
    """trainer.limit_val_batches=0: the last weights are kept, and nobody says that validation was still rising."""
    _, course = trained(data, tmp_path, limit_val_batches=0)
    assert (course.validations, course.best_epoch, course.underfit) == ([], 2, False)


def test_what_the_objective_logged_in_the_kept_epoch_is_a_fact(data: Interactions, tmp_path: Path) -> None:
    """Its mean over the epoch's positions, and not that of the last epoch."""
    plain = components.find("objective", "score")(components.find("sampler", "catalogue")(), components.find("loss", "cross_entropy")())

    def counting(model: Any, batch: Any, step: Any) -> Any:
        total, count, _ = plain(model, batch, step)
        return total, count, {"epoch_seen": float(step.epoch + 1)}

    _, course = trained(data, tmp_path, objective=counting)
    assert [row["train/epoch_seen"] for row in course.losses] == [1.0, 2.0]
    assert course.facts["train/epoch_seen"] == course.best_epoch


def test_without_epochs_there_is_nothing_to_tell() -> None:
    """A model that counts has no course."""
    assert Course().facts == {}


def test_parameters_of_the_objective_train_too() -> None:
    """An objective may own parameters; one that is a function has none."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 2))

    own = Own()
    assert any(parameter is own.weight for parameter in training(own).parameters())
    before = sum(1 for _ in SASRec(5, d_model=4).parameters())
    assert sum(1 for _ in training(constant(1.0, 1)).parameters()) == before


def test_data_begins_at_the_beginning(data: Interactions) -> None:
    """Without a trainer the batches are those of the first epoch, the same each time."""
    split = LeaveOneOut()(data)
    module = Data(split.train, split.valid, NextItem(10), Loader(batch_size=8), protocol(), seed=1)
    assert isinstance(module.train_dataloader(), Batches)
    first, second = list(module.train_dataloader()), list(module.train_dataloader())
    assert len(first) == len(module.train_dataloader()) == 3
    assert all(torch.equal(one.targets, other.targets) for one, other in zip(first, second, strict=True))


def test_nobody_to_validate_on_is_no_validation(data: Interactions) -> None:
    """Lightning is given no loader at all rather than an empty one."""
    split = LeaveOneOut()(data)
    nobody = split.valid._replace(targets=split.valid.targets.where(split.valid.targets.user < 0))
    module = Data(split.train, nobody, NextItem(10), Loader(), protocol(), seed=1)
    assert module.val_dataloader() == []
    assert len(Data(split.train, split.valid, NextItem(10), Loader(), protocol(), seed=1).val_dataloader()) == 1


def test_accumulated_batches_draw_apart(data: Interactions, tmp_path: Path) -> None:
    """Two batches of one step must not share their dropout masks and samples."""
    noted = Noted()

    def objective(model: Any, batch: Batch, step: Step) -> tuple[Tensor, Tensor, dict[str, Any]]:
        noted(model, batch, step)
        return model.items.weight.square().sum(), torch.tensor(1), {}

    trained(data, tmp_path, objective=objective, accumulate_grad_batches=3)
    assert len(set(noted.drawn)) == len(noted.drawn) == 6


def gradients(data: Interactions, batch_size: int, accumulated: int, place: Path) -> Tensor:
    """Of the one step of an epoch."""
    torch.manual_seed(0)
    score = components.find("objective", "score")(components.find("sampler", "catalogue")(), components.find("loss", "cross_entropy")())
    module = Training(
        SASRec(data.n_items, d_model=8, max_len=50, dropout=0.0, attention_dropout=0.0), score, Optimizer(), protocol(), seed=1
    )
    nothing = LeaveOneOut()(data).valid
    nothing = nothing._replace(targets=nothing.targets.where(nothing.targets.user < 0))
    batches = Data(data, nothing, NextItem(50), Loader(batch_size=batch_size), module.evaluation, seed=1)
    limits = {"max_epochs": 1, "accumulate_grad_batches": accumulated, "gradient_clip_val": None}
    options = {"devices": 1, "accelerator": "cpu", "enable_model_summary": False, **limits}
    found: list[Tensor] = []

    class Watching(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            if trainer.global_step:
                found.append(torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None]))

    train(module, batches, Stopping(every=1), options, [], place, [Watching()])
    (gradient,) = found
    return gradient


@pytest.mark.parametrize(("size", "accumulated"), [(1, 2), (1, 5)])
def test_accumulated_batches_are_as_one(tmp_path: Path, size: int, accumulated: int) -> None:
    """Users with one target and with forty: the gradient is that of both in one batch, also where fewer batches are left than asked for."""
    rows = [(user, (7 * place + user) % 29, place) for user, n in ((1, 2), (2, 41)) for place in range(n)]
    data = Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")
    together, apart = gradients(data, 2, 1, tmp_path / "one"), gradients(data, size, accumulated, tmp_path / "two")
    torch.testing.assert_close(apart, together, rtol=1e-4, atol=1e-6)
