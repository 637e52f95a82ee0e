"""From overrides to a saved run: the only place where the parts of recpref are put together."""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from recpref import components, processes
from recpref.composition.compatibility import refuse_mismatch
from recpref.composition.compose import compose
from recpref.data.audit import Audit, checked
from recpref.data.batches import Loader
from recpref.data.heldout import Heldout, Split
from recpref.data.interactions import Interactions
from recpref.evaluation.measures import evaluation_of, named, of_test, refuse_refit, refuse_sampled, refuse_unasked, report_of
from recpref.facts import Facts
from recpref.overrides import chosen
from recpref.plan import Part, Plan, Sizes, Written, write
from recpref.runs.resuming import agree, plan_to_continue
from recpref.runs.run import Run
from recpref.runs.saving import save, save_objective
from recpref.runs.source import identity, opened, opened_again, seen
from recpref.runs.stages import shared
from recpref.runs.start import absolute, begin, finished, refuse_start
from recpref.runs.together import by_all_or_one, made_before, refuse_processes, to_continue
from recpref.training.curve import training_curve
from recpref.training.datamodule import Data
from recpref.training.module import Course, Training, train
from recpref.training.optimizer import Optimizer
from recpref.training.stopping import Stopping
from recpref.training.trackers import trackers
from recpref.training.trainers import epochs_allowed, quiet, settings_kept
from recpref.workplace import STATE, run_at, workplace

TURN = threading.RLock()  # trainings draw from the one generator of the process, so that those of several threads take turns


def fit(*overrides: str, data: Interactions | str | Path | None = None, resume: str | Path | None = None) -> Run:
    """Trains, evaluates and saves: ``fit("model=bert4rec", "trainer.max_epochs=50", data="ml_100k")``.

    ``data`` is a card's name, the path of a file or folder, or Interactions; it may also stand among the overrides.
    Ctrl-C ends training and keeps the best model so far. ``resume`` is the folder of a run whose training was
    interrupted or killed; it continues to the same weights as an uninterrupted one, with the same data and options.

    Returns: the run as it was saved, at ``run.path``, with its metrics in ``run.metrics``.
    Raises: ValueError for anything wrong with names, options or data, FileNotFoundError where the data or the run of ``resume`` is not
    there, PermissionError where ``out`` cannot be written to; nothing is written then. FloatingPointError where training diverges.
    """
    for wrong in (override for override in overrides if not isinstance(override, str)):
        raise ValueError(
            f"overrides are texts, one by one, such as fit('model=sasrec', 'seed=2'), and {wrong!r} is a {type(wrong).__name__}"
        )
    data = str(data) if isinstance(data, Path) else data
    if data is not None and not isinstance(data, str | Interactions):
        kind = type(data).__name__
        raise ValueError(
            f"data is a {kind}; pass recpref.Interactions.from_dataframe(data, user=..., item=..., time=...), a name or a path"
        )
    overrides = (*overrides, f"data={data}") if isinstance(data, str) else overrides
    plan = compose(overrides) if resume is None else plan_to_continue(resume := run_at(Path(resume)), chosen(overrides))
    if not isinstance(data, Interactions):
        return run_of(plan, opened(plan.data) if resume is None else opened_again(plan.data), resume=resume)
    beside = next((key for key in chosen(overrides) if key.partition(".")[0] == "data"), None)
    if beside is not None:
        rule = beside.removeprefix("data.")
        way = f"say data.filtered({rule}=...)" if rule in ("k_core", "min_rating", "rating", "duplicates", "ties") else "leave it out"
        raise ValueError(f"{beside} says how data is read, and Interactions were passed, which are read already; {way}")
    return run_of(plan.on(data.name, frame=True), data, resume=resume)


def run_of(plan: Plan, data: Interactions, *, resume: str | Path | None = None, blind: bool = False) -> Run:
    """The run of a complete plan (see ``compose``) on its data, which has been opened already.

    If the plan starts from a run that is not there yet, that run is made first. ``blind``: the test rows are asked nothing.

    Several processes train together where ``trainer.devices`` says so; of what needs one only, the others see the result.
    What torchrun or SLURM starts anew goes on from the saved state, if there is one.
    """
    several, path = refuse_processes(plan), located(plan, data)[1]
    resume = resume or to_continue(path)
    if not made_before(path):
        with TURN:
            by_all_or_one(lambda: _made(plan, data, resume, blind), path, several=several)
    return Run.load(resume or path, trust=tuple(components.foreign(plan).values()))


def _made(plan: Plan, data: Interactions, resume: str | Path | None, blind: bool) -> None:
    first = plan.before
    plan, path = located(plan, data)
    if resume is not None:
        agree(Path(resume), path, plan, data)
        path = Path(resume)
    evaluation = evaluation_of(plan)  # nobody trains for hours to learn that a cut-off is wrong
    refuse_unasked(plan)
    split: Split = _component(plan.split, "split", {})(data)
    found = checked(split, data)
    if evaluation.alike_by is not None:
        _ = Facts(split.train, evaluation.alike_by).traits  # refuses an unknown feature before training
    refuse_sampled(plan, split)
    refuse_refit(plan, split)
    split = split.without_test if blind else split
    if resume is None:
        _begun(plan, data, split, first)
    with torch.random.fork_rng(), settings_kept(), workplace(path, resume=resume is not None) as place:
        if processes.first():
            _describe(place, plan, data, found)
        _fitted(plan, data, split, place)


def validated(
    plan: Plan, data: Interactions, place: Path, *, stages: Path | None = None, watchers: Sequence[pl.Callback] = ()
) -> tuple[dict[str, Any], Course]:
    """The validation metrics of a plan and how training went; the test rows are asked nothing. ``place`` takes what training writes, and
    ``stages`` (``place``, unless said) the first stages that trials share.

    Raises: ValueError as ``run_of``, and where nothing validates.
    """
    if refuse_processes(plan):
        raise ValueError("a search trains each trial in one process; leave trainer.devices out, and say workers=2 for two at a time")
    if plan.before is not None and not finished(located(plan.before, data)[1]):
        plan = replace(plan, before=replace(plan.before, out=str(stages or place)))
    first = plan.before
    plan, _ = located(plan, data)
    split = _validating(plan, data)
    _ = checked(split, data)
    _begun(plan, data, split, first, searching=True)
    with TURN, torch.random.fork_rng(), settings_kept():
        model, course = _trained(plan, split._replace(test=split.valid), place, watchers=watchers)
    return {**named("valid", report_of(plan, model, split.valid)), **course.facts}, course


def opened_to_validate(plan: Plan) -> Interactions:
    """The data of a plan. Raises: ValueError where none is named, its split leaves nothing to validate on, or its runs would be refused."""
    data = opened(plan.data)
    _validating(plan, data)
    return data


def _validating(plan: Plan, data: Interactions) -> Split:
    split: Split = _component(plan.split, "split", {})(data)
    if not len(split.valid.targets):
        raise ValueError(f"split={plan.split.name} leaves nothing to validate on, and there is nothing else to choose by")
    refuse_sampled(plan, split)  # a search asks for neither, but the run that it recommends does
    refuse_refit(plan, split)
    return split


def _begun(plan: Plan, data: Interactions, split: Split, first: Plan | None, *, searching: bool = False) -> None:
    """The run that a plan starts from is there and fits, trained now where it has to be. Raises: ValueError where it is not or does not."""
    if first is not None:
        with TURN, torch.random.fork_rng():
            _parts(plan, split.train)  # refuses before the base is trained what would be refused after it
        _trained_before(first.on(plan.data.name, frame=plan.data.frame), data, searching)
    if plan.start != "none":
        refuse_start(plan, data)


def _trained_before(plan: Plan, data: Interactions, searching: bool) -> None:
    """Trains the run that has to be there before another one starts, unless it is there already, in part or whole. A search shares it.

    Raises: ValueError where its training was interrupted; of a search, which goes on with it when called again, KeyboardInterrupt.
    """
    path = located(plan, data)[1]
    if searching:
        shared(path, lambda resume: run_of(plan, data, resume=resume, blind=True))
    elif not finished(path) and (processes.restarted() or not (path / STATE).is_file()):
        run_of(plan, data)
    if not finished(path):
        raise ValueError(f"the first stage was interrupted; continue it with {shlex.quote(f'resume={path}')}, and say this again")


def located(plan: Plan, data: Interactions) -> tuple[Plan, Path]:
    """The plan with what was guessed about its data and where it starts from written down, and the folder of its run."""
    guessed = data.columns._asdict() | {"time": data.columns.time or "none"}
    plan = plan.on(plan.data.name, frame=plan.data.frame, **guessed)
    if plan.before is not None:
        _, start = located(plan.before.on(plan.data.name, frame=plan.data.frame), data)
        plan = replace(plan, start=str(start), before=None)
    if plan.start != "none":
        plan = replace(plan, start=absolute(plan.start))  # whoever continues it may stand elsewhere
    return plan, Path(plan.out).expanduser() / data.slug / plan.model.name / f"{plan.digest(seen(plan, data))}-s{plan.seed}"


def _describe(place: Path, plan: Plan, data: Interactions, found: Audit) -> None:
    """What training continues from, and what ``Run.load`` builds the model by."""
    write(place, Written(plan, identity(plan, data), Sizes(data.n_items, data.n_users), seen(plan, data)))
    (place / "audit.json").write_text(json.dumps(found._asdict(), indent=1, default=float))


def _component(part: Part, kind: str, facts: dict[str, Any]) -> Any:
    return components.build(components.find(kind, part.name), part.options, facts)


def _fitted(plan: Plan, data: Interactions, split: Split, place: Path) -> None:
    """Trains, evaluates, and writes all there is to know into ``place``."""
    start = time.perf_counter()
    model, course = _trained(plan, split, place)
    earlier = course.before
    if not processes.first():
        if plan.refit and not course.interrupted:
            processes.wait()
            _refitted(plan, split, course.best_epoch, place)
        return
    metrics = {**named("valid", report_of(plan, model, split.valid)), **course.facts}
    report, rows = report_of(plan, model, split.test), split.train
    if plan.refit and not course.interrupted:
        processes.wait()
        refitted, course = _refitted(plan, split, course.best_epoch, place)
        earlier += course.before
        metrics |= {"train/interrupted": course.interrupted}
        if not course.interrupted:  # else what validation chose is the best there is
            metrics |= named("chosen/test", report)
            model, report, rows = refitted, report_of(plan, refitted, split.test), split.test.history
    metrics |= of_test(plan, model, report, split)
    seconds = earlier + time.perf_counter() - start
    metrics = {"train/parameters": sum(p.numel() for p in model.parameters())} | metrics | {"train/seconds": seconds}
    if not course.interrupted:
        for state in place.rglob(STATE):
            state.unlink()
    accelerator = "cpu" if components.trains_itself(model) else plan.trainer.get("accelerator")
    save(place, model, data, metrics, report, rows.item_counts, accelerator=accelerator)


def _refitted(plan: Plan, split: Split, epochs: int, place: Path) -> tuple[Any, Course]:
    """A new model trained on training and validation rows together, for as many epochs as validation chose."""
    rows = split.test.history
    if processes.first():
        (place / "refit").mkdir(exist_ok=True)
    chosen_length = replace(plan, trainer=plan.trainer | {"max_epochs": max(1, epochs)})
    nothing = Heldout(rows, rows.where(np.zeros(len(rows), dtype=bool)))
    return _trained(chosen_length, Split(rows, nothing, nothing), place / "refit", horizon=epochs_allowed(plan.trainer))


def _trained(
    plan: Plan, split: Split, place: Path, *, horizon: int | None = None, watchers: Sequence[pl.Callback] = ()
) -> tuple[Any, Course]:
    """A model trained on the training rows, with the weights of its best validation, and how training went.

    A model with a ``fit`` is given what that names: ``train``, the rows; ``split``, where it is another toolkit that validates and
    answers, which must not train on more than the training rows; ``seed``. What it returns belongs among the metrics.
    """
    rows, valid = split.train, split.valid
    torch.manual_seed(plan.seed)
    model, objective, examples = _parts(plan, rows)
    anew = plan.start != "none" and not (place / STATE).is_file()
    stages = begin(model, plan, objective) if anew else None
    if components.trains_itself(model):
        said = components.build(model.fit, {}, {"train": rows, "split": split, "seed": plan.seed})
        return model.eval(), Course(said=said or {})
    stopping = Stopping(**plan.stopping)
    watched = evaluation_of(plan, metrics=("ndcg", "hr"), ks=(stopping.k,))
    module = Training(model, objective, Optimizer(**plan.optimizer), watched, seed=plan.seed, horizon=horizon, stages=stages)
    timed = getattr(model, "needs_time", False)
    batches = Data(rows, valid, examples, Loader(**plan.loader), module.evaluation, seed=plan.seed, timed=timed)
    title = f"{plan.model.name} on {rows.name}"
    with quiet():
        loggers = trackers(plan.logger, place, f"{title}, seed {plan.seed}")
    course = train(module, batches, stopping, plan.trainer, loggers, place, watchers)
    if processes.first():
        training_curve(
            course.validations, course.losses, place / "curve.png", title=title, best_epoch=course.best_epoch, metric=stopping.metric
        )
        save_objective(place, module.objective)
    return model.eval().cpu(), course


def _parts(plan: Plan, rows: Interactions) -> tuple[Any, Any, Any]:
    """The model, and what it is trained by: the objective and the examples. A model that only counts has neither.

    Raises: ValueError where they do not fit each other.
    """
    facts = {"n_items": rows.n_items, "n_users": rows.n_users, "item_counts": rows.item_counts, "train": rows}
    model = components.model_of(plan, facts)
    if components.trains_itself(model):
        return model, None, None
    facts |= {"d_model": model.table()[0].shape[1]} if hasattr(model, "table") else {}
    facts |= {"loss": _component(plan.loss, "loss", facts), "sampler": _component(plan.sampler, "sampler", facts)}
    objective = _component(plan.objective, "objective", facts)
    shape, cuts = plan.base or plan.model, components.facts_of(components.find("examples", plan.examples.name))
    if "max_len" in cuts and "max_len" not in shape.options:
        raise ValueError(
            f"model={shape.name} lacks the option max_len, to which examples={plan.examples.name} cut histories; add *, max_len: int = 200"
        )
    examples = _component(plan.examples, "examples", facts | {"max_len": shape.options.get("max_len")})
    refuse_mismatch(plan, examples, model)
    return model, objective, examples
