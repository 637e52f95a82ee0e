"""Interactions: the same data from every source, the order of rows, and the views that everything else reads."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpref.data.interactions import Columns, Interactions

NOON = 1_600_000_000
ROWS = {
    "user_id": ["bo", "al", "bo", "al", "bo", "al"],
    "item_id": [30, 10, 20, 30, 10, 10],
    "timestamp": [NOON + 5, NOON + 9, NOON + 5, NOON + 2, NOON + 1, NOON + 9],
    "rating": [3.0, 5.0, 4.0, 1.0, 2.0, 2.5],
}
# al=1, bo=2; 10=1, 20=2, 30=3.  al: (2, 30) (9, 10) (9, 10)   bo: (1, 10) (5, 30) (5, 20), the tie at 5 in file order
USER, ITEM, TIME, RATING = [1, 1, 1, 2, 2, 2], [3, 1, 1, 1, 3, 2], [NOON + n for n in (2, 9, 9, 1, 5, 5)], [1.0, 5.0, 2.5, 2.0, 3.0, 4.0]


def of(frame: object, time: str | None = "timestamp") -> Interactions:
    """Interactions of a frame under the usual column names."""
    return Interactions.from_dataframe(frame, user="user_id", item="item_id", time=time)


def toy() -> Interactions:
    """The example above."""
    return of(pd.DataFrame(ROWS))


def written(folder: Path) -> dict[str, Interactions]:
    """The example read back from every kind of file and folder."""
    frame = pd.DataFrame(ROWS)
    for name, separator in (("a.csv", ","), ("b.tsv", "\t"), ("c.csv.gz", ","), ("d.tsv.gz", "\t")):
        frame.to_csv(folder / name, index=False, sep=separator)
    frame.to_parquet(folder / "e.parquet", index=False)
    (folder / "f").mkdir()
    frame[:2].to_csv(folder / "f" / "interactions.part1.csv.gz", index=False)
    frame[2:].to_csv(folder / "f" / "interactions.part2.csv.gz", index=False)
    names = {"user": "user_id", "item": "item_id", "time": "timestamp"}
    files = {name: Interactions.from_file(folder / name, **names) for name in ("a.csv", "b.tsv", "c.csv.gz", "d.tsv.gz", "e.parquet")}
    return {**files, "folder": Interactions.from_folder(folder / "f")}


def frames() -> dict[str, object]:
    """The example in every kind of frame."""
    return {
        "pandas": pd.DataFrame(ROWS),
        "pandas with an index": pd.DataFrame(ROWS, index=[9, 9, 4, 1, 0, 0]),
        "pandas categorical": pd.DataFrame(ROWS).astype({"user_id": "category", "item_id": "category"}),
        "pandas object": pd.DataFrame(ROWS).astype({"user_id": object, "item_id": object}),
        "pandas int32": pd.DataFrame(ROWS).astype({"item_id": "int32", "timestamp": "int32"}),
        "pandas nullable": pd.DataFrame(ROWS).convert_dtypes(),
        "polars": pl.DataFrame(ROWS),
        "polars in chunks": pl.concat([pl.DataFrame(ROWS)[:2], pl.DataFrame(ROWS)[2:]], rechunk=False),
        "arrow": pa.table(ROWS),
        "arrow in chunks": pa.concat_tables([pa.table(ROWS).slice(0, 4), pa.table(ROWS).slice(4)]),
        "arrow dictionary": pa.table({**ROWS, "user_id": pa.array(ROWS["user_id"]).dictionary_encode()}),
    }


@pytest.mark.parametrize("source", frames())
def test_every_frame_gives_the_rows_worked_out_by_hand(source: str) -> None:
    """Users are sorted by id, a user's rows by time, and rows of equal time keep the order of the frame."""
    data = of(frames()[source])
    assert (data.user.tolist(), data.item.tolist()) == (USER, ITEM)
    assert data.time is not None
    assert data.time.tolist() == TIME
    assert data.extra is not None
    assert data.extra["rating"].tolist() == RATING
    assert (data.users.ids.tolist(), data.items.ids.tolist(), data.clock) == (["al", "bo"], [10, 20, 30], "seconds")
    assert data.digest == toy().digest


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["bo", "al"])], ids=["Categorical", "Enum"])
def test_polars_categories_are_strings(kind: pl.DataType) -> None:
    """A polars categorical or enumeration column is read like the strings that it stands for."""
    assert of(pl.DataFrame(ROWS).with_columns(pl.col("user_id").cast(kind))).digest == toy().digest


def test_every_file_and_the_folder_give_the_same_digest(tmp_path: Path) -> None:
    """Where the data came from leaves no trace in the digest."""
    found = written(tmp_path)
    assert {name: data.digest for name, data in found.items()} == dict.fromkeys(found, toy().digest)
    assert found["c.csv.gz"].name == "c"
    assert found["folder"].name == "f"


def test_order_of_rows_between_users_is_no_part_of_the_digest() -> None:
    """A file sorted by time and one sorted by user hold the same data."""
    assert of(pd.DataFrame(ROWS).sort_values("user_id", kind="stable")).digest == toy().digest


@pytest.mark.parametrize(("column", "value"), [("user_id", "bo"), ("item_id", 20), ("timestamp", NOON + 3), ("item_id", 11)])
def test_one_changed_row_changes_the_digest(column: str, value: object) -> None:
    """Row 1 is al, 10, 9; whatever becomes of it, the digest shows it."""
    changed = {**ROWS, column: [ROWS[column][0], value, *ROWS[column][2:]]}
    assert of(pd.DataFrame(changed)).digest != toy().digest


def test_swapping_a_tie_changes_the_digest() -> None:
    """Rows 0 and 2 are bo's at time 5: the other order is another sequence."""
    assert of(pd.DataFrame(ROWS).iloc[[2, 1, 0, 3, 4, 5]]).digest != toy().digest


def test_the_digest_knows_data_without_time_from_data_with_it() -> None:
    """The same pairs with all times equal are in the same order, and still other data."""
    frame = pd.DataFrame(ROWS).assign(timestamp=0)
    assert of(frame).item.tolist() == of(frame, time=None).item.tolist()
    assert of(frame).digest != of(frame, time=None).digest


def test_ids_that_run_together_have_different_digests() -> None:
    """User ``a`` with item ``bc`` is not user ``ab`` with item ``c``."""
    one, other = (of(pd.DataFrame({"user_id": [u], "item_id": [i]}), time=None) for u, i in (("a", "bc"), ("ab", "c")))
    assert one.digest != other.digest


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_sorted_as_pandas_sorts_stably(rows: list[tuple[int, int]]) -> None:
    """pandas' stable sort by (user, time) is the oracle; the row number is the item, so that every tie shows."""
    frame = pd.DataFrame([(u, row, t) for row, (u, t) in enumerate(rows)], columns=["user_id", "item_id", "timestamp"])
    expected = frame.sort_values(["user_id", "timestamp"], kind="stable")
    data = of(frame)
    assert data.users.originals(data.user).tolist() == expected["user_id"].tolist()
    assert data.items.originals(data.item).tolist() == expected["item_id"].tolist()


def test_without_time_the_order_of_the_file_holds() -> None:
    """No time column: bo's items stay 30, 20, 10 and there is no clock."""
    data = of(pd.DataFrame(ROWS), time=None)
    assert data.items.originals(data.item).tolist() == [10, 30, 10, 30, 20, 10]
    assert (data.time, data.clock, data.tied_share) == (None, "none", 0.0)
    assert data.columns == Columns("user_id", "item_id", None)


@pytest.mark.parametrize("named", [{"user": "u", "item": "i"}, {}])
def test_time_none_is_no_time(named: dict[str, str]) -> None:
    """As for files and for a run's histories, whether the other columns are named or guessed."""
    frame = pd.DataFrame({"u": [1, 1], "i": [2, 1], "timestamp": [9, 5]}).rename(columns={} if named else {"u": "user", "i": "item"})
    data = Interactions.from_dataframe(frame, **named, time="none")
    assert (data.clock, data.columns.time, data.item.tolist()) == ("none", None, [2, 1])


def test_a_column_called_order_is_no_clock() -> None:
    """``order`` sorts like a time, and says that it is none."""
    data = of(pd.DataFrame(ROWS).rename(columns={"timestamp": "order"}), time="order")
    assert (data.item.tolist(), data.clock) == (ITEM, "order")


def test_tied_share_by_hand() -> None:
    """al: 2-9 no, 9-9 yes; bo: 1-5 no, 5-5 yes: 2 of 4 pairs. The pair between al and bo is no pair."""
    assert toy().tied_share == 0.5
    across = pd.DataFrame({"user_id": [1, 2, 2], "item_id": [1, 1, 2], "timestamp": [7, 7, 8]})
    assert of(across).tied_share == 0.0


def test_tied_share_without_a_pair() -> None:
    """Users of one interaction have no neighbours: nothing is tied, and nothing is divided by zero."""
    assert of(pd.DataFrame({"user_id": [1, 2], "item_id": [1, 1], "timestamp": [7, 7]})).tied_share == 0.0


def test_offsets_and_counts_by_hand() -> None:
    """al owns rows 0 to 2, bo rows 3 to 5; item 10 occurs three times, 20 once, 30 twice, PAD never."""
    data = toy()
    assert (data.n_users, data.n_items, len(data)) == (2, 3, 6)
    assert data.offsets.tolist() == [0, 3, 6]
    assert data.item_counts.tolist() == [0, 3, 1, 2]


def test_where_keeps_the_numbering_and_compact_renews_it() -> None:
    """Without item 10 al keeps one row and bo two; 20 and 30 stay 2 and 3 until compact makes them 1 and 2."""
    data = toy()
    some = data.where(data.item != 1)
    assert (some.item.tolist(), some.n_items, some.item_counts.tolist()) == ([3, 3, 2], 3, [0, 0, 1, 2])
    assert some.extra is not None
    assert some.extra["rating"].tolist() == [1.0, 3.0, 4.0]
    assert some.extra.index.tolist() == [0, 1, 2]
    small = some.compact()
    assert (small.item.tolist(), small.items.ids.tolist(), small.users.ids.tolist()) == ([2, 2, 1], [20, 30], ["al", "bo"])
    assert small.items.originals(small.item).tolist() == some.items.originals(some.item).tolist()


def test_a_user_without_rows_owns_an_empty_slice() -> None:
    """Masking all of al's rows leaves offsets 0, 0, 3."""
    data = toy()
    bo = data.where(data.user == 2)
    assert bo.offsets.tolist() == [0, 0, 3]
    assert bo.padded(np.array([1, 2])).tolist() == [[0, 0, 0], [1, 3, 2]]


def test_padded_by_hand() -> None:
    """Left-padded with the newest item last; ``length`` keeps the newest."""
    data = toy().where(np.array([False, True, True, True, True, True]))
    assert data.padded(np.array([2, 1])).tolist() == [[1, 3, 2], [0, 1, 1]]
    assert data.padded(np.array([2]), 2).tolist() == [[3, 2]]
    assert data.padded(np.array([], dtype=np.int64)).shape == (0, 0)


def test_some_histories_take_no_copy_of_all_rows() -> None:
    """Of a million rows the histories of two users: kilobytes, whatever lies beside them; also where nobody has any."""
    user = np.repeat(np.arange(1, 100_001), 10)
    data = of(pd.DataFrame({"user_id": user, "item_id": user % 97}), time=None)
    _ = data.offsets
    tracemalloc.start()
    try:
        data.padded(np.array([5, 99_999]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000
    nobody = data.where(np.zeros(len(data), dtype=bool))
    assert nobody.padded(np.array([1, 2])).shape == (2, 0)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6)), min_size=1, max_size=30),
    st.lists(st.integers(0, 4), min_size=1, max_size=6),
    st.one_of(st.none(), st.integers(1, 8)),
)
@settings(max_examples=50, deadline=None)
def test_padded_equals_a_loop(pairs: list[tuple[int, int]], places: list[int], length: int | None) -> None:
    """A loop over users cuts and pads the same lists."""
    data = of(pd.DataFrame(pairs, columns=["user_id", "item_id"]), time=None)
    rows = np.array([1 + place % data.n_users for place in places])
    histories = [data.item[data.user == row].tolist()[-(length or 99) :] for row in rows]
    longest = max(map(len, histories))
    assert data.padded(rows, length).tolist() == [[0] * (longest - len(items)) + items for items in histories]


def test_numbering_says_nothing_of_popularity_or_order() -> None:
    """Numbers follow the sorted ids, whichever row comes first."""
    data = of(pd.DataFrame({"user_id": ["z", "y", "x"], "item_id": ["c", "c", "a"], "timestamp": [1, 2, 3]}))
    assert data.users.ids.tolist() == ["x", "y", "z"]
    assert data.item.tolist() == [1, 2, 2]


def test_repeated_pairs_are_kept() -> None:
    """Consuming an item twice is two interactions."""
    assert len(of(pd.DataFrame({"user_id": [1, 1], "item_id": [7, 7], "timestamp": [3, 3]}))) == 2


@pytest.mark.parametrize(("name", "slug"), [("ml_1m", "ml_1m"), ("my data/é", "my_data"), ("..", "data"), ("a.b-c", "a.b-c")])
def test_slug_is_fit_for_a_folder(name: str, slug: str) -> None:
    """No separators, no leading dots, never empty."""
    assert replace(toy(), name=name).slug == slug


def test_repr_tells_the_sizes_and_the_ties() -> None:
    """What a person needs to see first."""
    text = repr(toy())
    assert text == "Interactions(frame: 2 users, 3 items, 6 interactions, clock=seconds, 50.0% of neighbours tied in time)"
