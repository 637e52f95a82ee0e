"""A plan is written and read again as it was, and nothing else is accepted in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from recpref.composition import compose
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


def test_only_the_name_and_the_options_of_the_data_change() -> None:
    """``on`` keeps the other options."""
    plan = planned()
    assert plan.on("other", user="who").data == DataPart("other", {**plan.data.options, "user": "who"})
    assert plan.on("ml_100k") == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format: 99", rf"has format 99, and this recpref reads format {FORMAT}"),
        ("[1]", "has format None"),
        ("", "has format None"),
        ("a: [", r"experiment\.yaml is no yaml"),
        ("a: !!python/name:os.system", r"experiment\.yaml is no yaml .*tag"),
        (f"format: {FORMAT}\nmodel: 3", r"experiment\.yaml is damaged"),
    ],
)
def test_another_file_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    """Where it is, and what is wrong with it."""
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / FILE)
