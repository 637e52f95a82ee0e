"""A plan is written and read again as it was, and nothing else is accepted in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from recpref.composition.compose import compose
from recpref.plan import FILE, FORMAT, DataPart, Part, Plan, Sizes, Written, read, write


def planned(**changes: object) -> Plan:
    return compose(["model=sasrec", "data=ml_100k", *(f"{key}={value}" for key, value in changes.items())])


def test_parts_and_options() -> None:
    """Components have names; sections with one class are their options."""
    plan = planned(seed=3)
    assert isinstance(plan.model, Part)
    assert (plan.seed, plan.model.name, plan.model.options["d_model"], plan.loader["batch_size"]) == (3, "sasrec", 64, 32)
    assert plan.data == DataPart("ml_100k", plan.data.options)


@pytest.mark.parametrize("frame", [False, True])
def test_what_is_written_is_read(tmp_path: Path, frame: bool) -> None:
    """Every name and value, and where the data came from."""
    written = Written(planned().on("mine", frame=frame, user="who"), "abc", Sizes(5, 3))
    write(tmp_path, written)
    assert read(tmp_path / FILE) == written
    assert Plan.of(written.plan.content) == written.plan


def test_what_was_learned_from_beside_the_data_is_written_and_names_the_run(tmp_path: Path) -> None:
    """Where it is no more than the data, or was not written yet, the data's digest does."""
    plan = planned()
    write(tmp_path, Written(plan, "abc", Sizes(5, 3), "abc codes"))
    assert read(tmp_path / FILE) == Written(plan, "abc", Sizes(5, 3), "abc codes")
    assert read(tmp_path / FILE).digest == plan.digest("abc codes") != plan.digest("abc")
    write(tmp_path, Written(plan, "abc", Sizes(5, 3), "abc"))
    assert "\nseen:" not in (tmp_path / FILE).read_text()
    assert read(tmp_path / FILE).digest == plan.digest("abc")


def test_only_the_name_and_the_options_of_the_data_change() -> None:
    """``on`` keeps the other options."""
    plan = planned()
    assert plan.on("other", user="who").data == DataPart("other", {**plan.data.options, "user": "who"})
    assert plan.on("ml_100k") == plan


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.d_model", 16),
        ("objective", "score"),
        ("seed", 3),
        ("trainer.max_epochs", 400),
        ("data", "ml_100k"),
        ("model.n_rounds", None),
        ("table", None),
        ("nothing.at_all", None),
    ],
)
def test_a_value_is_asked_for_as_it_is_said(key: str, value: object) -> None:
    """By the key of an override; of what the plan has not it is None."""
    assert compose(["model=sasrec", "data=ml_100k", "model.d_model=16", "seed=3"]).value(key) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format: 99", rf"has format 99, and this recpref reads format {FORMAT}"),
        ("[1]", "has format None"),
        ("", "has format None"),
        ("a: [", r"experiment\.yaml is not valid YAML"),
        ("a: !!python/name:os.system", r"experiment\.yaml is not valid YAML, or uses a tag, which is refused: .*constructor for the tag"),
        (f"format: {FORMAT}\nmodel: 3", r"experiment\.yaml is damaged"),
    ],
)
def test_another_file_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    """Where it is, and what is wrong with it."""
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / FILE)


def test_a_plan_with_a_base_and_a_run_before_it(tmp_path: Path) -> None:
    """Both are written and read; where there are none, nothing is written of them."""
    plan = compose(["model=ada_retrieval", "base=gru4rec", "data=ml_100k"])
    write(tmp_path, Written(plan, "abc", Sizes(5, 3)))
    assert read(tmp_path / FILE).plan == plan
    assert plan.before is not None
    assert plan.before.model == Part("gru4rec", plan.base.options if plan.base else {})
    assert {"base", "before"} & planned().content.keys() == set()
    assert planned().architectures == ("sasrec",)


def test_a_run_that_was_written_before_there_were_starts_is_read(tmp_path: Path) -> None:
    write(tmp_path, Written(planned(), "abc", Sizes(5, 3)))
    file = tmp_path / FILE
    file.write_text(file.read_text().replace("start: none\n", ""))
    assert read(file).plan == planned()


def test_a_digest_covers_the_base_and_the_start() -> None:
    ada = [
        compose(["model=ada_retrieval", "start=none", *more]) for more in ([], ["base=gru4rec"], ["base.d_model=32"], ["model.n_rounds=2"])
    ]
    plans = [*ada, planned(), planned(start="runs/a/sasrec/0a1b2c3d-s1"), planned(start="runs/a/sasrec/4e5f6071-s1")]
    assert len({plan.digest("data") for plan in plans}) == len(plans)


def test_copies_of_runs_under_a_name_of_ones_own_are_known_by_where_they_lie() -> None:
    """Their last two folders say nothing of what they are."""
    plans = [planned(start=start) for start in ("/one/best/run", "/two/best/run", "/one/best/mine-s1", "/two/best/mine-s1")]
    assert len({plan.digest("data") for plan in plans}) == len(plans)


def test_a_digest_is_the_same_for_all_seeds_that_start_from_their_own() -> None:
    """Seed 2 from seed 2's run; but seed 2 from seed 1's run is another experiment. Where the runs lie is nothing to it."""
    one, two = (planned(seed=seed, start=f"runs/a/sasrec/0a1b2c3d-s{seed}").digest("data") for seed in (1, 2))
    assert one == two == planned(seed=1, start="/elsewhere/b/sasrec/0a1b2c3d-s1").digest("data")
    assert planned(seed=2, start="runs/a/sasrec/0a1b2c3d-s1").digest("data") != one


def test_an_option_that_is_called_source_is_read_back(tmp_path: Path) -> None:
    """``source`` is our own word in the part about data, and an option of ``sampler=mixed``."""
    plan = compose(["model=sasrec", "sampler=mixed", "sampler.source=popularity", "loss=sampled_softmax"])
    write(tmp_path, Written(plan, "d", Sizes(3, 2)))
    assert read(tmp_path / FILE).plan == plan
    assert read(tmp_path / FILE).plan.sampler.options["source"] == "popularity"
