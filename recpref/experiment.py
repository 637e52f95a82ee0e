"""From overrides to a saved run: the only place where the parts of recpref are put together."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import torch

from recpref import components
from recpref.callbacks import Stopping, graceful_interrupt, quiet, still_rising
from recpref.composition import compose, digest
from recpref.data.batches import Examples, Loader
from recpref.data.cards import open_data
from recpref.data.heldout import Split
from recpref.data.interactions import Interactions
from recpref.evaluation import Evaluation
from recpref.optimizer import Optimizer
from recpref.plots import training_curve
from recpref.run import Run, save, workplace
from recpref.topk import TopK
from recpref.training import Data, Training, trainer_for


def fit(*overrides: str, data: Interactions | str | None = None) -> Run:
    """Trains, evaluates and saves: ``fit("model=bert4rec", "trainer.max_epochs=50", data="ml_100k")``.

    ``data`` is a card's name, the path of a file or folder, or Interactions; it may also stand among the overrides.
    Ctrl-C ends training and keeps the best model so far.

    Raises: ValueError for anything wrong with names, options or data; nothing is written then.
    """
    content = compose([*overrides, *([f"data={data}"] if isinstance(data, str) else [])])
    interactions = data if isinstance(data, Interactions) else opened(content["data"])
    if isinstance(data, Interactions):  # there is nowhere to read it from again
        content["data"].update(name=data.name, source="frame", **data.columns._asdict())
    split = components.build(components.find("split", content["split"]["name"]), _options(content, "split"), {})(interactions)
    with torch.random.fork_rng():
        torch.manual_seed(content["seed"])
        return _fitted(content, interactions, split)


def opened(section: dict[str, Any]) -> Interactions:
    """The data that an experiment's ``data`` section names. Raises: ValueError where it names none."""
    if section["name"] is None:
        raise ValueError("no data was named; say data=ml_100k or data=path/to/interactions.csv")
    return open_data(section["name"], **{key: value for key, value in section.items() if key != "name"})


def _options(content: dict[str, Any], section: str) -> dict[str, Any]:
    return {key: value for key, value in content[section].items() if key != "name"}


def _component(content: dict[str, Any], kind: str, facts: dict[str, Any]) -> Any:
    return components.build(components.find(kind, content[kind]["name"]), _options(content, kind), facts)


def model_of(content: dict[str, Any], facts: dict[str, Any]) -> Any:
    """The model that an experiment describes, not yet trained."""
    return _component(content, "model", facts)


def evaluation_of(content: dict[str, Any], **changes: Any) -> Evaluation:
    """The protocol that an experiment describes, with every metric there is."""
    metrics = {name: components.find("metric", name) for name in components.names("metric")}
    return Evaluation(changes.pop("metrics", metrics), **{**_options(content, "evaluation"), **changes})


def _fitted(content: dict[str, Any], data: Interactions, split: Split) -> Run:
    facts = {"n_items": data.n_items, "n_users": data.n_users, "item_counts": split.train.item_counts, "train": split.train}
    model = model_of(content, facts)
    evaluation = evaluation_of(content)
    path = Path(content["out"]) / data.slug / content["model"]["name"] / f"{digest(content, data.digest)}-s{content['seed']}"
    with workplace(path) as place:
        start = time.perf_counter()
        course = _trained(content, model, split, facts, place) if not hasattr(model, "fit") else model.fit(split.train) or {}
        course["train/seconds"] = time.perf_counter() - start
        course["train/parameters"] = sum(parameter.numel() for parameter in model.parameters())
        topk = TopK(model.eval().cpu(), seed=content["seed"])
        reports = {name: evaluation(topk, heldout) for name, heldout in (("valid", split.valid), ("test", split.test))}
        metrics = {f"{name}/{key}": value for name, report in reports.items() for key, value in report.means.items()}
        save(place, content, model, data, metrics | course, reports["test"])
    return Run.load(path, trust=content["model"]["name"])


def _trained(content: dict[str, Any], model: Any, split: Split, facts: dict[str, Any], place: Path) -> dict[str, Any]:
    """Trains ``model`` in place, leaves it with its best weights, and tells how it went."""
    module = _module(content, model, facts)
    examples = _component(content, "examples", facts | {"max_len": content["model"].get("max_len", 0)})
    _refuse_mismatch(content, examples, model)
    batches = Data(split, examples, Loader(**content["loader"]), module.evaluation, seed=content["seed"])
    with quiet():
        trainer = trainer_for(place, Stopping(**content["stopping"]), content["trainer"])
        with graceful_interrupt(trainer) as interrupted:
            trainer.fit(module, batches)
    epochs = trainer.current_epoch
    best = epochs
    if path := trainer.checkpoint_callback.best_model_path:
        checkpoint = torch.load(path, weights_only=True, map_location="cpu")
        module.load_state_dict(checkpoint["state_dict"])
        best = checkpoint["epoch"] + 1
    shutil.rmtree(place / "checkpoints", ignore_errors=True)
    training_curve(
        place / "logs" / "metrics.csv", place / "curve.png", title=f"{content['model']['name']} on {split.train.name}", best_epoch=best
    )
    ran_out = not interrupted.is_set() and not trainer.early_stopping_callback.stopped_epoch
    return {
        "train/epochs": epochs,
        "train/best_epoch": best,
        "train/interrupted": interrupted.is_set(),
        "train/underfit": ran_out and still_rising(module.validations),
    }


def _module(content: dict[str, Any], model: Any, facts: dict[str, Any]) -> Training:
    facts = facts | {kind: _component(content, kind, facts) for kind in ("loss", "sampler")}
    watched = {name: components.find("metric", name) for name in ("ndcg", "hr")}
    evaluation = evaluation_of(content, ks=(10,), metrics=watched)
    return Training(model, _component(content, "objective", facts), Optimizer(**content["optimizer"]), evaluation, seed=content["seed"])


def _refuse_mismatch(content: dict[str, Any], examples: Examples, model: Any) -> None:
    wanted, name = content["examples"]["name"], content["model"]["name"]
    if examples.causal and not model.causal:
        raise ValueError(f"examples={wanted} would show model={name} what it must predict, because it looks ahead; use examples=cloze")
    if model.causal and not examples.causal:
        raise ValueError(f"examples={wanted} needs a model that looks ahead, and model={name} does not; use examples=next_item")
