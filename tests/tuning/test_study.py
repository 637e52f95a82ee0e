"""A study: counted once, continued, killed and taken up again, and refused where it is another one."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator

import optuna
import pandas as pd
import pytest
import torch
from several import free_port

import recpref
from recpref.tuning import study as studies
from recpref.tuning.counting import finished, in_hand
from recpref.tuning.report import trials_of
from recpref.tuning.space import Between
from recpref.tuning.study import Search, opened, work
from recpref.tuning.trial import Problem

DATA = recpref.Interactions.from_dataframe(pd.DataFrame({"u": [1, 1, 1, 2, 2, 2], "i": [1, 2, 3, 2, 3, 1]}), user="u", item="i")
SPACE = {"x": Between(0.0, 1.0)}


class Hill(Problem):
    """Stands in for training: the best x is 0.3."""

    def __call__(self, trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.set_user_attr("overrides", [f"model.dropout={x}"])
        return 1 - (x - 0.3) ** 2


class Bug(Problem):
    def __call__(self, trial) -> float:
        raise RuntimeError("a bug")


def hill(**changes) -> Hill:
    return Hill(**{"fixed": ("model=sasrec",), "space": SPACE, "data": DATA, **changes})


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


@pytest.mark.parametrize("by", ["tpe", "gp", "random"])
def test_it_finds_the_hill_and_stops_at_its_number(url, by):
    study = opened(url, hill(), Search(20, by=by, pruner="none"))
    work(study, hill(), 20)
    assert finished(study) == len(study.trials) == 20
    assert abs(study.best_params["x"] - 0.3) < 0.15


def test_called_again_it_goes_on_where_it_was(url):
    for total in (3, 5, 5, 2):
        study = opened(url, hill(), Search(total))
        work(study, hill(), total)
    assert finished(study) == 5


@pytest.mark.parametrize("by", ["tpe", "random"])
def test_what_goes_on_does_not_draw_the_same_again(url, by):
    for total in (3, 6, 9):
        work(opened(url, hill(), Search(total, by=by, pruner="none")), hill(), total)
    study = opened(url, hill(), Search(9))
    assert len({trial.params["x"] for trial in study.trials}) == 9


def test_the_order_of_fixed_options_makes_no_other_study(url):
    opened(url, hill(fixed=("model=sasrec", "data=ml_100k")), Search(1))
    opened(url, hill(fixed=("data=ml_100k", "model=sasrec")), Search(1))
    assert optuna.get_all_study_names(url) == ["recpref"]


def test_a_study_from_the_same_seed_is_the_same(url, tmp_path):
    found = []
    for place in (url, f"sqlite:///{tmp_path}/other.db"):
        study = opened(place, hill(), Search(4, seed=7))
        work(study, hill(), 4)
        found.append([trial.params for trial in study.trials])
    assert found[0] == found[1]


def test_what_is_interrupted_is_tried_again_with_its_values(url):
    class Stopped(Hill):
        def __call__(self, trial) -> float:
            super().__call__(trial)
            raise KeyboardInterrupt

    study = opened(url, hill(), Search(2))
    with pytest.raises(KeyboardInterrupt):
        work(study, Stopped(("model=sasrec",), SPACE, DATA), 2)
    lost = study.trials[0].params
    work(study, hill(), 1)
    assert study.best_trial.params == lost
    assert finished(study) == 1


def test_who_is_killed_is_tried_again_by_the_next(url, monkeypatch):
    """A worker that is silent for longer than the grace period: its trial fails, and one of the same values takes its place."""
    monkeypatch.setattr(studies, "HEARTBEAT", 1)
    study = opened(url, hill(), Search(2))
    with pytest.warns(UserWarning, match="Heartbeat"):  # which is what this worker does not do
        dead = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    storage = study._storage
    storage.record_heartbeat(dead._trial_id)
    time.sleep(5.5)  # four heartbeats of silence
    work(opened(url, hill(), Search(2)), hill(), 2)
    after = study.get_trials()
    assert after[dead.number].state == optuna.trial.TrialState.FAIL
    assert dead.params["x"] in [trial.params["x"] for trial in after if trial.state == optuna.trial.TrialState.COMPLETE]
    assert finished(study) == 2


@pytest.fixture
def short(monkeypatch) -> None:
    """A worker that is silent for four seconds was killed."""
    monkeypatch.setattr(studies, "HEARTBEAT", 1)


def begun(study) -> optuna.Trial:
    """A trial that a worker has just begun."""
    with pytest.warns(UserWarning, match="Heartbeat"):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    study._storage.record_heartbeat(trial._trial_id)
    return trial


@pytest.mark.usefixtures("short")
def test_what_kills_its_worker_twice_is_not_tried_a_third_time(url):
    """The machine's killer of large processes would have it for ever."""
    study = opened(url, hill(), Search(2))
    for waiting in (1, 0):
        trial = begun(study)
        time.sleep(5.5)  # four heartbeats of silence
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(study)
        assert study.trials[trial.number].state == optuna.trial.TrialState.FAIL
        assert sum(other.state == optuna.trial.TrialState.WAITING for other in study.trials) == waiting
    assert study.trials[0].params == study.trials[1].params
    work(study, hill(), 2)
    assert finished(study) == 2


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        MemoryError("none"),
    ],
)
def test_a_trial_that_is_too_large_fails_alone(url, capsys, error):
    class Large(Hill):
        def __call__(self, trial) -> float:
            if trial.number == 0:
                raise error
            return super().__call__(trial)

    study = opened(url, hill(), Search(2))
    work(study, Large(("model=sasrec",), SPACE, DATA), 2)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE"][: len(study.trials)]
    assert "trial 0 failed: " in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="a bug"):
        work(study, Bug(("model=sasrec",), SPACE, DATA), 9)


def test_machines_that_share_a_study_do_not_draw_alike():
    """Both opened it before either had begun a trial. The same machine draws the same again."""
    drawn = [Search(3, by="random")(0, 0, machine)[0] for machine in ("", "", "a", "b", "a")]
    found = [sampler._rng.rng.random() for sampler in drawn]
    assert found[0] == found[1]
    assert found[2] == found[4]
    assert len({found[0], found[2], found[3]}) == 3


@pytest.mark.usefixtures("short")
def test_who_was_killed_just_before_a_search_that_ends_at_once_is_settled_by_it(url):
    """Its heartbeat is as fresh as that of a worker that lives, whose trial stays its own; what was killed waits to be tried again."""
    study = opened(url, hill(), Search(2))
    killed, living = begun(study), begun(study)
    work(study, hill(), 4)
    assert finished(study) == 2  # the other two are in the hands of others
    assert in_hand(study) == {killed.number, living.number}
    stop = threading.Event()

    def live() -> None:
        while not stop.wait(0.3):
            study._storage.record_heartbeat(living._trial_id)

    worker = threading.Thread(target=live)
    worker.start()
    try:
        studies.settle(study)
    finally:
        stop.set()
        worker.join()
    assert in_hand(study) == {living.number}
    after = {trial.number: trial for trial in study.get_trials()}
    assert after[killed.number].state.name == "FAIL"
    assert [trial.params for trial in after.values() if trial.state.name == "WAITING"] == [killed.params]
    study.tell(living, 0.5)  # its worker learns nothing of it
    assert finished(study) == 3
    studies.finish(study, hill(), 4)
    assert finished(study) == 4
    assert killed.params["x"] in [trial.params["x"] for trial in study.get_trials() if trial.state.name == "COMPLETE"]


@pytest.mark.usefixtures("short")
def test_who_was_killed_before_its_first_heartbeat_is_settled_too(url):
    """Optuna makes a trial first and reports that its worker lives after that; one without any report is never stale to it."""
    study = opened(url, hill(), Search(2))
    with pytest.warns(UserWarning, match="Heartbeat"):
        killed = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    living = begun(study)
    time.sleep(5.5)
    study._storage.record_heartbeat(living._trial_id)
    studies._fail_unheard(study, {living.number})
    assert in_hand(study) == {killed.number, living.number}  # of others than it was asked for, and of those that were heard, it takes none
    study.tell(living, 0.5)
    studies.settle(study)
    assert [trial.state.name for trial in study.get_trials()] == ["FAIL", "COMPLETE", "WAITING"]
    assert study.get_trials()[2].params == killed.params
    studies.finish(study, hill(), 2)
    assert finished(study) == 2


@pytest.mark.usefixtures("short")
def test_a_data_base_that_is_slow_to_answer_is_asked_once_more_after_the_time(url, monkeypatch):
    study = opened(url, hill(), Search(2))
    killed = begun(study)
    fail = optuna.storages.fail_stale_trials
    monkeypatch.setattr(optuna.storages, "fail_stale_trials", lambda study: (fail(study), time.sleep(7)))
    studies.settle(study)
    assert study.get_trials()[killed.number].state.name == "FAIL"


def test_what_another_worker_has_in_hand_is_one_of_the_trials(url):
    """Of three, one is in the hand of somebody who lives: two are left."""
    study = opened(url, hill(), Search(3))
    theirs = begun(study)
    work(study, hill(), 3)
    assert (finished(study), in_hand(study)) == (2, {theirs.number})
    study.tell(theirs, 0.5)
    work(study, hill(), 3)
    assert finished(study) == len(study.trials) == 3


def test_who_begins_one_too_many_at_the_same_moment_gives_it_up(url, monkeypatch):
    """Both saw that one is missing. The later of them trains nothing and counts nothing, and a report does not show it."""
    study = opened(url, hill(), Search(1))
    theirs = begun(study)
    counted = [0]
    monkeypatch.setattr(studies, "taken", lambda study: counted.pop() if counted else 1)
    work(study, hill(), 1)
    assert finished(study) == 0
    study.tell(theirs, 0.5)
    assert finished(study) == 1
    assert trials_of(study).number.tolist() == [theirs.number]


def test_the_values_of_a_trial_that_was_given_up_wait(url, monkeypatch):
    study = opened(url, hill(), Search(1))
    theirs = begun(study)
    study.enqueue_trial({"x": 0.25})
    counted = [0]
    monkeypatch.setattr(studies, "taken", lambda study: counted.pop() if counted else 1)
    work(study, hill(), 1)
    monkeypatch.undo()
    study.tell(theirs, 0.5)
    work(study, hill(), 2)
    assert 0.25 in [trial.params["x"] for trial in study.get_trials() if trial.state.name == "COMPLETE"]


def test_many_workers_make_no_trial_more(url):
    """Four at once: as many trials as were asked for."""

    class Slow(Hill):
        def __call__(self, trial) -> float:
            time.sleep(0.05)
            return super().__call__(trial)

    slow = Slow(("model=sasrec",), SPACE, DATA)
    found = [opened(url, slow, Search(6, pruner="none"), worker=number) for number in range(4)]
    workers = [threading.Thread(target=work, args=(study, slow, 6)) for study in found]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert finished(found[0]) == 6


@pytest.mark.usefixtures("short")
def test_a_search_waits_for_nobody_where_nothing_is_open_or_known_of_it(url, proxy, monkeypatch, capsys):
    """All trials ended; or a proxy, behind which no worker says that it lives."""
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waited"))
    study = opened(url, hill(), Search(2))
    work(study, hill(), 2)
    studies.settle(study)
    behind = opened(proxy, hill(), Search(2))
    trial = behind.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    studies.settle(behind)
    assert in_hand(behind) == {trial.number}
    assert "waiting" not in capsys.readouterr().err


def test_combinations_that_no_run_takes_are_recorded_and_the_rest_goes_on(url):
    class Picky(Hill):
        def __call__(self, trial) -> float:
            value = super().__call__(trial)
            if trial.number % 2:
                raise ValueError("n_heads=3 must divide d_model=64")
            return value

    study = opened(url, hill(), Search(3))
    work(study, Picky(("model=sasrec",), SPACE, DATA), 3)
    failed = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.FAIL]
    assert finished(study) == 3
    assert {trial.user_attrs["error"] for trial in failed} == {"n_heads=3 must divide d_model=64"}


def test_if_everything_is_refused_it_ends_with_a_line_a_trial(url, capfd):
    class Refused(Hill):
        def __call__(self, trial) -> float:
            raise ValueError("never,\n  whatever is asked")

    study = opened(url, hill(), Search(3))
    work(study, Refused(("model=sasrec",), SPACE, DATA), 3)
    assert len(study.trials) == 6
    assert capfd.readouterr().err == "".join(f"trial {number} failed: never, whatever is asked\n" for number in range(6))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"space": {"x": Between(0.0, 2.0)}}, "has another space"),
        ({"fixed": ("model=sasrec", "seed=2")}, "has another fixed"),
        ({"data": recpref.Interactions.from_dataframe(pd.DataFrame({"u": [1], "i": [1]}), user="u", item="i")}, "has another data"),
    ],
)
def test_another_study_is_refused(url, changes, says):
    opened(url, hill(), Search())
    with pytest.raises(ValueError, match=f"{says}.*give this one a name of its own with study=NAME"):
        opened(url, hill(**changes), Search())


def test_rows_divided_otherwise_are_other_data(url):
    """``split=given``: the same rows, and another one validates."""
    fixed = ("model=sasrec", "split=given")
    for number, shares in enumerate((["train", "valid", "test"] * 2, ["valid", "train", "test"] * 2)):
        frame = pd.DataFrame({"u": [1, 1, 1, 2, 2, 2], "i": [1, 2, 3, 2, 3, 1], "split": shares})
        divided = recpref.Interactions.from_dataframe(frame, user="u", item="i")
        if number:
            with pytest.raises(ValueError, match="has another data"):
                opened(url, hill(fixed=fixed, data=divided), Search())
        else:
            opened(url, hill(fixed=fixed, data=divided), Search())


def test_no_data_base_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="storage=nowhere://x cannot be opened"):
        opened("nowhere://x", hill(), Search())


def listening(port: int) -> bool:
    """Whether anybody answers at a port of this machine."""
    with socket.socket() as asking:
        return asking.connect_ex(("localhost", port)) == 0


@pytest.fixture
def proxy(tmp_path) -> Iterator[str]:
    """The address of Optuna's own proxy before a data base, in a process of its own."""
    port = free_port()
    storage = f"get_storage('sqlite:///{tmp_path}/study.db')"
    serve = f"from optuna.storages import get_storage, run_grpc_proxy_server; run_grpc_proxy_server({storage}, port={port})"
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", serve])
    until = time.monotonic() + 120  # a busy machine takes a while to import it
    while not listening(port) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    yield f"grpc://localhost:{port}"
    process.terminate()
    process.wait()


def test_workers_meet_behind_a_proxy(proxy, url):
    """Two of them share one study, which is the one in the data base; another problem is refused there too."""
    for worker, total in ((1, 3), (2, 5)):
        work(opened(proxy, hill(), Search(total), worker=worker), hill(), total)
    assert finished(opened(url, hill(), Search())) == 5
    with pytest.raises(ValueError, match="has another fixed"):
        opened(proxy, hill(fixed=("model=sasrec", "seed=2")), Search())


def test_where_no_proxy_is(monkeypatch):
    """An address that is none, and one where nobody answers."""
    with pytest.raises(ValueError, match="storage=grpc://here is not grpc://HOST:PORT"):
        opened("grpc://here", hill(), Search())
    monkeypatch.setattr(studies, "ANSWER", 0.5)
    with pytest.raises(ValueError, match="storage=grpc://localhost:9 cannot be opened: nothing answered"):
        opened("grpc://localhost:9", hill(), Search())
