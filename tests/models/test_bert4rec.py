"""BERT4Rec against its paper, against Hugging Face's BertModel, and against the bugs found in other implementations."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from recpref.data.examples.cloze import Cloze
from recpref.data.randomness import Draw
from recpref.models.bert4rec import BERT4Rec
from recpref.retrieval.topk import TopK
from recpref.types import History, Query

V = 30


def history(*rows: list[int]) -> History:
    longest = max(map(len, rows))
    items = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    return History(items, torch.zeros(len(rows), dtype=torch.long))


def model(**options) -> BERT4Rec:
    torch.manual_seed(0)
    return BERT4Rec(V, **{"d_model": 16, "n_heads": 2, "max_len": 12, **options}).eval()


def encoded(net: BERT4Rec, given: History) -> torch.Tensor:
    return net.encode(net.embed(given.items), given)


def test_parameters_are_the_authors_less_two_vocabulary_rows_and_the_type_table():
    """The authors' ML-1M size has V + 4 = 3,420 ids; ours are PAD, 3,416 items and [MASK].

    339,612 - 2 rows of 64 - their 2 biases - a type table of 2 x 64 = 339,612 - 128 - 2 - 128 = 339,354.
    """
    ours = sum(p.numel() for p in BERT4Rec(3416, d_model=64, n_layers=2, n_heads=2, max_len=200).parameters())
    layer = 4 * (64 * 64 + 64) + (64 * 256 + 256) + (256 * 64 + 64) + 2 * 128
    authors = 3420 * 64 + 200 * 64 + 2 * 64 + 128 + 2 * layer + (64 * 64 + 64) + 128 + 3420
    assert authors == 339_612
    assert ours == authors - 2 * 64 - 2 - 2 * 64 == 339_354


def _bert(net: BERT4Rec, length: int):
    from transformers import BertConfig, BertModel

    d = net.items.embedding_dim
    config = BertConfig(
        vocab_size=V + 2,
        hidden_size=d,
        num_hidden_layers=len(net.layers),
        num_attention_heads=net.layers[0].n_heads,
        intermediate_size=4 * d,
        max_position_embeddings=length,
        layer_norm_eps=1e-12,
        hidden_act="gelu",
        attn_implementation="eager",
    )
    bert = BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        bert.embeddings.word_embeddings.weight.copy_(net.items.weight)
        bert.embeddings.position_embeddings.weight.copy_(net.positions.weight[:length].flip(0))
        bert.embeddings.token_type_embeddings.weight.zero_()
        bert.embeddings.LayerNorm.load_state_dict(net.input_norm.state_dict())
        for ours, theirs in zip(net.layers, bert.encoder.layer, strict=True):
            weights, biases = ours.query_key_value.weight.chunk(3), ours.query_key_value.bias.chunk(3)
            attention = theirs.attention.self
            for part, weight, bias in zip((attention.query, attention.key, attention.value), weights, biases, strict=True):
                part.weight.copy_(weight), part.bias.copy_(bias)
            theirs.attention.output.dense.load_state_dict(ours.output.state_dict())
            theirs.attention.output.LayerNorm.load_state_dict(ours.attention_norm.state_dict())
            theirs.intermediate.dense.load_state_dict(ours.up.state_dict())
            theirs.output.dense.load_state_dict(ours.down.state_dict())
            theirs.output.LayerNorm.load_state_dict(ours.feed_forward_norm.state_dict())
    return bert


@pytest.mark.parametrize("rows", [([3, 9, 1, 30, 31, 7],), ([5, 31], [4, 8, 31, 2, 1, 6], [31])], ids=["full", "padded"])
def test_encoder_and_head_equal_hugging_face_bert(rows):
    net = model()
    with torch.no_grad():
        net.bias.normal_()
    given = history(*rows)
    real = given.items != 0
    hidden = _bert(net, given.items.shape[1])(input_ids=given.items, attention_mask=real.long()).last_hidden_state
    transformed = F.layer_norm(F.gelu(net.head(hidden)), (16,), net.head_norm.weight, net.head_norm.bias, 1e-12)
    ours = encoded(net, given)
    torch.testing.assert_close(ours[real], transformed[real], atol=1e-5, rtol=0)
    logits = transformed[real] @ net.items.weight.T + net.bias
    torch.testing.assert_close(net.score(ours[real])[:, 1:], logits[:, 1 : V + 1], atol=1e-5, rtol=0)


def test_the_first_loss_is_about_the_log_of_the_catalogue():
    torch.manual_seed(0)
    net = BERT4Rec(3416).eval()
    items = torch.randint(1, 3417, (8, 50))
    logits = net.score(encoded(net, History(items, torch.zeros(8, dtype=torch.long))).flatten(0, 1))
    assert F.cross_entropy(logits, items.flatten()).item() == pytest.approx(math.log(3416), abs=0.05)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_more_padding_changes_nothing(norm):
    net = model(norm=norm)
    short, long = history([4, 5, 6], [7]), history([4, 5, 6], [7], [1] * 9)
    torch.testing.assert_close(encoded(net, short)[:, -1], encoded(net, long)[:2, -1], atol=1e-5, rtol=0)
    torch.testing.assert_close(net.state(short), net.state(long)[:2], atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_hidden_behind_a_mask_cannot_be_seen(seed):
    """Two histories that differ only where Cloze hides them differ in targets and in no bit of what the model says."""
    net, cloze = model(), Cloze(V, 12, mask_ratio=0.5)
    draw = Draw(seed, 0, torch.tensor([3]))
    one, items = history([4, 8, 6, 7, 2, 9]), torch.tensor([[4, 8, 6, 7, 2, 9]])
    hidden = cloze(one, draw).targets != 0
    other = one._replace(items=torch.where(hidden, items % V + 1, items))
    left, right = cloze(one, draw), cloze(other, draw)
    assert not torch.equal(left.targets, right.targets)
    assert torch.equal(net.score(encoded(net, left.history)[0]), net.score(encoded(net, right.history)[0]))


def test_a_masked_step_sees_both_sides():
    net = model()
    masked = encoded(net, history([4, 31, 6, 7]))[0, 1]
    assert not torch.allclose(masked, encoded(net, history([4, 31, 9, 7]))[0, 1])  # the next item
    assert not torch.allclose(masked, encoded(net, history([5, 31, 6, 7]))[0, 1])  # the one before


def test_mask_and_padding_are_never_scored_nor_recommended():
    net = model()
    with torch.no_grad():
        net.bias[[0, V + 1]] = 1e6
    vectors, bias = net.table()
    assert len(vectors) == len(bias) == V + 1
    assert bias[0] == -torch.inf
    ranking = TopK(net).recommend(Query(history([1, 2], [3])), V + 5)
    assert set(ranking.items[0].tolist()) == set(range(V + 1))
    assert (ranking.items == 0).sum(1).tolist() == [5, 5]


def test_the_history_keeps_its_oldest_item_and_the_newest_ones_when_it_is_too_long():
    """RecBole's BERT4Rec drops the oldest item of every test history, even of short ones."""
    net = model(max_len=6)
    assert not torch.allclose(net.state(history([1, 2, 3, 4, 5])), net.state(history([9, 2, 3, 4, 5])))
    torch.testing.assert_close(net.state(history([9, 1, 2, 3, 4, 5])), net.state(history([1, 2, 3, 4, 5])))


def test_every_position_that_inference_uses_was_trained():
    """WarpRec puts [MASK] at a position that no training row had. Ours cuts to the longest row that training saw."""
    net = model(max_len=12).train()
    encoded(net, history([1, 2, 3, 4]))
    net.eval()
    assert net.positions.usable() == 4
    before = net.state(history([1, 2, 3, 4, 5, 6]))
    with torch.no_grad():
        net.positions.weight[4:].normal_(std=100.0)
    assert torch.equal(before, net.state(history([1, 2, 3, 4, 5, 6])))
    torch.testing.assert_close(before, net.state(history([4, 5, 6])))


def test_inference_uses_no_position_that_training_gave_no_gradient():
    """After rows of up to five items a history of eleven is asked: the positions it reads are among those that learnt."""
    net = model(max_len=12).train()
    encoded(net, history([1, 2, 3, 4, 5], [6, 7])).square().sum().backward()
    trained = net.positions.weight.grad.abs().sum(1) > 0
    net.zero_grad()
    net.eval().state(history(list(range(1, 12)))).square().sum().backward()
    used = net.positions.weight.grad.abs().sum(1) > 0
    assert trained.tolist() == used.tolist() == [True] * 5 + [False] * 7


def test_how_far_training_reached_is_saved():
    net, again = model(max_len=12).train(), model(max_len=12)
    encoded(net, history([1, 2, 3, 4]))
    again.load_state_dict(net.state_dict())
    given = history([1, 2, 3, 4, 5, 6])
    assert torch.equal(again.state(given), net.eval().state(given))
    torch.testing.assert_close(again.state(given), again.state(history([4, 5, 6])))


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_padded_empty_history_among_others_is_a_lone_mask(norm):
    net = model(norm=norm)
    states = net.state(history([1, 2, 3], []))
    torch.testing.assert_close(states[1:], encoded(net, history([31]))[:, -1], atol=1e-5, rtol=0)


def test_an_empty_history_is_a_lone_mask():
    net = model()
    nothing = History(torch.zeros(2, 0, dtype=torch.long), torch.zeros(2, dtype=torch.long))
    expected = encoded(net, history([31]))[:, -1].expand(2, -1)
    torch.testing.assert_close(net.state(nothing), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_heads": 3}, "n_heads=3 must divide d_model=16"), ({"dropout": 1.5}, r"1\.5 must lie in \[0, 1\)")],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        model(**options)


@pytest.mark.parametrize("option", ["d_model", "n_layers", "n_heads", "d_ff", "max_len"])
def test_sizes_below_one_are_refused(option):
    with pytest.raises(ValueError, match=f"{option}=0"):
        model(**{option: 0})


def test_a_row_longer_than_max_len_is_refused():
    with pytest.raises(ValueError, match="length 13 does not fit max_len=12"):
        encoded(model(), history([1] * 13))
