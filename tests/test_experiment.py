"""fit: from overrides to a saved run, the same every time, and nothing written where something is wrong."""

from __future__ import annotations

import random
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import recpref
from recpref import experiment
from recpref.data.interactions import Interactions
from recpref.leaderboard.record import recorded
from recpref.plan import FILE, read
from recpref.runs.run import Run
from recpref.training.callbacks import SaveState
from recpref.training.stopping import still_rising
from recpref.workplace import STATE

TINY = (
    "model.d_model=8",
    "model.n_layers=1",
    "model.n_heads=1",
    "model.max_len=10",
    "optimizer.warmup_steps=0",
    "loader.batch_size=8",
    "stopping.every=1",
)
SURE = ("optimizer.lr=0.05", "model.d_model=16", "model.dropout=0", "model.attention_dropout=0", "loader.batch_size=24")
THING = '''
"""A model from elsewhere: causal, of one table."""
import torch
from torch import nn

class Thing(nn.Module):
    causal = True

    def __init__(self, n_items: int, *, width: int = 4, max_len: int = 10):
        super().__init__()
        self.items = nn.Embedding(n_items + 1, width)

    def embed(self, items):
        return self.items(items)

    def encode(self, x, history):
        return x

    def state(self, history):
        return self.items(history.items[:, -1])

    def table(self):
        bias = torch.zeros(len(self.items.weight))
        bias[0] = -torch.inf
        return self.items.weight, bias

    def score(self, h, items=None):
        vectors, bias = self.table()
        return h @ vectors.T + bias
'''


def cycle(n_users: int = 24, n_items: int = 15) -> pd.DataFrame:
    """Users who walk along 0, 1, 2, ..., 14, 0, ... from different places: user u makes 4 + u % 5 steps from item 7 u."""
    rows = [(f"u{u:02d}", f"i{(7 * u + t) % n_items:02d}", 1000 + t) for u in range(n_users) for t in range(4 + u % 5)]
    return pd.DataFrame(rows, columns=["who", "what", "when"])


@pytest.fixture(scope="module")
def data() -> Interactions:
    """The cycle as interactions."""
    return Interactions.from_dataframe(cycle(), user="who", item="what", time="when", name="toy set")


def fit(out: Path, data: Interactions, *overrides: str) -> Run:
    """A tiny SASRec."""
    return recpref.fit("model=sasrec", "trainer.max_epochs=2", *TINY, f"out={out}", *overrides, data=data)


def weights(run: Run) -> bytes:
    """The saved weights, bit for bit."""
    return (run.path / "model.safetensors").read_bytes()


def logged(run: Run) -> pd.Series:
    """The validation metric by epoch (from 1), as the CSV log has it."""
    frame = pd.read_csv(run.path / "logs" / "metrics.csv")[["epoch", "valid/ndcg@10"]].dropna()
    return frame.set_index(frame["epoch"] + 1)["valid/ndcg@10"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Interactions) -> Run:
    """Two epochs of the tiny SASRec."""
    return fit(tmp_path_factory.mktemp("runs"), data)


def test_the_place_of_a_run(run: Run) -> None:
    """out / data / model / digest-sSEED, with the data's name made fit for a folder."""
    assert run.path.parent.parts[-2:] == ("toy_set", "sasrec")
    assert run.path.name.endswith("-s1")
    assert len(run.path.name) == len("01234567-s1")


def test_the_same_seed_gives_the_same_bits(run: Run, data: Interactions, tmp_path: Path) -> None:
    """Whatever the caller's random state and place: seed 1 twice."""
    torch.manual_seed(987)
    again = fit(tmp_path, data)
    assert weights(again) == weights(run)
    assert again.path.name == run.path.name
    drop = {"train/seconds"}
    assert {k: v for k, v in again.metrics.items() if k not in drop} == {k: v for k, v in run.metrics.items() if k not in drop}


def test_another_seed_gives_other_weights(run: Run, data: Interactions, tmp_path: Path) -> None:
    """Same experiment, same digest, another run."""
    other = fit(tmp_path, data, "seed=2")
    assert weights(other) != weights(run)
    assert other.path.name == run.path.name.removesuffix("-s1") + "-s2"


@pytest.mark.usefixtures("unchecked")  # the checks draw random numbers themselves
def test_fit_leaves_the_callers_random_state_alone(data: Interactions, tmp_path: Path) -> None:
    """torch, numpy and random go on as if nothing had happened, and what the trainer sets for the whole process is as it was."""
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    fit(tmp_path, data, "trainer.max_epochs=1", "trainer.deterministic=true")
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]


def test_trainings_in_threads_take_turns(data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They draw from one generator: at once, each would end at other weights than alone."""
    at_once, noted, original = [], [], experiment.train

    def train(*given: Any) -> Any:
        at_once.append(given)
        noted.append(len(at_once))
        course = original(*given)
        at_once.pop()
        return course

    monkeypatch.setattr(experiment, "train", train)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda seed: fit(tmp_path, data, f"seed={seed}", "trainer.max_epochs=1"), (1, 2)))
    assert noted == [1, 1]


def test_early_stopping_keeps_the_best_validation(data: Interactions, tmp_path: Path) -> None:
    """The kept epoch is the first with the highest logged NDCG@10, and the run's own validation repeats that value."""
    run = fit(tmp_path, data, *SURE, "trainer.max_epochs=30", "stopping.patience=2")
    curve = logged(run)
    assert run.metrics["train/best_epoch"] == curve.idxmax()
    assert run.metrics["valid/ndcg@10"] == pytest.approx(curve.max(), rel=1e-6)
    assert run.metrics["train/epochs"] == curve.idxmax() + 2 < 30  # two validations without a better one
    assert run.metrics["train/underfit"] is False
    assert run.metrics["train/interrupted"] is False


def test_a_run_cut_short_is_called_underfit(run: Run) -> None:
    """Validation was rising when the second epoch ended."""
    curve = logged(run)
    assert len(curve) == run.metrics["train/epochs"] == 2
    assert run.metrics["train/underfit"] is still_rising(curve.tolist())
    assert run.metrics["train/underfit"] is True


def test_without_a_validation_the_last_weights_are_kept(data: Interactions, tmp_path: Path) -> None:
    """One epoch, and the first validation would come after the third: nothing to choose from, and cut short."""
    run = fit(tmp_path, data, "trainer.max_epochs=1", "stopping.every=3")
    assert (run.metrics["train/best_epoch"], run.metrics["train/underfit"]) == (1, True)


def test_a_model_that_counts_needs_no_trainer(data: Interactions, tmp_path: Path) -> None:
    """Popular: hr@10 by hand.  The ten items with the most training rows, minus what a user has seen, against the last item."""
    run = recpref.fit("model=popular", f"out={tmp_path}", data=data)
    assert run.metrics["train/parameters"] == 0
    assert "train/epochs" not in run.metrics
    assert not (run.path / "logs").exists()
    frame = cycle()
    last = frame.groupby("who")["what"].last()
    counts = frame[frame.groupby("who").cumcount(ascending=False) >= 2]["what"].value_counts()
    assert run.model.counts[1:].tolist() == [counts.get(item, 0) for item in sorted(frame["what"].unique())]
    assert run.metrics["test/hr@20"] == 1.0  # 15 items in all, and the target is never among the seen ones
    assert len(run.per_user) == len(last)


def test_the_epochs_of_training_teach_something(data: Interactions, tmp_path: Path) -> None:
    """A cycle is learned: the next item is always the one after the last."""
    run = fit(tmp_path, data, *SURE, "trainer.max_epochs=25", "stopping.every=25")
    assert run.metrics["test/hr@1"] > 0.9


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.dropout=1.5"], r"dropout.* 1\.5 must lie in \[0, 1\)"),
        (["model.attention_dropout=-0.1"], r"dropout.* -0\.1 must lie in \[0, 1\)"),
        (["model.n_heads=3"], "n_heads=3 must divide d_model=8"),
        (["optimizer.lr=0"], r"optimizer\.lr=0\.0 must be positive"),
        (["optimizer.lr=nan"], r"optimizer\.lr=nan must be positive"),
        (["optimizer.weight_decay=-1"], r"optimizer\.weight_decay=-1\.0 .*must not be negative"),
        (["optimizer.beta2=1"], r"optimizer\.beta2=1\.0 must lie in \(0, 1\)"),
        (["loader.batch_size=0"], r"loader\.batch_size=0 must be at least 1"),
        (["stopping.every=0"], r"stopping\.every=0 .*at least 1"),
        (["evaluation.ks=[0]"], r"evaluation\.ks=\[0\] must be cut-offs of at least 1"),
        (["evaluation.ks=[]"], r"evaluation\.ks=\[\] must be cut-offs"),
        (["examples.stride=2"], r"examples\.stride=2\.0 must"),
        (["trainer.accelerator=foo"], r"accelerator='foo'.*cpu"),
        (["model.d_modle=3"], "did you mean 'd_model'"),
        (["examples=cloze"], "examples=cloze needs .*model=sasrec does not; use examples=next_item"),
        (["model=bert4rec", "examples=next_item"], "examples=next_item would show model=bert4rec .*; use examples=cloze"),
        (["model=bert4rec", "examples=prefix"], "examples=prefix reads a model at its newest item, .*; use examples=cloze"),
    ],
)
def test_a_bad_experiment_is_refused_and_nothing_is_written(data: Interactions, tmp_path: Path, overrides: list[str], message: str) -> None:
    """The option, its value and what would be right; no run and no hidden folder remains."""
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, data, *overrides)
    assert not written(tmp_path)


LOOK_AHEAD = {"next_item": "would show .* what it must predict", "cloze": "hides items behind a .MASK."}


@pytest.mark.parametrize("name", ["srgnn", "fmlprec"])
@pytest.mark.parametrize("examples", LOOK_AHEAD)
def test_who_reads_a_whole_history_learns_from_prefixes(data: Interactions, tmp_path: Path, name: str, examples: str) -> None:
    """Both ways round: it looks ahead, and it knows no [MASK]."""
    with pytest.raises(ValueError, match=f"examples={examples} {LOOK_AHEAD[examples]}.*; use examples=prefix"):
        recpref.fit(f"model={name}", f"examples={examples}", f"out={tmp_path}", data=data)
    assert not written(tmp_path)


def test_prefixes_are_for_causal_models_too(data: Interactions, tmp_path: Path) -> None:
    """SASRec may be asked for the next item at the last step only."""
    run = fit(tmp_path, data, "examples=prefix", "trainer.max_epochs=1")
    assert run.experiment.examples == ("prefix", {"stride": 0.0})


def written(folder: Path) -> list[Path]:
    """What a fit left behind: files, hidden folders, and folders of runs."""
    return [path for path in folder.rglob("*") if path.is_file() or path.name.startswith(".") or path.name.endswith("-s1")]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.n_layers=-1", "n_layers=-1 must be"),
        ("model.n_heads=0", "n_heads=0 must"),
        ("model.d_model=0", "d_model=0 must be"),
        ("model.d_model=-8", "d_model=-8 must be"),
        ("model.max_len=0", "max_len=0 must be"),
        ("model.d_ff=0", "d_ff=0 must be"),
        ("trainer.devices=abc", "devices"),
        ("trainer.max_epochs=-3", "max_epochs"),
    ],
)
def test_a_size_below_one_is_refused(data: Interactions, tmp_path: Path, override: str, message: str) -> None:
    """Negative layers train a model without layers, and d_ff=0 silently becomes the default."""
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, data, "trainer.max_epochs=1", override)


def test_bad_cut_offs_are_refused_before_training(data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody trains for hours to learn that a cut-off is wrong."""

    def trained(*_: Any) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr(experiment, "_trained", trained)
    with pytest.raises(ValueError, match=r"evaluation\.ks=\[0\]"):
        fit(tmp_path, data, "evaluation.ks=[0]")


# not strict: torch warns once in a process, so the test passes where another one has met the warning before
def test_a_diverging_training_says_so(data: Interactions, tmp_path: Path) -> None:
    """The step, the loss and what to do; nothing remains."""
    with pytest.raises(FloatingPointError, match=r"the loss became nan at step \d+; try a smaller optimizer\.lr"):
        fit(tmp_path, data, "optimizer.lr=1e30")
    assert not written(tmp_path)


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_an_exception_in_training_leaves_nothing(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Whatever happens in the middle, no partial run remains; an older run at the same place stays whole."""
    run = recpref.fit("model=popular", f"out={tmp_path}", data=data)
    before = sorted(run.path.rglob("*"))

    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(experiment, "save", broken)
    with pytest.raises(type(error)):
        recpref.fit("model=popular", f"out={tmp_path}", data=data)
    assert sorted(run.path.rglob("*")) == before
    assert [path.name for path in run.path.parent.iterdir()] == [run.path.name]
    assert Run.load(run.path).metrics == run.metrics


def test_training_twice_replaces(data: Interactions, tmp_path: Path) -> None:
    """The second run takes the first one's place entirely."""
    first = recpref.fit("model=popular", f"out={tmp_path}", data=data)
    (first.path / "left_over").write_text("x")
    second = recpref.fit("model=popular", f"out={tmp_path}", data=data)
    assert second.path == first.path
    assert not (second.path / "left_over").exists()
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        (None, ValueError, "no data was named; say data=ml_100k or data=path"),
        ("ml_100", ValueError, "unknown data set 'ml_100'; did you mean 'ml_100k'.*known: .*ml_1m.*path of a"),
        ("nowhere.csv", FileNotFoundError, "no such file: nowhere.csv"),
    ],
)
def test_data_that_is_not_there(named: str | None, error: type[Exception], message: str, tmp_path: Path) -> None:
    """Missing, misspelt, or a path to nothing."""
    with pytest.raises(error, match=message):
        recpref.fit("model=popular", f"out={tmp_path}", data=named)
    assert not written(tmp_path)


def test_data_too_short_to_hold_out(tmp_path: Path) -> None:
    """Everybody has two interactions, and three are needed."""
    frame = pd.DataFrame({"who": [1, 1, 2, 2], "what": [1, 2, 2, 1]})
    short = Interactions.from_dataframe(frame, user="who", item="what", name="short")
    with pytest.raises(ValueError, match="leave_one_out needs users with at least 3 interactions"):
        recpref.fit("model=popular", f"out={tmp_path}", data=short)


def test_a_file_and_its_frame_give_the_same_metrics(data: Interactions, tmp_path: Path) -> None:
    """data=PATH with the columns named, and the same rows as Interactions."""
    cycle().to_csv(tmp_path / "my.csv", index=False)
    columns = ["data.user=who", "data.item=what", "data.time=when"]
    run = recpref.fit("model=popular", *columns, f"out={tmp_path}/runs", data=str(tmp_path / "my.csv"))
    other = recpref.fit("model=popular", f"out={tmp_path}/runs", data=data)
    keys = [key for key in run.metrics if key.startswith(("valid/", "test/"))]
    assert {key: run.metrics[key] for key in keys} == {key: other.metrics[key] for key in keys}
    assert read(run.path / FILE).data_digest == read(other.path / FILE).data_digest


def test_data_options_beside_a_frame_are_not_ignored(data: Interactions, tmp_path: Path) -> None:
    """A 100-core of 24 users leaves nothing; whoever asks for it must hear of that."""
    with pytest.raises(ValueError, match=r"data\.k_core"):
        recpref.fit("model=popular", "data.k_core=100", f"out={tmp_path}", data=data)


def test_a_model_from_elsewhere_trains_and_loads_only_when_trusted(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file names code that is not ours: nothing of it is imported until the caller names it."""
    import sys

    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "their_thing.py").write_text(THING)
    monkeypatch.syspath_prepend(tmp_path / "code")
    name = "their_thing:Thing"
    run = recpref.fit(f"model={name}", "model.width=6", "trainer.max_epochs=1", f"out={tmp_path}/runs", data=data)
    del sys.modules["their_thing"]
    for trust in (None, "their_thing:Other", "their_thing"):
        with pytest.raises(ValueError, match=r"made by their_thing:Thing, .*not part of recpref; .*trust='their_thing:Thing'"):
            Run.load(run.path, trust=trust)
    assert "their_thing" not in sys.modules
    assert recpref.load(run.path, trust=("their_thing:Other", name)).path == run.path
    again = Run.load(run.path, trust=name)
    histories = cycle().head(20)
    pd.testing.assert_frame_equal(again.recommend(histories), run.recommend(histories))
    assert again.experiment.model == (name, {"width": 6, "max_len": 10})


def test_a_table_from_elsewhere_trains_and_loads_only_when_trusted(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who names it in training is given the run; who loads the run names it again."""
    (tmp_path / "their_table.py").write_text("from recpref.tables.hashed import Hashed\n\nclass Thing(Hashed):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    run = fit(tmp_path / "runs", data, "table=their_table:Thing")
    with pytest.raises(ValueError, match=r"made by their_table:Thing, .*not part of recpref; .*trust='their_table:Thing'"):
        Run.load(run.path)
    assert Run.load(run.path, trust="their_table:Thing").metrics == run.metrics


def test_candidates_that_cannot_be_drawn_are_refused_before_training(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifteen items, and a user who knows eight of them."""
    monkeypatch.setattr(experiment, "train", None)
    with pytest.raises(ValueError, match=r"n_negatives=100, but only \d+ items can be drawn that are new to user 'u\d\d'"):
        fit(tmp_path, data, "evaluation.sampled=uniform")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("split", [("split=hidden", "split.test_share=0.3", "split.valid_share=0.3")])
def test_a_refit_that_would_recommend_what_it_learned_is_refused(data: Interactions, tmp_path: Path, split: tuple[str, ...]) -> None:
    """Where the validation rows are not in the histories at test, they are not filtered either."""
    with pytest.raises(ValueError, match="refit=true trains on the validation rows, and split=hidden keeps them out of"):
        fit(tmp_path, data, *split, "refit=true")
    assert fit(tmp_path, data, *split).path.is_dir()


@pytest.mark.parametrize("split", ["none", "given"])
def test_a_refit_without_validation_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str) -> None:
    """It would train the same model twice: nothing is written, and without it, or with it said to be off, the model is trained."""
    frame = cycle()
    frame["split"] = np.where(frame.duplicated("who", keep="last"), "train", "test")
    own = Interactions.from_dataframe(frame, user="who", item="what", time="when")
    message = f"refit=true adds the validation rows, and split={split} has none here, .* leave refit out, or say refit=false"
    with monkeypatch.context() as patch, pytest.raises(ValueError, match=message):
        patch.setattr(experiment, "train", None)
        fit(tmp_path, own, f"split={split}", "refit=true")
    assert not list(tmp_path.iterdir())
    assert "chosen/test/ndcg@10" not in fit(tmp_path, own, f"split={split}", "refit=true", "refit=false").metrics


def test_a_refit_on_rows_that_nobody_is_asked_for_trains(tmp_path: Path) -> None:
    """User u23 has validation rows alone, which cannot be asked for without a history: they are learned all the same."""
    frame = cycle()
    part = np.where(frame.who == "u23", "valid", np.where(frame.duplicated("who", keep="last"), "train", "test"))
    own = Interactions.from_dataframe(frame.assign(split=part), user="who", item="what", time="when")
    runs = [recpref.fit("model=popular", "split=given", f"refit={refit}", f"out={tmp_path}", data=own) for refit in ("true", "false")]
    assert "chosen/test/ndcg@10" in runs[0].metrics
    assert weights(runs[0]) != weights(runs[1])


def test_sampled_candidates_without_held_out_rows_are_refused(data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "train", None)
    with pytest.raises(ValueError, match=r"evaluation\.sampled=uniform ranks held-out items, and split=none holds none out; leave it out"):
        fit(tmp_path, data, "split=none", "evaluation.sampled=uniform")
    assert not list(tmp_path.iterdir())


def test_the_column_that_divides_is_part_of_the_data(tmp_path: Path) -> None:
    """The same rows divided otherwise: another run, no start for one another, nothing to resume."""
    frame = cycle()
    frame["part"] = (["train", "train", "test", "train", "valid", "train"] * 24)[: len(frame)]
    other = frame.assign(part=frame.part.map({"train": "train", "valid": "test", "test": "valid"}))
    given = ("split=given", "split.column=part", "data.user=who", "data.item=what", "data.time=when")
    options = ("model=sasrec", "trainer.max_epochs=1", *TINY, *given, f"out={tmp_path / 'runs'}")
    files = [str(tmp_path / "one.csv"), str(tmp_path / "other.csv")]
    for file, divided in zip(files, (frame, other), strict=True):
        divided.to_csv(file, index=False)
    runs = [recpref.fit(*options, data=file) for file in files]
    plain = [recpref.fit("model=popular", *given[2:], f"out={tmp_path / 'runs'}", data=file) for file in files]
    with pytest.raises(ValueError, match="was trained on other data"):
        recpref.fit(*options, f"start={runs[0].path}", data=files[1])
    assert runs[0].path.name != runs[1].path.name
    assert read(runs[0].path / FILE).data_digest != read(runs[1].path / FILE).data_digest
    assert read(plain[0].path / FILE).data_digest == read(plain[1].path / FILE).data_digest


@pytest.mark.parametrize("model", ["sasrec", "bert4rec", "gru4rec"])
def test_mixed_precision_trains(data: Interactions, tmp_path: Path, model: str) -> None:
    """With the default clipping, which the fused optimiser would not go with; ranks are taken in single precision."""
    small = ("model.d_model=8", "model.max_len=10", "trainer.max_epochs=2", "stopping.every=1", f"out={tmp_path}", "logger=csv")
    mixed = recpref.fit(f"model={model}", *small, "trainer.precision=bf16-mixed", data=data)
    whole = recpref.fit(f"model={model}", *small, data=data)
    assert mixed.metrics["train/epochs"] == 2
    for name, value in whole.model.state_dict().items():
        assert mixed.model.state_dict()[name].dtype == value.dtype
        assert torch.allclose(mixed.model.state_dict()[name], value, atol=0.02)


class Stop:
    """Stops a training after so many of its epochs, as Ctrl-C would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, refit: bool, epochs: int):
        def on_train_epoch_end(callback: SaveState, trainer: Any, module: Any) -> None:
            callback.save(trainer)
            if (module.horizon is not None) is refit and trainer.current_epoch + 1 == epochs:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(SaveState, "on_train_epoch_end", on_train_epoch_end)


def test_flips_of_a_refit_that_is_stopped_are_not_taken_for_those_of_the_model(data: Interactions, tmp_path: Path) -> None:
    """They are of the model that validation chose, until the refit is finished."""
    nbpo = ("objective=nbpo", "objective.warmup_epochs=0", "sampler=uniform", "sampler.n_negatives=3", "optimizer.lr=0.01")
    options = (*nbpo, "trainer.max_epochs=3", "stopping.patience=9", "stopping.save_seconds=0", "logger=csv")
    chosen = fit(tmp_path / "chosen", data, *options)
    with pytest.MonkeyPatch.context() as patch:
        Stop(patch, refit=True, epochs=1)
        stopped = fit(tmp_path / "stopped", data, *options, "refit=true")
    assert (stopped.path / "refit" / "objective.safetensors").is_file()
    assert weights(stopped) == weights(chosen)
    assert torch.equal(stopped.objective_state["flips.by_level"], chosen.objective_state["flips.by_level"])
    finished = recpref.fit(data=data, resume=stopped.path)
    assert not torch.equal(finished.objective_state["flips.by_level"], chosen.objective_state["flips.by_level"])


def test_a_refit_that_is_stopped_leaves_what_validation_chose(data: Interactions, tmp_path: Path) -> None:
    """And ``resume`` goes on with the refit where it was, to the weights of one that was never stopped."""
    options = ("refit=true", "trainer.max_epochs=4", "stopping.patience=9", "optimizer.lr=1e-3", "stopping.save_seconds=0", "logger=csv")
    whole = fit(tmp_path / "whole", data, *options)
    chosen = fit(tmp_path / "chosen", data, *options[1:])
    with pytest.MonkeyPatch.context() as patch:
        Stop(patch, refit=True, epochs=2)
        stopped = fit(tmp_path / "stopped", data, *options)
    assert stopped.metrics["train/interrupted"] is True
    assert "chosen/test/ndcg@10" not in stopped.metrics
    assert weights(stopped) == weights(chosen) != weights(whole)
    assert stopped.metrics["test/ndcg@10"] == chosen.metrics["test/ndcg@10"]
    steps: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SaveState, "on_train_epoch_end", lambda callback, trainer, module: steps.append(trainer.current_epoch))
        continued = recpref.fit(data=data, resume=stopped.path)
    assert weights(continued) == weights(whole)
    assert steps == [2, 3], "two epochs of the refit were left"


def test_logs_of_before_a_stop_are_kept(data: Interactions, tmp_path: Path) -> None:
    options = ("trainer.max_epochs=4", "stopping.patience=9", "stopping.save_seconds=0", "logger=csv")
    with pytest.MonkeyPatch.context() as patch:
        Stop(patch, refit=False, epochs=2)
        stopped = fit(tmp_path, data, *options)
    continued = recpref.fit(data=data, resume=stopped.path)
    assert recorded(continued.path).curve["epoch"].tolist() == [1, 2, 3, 4]
    assert not list(continued.path.rglob(STATE))


@pytest.mark.parametrize(
    ("limits", "rates"),
    [
        (("trainer.max_epochs=4",), [1 - step / 12 for step in range(6)]),
        (("trainer.max_epochs=-1", "trainer.max_steps=6"), [1 - step / 6 for step in range(6)]),
        (("trainer.max_epochs=null", "trainer.max_steps=6"), [1 - step / 6 for step in range(6)]),
        (("trainer.max_epochs=-1", "trainer.max_time=00:00:00:01"), [1.0] * 3),
    ],
)
def test_a_refit_has_the_rates_of_what_was_chosen(data: Interactions, tmp_path: Path, limits: tuple[str, ...], rates: list[float]) -> None:
    """24 users in batches of 8: three steps an epoch, in the refit, too. A schedule without an end never falls."""
    seen: dict[bool, list[float]] = {False: [], True: []}

    def on_train_batch_start(callback: SaveState, trainer: Any, module: Any, *_: Any) -> None:
        seen[module.horizon is not None].append(trainer.optimizers[0].param_groups[0]["lr"] / 0.01)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SaveState, "on_train_batch_start", on_train_batch_start)
        fit(tmp_path, data, "refit=true", "optimizer.decay=linear", "optimizer.lr=0.01", "stopping.patience=99", *limits)
    assert seen[False][: len(rates)] == pytest.approx(rates[: len(seen[False])])
    n = min(len(rates), len(seen[True]))
    assert n
    assert seen[True][:n] == pytest.approx(rates[:n])


def test_what_a_refit_learned_is_known(tmp_path: Path) -> None:
    """Item 99 stands in one validation row: the refitted model has it, ``similar`` answers for it, and before the refit it is unknown."""
    rows = [(user, item, 1000 + place) for user in range(8) for place, item in enumerate([1, 2, 3, *([99] if user == 0 else [4]), 5])]
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    own = Interactions.from_dataframe(frame, user="user", item="item", time="time")
    runs = [recpref.fit("model=itemknn", f"out={tmp_path}", f"refit={refit}", data=own) for refit in ("true", "false")]
    assert set(runs[0].similar(99)["similar"]) == {1, 2, 3}
    with pytest.raises(ValueError, match="item 99 was never seen in training"):
        runs[1].similar(99)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("    causal = True\n", "does not say causal: True where a place of a history sees none after it"),
        (", max_len: int = 10", "lacks the option max_len, to which examples=next_item cut histories"),
    ],
)
def test_what_a_model_from_elsewhere_lacks_is_named(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, message: str
) -> None:
    module = f"lacking_{abs(hash(message))}"
    (tmp_path / f"{module}.py").write_text(THING.replace(change, ""))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=message):
        recpref.fit(f"model={module}:Thing", f"out={tmp_path / 'runs'}", data=data)


@pytest.mark.usefixtures("unchecked")
def test_a_bare_frame_is_told_what_to_become(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data is a DataFrame; pass recpref\.Interactions\.from_dataframe"):
        recpref.fit("model=popular", f"out={tmp_path}", data=cycle())  # type: ignore[arg-type]


def test_what_would_change_nothing_or_train_nothing_is_refused(data: Interactions, tmp_path: Path) -> None:
    """Weights of a row's places where one is asked for; a share of the batches that is none of them. One line, and no run."""
    with pytest.raises(ValueError, match=r"objective\.recency weighs the places of a row, and examples=prefix asks for one place"):
        recpref.fit("model=sasrec", "examples=prefix", "objective.recency=0.5", f"out={tmp_path}", data=data)
    with pytest.raises(ValueError, match=r"trainer\.\*: .*limit_train_batches"):
        recpref.fit("model=sasrec", "trainer.limit_train_batches=0.001", "trainer.max_epochs=1", "logger=csv", f"out={tmp_path}", data=data)
    assert not list(tmp_path.rglob("metrics.json"))


@pytest.mark.usefixtures("unchecked")
def test_what_is_passed_from_python(data: Interactions, tmp_path: Path) -> None:
    """A list of overrides and a filter beside Interactions are refused in words; a path may be a Path."""
    for wrong in (["model=popular"], []):
        with pytest.raises(ValueError, match=r"overrides are texts, one by one, such as fit\('model=sasrec', 'seed=2'\), and .* is a list"):
            recpref.fit(wrong, data=data)
    with pytest.raises(ValueError, match=r"data\.k_core says how data is read, .*; say data\.filtered\(k_core=\.\.\.\)"):
        recpref.fit("model=popular", "data.k_core=5", data=data)
    pd.DataFrame({"user_id": [1, 1, 1, 2, 2, 2], "item_id": [1, 2, 3, 3, 2, 1]}).to_csv(tmp_path / "clicks.csv", index=False)
    run = recpref.fit("model=popular", f"out={tmp_path}/runs", data=tmp_path / "clicks.csv")
    assert run.experiment.data.name == str(tmp_path / "clicks.csv")
