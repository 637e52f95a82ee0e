"""python -m recpref.tune model=sasrec data=ml_1m [space.KEY=...] [key=value ...]: search by validation NDCG at stopping.k (10 by default).

  space.model.d_model=[64,128]  space.model.dropout=0.1..0.5  "space.optimizer.lr=1e-4..1e-2 log"   what varies beside the model's own
  n_trials=50  search=tpe|gp|random  pruner=median|none  workers=1  search_seed=1                   how it is searched
  suite=quick n_trials=20      every model of a suite on each of its data sets, by the same number of trials; writes the tuned suite
  study=default  studies=studies  storage=sqlite:///...|postgresql://...|grpc://HOST:PORT           where it is kept; call again to go on

Every other key=value is fixed for all trials. The test split is never asked: run best.sh for that.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import subprocess
import sys
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from recpref import console
from recpref.plan import Plan
from recpref.suggest import unknown

KNOWN = tuple(field.name for field in fields(Plan) if field.name != "before")  # what the options of an experiment begin with
TOGETHER = "RECPREF_WORKER_OF_A_SEARCH"  # in the environment of a worker that a search of several has started
CHOICES = {"search": ("tpe", "gp", "random"), "pruner": ("median", "none")}


class Asked(NamedTuple):
    """What was asked of the study itself, as texts."""

    n_trials: str = "50"
    search: str = "tpe"
    pruner: str = "median"
    workers: str = "1"
    worker: str = "0"
    search_seed: str = "1"
    study: str = "default"
    studies: str = "studies"
    storage: str | None = None


def tune(arguments: list[str]) -> None:
    """The verb. Raises: ValueError for anything wrong with names, options, the space or the study."""
    pairs = console.pairs(arguments, __doc__)
    if pairs is None:
        return
    suite = pairs.pop("suite", None)
    asked = Asked(**{key: pairs.pop(key) for key in Asked._fields if key in pairs})
    wanted = {key.removeprefix("space."): pairs.pop(key) for key in list(pairs) if key.startswith("space.")}
    for key in pairs:
        if "." not in key and key not in KNOWN:
            raise ValueError(unknown("option", key, ["suite", *Asked._fields, *KNOWN, "space.OPTION", "SECTION.OPTION"]))
    for key, known in CHOICES.items():
        if getattr(asked, key) not in known:
            raise ValueError(unknown(key, getattr(asked, key), known))
    if suite is not None:
        _refuse_of_suite(asked, wanted)
        _tune_suite(suite, asked, pairs)
    elif "model" in pairs:
        _tune(asked, wanted, pairs, arguments)
    else:
        raise ValueError("no model was named; say python -m recpref.tune model=sasrec data=ml_100k")


def _refuse_of_suite(asked: Asked, wanted: dict[str, str]) -> None:
    """Raises: ValueError for what belongs to one study only."""
    for key in ("study", "storage"):
        if getattr(asked, key) != Asked._field_defaults[key]:
            raise ValueError(f"{key}={getattr(asked, key)} names one study, and a suite has one for each model and data set; leave it out")
    for key in wanted:
        raise ValueError(f"space.{key}: each model of a suite declares its own space; write the suite's models as you want them")


def _tune_suite(name: str, asked: Asked, pairs: dict[str, str]) -> None:
    """A study for each model on each data set; what was found stands in a copy of the suite's file, once all have ended."""
    from recpref.leaderboard.suite import Tuned
    from recpref.leaderboard.suite_files import file_of, read
    from recpref.overrides import chosen
    from recpref.tuning.suites import name_of, searches, with_tuned

    suite, users, n_trials = (
        read(name),
        [f"{key}={value}" for key, value in pairs.items()],
        console.whole_number("n_trials", asked.n_trials),
    )
    place = Path(asked.studies).expanduser() / f"suite-{suite.name}"
    wanted, wrong = searches(suite, users, pairs.get("out", "runs"))
    for job in wrong:
        print(f"left out: {job.name}: {job.error}")
    found, failed = [], 0
    for number, experiment in enumerate(wanted, 1):
        print(f"[{number}/{len(wanted)}] {experiment.data} {experiment.grid} {experiment.model}")
        own = asked._replace(studies=str(place), study=name_of(experiment))
        arguments = [*experiment.overrides, *(f"{key}={value}" for key, value in own._asdict().items() if value is not None)]
        try:
            overrides, unfinished = _found(_tune(own, {}, chosen(experiment.overrides), arguments), n_trials)
        except ValueError as error:
            print(f"left out: {experiment.data} {experiment.grid} {experiment.model}: {error}")
            failed += 1
            continue
        found.append(Tuned(experiment.data, experiment.model, n_trials, overrides, experiment.grid, unfinished))
        if unfinished:
            print(f"{n_trials - unfinished} of {n_trials} trials finished; the tuned suite says so")
    if not found:
        raise ValueError(f"no model of the suite {suite.name} could be tuned; nothing is written")
    file = place / f"{suite.name}_tuned.toml"
    file.write_text(with_tuned(file_of(name).read_text(), found))
    print(f"written: {file}\nrun it: {shlex.join(['python', '-m', 'recpref.benchmark', f'suite={file}', *users])}")
    if failed:
        raise SystemExit(1)


def _found(study: Any, n_trials: int) -> tuple[list[str], int]:
    """What the best of the first ``n_trials`` says, and how many of those that were asked for did not finish. Raises: ValueError where none
    was trained to its end."""
    from recpref.tuning.counting import best_of, finished

    if (trials := finished(study)) > n_trials:
        print(f"its study holds {trials} trials: the best of the first {n_trials} counts")
    return best_of(study, n_trials).user_attrs["overrides"], max(0, n_trials - trials)


def _tune(asked: Asked, wanted: dict[str, str], pairs: dict[str, str], arguments: list[str]) -> Any:
    """The study, when it has all its trials."""
    if importlib.util.find_spec("optuna") is None:
        raise ValueError("tuning needs Optuna; pip install 'recpref[tune]'")
    from recpref.composition.compose import compose
    from recpref.experiment import opened_to_validate
    from recpref.tuning import report, study
    from recpref.tuning.space import space_of
    from recpref.tuning.trial import Problem, judged_by

    fixed = [f"{key}={value}" for key, value in pairs.items()]
    n_trials, seed = console.whole_number("n_trials", asked.n_trials), console.whole_number("search_seed", asked.search_seed, least=0)
    search = study.Search(n_trials, asked.search, asked.pruner, seed)  # type: ignore[arg-type]  # checked above
    workers, worker = console.whole_number("workers", asked.workers), console.whole_number("worker", asked.worker, least=0)
    if worker and os.environ.pop(TOGETHER, ""):
        threading.Thread(target=_end_with_the_search, daemon=True).start()
    space = space_of(pairs["model"], wanted, fixed)
    plan = compose(fixed)
    _ = judged_by(plan)  # refuses before the first trial
    data = opened_to_validate(plan)
    place = study.folder(Path(asked.studies).expanduser(), data.slug, pairs["model"], asked.study)
    place.mkdir(parents=True, exist_ok=True)
    url = asked.storage or f"sqlite:///{place.resolve() / 'study.db'}"
    problem = Problem(fixed, space, data, place / study.STAGES)
    machine = platform.node() if asked.storage else ""  # the same command may be at work on others
    found = study.opened(url, problem, search, worker=worker, machine=machine)
    try:
        if workers > 1:
            failed = _together(arguments, workers)
        else:
            failed = 0
            study.work(found, problem, search.n_trials, shown=worker == 0 and sys.stderr.isatty())
        if worker == 0:
            study.settle(found)
            if not failed:
                study.finish(found, problem, search.n_trials)
    except KeyboardInterrupt:
        print(f"interrupted; what was finished is in {place}, and the same command goes on from there", file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        if worker == 0:
            report.write_report(found, place, title=f"{pairs['model']} on {data.name}", fixed=fixed)
    if failed:
        raise ValueError(f"{failed} of {workers} workers failed; what they found until then is kept")
    if worker == 0:
        _print(found, place, fixed)
    return found


def _together(arguments: list[str], workers: int) -> int:
    """The same study in several processes: how many of them failed."""
    kept = [text for text in arguments if text.partition("=")[0] not in ("workers", "worker")]
    command = [sys.executable, "-m", "recpref.tune", *kept, "workers=1"]
    environment = {**os.environ, TOGETHER: "1"}
    processes = [
        subprocess.Popen([*command, f"worker={number}"], stdin=subprocess.PIPE, env=environment) for number in range(1, workers + 1)
    ]
    try:
        return sum(process.wait() != 0 for process in processes)
    except KeyboardInterrupt:
        for process in processes:  # a terminal has told them, too, and training that is stopping already takes no notice of this
            process.terminate()
        for process in processes:
            process.wait()
        raise


def _end_with_the_search() -> None:
    """Whoever started this worker holds its standard input open: where that ends, be it killed, the worker does, too."""
    while os.read(0, 1024):
        pass
    os._exit(1)


def _print(found: Any, place: Path, fixed: list[str]) -> None:
    """The best trials and the command of the best. Raises: ValueError with what was wrong with all, where no trial could be trained."""
    from recpref.tuning import report

    command = report.best_command(found, fixed)
    frame = report.trials_of(found)
    best = frame[frame.state == "complete"].nlargest(5, "ndcg")
    names = [name for name in frame.columns if "." in name]
    rows = [[f"{int(number)}", f"{value:.4f}", *map(_short, rest)] for number, value, *rest in best[["number", "ndcg", *names]].to_numpy()]
    console.table("best trials, by validation NDCG", ["trial", "NDCG", *names], rows)
    counts = frame.state.value_counts()
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    print(f"best: {command}\nsaved in {place}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    console.main(tune)
