"""Claims: which belong beside a row, whether protocols match, and what contradicts itself is used by nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from recpref.leaderboard.claims import Conditions, claimed, file, matched, read
from recpref.plan import Sizes

TEXT = """
[[tables]]
source = "A"
table = "1"
read_in = "a README"
split = "leave_one_out"
ranking = "full"
filter_seen = true
items = 3416
claims = [
    { data = "ml_1m", model = "bert4rec", values = { "hr@10" = 0.28, "ndcg@10" = 0.15 } },
    { data = "ml_1m", model = "sasrec", needs = ["loss=bce"], values = { "ndcg@10" = 0.13 } },
    { data = "ml_1m", model = "sasrec", needs = ["loss=cross_entropy"], values = { "ndcg@10" = 0.18 } },
]
[[tables]]
source = "B"
table = "2"
split = "leave_one_out"
ranking = "popularity-100"
claims = [{ data = "ml_1m", model = "bert4rec", values = { "ndcg@10" = 0.48, "hr@50" = 0.9 } }]
[[tables]]
source = "C"
table = "3"
ranking = "full"
claims = [{ data = "ml_1m", model = "bert4rec", values = { "ndcg@10" = 0.16 } }]
"""
ML_1M = Sizes(n_items=3416, n_users=6040)


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "claims.toml").write_text(text)
    return tmp_path / "claims.toml"


def test_the_claims_beside_a_row_by_hand(tmp_path: Path, located) -> None:
    """Three claims about BERT4Rec: measured alike; nobody says how it was split; among sampled candidates. In this order."""
    claims, wrong = read(written(tmp_path, TEXT))
    assert wrong == []
    plan = located("model=bert4rec", data="ml_1m")
    found = claimed(plan, ML_1M, ["ndcg@10", "hr@10"], claims, first="ndcg@10")
    assert [(one.claim.source, one.metric, one.value, one.matches) for one in found] == [
        ("A", "ndcg@10", 0.15, "yes"),
        ("C", "ndcg@10", 0.16, "not known"),
        ("B", "ndcg@10", 0.48, "no"),
    ]
    assert found[1].reasons == "split, filter_seen not said there"
    assert found[2].reasons == "ranking: popularity-100 there, full here"
    assert claimed(plan, ML_1M, ["hr@10"], claims, first="ndcg@10")[0].metric == "hr@10"


def test_a_claim_is_about_the_loss_it_was_made_with(tmp_path: Path, located) -> None:
    claims, _ = read(written(tmp_path, TEXT))
    for loss, value in (("bce", 0.13), ("cross_entropy", 0.18)):
        (found,) = claimed(
            located("model=sasrec", f"loss={loss}", "sampler=uniform" if loss == "bce" else "sampler=catalogue", data="ml_1m"),
            ML_1M,
            [],
            claims,
            first="ndcg@10",
        )
        assert found.value == value
    assert claimed(located("model=sasrec", data="ml_100k"), ML_1M, [], claims, first="ndcg@10") == []


def test_a_loss_that_nobody_takes_is_not_the_one_of_a_claim(tmp_path: Path, located) -> None:
    """NBPO has its own: the cross-entropy in its plan is a default, and the claim about that is no claim about NBPO."""
    claims, _ = read(written(tmp_path, TEXT))
    nbpo = located("model=sasrec", "objective=nbpo", "sampler=uniform", data="ml_1m")
    assert nbpo.loss.name == "cross_entropy"
    assert claimed(nbpo, ML_1M, [], claims, first="ndcg@10") == []


@pytest.mark.parametrize(
    ("data", "overrides", "n_claims"),
    [
        ("amazon_beauty_2014", ("model=ada_retrieval", "loss=bce", "sampler=uniform"), 1),
        ("amazon_beauty_2014", ("model=ada_retrieval", "base=gru4rec", "loss=bce", "sampler=uniform"), 0),
        ("amazon_electronics_nbpo", ("model=nbpo_mf", "model.method=nbpo"), 1),
        ("amazon_electronics_nbpo", ("model=nbpo_mf", "model.method=nbpo", "model.flip=0.5"), 0),
    ],
)
def test_the_claims_that_ship_are_about_the_papers_models_and_not_the_controls(
    data: str, overrides: tuple[str, ...], n_claims: int, located
) -> None:
    claims, _ = read(file())
    assert len(claimed(located(*overrides, data=data), Sizes(1, 1), [], claims, first="ndcg@10")) == n_claims


@pytest.mark.parametrize(
    ("protocol", "known", "matches", "reason"),
    [
        (Conditions("given", "full", True, valid_known=False), "false", "yes", ""),
        (Conditions("given", "full", True, valid_known=False), "true", "no", "valid_known: false there, true here"),
        (Conditions("given", "full"), "true", "not known", "filter_seen, valid_known not said there"),
    ],
)
def test_whether_validation_rows_count_as_wrong_at_test(protocol: Conditions, known: str, matches: str, reason: str, located) -> None:
    plan = located("model=popular", "split=given", f"split.valid_known={known}", data="ml_1m")
    assert matched(protocol, plan, ML_1M) == (matches, reason)


@pytest.mark.parametrize(
    ("protocol", "matches", "reason"),
    [
        (Conditions("leave_one_out", "full", True), "yes", ""),
        (Conditions("leave_one_out", "full", True, users=6040, items=3416), "yes", ""),
        (Conditions("leave_one_out", "full", True, items=54542), "no", "items: 54542 there, 3416 here"),
        (Conditions("leave_one_out", "full", False), "no", "filter_seen: false there, true here"),
        (Conditions("global_temporal", "full", True), "no", "split: global_temporal there, leave_one_out here"),
        (Conditions("leave_one_out", "full", True, valid_users=2048), "no", "valid_users: 2048 there, all here"),
        (Conditions("leave_one_out", "full", True, refit=False), "yes", ""),
        (Conditions("leave_one_out", "full", True, refit=True), "no", "refit: true there, false here"),
        (Conditions("leave_one_out", "full"), "not known", "filter_seen not said there"),
        (Conditions(), "not known", "split, ranking, filter_seen not said there"),
    ],
)
def test_protocols_match_or_say_why_not(protocol: Conditions, matches: str, reason: str, located) -> None:
    assert matched(protocol, located("model=popular", data="ml_1m"), ML_1M) == (matches, reason)


def test_our_own_validation_users_are_a_difference_too(located) -> None:
    plan = located("model=popular", "split.valid_users=9", data="ml_1m")
    assert matched(Conditions("leave_one_out", "full", True), plan, ML_1M) == ("no", "valid_users: all there, 9 here")


@pytest.mark.parametrize(("split", "option"), [("random", "test_share=0.5"), ("leave_last_n", "n_test=5"), ("leave_one_out", "seed=3")])
def test_a_split_with_options_is_not_known_to_be_the_papers(split: str, option: str, located) -> None:
    """But for its seed."""
    plan = located("model=sasrec", f"split={split}", f"split.{option}", data="ml_1m")
    expected = ("yes", "") if option == "seed=3" else ("not known", f"split.{option} here")
    assert matched(Conditions(split, "full", True), plan, ML_1M) == expected


def test_a_refit_is_like_a_paper_without_validation_items(located) -> None:
    """Where nobody says, it is not known: a refit has learned from one more row of each user."""
    plan = located("model=sasrec", "refit=true", data="ml_1m")
    assert matched(Conditions("leave_one_out", "full", True, refit=True), plan, ML_1M) == ("yes", "")
    assert matched(Conditions("leave_one_out", "full", True, refit=False), plan, ML_1M) == ("no", "refit: false there, true here")
    assert matched(Conditions("leave_one_out", "full", True), plan, ML_1M) == ("not known", "refit not said there")


@pytest.mark.parametrize(
    ("option", "matches"),
    [
        *(("k_core=50", "not known"), ("min_rating=4", "not known"), ("rating=stars", "not known"), ("ties=random", "not known")),
        *(("k_core=5", "yes"), ("ties=file", "yes")),
    ],
)
def test_other_rows_than_the_cards_are_nothing_that_a_paper_speaks_of(option: str, matches: str, located) -> None:
    """Unless what is asked for is what the card says itself."""
    plan = located("model=sasrec", f"data.{option}", data="ml_1m")
    reason = f"data.{option} here" if matches == "not known" else ""
    found = matched(Conditions("leave_one_out", "full", True), plan, ML_1M)
    assert (found[0], found[1].replace("4.0", "4")) == (matches, reason)


def test_two_claims_with_different_protocols_are_told_and_not_used(tmp_path: Path) -> None:
    """The rest is used. Of the same protocol, two are one too many."""
    twin = TEXT.replace('source = "B"\ntable = "2"', 'source = "A"\ntable = "1"')
    claims, (line,) = read(written(tmp_path, twin))
    assert "A, 1: two claims about bert4rec on ml_1m have different protocols" in line
    assert "ranking=full" in line
    assert "ranking=popularity-100" in line
    assert [(claim.source, claim.model) for claim in claims] == [("A", "sasrec"), ("A", "sasrec"), ("C", "bert4rec")]
    same = TEXT + TEXT.partition('[[tables]]\nsource = "B"')[0]
    claims, lines = read(written(tmp_path, same))
    assert len(lines) == 3
    assert all("keep one; neither is used" in line for line in lines)
    assert {claim.source for claim in claims} == {"B", "C"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'model = "bert4rec", values = { "hr@10"',
            'model = "bert5rec", values = { "hr@10"',
            "A, 1: unknown model 'bert5rec'; did you mean 'bert4rec'",
        ),
        (
            'data = "ml_1m", model = "bert4rec", values = { "hr@10"',
            'data = "ml1m", model = "bert4rec", values = { "hr@10"',
            "unknown data set 'ml1m'",
        ),
        ('"hr@10" = 0.28', '"hit" = 0.28', "'hit' is no metric at a cut-off"),
        ('ranking = "full"\nfilter_seen = true', 'rnking = "full"', "table 1: .*'rnking'.*known: source"),
        ('table = "1"', "", "table 1: .*'table'"),
        ('"hr@10" = 0.28', '"hr@10" = "0.28"', r"claims\.toml, A, 1: claim 1\.values\.hr@10='0\.28' must be a number from 0 to 1"),
        ('"hr@10" = 0.28', '"hr@10" = true', r"A, 1: claim 1\.values\.hr@10=True must be a number"),
        ('"hr@10" = 0.28', '"hr@10" = nan', r"A, 1: claim 1\.values\.hr@10=nan must be a number"),
        ('"hr@10" = 0.28', '"hr@10" = 28.2', r"A, 1: claim 1\.values\.hr@10=28\.2 must be a number from 0 to 1"),
        ('values = { "hr@10" = 0.28, "ndcg@10" = 0.15 }', "values = 0.28", r"A, 1: claim 1\.values=0\.28 is a float; it must be dict"),
        ('values = { "hr@10" = 0.28, "ndcg@10" = 0.15 }', "values = {}", r"A, 1: claim 1\.values names no metric"),
        ('needs = ["loss=bce"]', 'needs = "loss=bce"', r"A, 1: claim 2\.needs='loss=bce' is a str; it must be list\[str\]"),
        ('needs = ["loss=bce"]', "needs = [3]", r"A, 1: claim 2\.needs=\[3\] is a list; it must be list\[str\]"),
        ('model = "sasrec", needs = ["loss=bce"]', "model = 3", r"A, 1: claim 2\.model=3 is a int; it must be str"),
        ("items = 3416", 'items = "3416"', r"claims\.toml, table 1\.items='3416' is a str; it must be int"),
        ("filter_seen = true", 'filter_seen = "true"', r"claims\.toml, table 1\.filter_seen='true' is a str; it must be bool"),
        ('source = "A"', "source = 1", r"claims\.toml, table 1\.source=1 is a int; it must be str"),
    ],
)
def test_a_mistake_costs_the_claim_and_not_the_others(tmp_path: Path, old: str, new: str, message: str) -> None:
    import re

    assert old in TEXT
    claims, lines = read(written(tmp_path, TEXT.replace(old, new, 1)))
    assert len(lines) == 1
    assert re.search(message, lines[0])
    assert {claim.source for claim in claims} >= {"B", "C"}


@pytest.mark.parametrize("text", ["tables = 3", 'tables = "A"', "tables = [3]", "[tables]\nsource = 'A'"])
def test_tables_of_another_form(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"claims\.toml: tables=.* must be tables of the form \[\[tables\]\]"):
        read(written(tmp_path, text))


@pytest.mark.parametrize("claims", ["3", "[3]", "[[]]"])
def test_claims_of_another_form(tmp_path: Path, claims: str) -> None:
    text = f'[[tables]]\nsource = "A"\ntable = "1"\nclaims = {claims}'
    found, (line,) = read(written(tmp_path, text))
    assert found == []
    assert line.startswith("claims.toml, table 1.claims=")


def test_no_toml(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"claims.toml is no TOML"):
        read(written(tmp_path, "[[tables"))


def test_the_claims_that_ship() -> None:
    """All can be used, each says where it was read and how it was ranked, and values are shares that rise with k."""
    claims, wrong = read(file())
    assert wrong == []
    assert len(claims) > 40
    for claim in claims:
        assert claim.read_in
        assert claim.protocol.ranking
        assert all(0 < value < 1 for value in claim.values.values())
        for name in {metric.partition("@")[0] for metric in claim.values}:
            by_k = sorted((int(metric.partition("@")[2]), value) for metric, value in claim.values.items() if metric.startswith(f"{name}@"))
            assert [value for _, value in by_k] == sorted(value for _, value in by_k)
