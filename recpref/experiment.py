"""From overrides to a saved run: the only place where the parts of recpref are put together."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from recpref import components
from recpref.aspects import aspects
from recpref.callbacks import Stopping, quiet
from recpref.composition import chosen, compose, digest, options_in
from recpref.continuation import agree, experiment_to_continue
from recpref.data.audit import checked
from recpref.data.batches import Examples, Loader
from recpref.data.cards import open_data
from recpref.data.heldout import Heldout, Split
from recpref.data.interactions import Interactions
from recpref.evaluation import Evaluation, Report
from recpref.facts import Facts
from recpref.optimizer import Optimizer
from recpref.plots import training_curve
from recpref.run import Run, describe, save
from recpref.sampled import sampled_report
from recpref.topk import TopK
from recpref.trackers import trackers
from recpref.training import Course, Data, Training, train
from recpref.workplace import STATE, workplace


def fit(*overrides: str, data: Interactions | str | None = None, resume: str | Path | None = None) -> Run:
    """Trains, evaluates and saves: ``fit("model=bert4rec", "trainer.max_epochs=50", data="ml_100k")``.

    ``data`` is a card's name, the path of a file or folder, or Interactions; it may also stand among the overrides.
    Ctrl-C ends training and keeps the best model so far. ``resume`` is the folder of a run whose training was
    interrupted or killed; it continues to the same weights as an uninterrupted one, with the same data and options.

    Raises: ValueError for anything wrong with names, options or data; nothing is written then.
    """
    overrides = (*overrides, f"data={data}") if isinstance(data, str) else overrides
    content = compose(overrides) if resume is None else experiment_to_continue(Path(resume), chosen(overrides))
    if not isinstance(data, Interactions):
        return run_of(content, opened(content["data"]), resume=resume)
    content["data"].update(name=data.name, source="frame", **data.columns._asdict())  # there is nowhere to read it from again
    return run_of(content, data, resume=resume)


def run_of(content: dict[str, Any], data: Interactions, *, resume: str | Path | None = None) -> Run:
    """The run of a complete experiment (see ``compose``) on its data, which has been opened already."""
    content["data"].update(data.columns._asdict(), time=data.columns.time or "none")  # what was guessed is written down
    path = Path(content["out"]) / data.slug / content["model"]["name"] / f"{digest(content, data.digest)}-s{content['seed']}"
    if resume is not None:
        agree(Path(resume), path, data)
        path = Path(resume)
    split = _component(content, "split", {})(data)
    found = checked(split, data)
    if content["evaluation"]["alike_by"] is not None:
        _ = Facts(split.train, content["evaluation"]["alike_by"]).traits  # refuses an unknown feature before training
    with torch.random.fork_rng(), workplace(path, resume=resume is not None) as place:
        describe(place, content, data, found)
        _fitted(content, data, split, place)
    return Run.load(path, trust=content["model"]["name"])


def opened(section: dict[str, Any]) -> Interactions:
    """The data that an experiment's ``data`` section names.

    Raises: ValueError where it names none, or a frame, which is nowhere to be read again.
    """
    if section["name"] is None:
        raise ValueError("no data was named; say data=ml_100k or data=path/to/interactions.csv")
    if section.get("source") == "frame":
        raise ValueError(f"the run was trained on a frame ({section['name']}), which is not kept with it; pass it again as data")
    return open_data(section["name"], **options_in(section))


def _component(content: dict[str, Any], kind: str, facts: dict[str, Any]) -> Any:
    return components.build(components.find(kind, content[kind]["name"]), options_in(content[kind]), facts)


def evaluation_of(content: dict[str, Any], *, metrics: tuple[str, ...] | None = None, **changes: Any) -> Evaluation:
    """The protocol that an experiment describes, with every metric there is or those named."""
    found = {name: components.find("metric", name) for name in metrics or components.names("metric")}
    return Evaluation(found, **{**content["evaluation"], **changes})


def _fitted(content: dict[str, Any], data: Interactions, split: Split, place: Path) -> None:
    """Trains, evaluates, and writes all there is to know into ``place``."""
    start = time.perf_counter()
    model, course = _trained(content, split.train, split.valid, place)
    metrics = {**_metrics("valid", _report(content, model, split.valid)), **course.facts}
    report = _report(content, model, split.test)
    if content["refit"] and not course.interrupted:
        metrics |= _metrics("chosen/test", report)
        model, course = _refitted(content, split, course.best_epoch, place)
        metrics["train/interrupted"] = course.interrupted
        report = _report(content, model, split.test)
    metrics |= _metrics("test", report) | _aspects(content, report, split) | _sampled(content, model, split)
    metrics |= {"train/seconds": time.perf_counter() - start, "train/parameters": sum(p.numel() for p in model.parameters())}
    if not course.interrupted:
        for state in place.rglob(STATE):
            state.unlink()
    save(place, model, data, metrics, report, split.train.item_counts)


def _report(content: dict[str, Any], model: Any, heldout: Heldout) -> Report:
    """The full ranking of held-out users; without any, an empty one."""
    if not len(heldout.targets):
        return Report(pd.DataFrame({"user": []}))
    return evaluation_of(content)(TopK(model, seed=content["seed"]), heldout)


def _aspects(content: dict[str, Any], report: Report, split: Split) -> dict[str, Any]:
    """What else the test lists are like, and for whom and for what they are good."""
    found = {} if report.lists is None else aspects(report, split.test, split.train, evaluation_of(content))
    return {f"test/{key}": value for key, value in found.items()}


def _sampled(content: dict[str, Any], model: Any, split: Split) -> dict[str, Any]:
    """Metrics on sampled candidates, where they were asked for: under keys that say so."""
    evaluation = evaluation_of(content)
    if evaluation.sampled == "none" or not len(split.test.targets):
        return {}
    topk, counts = TopK(model, seed=content["seed"]), split.train.item_counts
    options = {"by": evaluation.sampled, "n_negatives": evaluation.n_negatives, "seed": content["seed"]}
    return _metrics("test", sampled_report(topk, split.test, evaluation, item_counts=counts, **options))


def _metrics(name: str, report: Report) -> dict[str, Any]:
    return {f"{name}/{key}": value for key, value in report.means.items()}


def _refitted(content: dict[str, Any], split: Split, epochs: int, place: Path) -> tuple[Any, Course]:
    """A new model trained on training and validation rows together, for as many epochs as validation chose."""
    rows = split.test.history
    (place / "refit").mkdir(exist_ok=True)
    chosen_length = {**content, "trainer": {**content["trainer"], "max_epochs": max(1, epochs)}}
    nothing = Heldout(rows, rows.where(np.zeros(len(rows), dtype=bool)))
    return _trained(chosen_length, rows, nothing, place / "refit", horizon=content["trainer"]["max_epochs"])


def _trained(content: dict[str, Any], rows: Interactions, valid: Heldout, place: Path, *, horizon: int | None = None) -> tuple[Any, Course]:
    """A model trained on ``rows``, with the weights of its best validation, and how training went."""
    facts = {"n_items": rows.n_items, "n_users": rows.n_users, "item_counts": rows.item_counts, "train": rows}
    torch.manual_seed(content["seed"])
    model = _component(content, "model", facts)
    if hasattr(model, "fit"):
        model.fit(rows)
        return model.eval(), Course()
    module = _module(content, model, facts, horizon)
    examples = _component(content, "examples", facts | {"max_len": content["model"].get("max_len", 0)})
    _refuse_mismatch(content, examples, model)
    batches = Data(rows, valid, examples, Loader(**content["loader"]), module.evaluation, seed=content["seed"])
    title = f"{content['model']['name']} on {rows.name}"
    with quiet():
        loggers = trackers(content["logger"], place, f"{title}, seed {content['seed']}")
    course = train(module, batches, Stopping(**content["stopping"]), content["trainer"], loggers, place)
    training_curve(course.validations, course.losses, place / "curve.png", title=title, best_epoch=course.best_epoch)
    return model.eval().cpu(), course


def _module(content: dict[str, Any], model: Any, facts: dict[str, Any], horizon: int | None) -> Training:
    facts = facts | {kind: _component(content, kind, facts) for kind in ("loss", "sampler")}
    objective = _component(content, "objective", facts)
    watched = evaluation_of(content, metrics=("ndcg", "hr"), ks=(10,))
    return Training(model, objective, Optimizer(**content["optimizer"]), watched, seed=content["seed"], horizon=horizon)


def _refuse_mismatch(content: dict[str, Any], examples: Examples, model: Any) -> None:
    wanted, name = content["examples"]["name"], content["model"]["name"]
    if examples.causal and not model.causal:
        raise ValueError(f"examples={wanted} would show model={name} what it must predict, because it looks ahead; use examples=cloze")
    if model.causal and not examples.causal:
        raise ValueError(f"examples={wanted} needs a model that looks ahead, and model={name} does not; use examples=next_item")
