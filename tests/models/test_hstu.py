"""HSTU: attention in slow loops, a clock that may be missing, and nothing seen before it happens."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import recpref
from recpref.data.interactions import Interactions
from recpref.models.hstu import HSTU, TransductionLayer
from recpref.types import History

V = 20
DAY = 86_400


def history(*rows: list[int], time: list[list[int]] | None = None) -> History:
    longest = max(map(len, rows))

    def padded(lists: list[list[int]]) -> torch.Tensor:
        return torch.tensor([[0] * (longest - len(row)) + row for row in lists])

    return History(padded(list(rows)), torch.zeros(len(rows), dtype=torch.long), None if time is None else padded(time))


def model(**options) -> HSTU:
    torch.manual_seed(0)
    net = HSTU(V, **{"d_model": 8, "n_heads": 2, "max_len": 6, **options}).eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.5)
    return net


def encoded(net: HSTU, given: History) -> torch.Tensor:
    return net.encode(net.embed(given.items), given)


def bucket(seconds: int) -> int:
    """The logarithm of the seconds in steps of .301, from 0 at a second or less."""
    return int(math.log(max(1, abs(seconds))) / 0.301)


def silu(x: torch.Tensor) -> torch.Tensor:
    return x / (1 + torch.exp(-x))


def slow(layer: TransductionLayer, x: torch.Tensor, time: list[int]) -> torch.Tensor:
    """One bare row, one step, one head and one key at a time."""
    parts = silu(F.layer_norm(x, (8,), eps=1e-12) @ layer.input.weight.T)
    gate, value, query, key = parts.split(8, dim=1)
    rows = []
    for t in range(len(x)):
        heads = []
        for head in (slice(0, 4), slice(4, 8)):
            read = torch.zeros(4)
            for s in range(t + 1):
                bias = layer.by_distance[t - s] + layer.by_time[bucket(time[t] - time[s])]
                read = read + silu(query[t, head] @ key[s, head] + bias) / (t + 1) * value[s, head]
            heads.append(read)
        rows.append(x[t] + layer.output(F.layer_norm(torch.cat(heads), (8,), eps=1e-12) * gate[t]))
    return torch.stack(rows)


@torch.no_grad()
def test_equal_to_slow_loops():
    """Two rows, one padded, with gaps from nothing to years."""
    net, rows = model(), [[1, 2, 3, 2], [4, 5]]
    time = [[10, 10, 10 + 3 * DAY, 900 * DAY], [5, 77]]
    found = encoded(net, history(*rows, time=time))
    for row, times, ours in zip(rows, time, found, strict=True):
        x = net.items.weight[row] * 8**0.5 + net.positions.weight[: len(row)].flip(0)
        for layer in net.layers:
            x = slow(layer, x, times)
        torch.testing.assert_close(ours[-len(row) :], net.final_norm(x), atol=1e-4, rtol=1e-4)


def test_buckets_by_hand():
    """0 s and 1 s: 0. 2 s: ln 2 / .301 = 2.3. An hour: 8.19 / .301 = 27.2. A day: 11.37 / .301 = 37.8."""
    found = model().buckets(torch.tensor([[0, 1, 2, 3600, DAY]]))
    assert found[0, 0].tolist() == [0, 0, 2, 27, 37]
    assert torch.equal(found[0], found[0].T)


def test_causal_by_gradient_in_items_and_by_change_in_times():
    """Step 1 of four depends on items 0 and 1, and moving the times of later ones changes nothing."""
    net = model()
    given = history([1, 2, 3, 4], [5, 6, 7], time=[[0, 9, 50, 999], [4, 5, 6]])
    x = net.embed(given.items).detach().requires_grad_()
    found = net.encode(x, given)
    found[:, 1].sum().backward()
    assert (x.grad.abs().sum(2) > 0).tolist() == [[True, True, False, False], [False, True, False, False]]
    later = given._replace(time=given.time + torch.tensor([0, 0, 5 * DAY, 700 * DAY]))
    torch.testing.assert_close(net.encode(x, later)[:, :2], found[:, :2])
    assert not torch.allclose(net.encode(x, later)[:, 3], found[:, 3])


def test_time_counts_from_step_to_step_only():
    """Another century changes nothing; another gap does."""
    net = model()
    given = history([1, 2, 3], time=[[0, DAY, 9 * DAY]])
    torch.testing.assert_close(net.state(given._replace(time=given.time + 10**9)), net.state(given))
    assert not torch.allclose(net.state(given._replace(time=given.time * 50)), net.state(given))


def test_where_all_times_are_equal_time_says_nothing():
    """Only bucket 0 is read: with its bias at zero the state is that without a clock, and with equal times any bias is as any."""
    net = model()
    given = history([1, 2, 3], time=[[70, 70, 70]])
    states = [net.state(given), net.state(given._replace(time=given.time + 5))]
    torch.testing.assert_close(*states)
    for layer in net.layers:
        layer.by_time.data[0] = 0
    torch.testing.assert_close(net.state(given), net.state(given._replace(time=None)))


def test_more_padding_changes_nothing():
    net = model()
    alone = history([4, 5, 6], time=[[1, 50, 1000]])
    among = history([4, 5, 6], [1] * 6, time=[[1, 50, 1000], [3, 4, 5, 6, 7, 8]])
    torch.testing.assert_close(encoded(net, alone)[0], encoded(net, among)[0, -3:], atol=1e-5, rtol=0)


def test_the_state_reads_the_newest_items_with_their_times():
    net = model()
    long = history([9, 9, 1, 2, 3, 4, 5, 6], time=[[1, 2, 30, 400, 500, 6000, 6001, 7000]])
    short = history([1, 2, 3, 4, 5, 6], time=[[30, 400, 500, 6000, 6001, 7000]])
    torch.testing.assert_close(net.state(long), net.state(short))


@pytest.mark.parametrize("time", [None, [[], [1, 2]]])
def test_an_empty_history_has_the_same_state_alone_and_among_others(time):
    net = model()
    among = net.state(history([], [1, 2], time=time))[:1]
    nothing = torch.zeros(1, 0, dtype=torch.long)
    torch.testing.assert_close(net.state(History(nothing, torch.zeros(1, dtype=torch.long), None if time is None else nothing)), among)
    assert among.isfinite().all()


def test_a_model_never_trained_adds_no_bias():
    """Biases start at zero: with and without times alike."""
    net = HSTU(V, d_model=8).eval()
    given = history([1, 2, 3], time=[[0, DAY, 9 * DAY]])
    torch.testing.assert_close(net.state(given), net.state(given._replace(time=None)))


def test_who_learned_from_times_is_not_asked_without():
    """Refused at inference, in words; saved with the weights, so that a loaded model refuses, too."""
    net, other = model().train(), model()
    encoded(net, history([1, 2], time=[[1, 2]]))
    other.load_state_dict(net.state_dict())
    with pytest.raises(ValueError, match="learned from times, and the histories it is asked about have none"):
        other.state(history([1, 2]))


def test_parameters_by_hand():
    """Table 21 x 8, positions 6 x 8, a norm of 16; a layer: 8 x 32 in, 8 x 8 + 8 out, 6 distances, 129 times."""
    assert sum(p.numel() for p in model().parameters()) == 21 * 8 + 6 * 8 + 16 + 2 * (256 + 72 + 6 + 129)


@pytest.mark.parametrize(("option", "message"), [({"n_heads": 3}, "n_heads=3 must divide d_model=8"), ({"max_len": 0}, "max_len=0 must")])
def test_impossible_sizes_are_refused(option, message):
    with pytest.raises(ValueError, match=message):
        model(**option)


def told_by_time() -> pd.DataFrame:
    """Everybody sees item 1 or 2 twice and then 10 + k: the gap between the two says which k, the items do not."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(150):
        k = int(rng.integers(4))
        item, start = rng.integers(1, 3), 10**9 + int(rng.integers(10**6))
        gap = 60 * 30**k
        rows += [(user, i, start + t) for i, t in ((item, 0), (item, gap), (10 + k, gap + 1), (20, gap + 2), (21, gap + 3))]
    return pd.DataFrame(rows, columns=["u", "i", "t"])


def test_it_learns_what_only_the_clock_tells(tmp_path):
    """Through the whole toolkit: from a frame with times to recommendations for new users, who differ in nothing but a gap."""
    frame = told_by_time()
    data = Interactions.from_dataframe(frame, user="u", item="i", time="t")
    run = recpref.fit(
        "model=hstu", "model.d_model=16", "model.dropout=0", "model.max_len=8", "optimizer.lr=0.01", "optimizer.average=0",
        "examples.crop=0", "trainer.max_epochs=100", "stopping.every=100", "logger=csv", f"out={tmp_path}", data=data,
    )  # fmt: skip
    assert bool(run.model.clocked)
    new = pd.DataFrame({"u": np.repeat([0, 1, 2, 3], 2), "i": 1, "t": [t for k in range(4) for t in (10**9, 10**9 + 60 * 30**k)]})
    found = run.recommend(new, 1)
    assert found["item"].tolist() == [10, 11, 12, 13]
    with pytest.raises(ValueError, match="learned from times"), pytest.warns(UserWarning, match="no column 't', the times of training"):
        run.recommend(new[["u", "i"]], 1)


def test_without_a_clock_it_learns_from_the_order(tmp_path):
    """The same frame without its times: trained and asked without, and nobody complains."""
    data = Interactions.from_dataframe(told_by_time(), user="u", item="i")
    run = recpref.fit(
        "model=hstu", "model.d_model=8", "model.max_len=8", "trainer.max_epochs=1", "stopping.every=1", "logger=csv",
        f"out={tmp_path}", data=data,
    )  # fmt: skip
    assert not bool(run.model.clocked)
    assert len(run.recommend(pd.DataFrame({"u": [1, 1], "i": [1, 2]}), 3)) == 3
