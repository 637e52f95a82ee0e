"""The adapters: by hand, against convolution written out, and in the cases in which they do nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.layers.adapters import ItemAdapter, ListFilter, UserAdapter
from recpref.layers.frequencies import filtered

D = 4
PLAIN = {"dropout": 0.0, "keep_scale": False}  # as published


def adapted(x: Tensor, *lists_BKD: Tensor) -> Tensor:
    """By all lists, one after the other."""
    adapter, reading = ItemAdapter(D, **PLAIN), None
    for one in lists_BKD:
        reading = adapter.read(x, one, reading)
    return adapter(x, reading)


def norm(x: Tensor) -> Tensor:
    """LN without weights, as every norm starts."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-12)


def list_filter(length: int, response: list[float] | float) -> ListFilter:
    """A filter with this response to each frequency, whose linear map is the identity."""
    adapter = ListFilter(D, length, **PLAIN)
    with torch.no_grad():
        adapter.filter.zero_()
        adapter.filter[:, :, 0] = torch.tensor(response).view(-1, 1) if isinstance(response, list) else response
        adapter.output.weight.copy_(torch.eye(D))
    return adapter


def lists(batch: int = 3, length: int = 5) -> Tensor:
    return torch.randn(batch, length, D, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("length", [1, 4, 5, 20])
def test_a_filter_of_ones_doubles_and_one_of_zeros_does_nothing(length: int) -> None:
    """LN(c + c) = LN(c) = LN(c + 0)."""
    c = lists(length=length)
    torch.testing.assert_close(filtered(c, list_filter(length, 1.0).filter), c, atol=1e-6, rtol=0)
    for response in (0.0, 1.0):
        torch.testing.assert_close(list_filter(length, response)(c), norm(c), atol=1e-5, rtol=0)


def test_what_passes_frequency_zero_only_is_the_mean_of_the_list() -> None:
    """Two items (1, 3) and (5, 7): both become (3, 5)."""
    adapter = list_filter(2, [1.0, 0.0])
    c = torch.tensor([[[1.0, 3.0, 0.0, 0.0], [5.0, 7.0, 0.0, 0.0]]])
    assert torch.allclose(filtered(c, adapter.filter), torch.tensor([3.0, 5.0, 0.0, 0.0]), atol=1e-6)
    c = lists(length=7)
    torch.testing.assert_close(filtered(c, list_filter(7, [1.0, 0, 0, 0]).filter), c.mean(1, keepdim=True).expand_as(c), atol=1e-6, rtol=0)


@pytest.mark.parametrize("length", [4, 5, 20])
def test_a_filter_is_a_circular_convolution(length: int) -> None:
    """numpy's inverse transform of the filter, rolled around each channel."""
    torch.manual_seed(1)
    adapter, c = ListFilter(D, length, **PLAIN), lists(length=length)
    spectrum = adapter.filter[..., 0].detach().numpy() + 1j * adapter.filter[..., 1].detach().numpy()
    kernel = np.fft.irfft(spectrum, n=length, axis=0)
    expected = sum(kernel[shift] * np.roll(c.numpy(), shift, axis=1) for shift in range(length))
    np.testing.assert_allclose(filtered(c, adapter.filter).detach().numpy(), expected, atol=1e-6)


def test_a_filter_that_turns_phases_keeps_energy() -> None:
    """Parseval: the transforms are orthonormal. An even length has two frequencies that cannot turn, so 5."""
    adapter, c = list_filter(5, 1.0), lists(length=5)
    with torch.no_grad():
        angle = torch.randn(2, D)
        adapter.filter[1:, :, 0], adapter.filter[1:, :, 1] = angle.cos(), angle.sin()
    torch.testing.assert_close(filtered(c, adapter.filter).square().sum((1, 2)), c.square().sum((1, 2)))


def test_equal_contexts_add_themselves() -> None:
    """Whatever the weights, their mean is c: LN(x + c)."""
    x, c = lists(length=6), torch.randn(3, 1, D)
    torch.testing.assert_close(adapted(x, c.expand(3, 8, D)), norm(x + c), atol=1e-5, rtol=0)


def test_attention_by_hand() -> None:
    """x = (ln 3 * sqrt(D)) e1 scores ln 3 and 0: three quarters of the first list item and one of the second."""
    x = torch.zeros(1, 1, D)
    x[0, 0, 0] = np.log(3) * D**0.5
    contexts = torch.tensor([[[1.0, 0, 0, 0], [0, 1.0, 0, 0]]])
    expected = norm(x + torch.tensor([0.75, 0.25, 0, 0]))
    torch.testing.assert_close(adapted(x, contexts), expected, atol=1e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.floats(0.1, 20), st.integers(0, 1000))
def test_lists_read_one_by_one_are_read_together(n_lists: int, length: int, scale: float, seed: int) -> None:
    """Values and gradients of one softmax over all lists, even where its weights are far apart."""
    rng = torch.Generator().manual_seed(seed)
    x = (torch.randn(2, 3, D, generator=rng, dtype=torch.float64) * scale).requires_grad_()
    several = [torch.randn(2, length, D, generator=rng, dtype=torch.float64).requires_grad_() for _ in range(n_lists)]
    adapter, reading = ItemAdapter(D, **PLAIN), None
    for one in several:
        reading = adapter.read(x, one, reading)
    together = torch.cat(several, 1)
    expected = F.scaled_dot_product_attention(x, together, together)
    torch.testing.assert_close(reading.mean, expected)
    weights = torch.randn(expected.shape, generator=rng, dtype=torch.float64)
    left, right = (torch.autograd.grad((part * weights).sum(), [x, *several], retain_graph=True) for part in (reading.mean, expected))
    torch.testing.assert_close(left, right)


def test_order_matters_to_the_filter_and_not_to_attention() -> None:
    torch.manual_seed(2)
    x, c = lists(length=6), lists(length=5)
    turned = c[:, [3, 0, 4, 2, 1]]
    ranked, constant = ListFilter(D, 5, **PLAIN), list_filter(5, 0.7)
    nn.init.normal_(ranked.filter)
    nn.init.normal_(ranked.output.weight)
    torch.testing.assert_close(adapted(x, constant(c)), adapted(x, constant(turned)), atol=1e-5, rtol=0)
    assert not torch.allclose(adapted(x, ranked(c)), adapted(x, ranked(turned)), atol=1e-3)


def test_equal_items_stay_equal() -> None:
    x = lists(length=3)[:, [0, 1, 0, 2, 1]]
    steps = adapted(x, lists(length=4))
    assert torch.equal(steps[:, 0], steps[:, 2])
    assert torch.equal(steps[:, 1], steps[:, 4])


def test_the_user_is_read_in_order_by_a_gru() -> None:
    """torch's GRU over the earlier vectors ends where ours does; two of them swapped end elsewhere."""
    torch.manual_seed(3)
    adapter, h, earlier = UserAdapter(D, **PLAIN), torch.randn(2, D), torch.randn(2, 3, D)
    gru = nn.GRU(D, D, batch_first=True)
    gru.load_state_dict({f"{name}_l0": value for name, value in adapter.memory.state_dict().items()})

    def ours(vectors: Tensor) -> Tensor:
        memory = None
        for vector in vectors.unbind(1):
            memory = adapter.remember(vector, memory)
        return memory

    memory = ours(earlier)
    torch.testing.assert_close(memory, gru(earlier)[0][:, -1])
    mixed = adapter.narrow(torch.relu(adapter.wide(torch.cat([h, memory], 1))))
    torch.testing.assert_close(adapter(h, memory), norm(h + mixed))
    assert not torch.allclose(adapter(h, ours(earlier[:, [1, 0, 2]])), adapter(h, memory), atol=1e-6)


def test_a_user_adapter_that_adds_nothing_is_a_norm() -> None:
    adapter, h = UserAdapter(D, **PLAIN), torch.randn(2, D)
    nn.init.zeros_(adapter.narrow.weight)
    torch.testing.assert_close(adapter(h, torch.randn(2, D)), norm(h))


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_what_keeps_its_scale_is_as_long_as_what_it_replaces(scale: float) -> None:
    """Whatever the length of a vector of a list, of an item or of a user, the adapted one has it too, and its direction is the norm's."""
    torch.manual_seed(4)
    kept = {"dropout": 0.0, "keep_scale": True}
    for made, plain in ((ListFilter(D, 5, **kept), ListFilter(D, 5, **PLAIN)), (UserAdapter(D, **kept), UserAdapter(D, **PLAIN))):
        plain.load_state_dict(made.state_dict())
        given = (scale * lists(length=5),) if isinstance(made, ListFilter) else (scale * torch.randn(3, D), torch.randn(3, D))
        found, published = made(*given), plain(*given)
        torch.testing.assert_close(found.norm(dim=-1), given[0].norm(dim=-1))
        torch.testing.assert_close(F.normalize(found, dim=-1), F.normalize(published, dim=-1), atol=1e-5, rtol=0)
    x, adapter = scale * lists(length=6), ItemAdapter(D, **kept)
    torch.testing.assert_close(adapter(x, adapter.read(x, lists(), None)).norm(dim=-1), x.norm(dim=-1))


def test_a_vector_of_zeros_stays_one_and_has_gradients() -> None:
    adapter, x = ItemAdapter(D, dropout=0.0, keep_scale=True), torch.zeros(1, 2, D, requires_grad=True)
    found = adapter(x, adapter.read(x, lists(batch=1), None))
    assert not found.any()
    found.sum().backward()
    assert x.grad.isfinite().all()
