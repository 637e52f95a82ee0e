"""Trials that count, by hand: ended, pruned, failed and open ones."""

from __future__ import annotations

import optuna
import pytest

from recpref.tuning.counting import best_of, finished, in_hand, taken


@pytest.fixture
def study() -> optuna.Study:
    """Failed; 0.1; pruned; 0.3; 0.2; and one is open. In memory, where nobody says that he lives."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(direction="maximize")
    states = optuna.trial.TrialState
    for state, value in (
        (states.FAIL, None),
        (states.COMPLETE, 0.1),
        (states.PRUNED, None),
        (states.COMPLETE, 0.3),
        (states.COMPLETE, 0.2),
    ):
        made.add_trial(optuna.trial.create_trial(state=state, value=value))
    made.ask()
    return made


def test_those_that_ended_or_were_pruned_count(study):
    assert finished(study) == 4
    assert in_hand(study) == {5}
    assert taken(study) == 4


def test_one_in_the_hand_of_who_may_say_that_he_lives_counts_too(study, monkeypatch):
    monkeypatch.setattr(study._storage, "get_heartbeat_interval", lambda: 10, raising=False)
    assert taken(study) == 5


@pytest.mark.parametrize(("n_trials", "number"), [(1, 1), (2, 1), (3, 3), (9, 3)])
def test_the_best_of_the_first(study, n_trials, number):
    """The failed one is none of them; the pruned one is, and cannot be the best."""
    assert best_of(study, n_trials).number == number


def test_where_none_of_the_first_ended():
    made = optuna.create_study(direction="maximize")
    made.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.PRUNED))
    with pytest.raises(ValueError, match="none of the first 1 trials of its study was trained to its end"):
        best_of(made, 1)
