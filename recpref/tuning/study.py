"""A study: many trials of one problem in a data base, by one worker or several, interrupted and continued at will."""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from recpref.composition.compose import compose
from recpref.runs.source import seen
from recpref.tuning.counting import ENDED, SURPLUS, Surplus, alive_is_known, counting, in_hand, taken
from recpref.tuning.space import text_of
from recpref.tuning.trial import Problem

PROXY = "grpc://"
ANSWER = 10.0  # seconds; a proxy that has not answered by then is not there
HEARTBEAT = 10  # seconds; a trial that has been silent for ``SILENT`` of them belonged to a worker that was killed
SILENT = 4
ROUNDING = 2  # seconds; a data base may count in whole ones
NAME = "recpref"
FAILURES = (ValueError, FloatingPointError, MemoryError)  # of a trial alone: the search goes on
STAGES = ".first_stages"  # the folder of a study in which they are kept: hidden, so that no report takes them for runs


class Search(NamedTuple):
    """How a study looks for the best. ``median`` pruning stops a trial that is behind the median of others at the same epoch."""

    n_trials: int = 50
    by: Literal["tpe", "gp", "random"] = "tpe"
    pruner: Literal["median", "none"] = "median"
    seed: int = 1

    def __call__(self, worker: int, tried: int = 0, machine: str = "") -> tuple[Any, Any]:
        """The sampler of a worker, and the pruner. One that goes on after ``tried`` trials does not draw the same again, nor does one on
        another ``machine``, where several share a study."""
        import optuna

        seed = int(np.random.SeedSequence((self.seed, worker, tried, *machine.encode())).generate_state(1)[0])
        found = {"tpe": optuna.samplers.TPESampler, "gp": optuna.samplers.GPSampler, "random": optuna.samplers.RandomSampler}
        pruner = (
            optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5) if self.pruner == "median" else optuna.pruners.NopPruner()
        )
        return found[self.by](seed=seed), pruner


def storage(url: str) -> Any:
    """A data base that knows which trials are alive; those of a killed worker are tried once more with the same values, which may be what
    killed it.

    ``grpc://host:port`` is Optuna's proxy of one, which does not know: what a killed worker had in hand stays open there.
    Raises: ValueError where there is none at that address.
    """
    if url.startswith(PROXY):
        return _proxy(url)
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    patient = {"connect_args": {"timeout": 120}} if url.startswith("sqlite") else {}
    try:
        again = RetryHeartbeatStaleTrialCallback(max_retry=1)
        alive: dict[str, Any] = {"heartbeat_interval": HEARTBEAT, "grace_period": SILENT * HEARTBEAT}
        return RDBStorage(url, engine_kwargs=patient, heartbeat_stale_trial_callback=again, **alive)
    except Exception as error:  # whatever the data base's driver raises
        raise ValueError(f"storage={url} cannot be opened: {str(error).splitlines()[0]}") from error


def _proxy(url: str) -> Any:
    """Optuna's gRPC proxy: one process talks to the data base, and any number of workers to that process."""
    from optuna.storages import GrpcStorageProxy

    host, _, port = url.removeprefix(PROXY).rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"storage={url} is not {PROXY}HOST:PORT")
    try:
        proxy = GrpcStorageProxy(host=host, port=int(port))
        proxy.wait_server_ready(ANSWER)
    except ImportError as error:
        raise ValueError(f"storage={url} needs gRPC; pip install grpcio protobuf") from error
    except ConnectionError as error:
        raise ValueError(f"storage={url} cannot be opened: nothing answered within {ANSWER:.0f} s") from error
    return proxy


def opened(url: str, problem: Problem, search: Search, *, worker: int = 0, machine: str = "") -> Any:
    """The study at ``url``, made where there is none. ``machine``: its name, where workers on others may share the study.

    Raises: ValueError where the one that is there has another search space, or other fixed options or data.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # its warnings are tracebacks of failed trials, which have a line each here
    study = optuna.create_study(study_name=NAME, storage=_quietly(lambda: storage(url)), load_if_exists=True, direction="maximize")
    study.sampler, study.pruner = _quietly(lambda: search(worker, len(study.get_trials(deepcopy=False)), machine))
    facts = {"space": text_of(problem.space), "fixed": sorted(problem.fixed), "data": seen(compose(problem.fixed), problem.data)}
    for key, value in facts.items():
        known = study.user_attrs.get(key)
        if known is None:
            study.set_user_attr(key, value)
        elif known != value:
            raise ValueError(
                f"the study at {url} has another {key}: {known} and not {value}; give this one a name of its own with study=NAME"
            )
    return study


def _quietly(make: Any) -> Any:
    """Without Optuna's notes on what is experimental."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return make()


def finish(study: Any, problem: Problem, n_trials: int) -> None:
    """What a settled study still lacks because a worker was killed is done, until it has its trials or others see to them."""
    while taken(study) < n_trials and any(trial.state.name == "WAITING" for trial in study.get_trials(deepcopy=False)):
        work(study, problem, n_trials)
        settle(study)


def work(study: Any, problem: Problem, n_trials: int, *, shown: bool = False) -> None:
    """Trials until the study has ``n_trials``, those that other workers have in hand among them. Ctrl-C gives the trial in hand back to
    the study, to be tried again, and goes up.

    Combinations that no run would take, or for which memory does not suffice, and trainings that diverge, are recorded as failed, with a
    line each; as many of those as there are trials end it.
    """

    def enough(study: Any, trial: Any) -> None:
        if taken(study) >= n_trials:
            study.stop()

    missing = n_trials - taken(study)
    if missing > 0:
        tried: dict[str, Any] = {"n_trials": 2 * missing, "callbacks": [enough], "catch": (*FAILURES, Surplus)}
        study.optimize(_noticed(study, problem, n_trials), show_progress_bar=shown, **tried)


def _noticed(study: Any, problem: Problem, n_trials: int) -> Any:
    """The problem; where a trial is interrupted, its values are queued again. One that two workers began at once is left to the first."""

    def objective(trial: Any) -> float:
        now = counting(study)
        if sum(other.state.name in ENDED or other.number < trial.number for other in now) >= n_trials:
            trial.set_user_attr(SURPLUS, True)
            for own in now:
                if own.number == trial.number and (queued := own.params or own.system_attrs.get("fixed_params")):
                    study.enqueue_trial(queued)
            raise Surplus
        try:
            return _in_memory(problem, trial)
        except KeyboardInterrupt:
            study.enqueue_trial(trial.params)
            raise
        except FAILURES as error:
            reason = " ".join(str(error).split())
            trial.set_user_attr("error", reason)
            print(f"trial {trial.number} failed: {reason}", file=sys.stderr)
            raise

    return objective


def _in_memory(problem: Problem, trial: Any) -> float:
    """Raises: as ``problem``, and MemoryError where a device or the machine has not enough of it."""
    try:
        return problem(trial)
    except RuntimeError as error:  # torch's own, of a GPU, is one, too
        if "out of memory" in str(error) or "can't allocate memory" in str(error):
            raise MemoryError(f"not enough memory: {str(error).splitlines()[0]}") from error
        raise


def settle(study: Any) -> None:
    """What is open as a search ends: waits until each of these trials has ended, or has been silent for so long that its worker was killed.

    That one is recorded as failed, and its values wait for the search that goes on. Those of workers that live, here or on other
    machines, are theirs: a heartbeat in the data base says so, by its own clock. One whose worker was killed before its first heartbeat
    has none, and is failed after the same time. Where no trial has any (a proxy), nothing can be known.
    """
    import optuna

    if not alive_is_known(study):
        return
    left, until = in_hand(study), time.monotonic() + SILENT * HEARTBEAT + ROUNDING
    if left:
        print(f"waiting up to {SILENT * HEARTBEAT + ROUNDING} s for trials of other workers to end or show that they live", file=sys.stderr)
    while left & in_hand(study):
        last = time.monotonic() >= until  # a look after that time there is, however long the one before it took
        _quietly(lambda: optuna.storages.fail_stale_trials(study))
        if last:
            _fail_unheard(study, left)
            break
        time.sleep(0.5)


def _fail_unheard(study: Any, numbers: set[int]) -> None:
    """Those of the trials that are open and have no heartbeat at all: Optuna takes no such trial for stale, ever."""
    import optuna
    import sqlalchemy

    known = study._storage
    with getattr(known, "_backend", known).engine.connect() as base:
        heard = set(base.execute(sqlalchemy.text("select trial_id from trial_heartbeats")).scalars())
    for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
        if trial.number in numbers and trial._trial_id not in heard:
            try:
                known.set_trial_state_values(trial._trial_id, state=optuna.trial.TrialState.FAIL)
            except optuna.exceptions.UpdateFinishedTrialError:  # by another search that settles
                continue
            known.get_heartbeat_stale_trial_callback()(study, known.get_trial(trial._trial_id))


def folder(out: Path, slug: str, model: str, name: str) -> Path:
    """Where a study's data base and report are."""
    return out / slug / model / name
