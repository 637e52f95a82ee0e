"""The flip head: its parts by hand, what it knows of the data, and that it leaves the encoder alone."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from recpref.data.interactions import Interactions
from recpref.label_noise.flips import Flips
from recpref.label_noise.likelihood import liked, logit

ROWS = pd.DataFrame([(1, "a"), (1, "b"), (1, "c"), (2, "a")], columns=["u", "i"])
DATA = Interactions.from_dataframe(ROWS, user="u", item="i")
ALL = ("level", "popularity", "activity", "item", "user", "state")


def flips(*by: str, **options) -> Flips:
    torch.manual_seed(0)
    return Flips(3, 2, 4, by=by, **options).describe(DATA)


def asked(head: Flips) -> torch.Tensor:
    return head(torch.randn(2, 4), torch.tensor([1, 2]), torch.tensor([[1, 2, 3], [3, 2, 1]]))


def test_it_starts_at_the_prior():
    for by in ((), ("level", "popularity", "activity", "item", "user")):
        torch.testing.assert_close(asked(flips(*by, prior=0.2)), torch.full((2, 3), logit(0.2)))


def test_parts_by_hand():
    """Counts 2, 1, 1: log 3 and twice log 2, standardised: sqrt(2), -1/sqrt(2), -1/sqrt(2). Users with 3 and 1 rows: 1 and -1."""
    head = flips("level", "popularity", "activity", "item", "user", prior=0.5)
    np.testing.assert_allclose(head.popularity, [0, 2**0.5, -(0.5**0.5), -(0.5**0.5)], atol=1e-6)
    np.testing.assert_allclose(head.activity, [0, 1, -1], atol=1e-6)
    with torch.no_grad():
        head.by_level.fill_(10), head.by_popularity.fill_(2), head.by_activity.fill_(3)
        head.by_item.copy_(torch.tensor([0.0, 0.1, 0.2, 0.3]))
        head.by_user.copy_(torch.tensor([0.0, 100.0, 200.0]))
    found = head(torch.zeros(2, 4), torch.tensor([1, 2]), torch.tensor([[1, 2], [3, 0]]))
    first, second = 10 + 3 + 100, 10 - 3 + 200
    expected = [[first + 2 * 2**0.5 + 0.1, first - 2**0.5 + 0.2], [second - 2**0.5 + 0.3, second]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_sampling_takes_nobody_in_particular_for_an_average_user():
    """Users who took two of three items (at most one less than there are) and one: odds of 2 and of one half."""
    np.testing.assert_allclose(flips("sampling", prior=0.5).sampling, [0, np.log(2), -np.log(2)], atol=1e-6)


def test_what_sampling_does_to_the_odds():
    """User 2 has one of three items: log(1/2). User 1 has all three, which is taken as two: log 2."""
    found = flips("sampling", prior=0.5)(torch.zeros(2, 4), torch.tensor([1, 2]), torch.tensor([[1], [3]]))
    torch.testing.assert_close(found, torch.tensor([[2.0], [0.5]]).log())


def test_who_has_less_is_taken_to_hide_more():
    """Users with 3 and 1 rows, standardised 1 and -1; nobody in particular hides at the prior. It is there before anything is learned."""
    head = flips("exposure", "sampling", prior=0.2)
    user = torch.tensor([1, 2, 0])
    items = torch.tensor([[1], [3], [2]])
    found = head(torch.zeros(3, 4), user, items) - head.sampling[user][:, None]
    torch.testing.assert_close(found, torch.tensor([[-1.0], [1.0], [0.0]]) + logit(0.2))
    torch.testing.assert_close(head.rest(user, items), found + head.sampling[user][:, None])
    assert not list(head.parameters())


def test_what_is_popular_is_taken_to_be_shown_more():
    """Items with 2, 1 and 1 rows, standardised sqrt(2), -1/sqrt(2), -1/sqrt(2). Fixed: the prior's logit minus that, for every user."""
    head = flips("propensity", prior=0.2)
    user, items = torch.tensor([1, 2]), torch.tensor([[1, 2, 3]])
    expected = logit(0.2) + torch.tensor([[-(2**0.5), 0.5**0.5, 0.5**0.5]]).expand(2, -1)
    torch.testing.assert_close(head(torch.zeros(2, 4), user, items), expected)
    torch.testing.assert_close(head.rest(user, items).expand(2, 3), expected)
    assert not list(head.parameters())
    both = flips("propensity", "exposure", "popularity", prior=0.2)
    with torch.no_grad():
        both.by_popularity.fill_(1.0)  # what is learned takes away what was told
    found = both(torch.zeros(2, 4), user, items)
    torch.testing.assert_close(found, logit(0.2) + torch.tensor([[-1.0], [1.0]]).expand(2, 3))


def test_sampled_odds_keep_the_likelihood():
    """liked p, flipped g; the unobserved are sampled at rate rho: P(observed | sampled) and the posterior, by Bayes and by the head."""
    p, g, rho = 0.3, 0.4, 0.2
    taken, left = (1 - g) * p, rho * (1 - p + g * p)
    flip = torch.tensor(math.log(rho * g / (1 - g)))
    score = torch.tensor(p / (1 - p)).log() + torch.tensor(g).log() - F.logsigmoid(flip)
    assert ((1 - flip.sigmoid()) * score.sigmoid()).item() == pytest.approx(taken / (taken + left), abs=1e-6)
    assert liked(score, flip).item() == pytest.approx(g * p / (1 - p + g * p), abs=1e-6)


def test_the_state_part_is_an_inner_product_and_moves_no_encoder():
    head = flips("state", prior=0.5, d_flip=2)
    h = torch.randn(2, 4, requires_grad=True)
    items = torch.tensor([[1, 2], [3, 1]])
    found = head(h, torch.tensor([1, 2]), items)
    torch.testing.assert_close(found[1, 0], (head.project(h[1]) * head.items(torch.tensor(3))).sum())
    found.sum().backward()
    assert h.grad is None
    assert head.project.weight.grad.abs().sum() > 0


def test_a_large_catalogue_is_gathered_to_the_same_numbers():
    torch.manual_seed(0)
    head = Flips(100, 2, 4, by=("state",), prior=0.5, d_flip=3)
    h, user = torch.randn(2, 4), torch.tensor([1, 2])
    few, many = torch.tensor([[5, 100], [7, 1]]), torch.arange(1, 101).expand(2, -1)
    torch.testing.assert_close(head(h, user, few), head(h, user, many).gather(1, few - 1))


def test_shared_candidates_are_those_of_every_row():
    head = flips(*ALL)
    h, user, items = torch.randn(2, 4), torch.tensor([1, 2]), torch.tensor([[1, 3]])
    torch.testing.assert_close(head(h, user, items), head(h, user, items.expand(2, -1)))


def test_every_part_learns():
    head = flips(*ALL)
    asked(head).sigmoid().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_what_it_knows_is_saved_with_it():
    head, fresh = flips(*ALL), Flips(3, 2, 4, by=ALL)
    fresh.load_state_dict(head.state_dict())
    h, user, items = torch.randn(1, 4), torch.tensor([2]), torch.tensor([[1, 2]])
    assert torch.equal(head(h, user, items), fresh(h, user, items))


def test_an_unknown_part_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="did you mean 'popularity'"):
        Flips(3, 2, 4, by=("popularty",))


def test_it_has_the_weights_of_its_parts_alone():
    """What nobody asked for would be saved, counted and decayed. The vectors begin small."""
    assert {name for name, _ in flips("level", "user").named_parameters()} == {"by_level", "by_user"}
    torch.manual_seed(0)
    head = Flips(50, 2, 4, by=("state",))
    assert {name for name, _ in head.named_parameters()} == {"project.weight", "items.weight"}
    assert head.items.weight.std().item() == pytest.approx(0.1, abs=0.01)  # three standard errors of 816 draws are 0.0075
    assert head.project.weight.std().item() == pytest.approx(0.05, abs=0.015)  # 0.1 / sqrt(4); of 64 draws, 0.0133
