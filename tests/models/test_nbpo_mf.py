"""NBPO's matrix factorisation: one step by hand, the paper's loop, controls, and users it never met."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from recpref.data.interactions import Interactions
from recpref.label_noise.likelihood import auc
from recpref.models.nbpo_mf import NBPOMF, RIDGE, USUAL, Factors
from recpref.types import History

U, V = 12, 9
ROWS = pd.DataFrame([(u, (u + 2 * i) % V) for u in range(U) for i in range(3)], columns=["u", "i"])
DATA = Interactions.from_dataframe(ROWS, user="u", item="i")
METHODS = tuple(USUAL)
TIMES = {"bpo": 4, "bce": 1, "gbce": 1 - 0.75 * (1 - 4 / 8)}  # that a positive counts beside its 4 negatives, of 8 other items


def mf(method: str = "nbpo", **options) -> NBPOMF:
    return NBPOMF(V, U, method=method, **{"d_model": 3, "d_flip": 2, **options})


def coefficients(method: str, r: torch.Tensor, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The authors' gradients (what is added) of a positive (column 0, once with each negative, in ours otherwise) and its negatives: of
    scores, of flips."""
    n = r.shape[1] - 1
    s, t, y = torch.sigmoid(r), torch.sigmoid(-r), torch.sigmoid(g)
    c, f = torch.zeros_like(r), torch.zeros_like(r)
    if method == "bpr":
        wrong = torch.sigmoid(r[:, 1:] - r[:, :1])
        c[:, 0], c[:, 1:] = wrong.sum(1), -wrong
    elif method in TIMES:
        c[:, 0], c[:, 1:] = TIMES[method] * t[:, 0], -s[:, 1:]
    elif method == "nbpo":
        c[:, 0], c[:, 1:] = n * (1 - y[:, 0]) * t[:, 0], y[:, 1:] * t[:, 1:] - s[:, 1:]
        f[:, 0], f[:, 1:] = -n * y[:, 0] * s[:, 0], (1 - y[:, 1:]) * s[:, 1:]
    elif method == "nbpo_s":
        c[:, 0], c[:, 1:] = n * ((1 - y) * s * t)[:, 0], ((y - 1) * s * t)[:, 1:]
        f[:, 0], f[:, 1:] = -n * (y * (1 - y) * s)[:, 0], (y * (1 - y) * s)[:, 1:]
    else:
        z = t + y * s
        c[:, 0], c[:, 1:] = n * t[:, 0], ((y - 1) * s * t / z)[:, 1:]
        f[:, 0], f[:, 1:] = -n * y[:, 0], (y * (1 - y) * s / z)[:, 1:]
    return c, f


@pytest.mark.parametrize("method", METHODS)
def test_the_gradients_are_those_of_the_authors(method):
    """Written out in numbers: dU_u += c V_i, dV_i += c U_u, dP_u += f Q_i, dQ_i += f P_u, summed over a batch."""
    torch.manual_seed(0)
    model = mf(method).double()
    factors = Factors(*(None if table is None else torch.nn.Parameter(table.detach() * 3) for table in model._first()))
    u, i, j = torch.tensor([1, 1, 4]), torch.tensor([2, 3, 2]), torch.randint(1, V + 1, (3, 4))
    model.loss(factors, u, i, j).sum().backward()
    items = torch.cat([i[:, None], j], 1)
    users, table = factors.users.detach(), factors.items.detach()
    flip_users, flip_items = (torch.zeros(99, 2).double() if part is None else part.detach() for part in factors[2:])
    r, g = (users[u][:, None] * table[items]).sum(2), (flip_users[u][:, None] * flip_items[items]).sum(2)
    c, f = coefficients(method, r, g)
    known = {name: value for name, value in factors._asdict().items() if value is not None}
    expected = {name: torch.zeros_like(value) for name, value in known.items()}
    for row in range(3):
        for place in range(5):
            expected["users"][u[row]] += c[row, place] * table[items[row, place]]
            expected["items"][items[row, place]] += c[row, place] * users[u[row]]
            if "flip_users" in expected:
                expected["flip_users"][u[row]] += f[row, place] * flip_items[items[row, place]]
                expected["flip_items"][items[row, place]] += f[row, place] * flip_users[u[row]]
    for name, value in known.items():
        torch.testing.assert_close(-value.grad, expected[name], atol=1e-9, rtol=0)


def test_one_epoch_by_hand():
    """One positive, one possible negative, one batch: U += lr (dU - l2 U), at 0.99 of the rate, and every row decays."""
    data = Interactions.from_dataframe(pd.DataFrame({"u": ["a"], "i": ["x"]}), user="u", item="i")
    data = Interactions(data.user, data.item, None, "none", None, data.users, DATA.items, "one")
    model = NBPOMF(V, 1, method="bpo", d_model=2, n_epochs=1, n_negatives=1, lr=0.5, l2=0.1)
    torch.manual_seed(3)
    first = Factors(*(value.detach().clone() for value in model._first() if value is not None))
    torch.manual_seed(3)
    model.fit(data)
    moved = [item for item in range(1, V + 1) if not torch.allclose(model.items[item], first.items[item] * (1 - 0.495 * 0.1))]
    assert data.item[0] in moved
    assert len(moved) == 2
    positive, negative = int(data.item[0]), next(item for item in moved if item != data.item[0])
    user, i, j = first.users[1], first.items[positive], first.items[negative]
    gradient = torch.sigmoid(-user @ i) * i - torch.sigmoid(user @ j) * j
    torch.testing.assert_close(model.users[1], user + 0.495 * (gradient - 0.1 * user))


def test_first_vectors_make_likes_likely_and_flips_rare():
    """Scores near 1/4 a dimension's worth, flips near -25/4."""
    torch.manual_seed(0)
    first = NBPOMF(300, 200)._first()
    flips = first.flip_users @ first.flip_items.T
    assert abs(flips.mean().item() + 6.25) < 0.1
    assert abs((first.users @ first.items.T).mean().item() - 0.25) < 0.01


def test_negatives_are_items_that_the_user_lacks():
    torch.manual_seed(0)
    from recpref.negatives import Histories

    user = torch.from_numpy(DATA.user)
    drawn, free = mf()._negatives(Histories(DATA, V), user)
    taken = {(int(u), int(i)) for u, i in zip(DATA.user, DATA.item, strict=True)}
    assert len(free) == len(user)
    assert not any((int(u), item) in taken for u, row in zip(user, drawn.tolist(), strict=True) for item in row)


def test_users_without_a_lack_are_left_out():
    full = Interactions.from_dataframe(pd.DataFrame({"u": [1, 1, 2], "i": [1, 2, 1]}), user="u", item="i")
    model = NBPOMF(2, 2, d_model=2, n_epochs=3)
    model.fit(full)
    assert torch.isfinite(model.users).all()


def test_the_authors_decay_makes_their_flips_a_constant_half():
    """eta * lambda = 1/4 a batch shrinks P and Q to nothing, whatever the data say."""
    torch.manual_seed(0)
    model = mf(n_epochs=60, batch_size=6)
    model.fit(DATA)
    gamma = model.flips(torch.arange(1, U + 1), torch.arange(1, V + 1).expand(U, -1))
    assert (gamma - 0.5).abs().max() < 1e-3


def test_it_tells_what_its_flips_are():
    """At the authors' decay a constant half under another name; told, a constant; and nothing without flips."""
    torch.manual_seed(0)
    collapsed = mf(n_epochs=60, batch_size=6).fit(DATA)
    assert collapsed["train/flip_mean"] == pytest.approx(0.5, abs=1e-3)
    assert collapsed["train/flip_sd"] < 1e-3
    free = mf(n_epochs=30, lr=0.05, l2_flip=0.0).fit(DATA)
    assert free["train/flip_sd"] > 0.01
    assert free["train/flip_auc"] > 0.5  # what was not observed flips more often than what was
    told = mf(n_epochs=1, flip=0.25).fit(DATA)
    assert told == {"train/flip_mean": pytest.approx(0.25), "train/flip_sd": pytest.approx(0.0, abs=1e-6), "train/flip_auc": 0.5}
    assert mf("bpr", n_epochs=1).fit(DATA) == {}


@pytest.mark.parametrize("method", ["nbpo", "nbpo_o"])
def test_a_constant_of_zero_is_bpo(method):
    found = []
    for model in (mf(method, flip=0.0, lr=0.05, l2=1.0, n_epochs=5), mf("bpo", n_epochs=5)):
        torch.manual_seed(1)
        model.fit(DATA)
        found.append(model.users)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("method", METHODS)
def test_it_learns_who_likes_what(method):
    """Two groups of users and items; each user's missing items of the own group score above those of the other."""
    rng = np.random.default_rng(0)
    rows = [(u, 1 + 6 * (u % 2) + i) for u in range(60) for i in rng.permutation(6)[:4]]
    data = Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i"]), user="u", item="i")
    torch.manual_seed(0)
    model = NBPOMF(12, 60, method=method, d_model=2, lr=0.03, l2=0.1, l2_flip=0.2, n_epochs=200, batch_size=60)
    model.fit(data)
    scores = model.users[1:] @ model.items[1:].T
    group = torch.tensor([[(u % 2) == (i >= 6) for i in range(12)] for u in range(60)])
    order = torch.tensor([int(i) - 1 for i in data.items.ids])
    lacks = torch.ones(60, 12, dtype=torch.bool)
    lacks[data.user - 1, data.item - 1] = False
    same = group[:, order]
    assert auc(scores[lacks & same], scores[lacks & ~same]) > 0.9


def test_strangers_are_folded_in_by_least_squares():
    """(Q'Q + share * all of Q'Q + ridge) p = sum of Q, solved here by numpy."""
    torch.manual_seed(0)
    model = mf(n_epochs=3)
    model.fit(DATA)
    found = model.state(History(torch.tensor([[2, 5, 5], [0, 0, 0]]), torch.tensor([0, 0])))
    q = model.items.numpy()
    taken = q[[2, 5]]
    expected = np.linalg.solve(taken.T @ taken + 2 / V * q.T @ q + RIDGE * np.eye(3), taken.sum(0))
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-6)
    assert found[1].abs().sum() == 0
    known = model.state(History(torch.tensor([[2, 5, 5], [1, 1, 1]]), torch.tensor([0, 7])))
    torch.testing.assert_close(known, torch.stack([found[0], model.users[7]]))


def test_who_had_no_training_row_is_folded_in_too():
    """A user whose first row is after training: what was drawn for him at the start says nothing."""
    torch.manual_seed(0)
    model = mf(n_epochs=3)
    late = 4
    model.fit(DATA.where(DATA.user != late))
    asked = torch.tensor([[2, 5, 5]])
    torch.testing.assert_close(model.state(History(asked, torch.tensor([late]))), model.state(History(asked, torch.tensor([0]))))
    assert (model.users[1:].any(1) == (torch.arange(1, len(model.users)) != late)).all()


def test_divergence_is_an_error_that_says_what_to_try():
    with pytest.raises(FloatingPointError, match=r"try a smaller model.lr than 1e\+30"):
        mf(lr=1e30, n_epochs=3).fit(DATA)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "bpr", "flip": 0.5}, "method=bpr has no flip probability"),
        ({"method": "gbce", "flip": 0.5}, "method=gbce has no flip probability"),
        ({"flip": 1.0}, r"must lie in \[0, 1\)"),
        ({"d_model": 0}, "d_model=0 must be at least 1"),
        ({"l2": -1.0}, "must not be negative"),
        ({"lr_decay": 0.0}, r"must lie in \(0, 1\]"),
    ],
)
def test_bad_options_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        NBPOMF(V, U, **options)
    with pytest.raises(ValueError, match="has no flip probabilities"):
        mf("bpo").flips(torch.tensor([1]), torch.tensor([[1]]))
