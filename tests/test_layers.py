"""The shared layers: dropout, positions, masks and the Transformer layer against torch's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn

from recpref import components
from recpref.layers import (
    LN_EPS,
    Dropout,
    Positions,
    TransformerLayer,
    attention_mask,
    encoded_at,
    initialise,
    last_column,
    last_state,
    newest,
    shortened,
    truncated_normal,
)
from recpref.types import History, Reader


class Untouched(nn.Module):
    """Passes everything on, and claims a rate, so that the layer takes the path it takes under attention dropout."""

    rate = 0.5

    def forward(self, x: Tensor) -> Tensor:
        return x


def layer_of(norm: str, *, activation: str = "gelu", dropout: float = 0.0, attention_dropout: float = 0.0) -> TransformerLayer:
    """A small layer with weights far from their start."""
    torch.manual_seed(0)
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 12}
    layer = TransformerLayer(**sizes, dropout=dropout, attention_dropout=attention_dropout, activation=activation, norm=norm)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.4)
    return layer


def torch_layer(ours: TransformerLayer, activation: str) -> nn.TransformerEncoderLayer:
    """Torch's layer with the weights of ours."""
    theirs = nn.TransformerEncoderLayer(
        8, 2, 12, dropout=0.0, activation=activation, layer_norm_eps=LN_EPS, batch_first=True, norm_first=ours.pre_norm
    )
    pairs = {
        "self_attn.in_proj_": ours.query_key_value,
        "self_attn.out_proj.": ours.output,
        "linear1.": ours.up,
        "linear2.": ours.down,
        "norm1.": ours.attention_norm,
        "norm2.": ours.feed_forward_norm,
    }
    theirs.load_state_dict({prefix + name: value for prefix, part in pairs.items() for name, value in part.state_dict().items()})
    return theirs.eval()


# ---------------------------------------------------------------------------------------------------------------- dropout


def test_dropout_scales_by_the_rounded_rate():
    """A rate of .2 keeps round(.8 * 256) = 205 of 256; what is kept is multiplied by 256 / 205."""
    torch.manual_seed(0)
    values = Dropout(0.2)(torch.ones(10_000)).unique()
    torch.testing.assert_close(values, torch.tensor([0.0, 256 / 205]))


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.2, 0.5, 0.9])
def test_dropout_keeps_the_expectation_and_drops_at_the_rounded_rate(rate):
    """With p kept of n values, the mean deviates by sqrt((1 - p) / (p n)) and the zero fraction by sqrt(p (1 - p) / n)."""
    torch.manual_seed(1)
    n, kept = 200_000, round((1 - rate) * 256) / 256
    dropped = Dropout(rate)(torch.ones(n))
    assert abs(float(dropped.double().mean()) - 1) < 4 * ((1 - kept) / (kept * n)) ** 0.5
    assert abs(float((dropped == 0).double().mean()) - (1 - kept)) < 4 * (kept * (1 - kept) / n) ** 0.5
    assert abs((1 - kept) - rate) <= 1 / 512


@pytest.mark.parametrize("rate", [0.001, 0.0019])
def test_dropout_at_a_rate_that_rounds_to_zero_drops_nothing(rate):
    """Round(.9981 * 256) is 256, which fits no byte: a trap, because a byte compares with 256 as with 0."""
    assert bool((Dropout(rate)(torch.ones(10_000)) == 1).all())


def test_dropout_at_a_rate_next_to_one_keeps_the_expectation():
    """Round(.001 * 256) is 0, so that 1 of 256 is kept: the deviation of the mean is sqrt(255 / n)."""
    torch.manual_seed(3)
    dropped = Dropout(0.999)(torch.ones(400_000))
    assert float(dropped.max()) == 256
    assert abs(float(dropped.double().mean()) - 1) < 4 * (255 / 400_000) ** 0.5


def test_dropout_in_evaluation_or_at_rate_zero_is_the_identity():
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_the_gradient_of_dropout_is_its_mask():
    def dropped(x: Tensor) -> Tensor:
        torch.manual_seed(4)
        return Dropout(0.4)(x)

    x = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(dropped, x)
    (gradient,) = torch.autograd.grad(dropped(x).sum(), x)
    torch.testing.assert_close(gradient, dropped(x) / x)


@given(st.lists(st.integers(0, 5), min_size=0, max_size=4), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
@settings(max_examples=25, deadline=None)
def test_dropout_keeps_shape_and_type_whatever_the_number_of_elements(shape, dtype):
    x = torch.ones(shape, dtype=dtype)
    dropped = Dropout(0.5)(x)
    assert dropped.shape == x.shape
    assert dropped.dtype == dtype
    assert bool(((dropped == 0) | (dropped == 2)).all())


def test_dropout_neighbours_are_independent():
    """Each of 64 places within eight words is dropped half the time, and two neighbours a quarter of the time (n = 20,000)."""
    torch.manual_seed(5)
    dropped = torch.stack([Dropout(0.5)(torch.ones(64)) for _ in range(2000)]) == 0
    assert abs(float(dropped.double().mean()) - 0.5) < 0.01
    both = (dropped[:, 1:] & dropped[:, :-1]).double().mean(0)
    assert float((both - 0.25).abs().max()) < 5 * (0.25 * 0.75 / 2000) ** 0.5


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_dropout_refuses_a_rate_outside_its_range(rate):
    with pytest.raises(ValueError, match=rf"dropout rate of {rate} must lie in \[0, 1\)"):
        Dropout(rate)


# -------------------------------------------------------------------------------------------------------------- positions


def positions() -> Positions:
    """Three positions of width two: the newest item gets (1, 2), the one before it (3, 4), the oldest (5, 6)."""
    part = Positions(3, 2)
    part.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    return part


def test_positions_count_from_the_newest_item():
    torch.testing.assert_close(positions()(torch.zeros(1, 2, 2)), torch.tensor([[[3.0, 4.0], [1.0, 2.0]]]))
    torch.testing.assert_close(positions()(torch.zeros(1, 3, 2))[0, 0], torch.tensor([5.0, 6.0]))


def test_positions_remember_how_far_training_reached():
    part = positions()
    assert part.usable() == 3
    part(torch.zeros(1, 2, 2))
    part(torch.zeros(1, 1, 2))
    assert part.usable() == 2
    part.eval()(torch.zeros(1, 3, 2))
    assert part.usable() == 2
    again = Positions(3, 2)
    again.load_state_dict(part.state_dict())
    assert again.usable() == 2


def test_positions_refuse_a_sequence_that_is_too_long():
    with pytest.raises(ValueError, match="a sequence of length 4 does not fit max_len=3"):
        positions()(torch.zeros(1, 4, 2))


# ----------------------------------------------------------------------------------------------------------- masks, newest


def test_the_bidirectional_mask_hides_padding_only():
    assert attention_mask(torch.tensor([[0, 5, 6]]), causal=False).tolist() == [[[[False, True, True]]]]
    assert attention_mask(torch.tensor([[4, 5, 6]]), causal=False) is None


def test_the_causal_mask_hides_padding_and_the_future():
    """Row t may see up to t but no padding; the padded row 0 sees itself, so that its softmax is a number."""
    expected = [[True, False, False], [False, True, False], [False, True, True]]
    assert attention_mask(torch.tensor([[0, 5, 6]]), causal=True).tolist() == [[expected]]
    expected = [[True, False], [True, True]]
    assert attention_mask(torch.tensor([[5, 6]]), causal=True).tolist() == [[expected]]


def test_newest_cuts_the_oldest_and_common_padding():
    items = torch.tensor([[0, 0, 1, 2], [0, 0, 0, 3]])
    assert newest(items, 9).tolist() == [[1, 2], [0, 3]]
    assert newest(items, 1).tolist() == [[2], [3]]
    assert newest(items, 0).shape == (2, 0)
    assert newest(torch.zeros(2, 3, dtype=torch.long), 2).shape == (2, 0)
    assert newest(torch.zeros(2, 0, dtype=torch.long), 2).shape == (2, 0)


# ------------------------------------------------------------------------------------------------------ transformer layer


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("items", [[[1, 2, 3, 4], [5, 6, 7, 8]], [[0, 0, 3, 4], [5, 6, 7, 8]]], ids=["full", "padded"])
def test_the_layer_equals_torchs(norm, activation, causal, items):
    ours, items = layer_of(norm, activation=activation).eval(), torch.tensor(items)
    x = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1))
    future = torch.ones(4, 4, dtype=torch.bool).triu(1) if causal else None
    expected = torch_layer(ours, activation)(x, src_mask=future, src_key_padding_mask=items == 0)
    real = items != 0
    torch.testing.assert_close(ours(x, attention_mask(items, causal=causal))[real], expected[real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("items", [[[1, 2, 3], [4, 5, 6]], [[0, 2, 3], [4, 5, 6]]], ids=["full", "padded"])
def test_the_path_with_attention_dropout_agrees_with_the_fused_kernel(norm, causal, items):
    """The written-out attention is reached through a dropout that claims a rate and does nothing; gradients agree, too."""
    layer, mask = layer_of(norm), attention_mask(torch.tensor(items), causal=causal)
    x = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    fused = layer.train()(x, mask)
    (gradient,) = torch.autograd.grad(fused.square().sum(), x)
    layer.attention_dropout = Untouched()
    written_out = layer.train()(x, mask)
    torch.testing.assert_close(written_out, fused, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.autograd.grad(written_out.square().sum(), x)[0], gradient, atol=1e-4, rtol=1e-4)


def test_attention_dropout_has_the_right_expectation():
    """The output is linear in the dropped weights: averaged over many masks it is the one without dropout."""
    layer = layer_of("pre", attention_dropout=0.3)
    x = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(1)).expand(20_000, -1, -1)
    with torch.no_grad():
        torch.manual_seed(6)
        drawn = layer.train().attend(x, None)
        exact = layer.eval().attend(x[:1], None)
    error = drawn.std(0) / 20_000**0.5
    assert bool(((drawn.mean(0) - exact[0]).abs() < 5 * error + 1e-4).all())


def test_dropout_acts_in_training_and_not_in_evaluation():
    layer, x = layer_of("post", dropout=0.5), torch.ones(1, 2, 8)
    torch.manual_seed(0)
    assert not torch.equal(layer.train()(x, None), layer.train()(x, None))
    assert torch.equal(layer.eval()(x, None), layer.eval()(x, None))


def test_the_layer_refuses_heads_that_do_not_divide_the_width():
    with pytest.raises(ValueError, match="n_heads=3 must divide d_model=8"):
        TransformerLayer(d_model=8, n_heads=3, d_ff=8, dropout=0, attention_dropout=0, activation="gelu", norm="pre")


def test_the_layer_refuses_no_heads():
    with pytest.raises(ValueError, match="n_heads=0"):
        TransformerLayer(d_model=8, n_heads=0, d_ff=8, dropout=0, attention_dropout=0, activation="gelu", norm="pre")


def test_weights_start_as_berts_do():
    """N(0, .02) cut at two deviations has a deviation of .88 * .02 = .0176; biases start at 0 and norms at 1."""
    torch.manual_seed(0)
    module = nn.ModuleDict(
        {"linear": nn.Linear(100, 100), "table": nn.Embedding(100, 100), "norm": nn.LayerNorm(4), "at": Positions(100, 100)}
    )
    initialise(module)
    for name in ("linear", "table", "at"):
        weight = module[name].weight
        assert float(weight.detach().abs().max()) <= 0.04
        assert float(weight.detach().std()) == pytest.approx(0.0176, rel=0.03)
    assert not module["linear"].bias.any()
    assert bool((module["norm"].weight == 1).all())
    assert not module["norm"].bias.any()


def test_many_numbers_are_drawn_from_the_same_distribution(monkeypatch: pytest.MonkeyPatch):
    """scipy's truncated normal is the oracle, for both ways; the smaller one is torch's, number by number."""
    cut = stats.truncnorm(-2, 2, scale=0.3)
    few, many, torchs = (torch.empty(200, 100) for _ in range(3))
    torch.manual_seed(1)
    truncated_normal(few, 0.3)
    torch.manual_seed(1)
    nn.init.trunc_normal_(torchs, std=0.3, a=-0.6, b=0.6)
    assert torch.equal(few, torchs)
    monkeypatch.setattr("recpref.layers.MANY", 20_000)
    truncated_normal(many, 0.3)
    assert not torch.equal(few, many)
    for weight in (few, many):
        assert float(weight.abs().max()) <= 0.6
        assert stats.kstest(weight.flatten().double().numpy(), cut.cdf).pvalue > 0.01


# -------------------------------------------------------------------------------------------------------------- last_state


class Told(nn.Module):
    """Encodes nothing, and remembers what it was asked."""

    causal = True

    def embed(self, items: Tensor) -> Tensor:
        return items[:, :, None].float()

    def encode(self, x: Tensor, history: History) -> Tensor:
        self.asked = history
        return x

    def state(self, history: History) -> Tensor:
        return last_state(self, history)

    def reads(self, history: History) -> History:
        return shortened(history, 3)

    def score(self, h: Tensor, items: Tensor | None = None) -> Tensor:
        return h

    def table(self) -> tuple[Tensor, Tensor]:
        return torch.ones(10, 1), torch.zeros(10)


def test_the_last_state_is_read_at_the_newest_of_the_newest():
    """Of 5 6 7 8 9 the last three; times go with them; columns that are padding for everybody go."""
    model = Told()
    given = History(torch.tensor([[0, 5, 6, 7, 8, 9], [0, 0, 0, 0, 0, 2]]), torch.tensor([1, 2]), torch.arange(12).view(2, 6))
    assert model.state(given).tolist() == [[9], [2]]
    assert model.asked.items.tolist() == [[7, 8, 9], [0, 0, 2]]
    assert model.asked.time.tolist() == [[3, 4, 5], [9, 10, 11]]


@pytest.mark.parametrize("timed", [True, False])
def test_where_nobody_has_a_history_there_is_a_column_of_padding(timed):
    """Items and times."""
    model, nothing = Told(), torch.zeros(2, 4, dtype=torch.long)
    assert model.state(History(nothing, torch.tensor([1, 2]), nothing if timed else None)).tolist() == [[0], [0]]
    assert model.asked.items.shape == (2, 1)
    assert model.asked.time is None or model.asked.time.shape == (2, 1)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("rate", [0.0, 0.1])
@given(where=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_some_rows_of_a_layer_are_those_rows(norm: str, rate: float, where: list[list[bool]]) -> None:
    """``at`` computes what ``forward`` does, there and in this order; gradients too. None, one or all of a row may be asked for."""
    asked = torch.tensor(where)
    layer = layer_of(norm, dropout=rate, attention_dropout=rate).eval()
    x = torch.randn(len(asked), 6, 8, requires_grad=True)
    items = torch.ones(len(asked), 6, dtype=torch.long).index_fill(1, torch.tensor([0]), 0)
    mask = attention_mask(items, causal=False)
    whole, some = layer(x, mask)[asked], layer.at(x, mask, asked)
    torch.testing.assert_close(some, whole)
    weights = torch.randn_like(whole)
    left, right = (torch.autograd.grad((part * weights).sum(), x)[0] for part in (whole, some))
    torch.testing.assert_close(left, right)


@pytest.mark.parametrize("name", ["bert4rec", "sasrec", "esasrec", "hstu", "gru4rec", "nextitnet", "srgnn", "fmlprec"])
def test_the_state_is_what_is_encoded_of_what_is_read(name):
    """Histories longer than the window, of one item and none: ``reads`` says all that ``state`` knows."""
    torch.manual_seed(0)
    model = components.find("model", name)(9, d_model=8, max_len=3).eval()
    assert isinstance(model, Reader)
    given = History(torch.tensor([[0, 5, 6, 7, 8, 9], [0, 0, 0, 0, 0, 2], [0] * 6]), torch.tensor([1, 2, 3]))
    read = model.reads(given)
    assert read.items.shape == (3, 3)
    encoded = model.encode(model.embed(read.items), read)[:, -1]
    torch.testing.assert_close(model.state(given), encoded, atol=1e-6, rtol=0)
    torch.testing.assert_close(encoded_at(model, model.embed(read.items), read, last_column(read.items)), encoded, atol=1e-6, rtol=0)


@pytest.mark.parametrize("length", [5, 128, 129, 300])
def test_causal_attention_in_blocks_is_attention(length: int) -> None:
    """With a rate too small to drop anything, queries by the block read what torch's own kernel reads; and their gradients."""
    torch.manual_seed(0)
    layer = TransformerLayer(d_model=8, n_heads=2, d_ff=8, dropout=0, attention_dropout=1e-6, activation="relu", norm="pre")
    items = torch.randint(1, 9, (3, length))
    items[1, : length // 2] = 0
    mask = attention_mask(items, causal=True)
    found = []
    for training in (True, False):
        x = torch.randn(3, length, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
        out = layer.train(training)(x, mask, causal=True)
        out.square().sum().backward()
        found.append((out.detach(), x.grad))
    torch.testing.assert_close(found[0], found[1])
