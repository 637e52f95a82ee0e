"""python -m recpref.train model=bert4rec data=ml_100k [key=value ...]: train, evaluate, save, and print the row.

resume=runs/... continues an interrupted training. --help lists models, losses, data sets and every option with its
default; --cfg prints the composed experiment. trainer.strategy=ddp trainer.devices=2 trains in two processes, of which the first prints.
Ctrl-C keeps the best model until then and exits with 130.
"""

from __future__ import annotations

import os
import shlex
import time
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from recpref import components, console, processes
from recpref.overrides import chosen
from recpref.processes import first
from recpref.workplace import STATE, ends, owner_of, place_of, plan_of, run_at, state_of

if TYPE_CHECKING:
    from recpref.data.interactions import Interactions
    from recpref.plan import Plan
    from recpref.runs.run import Run

PATIENCE = 20.0  # seconds to wait for a run of Popular that another process is making
INTERRUPTED = 130  # exit status: what follows in a script, such as the next seed, is not to go on
AHEAD = 1.1  # times Popular's validation: a model below is said to be no better, because its own is the best of several epochs


def train(arguments: list[str]) -> None:
    """The verb. Raises: ValueError for anything wrong with the overrides."""
    given, overrides = console.switches(arguments, {"--cfg"})
    if given & {"--help", "-h"}:
        from recpref.composition.help import overview

        overview(overrides)
    elif "--cfg" in given:
        import yaml

        from recpref.composition.compose import compose

        print(yaml.safe_dump(compose(overrides).content, sort_keys=False), end="")
    else:
        with open(os.devnull, "w") as nowhere, nullcontext() if first() else redirect_stdout(nowhere):
            _fit_and_print(overrides)


def _fit_and_print(overrides: list[str]) -> None:
    pairs = chosen(overrides)
    resume = run_at(Path(pairs.pop("resume"))) if "resume" in pairs else None
    _refuse_early(pairs, resume)
    overrides = [f"{key}={value}" for key, value in pairs.items()]

    from recpref.composition.compose import compose
    from recpref.data.checkup import unused_split
    from recpref.experiment import located, run_of
    from recpref.runs.resuming import plan_to_continue
    from recpref.runs.run import Run
    from recpref.runs.source import opened, opened_again

    plan = compose(overrides) if resume is None else plan_to_continue(resume, pairs)
    data = opened(plan.data) if resume is None else opened_again(plan.data)
    print(*data.report, data, sep="\n")
    if (own := unused_split(data, plan.split.name)) is not None:
        print(f"beware: {own}")
    path = resume or located(plan, data)[1]
    if resume is None and (path / STATE).is_file():
        again = shlex.quote(f"resume={path}")
        print(f"an interrupted training is in {path}: this one starts anew and replaces it; {again} would go on with it")
    elif resume is None and ends(path):
        print(f"a finished run is in {path}: this one trains anew, and replaces it once it is finished")
    print(f"run: {path}", flush=True)
    began = time.time()
    run = run_of(plan, data, resume=resume)
    older = (run.path / "metrics.json").stat().st_mtime < began and not processes.restarted()
    runs = [run]
    if run.experiment.start != "none":
        runs.append(Run.load(run.experiment.start, trust=tuple(components.foreign(run.experiment).values())))
    if plan.model.name != "popular" and first():
        with processes.alone():
            runs += _baseline(plan, data)
    processes.wait()
    _print_rows(runs)
    _print_course(run, next((other for other in runs if other.experiment.model.name == "popular"), None))
    if older:
        print("this training was interrupted, and all of the above is of the finished run that was there before")
    if (
        run.trained.interrupted or older
    ) and processes.world() == 1:  # of several, whoever started them might take it for a failure, and start again
        raise SystemExit(INTERRUPTED)


def _baseline(plan: Plan, data: Interactions) -> list[Run]:
    """Popular beside a plan: the run that is there, or one that is made now; none where another process is still making it."""
    from recpref.composition.compose import compose
    from recpref.experiment import located, run_of
    from recpref.runs.run import Run
    from recpref.runs.start import finished

    popular = replace(
        compose(["model=popular"]), split=plan.split, evaluation=plan.evaluation, seed=plan.seed, out=plan.out, data=plan.data
    )
    path, until = located(popular, data)[1], time.monotonic() + PATIENCE
    while True:
        try:
            return [Run.load(path) if finished(path) else run_of(popular, data)]
        except ValueError:
            owner = owner_of(place_of(path))
            if owner is None:
                return [run_of(popular, data)]  # what is there cannot be read
            if time.monotonic() > until:
                print(f"popular is not shown beside it: process {owner} is still making {path}")
                return []
        time.sleep(0.2)


def _refuse_early(pairs: dict[str, str], resume: Path | None) -> None:
    """What can be refused without importing what trains, which takes seconds. Raises: ValueError or FileNotFoundError."""
    if resume is not None:
        plan_of(resume)
    for kind in components.PACKAGES:
        if kind in pairs:
            components.refuse_unknown(kind, pairs[kind])


def _print_rows(runs: list[Run]) -> None:
    plan = runs[0].experiment
    columns = [f"{metric}@{k}" for metric in ("hr", "ndcg") for k in plan.evaluation.get("ks", ())]
    seen = "seen items filtered" if plan.evaluation.get("filter_seen") else "seen items not filtered"
    users = len(runs[0].per_user)
    title = f"test: {plan.data.name}, {plan.split.name}, full ranking, {seen}, {users:,} users"
    console.table(title, ["model", *(column.upper() for column in columns)], _rows(runs, columns))
    by, n_negatives = plan.evaluation.get("sampled"), plan.evaluation.get("n_negatives")
    if rows := _rows(runs, [f"sampled-{by}-{n_negatives}/{column}" for column in columns]):
        how = "uniformly" if by == "uniform" else f"by {by}"
        title = f"sampled candidates, not comparable with the above: targets among {n_negatives} negatives, drawn {how}"
        console.table(title, ["model", *(column.upper() for column in columns)], rows)


def _rows(runs: list[Run], columns: list[str]) -> list[list[str]]:
    """A row a run that has these metrics, and one for the model before its refit. The first was perhaps started from another."""
    rows, first = [], runs[0].experiment.start
    for run in runs:
        name = run.experiment.label + (", the first stage" if str(run.path.absolute()) == first else "")
        for label, prefix in ((name, "test"), (f"{name}, before the refit", "chosen/test")):
            if all(f"{prefix}/{column}" in run.metrics for column in columns):
                rows.append([label, *(f"{run.metrics[f'{prefix}/{column}']:.4f}" for column in columns)])
    return rows


def _print_course(run: Run, popular: Run | None) -> None:
    from recpref.training.stopping import Stopping

    how, stopping = run.trained, Stopping(**run.experiment.stopping)
    if how.epochs:
        by = f" by validation NDCG@{stopping.k} = {run.metrics[stopping.metric]:.4f}" if stopping.metric in run.metrics else ""
        epochs = f"{how.epochs} {'epoch' if how.epochs == 1 else 'epochs'}"
        print(f"{how.parameters:,} parameters, {how.seconds:.0f} s of training, {epochs}; kept epoch {how.best_epoch}{by}")
        if how.underfit:
            print("underfit: validation was still rising at trainer.max_epochs (or was measured once at most); raise trainer.max_epochs")
        elif popular is not None and not how.interrupted:
            _print_level(run, popular, stopping.metric)
        if how.interrupted:
            print("interrupted: this is the best model until then, not a finished run")
            if state_of(run.path) is not None:
                said = [f"{key}={value}" for key, value in {"resume": run.path, **components.foreign(run.experiment)}.items()]
                print(f"to go on with it: {shlex.join(['python', '-m', 'recpref.train', *said])}")
            else:
                print("no state of it had been saved yet (see stopping.save_seconds): to train it, say the same command again")
    for note in run.audit["notes"]:
        print(f"split: {note}")
    print(f"saved in {run.path}")


def _print_level(run: Run, popular: Run, metric: str) -> None:
    """What to try where patience ended at Popular's level. Losses of many negatives keep a model there for its first epochs."""
    found, least = run.metrics.get(metric), popular.metrics.get(metric)
    if found is not None and least is not None and found < AHEAD * least:
        print(
            f"no better than popular: {metric} {found:.4f} to {least:.4f}. It may not have left its start yet; "
            "more stopping.patience, another optimizer.lr, loss.prior=true (bce, gbce) or loss=cross_entropy may help"
        )


if __name__ == "__main__":
    console.main(train)
