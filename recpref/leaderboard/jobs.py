"""What is to be done for a suite: every experiment with its plan, the folder of its run, and how far that is.

The folder is a function of the plan and the digest of the data, so that what is there already is known without training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

from recpref.data.interactions import Interactions
from recpref.leaderboard.record import recorded
from recpref.leaderboard.suite import Experiment, Suite
from recpref.plan import Plan
from recpref.workplace import state_of

State = Literal["finished", "interrupted", "new", "failed", "absent"]


@dataclass(frozen=True)
class Job:
    """``error`` says why there will be no run: ``failed`` where something is wrong, ``absent`` where optional data is not here."""

    experiment: Experiment
    state: State = "new"
    plan: Plan | None = None
    path: Path | None = None
    error: str = ""

    @property
    def name(self) -> str:
        """What to call it on a screen; what tells it apart is its experiment."""
        said = self.experiment
        return " ".join(part for part in (said.data, said.grid, said.model, f"seed {said.seed}") if part)

    def failed(self, error: str) -> Job:
        """The same job, with the reason why there is no run."""
        return replace(self, state="failed", error=error)


def jobs(suite: Suite, overrides: Iterable[str], out: str) -> list[Job]:
    """Every experiment of a suite. What is wrong with one is its error, and the others go on.

    Raises: ValueError for overrides that the suite says itself, or that are wrong for every experiment.
    """
    experiments = list(suite.experiments(overrides))
    found = [job for label, group in groupby(experiments, lambda e: e.data) for job in _of_data(list(group), out, label in suite.optional)]
    if all(job.state == "failed" for job in found):
        raise ValueError(f"no experiment of the suite {suite.name} can be run: {found[0].error}")
    return _counted_once(found)


def _of_data(experiments: list[Experiment], out: str, optional: bool) -> list[Job]:
    """The jobs on one data set, which is read once for each way in which it is asked for."""
    from recpref.experiment import located

    composed = [_composed(experiment, out) for experiment in experiments]
    read: dict[str, tuple[Interactions | None, State, str]] = {}
    done = []
    for job in composed:
        if job.plan is None:
            done.append(job)
            continue
        key = repr(job.plan.data)
        if key not in read:
            read = {key: _read(job.plan, optional)}  # one at a time: data may be large
        data, state, error = read[key]
        if data is None:
            done.append(replace(job, state=state, error=error))
            continue
        plan, path = located(job.plan, data)
        done.append(looked_at(replace(job, plan=replace(plan, before=job.plan.before), path=path)))
    return done


def _composed(experiment: Experiment, out: str) -> Job:
    from recpref.composition.compose import compose

    job = Job(experiment)
    try:
        return replace(job, plan=compose((*experiment.overrides, f"out={out}")))
    except ValueError as error:
        return job.failed(str(error))


def _read(plan: Plan, optional: bool) -> tuple[Interactions | None, State, str]:
    """The data of a plan, or the state of a job that has none, and why."""
    from recpref.data import cards
    from recpref.runs.source import opened

    name = str(plan.data.name)
    if optional and name in cards.names() and cards.nearest(name) is None:
        return None, "absent", f"not here: data={name} is optional in this suite; {cards.remedy()}"
    try:
        return opened(plan.data), "new", ""
    except (ValueError, OSError) as error:
        return None, "failed", " ".join(str(error).split())


def looked_at(job: Job) -> Job:
    """The same job with the state that its folder shows now."""
    assert job.path is not None
    state, error = state_at(job.path)
    return replace(job, state=state, error=error)


def state_at(path: Path) -> tuple[State, str]:
    """How far a run is, and what is wrong with it. A damaged one is an error: what is there is not thrown away."""
    try:
        if path.exists() and not recorded(path).interrupted:
            return "finished", ""
    except (ValueError, OSError) as error:
        return "failed", str(error)
    return "interrupted" if state_of(path) else "new", ""


def _counted_once(found: list[Job]) -> list[Job]:
    """Raises nothing: of experiments that are the same run, all but the first say so and are not run again."""
    first: dict[Path, Job] = {}
    kept = []
    for job in found:
        twin = first.get(job.path) if job.path is not None else None
        if twin is not None:
            job = job.failed(f"the same run as {twin.name}: nothing is counted twice")
        elif job.path is not None:
            first[job.path] = job
        kept.append(job)
    return kept
