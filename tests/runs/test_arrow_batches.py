"""Arrow batches in, Arrow batches out: wherever a stream is cut, the lists are those of the whole frame; once in Spark itself."""

from __future__ import annotations

import itertools
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import recpref
from recpref.runs.arrow_batches import Seen, recommend_batches, whole_users


def test_whole_users_by_hand() -> None:
    """a a b | b | b c | (nothing) | c: first both of a, then three of b, then c."""
    batches = [pa.record_batch({"u": list(users), "n": list(range(len(users)))}) for users in ("aab", "b", "bc", "", "c")]
    assert [table["u"].to_pylist() for table in whole_users(batches, "u")] == [["a", "a"], ["b", "b", "b"], ["c", "c"]]
    assert [table["n"].to_pylist() for table in whole_users(batches, "u")] == [[0, 1], [2, 0, 0], [1, 0]]
    assert list(whole_users(iter([]), "u")) == []
    views = [pa.record_batch({"u": pa.array(users, pa.string_view())}) for users in ("aab", "bc")]
    assert [table["u"].to_pylist() for table in whole_users(views, "u")] == [["a", "a"], ["b", "b"], ["c"]]


@given(st.lists(st.integers(1, 4), max_size=12), st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_no_user_is_cut_and_no_row_is_lost(lengths: list[int], cuts: list[int]) -> None:
    users = [user for user, length in enumerate(lengths) for _ in range(length)]
    batches, first, turn = [], 0, 0
    while first < len(users):
        size = cuts[turn % len(cuts)] if sum(cuts) else 1
        batches.append(pa.record_batch({"u": pa.array(users[first : first + size], pa.int64())}))
        first, turn = first + size, turn + 1
    tables = [table["u"].to_pylist() for table in whole_users(batches, "u")]
    assert [user for table in tables for user in table] == users
    assert len(set(users)) == sum(len(set(table)) for table in tables)


@given(st.lists(st.lists(st.integers(-3, 40), max_size=9), max_size=9), st.booleans())
def test_who_has_been_there_is_what_a_set_says(parts: list[list[int]], text: bool) -> None:
    """The first place of a part whose user was in an earlier part, or earlier in this one; a part that holds such a user is not kept."""
    seen, known = Seen(), set()
    for part in parts:
        ids = [f"user {user}" if text else user for user in part]
        first = next((place for place, user in enumerate(ids) if user in known or user in ids[:place]), None)
        assert seen.add(pa.chunked_array([pa.array(ids, pa.string() if text else pa.int16())])) == first
        known |= set(ids) if first is None else set()
    assert sum(map(len, seen.parts)) == len(known)
    assert all(len(part) > 2 * len(after) for part, after in itertools.pairwise(seen.parts))


def test_what_is_kept_of_a_user_is_eight_bytes() -> None:
    """A million users in batches of ten thousand, in a handful of parts, and the first of them is still known."""
    seen = Seen()
    for start in range(0, 1_000_000, 10_000):
        assert seen.add(pa.chunked_array([pa.array(range(start, start + 10_000))])) is None
    assert sum(part.nbytes for part in seen.parts) == 8_000_000
    assert len(seen.parts) < 12
    assert seen.add(pa.chunked_array([pa.array([-1, 0])])) == 1


@pytest.mark.parametrize("cuts", [[5], [2, 3], [1, 1, 1, 1, 1], [3, 2], [4, 1]])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_scattered_users_are_refused_wherever_the_stream_is_cut(cuts: list[int], kind: pa.DataType) -> None:
    """a b b c a: two lists for a would each know half a history."""
    table = pa.table({"u": pa.array(["a", "b", "b", "c", "a"]).cast(kind)})

    def cut(rows: int) -> list[pa.RecordBatch]:
        edges = np.minimum(np.cumsum([0, *cuts]), rows).tolist()
        return [batch for start, stop in itertools.pairwise(edges) for batch in table.slice(start, stop - start).to_batches()]

    with pytest.raises(ValueError, match=r"rows of user 'a' come again after those of another; sort them by 'u'"):
        list(whole_users(cut(5), "u"))
    assert [user for part in whole_users(cut(4), "u") for user in part["u"].to_pylist()] == ["a", "b", "b", "c"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rows = [(f"u{user:02d}", f"i{(user * 3 + place * place) % 15}", place) for user in range(20) for place in range(3 + user % 5)]
    return pd.DataFrame(rows, columns=["who", "what", "when"])


@pytest.fixture(scope="module")
def run(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> recpref.Run:
    data = recpref.Interactions.from_dataframe(frame, user="who", item="what", time="when")
    return recpref.fit("model=itemknn", f"out={tmp_path_factory.mktemp('runs')}", data=data)


def collected(batches) -> pd.DataFrame:
    return pa.Table.from_batches(batches).to_pandas().sort_values(["user", "rank"], ignore_index=True)


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    expected = expected.sort_values(["user", "rank"], ignore_index=True)
    for name in ("user", "item", "rank"):
        assert found[name].tolist() == expected[name].tolist()
    assert found.score.to_numpy() == pytest.approx(expected.score.to_numpy(), rel=1e-6)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("timed", [True, False])
def test_wherever_the_stream_is_cut(run: recpref.Run, frame: pd.DataFrame, size: int, timed: bool) -> None:
    frame = frame if timed else frame.drop(columns="when")
    batches = pa.Table.from_pandas(frame, preserve_index=False).to_batches(max_chunksize=size)
    with nullcontext() if timed else pytest.warns(UserWarning, match="a batch of histories has no column 'when'"):
        found = list(run.recommend_batches(iter(batches), 4))
    expected = run.recommend(frame if timed else run.histories(frame, time="none"), 4)
    assert found[0].schema.names == ["user", "item", "rank", "score"]
    assert found[0].schema.types == [batches[0].schema.types[0], pa.string(), pa.int64(), pa.float32()]
    same(collected(found), expected)


def test_seen_items_may_stay(run: recpref.Run, frame: pd.DataFrame) -> None:
    batches = pa.Table.from_pandas(frame, preserve_index=False).to_batches()
    same(collected(recommend_batches(run, batches, 3, filter_seen=False)), run.recommend(frame, 3, filter_seen=False))


def test_a_table_is_taken_and_other_things_are_refused(run: recpref.Run, frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    same(collected(run.recommend_batches(table, 4)), run.recommend(frame, 4))
    (nobody,) = run.recommend_batches(table.slice(0, 0))
    assert (nobody.num_rows, nobody.schema) == (0, next(run.recommend_batches(table)).schema)
    for wrong in (frame, [table], [frame], table.to_batches()[0]):
        with pytest.raises(ValueError, match="they must be Arrow record batches, or one Arrow table"):
            list(run.recommend_batches(wrong))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_nobody_left_is_a_batch_without_rows(run: recpref.Run, kind: pa.DataType) -> None:
    """Ray makes one table of what comes of a block, whose items may all be unknown, or whose rows a filter may have taken."""
    strange = pa.table({"who": pa.array(["a", "b"]).cast(kind), "what": ["new", "newer"], "when": [1, 2]})
    with pytest.warns(UserWarning, match="name items that the model does not know"):
        block = pa.Table.from_batches(run.recommend_batches(strange))
    known = pa.table({"who": pa.array(["a"]).cast(kind), "what": ["i1"], "when": [1]})
    assert (block.num_rows, block.schema) == (0, pa.Table.from_batches(run.recommend_batches(known)).schema)
    for empty in (known.slice(0, 0), known.schema.empty_table(), known.slice(0, 0).to_batches() or [known.to_batches()[0].slice(0, 0)]):
        assert pa.Table.from_batches(run.recommend_batches(empty)).equals(block)
    half = strange.set_column(1, "what", pa.array(["new", "i1"]))
    with pytest.warns(UserWarning, match="name items that the model does not know"):
        assert [set(batch["user"].to_pylist()) for batch in run.recommend_batches(half)] == [{"b"}]
    with pytest.raises(ValueError, match="the batches of histories have no column 'who'; they have 'user'"):
        list(run.recommend_batches(pa.table({"user": pa.array([], pa.string())})))


def test_seen_items_are_filtered_as_the_run_was_evaluated(frame: pd.DataFrame, tmp_path: Path) -> None:
    data = recpref.Interactions.from_dataframe(frame, user="who", item="what", time="when")
    unfiltered = recpref.fit("model=popular", "evaluation.filter_seen=false", f"out={tmp_path}", data=data)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    same(collected(unfiltered.recommend_batches(table, 3)), unfiltered.recommend(frame, 3, filter_seen=False))


def test_users_of_a_shuffled_frame_are_refused_by_name(run: recpref.Run, frame: pd.DataFrame) -> None:
    shuffled = pa.Table.from_pandas(frame.sort_values("what", kind="stable"), preserve_index=False)
    with pytest.raises(ValueError, match=r"rows of user 'u\d\d' come again"):
        list(run.recommend_batches(shuffled.to_batches(max_chunksize=8)))


def test_nothing_comes_of_nothing_and_errors_name_the_column(run: recpref.Run) -> None:
    assert list(run.recommend_batches([])) == []
    with pytest.raises(ValueError, match="the batches of histories have no column 'who'; they have 'user'"):
        list(run.recommend_batches([pa.record_batch({"user": ["a"]})]))
    with pytest.raises(ValueError, match="column 'who' has 1 missing ids"):
        list(run.recommend_batches([pa.record_batch({"who": ["a", None], "what": ["i1", "i2"]})]))
    with pytest.raises(ValueError, match="the batches of histories: two columns are called 'who'"):
        list(run.recommend_batches([pa.RecordBatch.from_arrays([pa.array(["a"])] * 3, names=["who", "who", "what"])]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the engine's own
def test_in_spark(run: recpref.Run, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mapInArrow over partitions by user, and shards by user written by Spark and prepared by us. Skipped where Spark is not installed."""
    sql = pytest.importorskip("pyspark.sql")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(recpref.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))
    builder = sql.SparkSession.builder.master("local[1]").config("spark.sql.shuffle.partitions", "3").config("spark.ui.enabled", "false")
    spark = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "5").config("spark.driver.host", "127.0.0.1").getOrCreate()
    path = str(run.path)

    def serve(batches):
        yield from recpref.load(path).recommend_batches(batches, 4)

    try:
        rows = [tuple(row) for row in frame.sample(frac=1, random_state=0).values.tolist()]
        events = spark.createDataFrame(rows, "who string, what string, when long").repartition("who")
        lists = events.sortWithinPartitions("who").mapInArrow(serve, "user string, item string, rank long, score float").collect()
        same(collected(pa.Table.from_pylist([row.asDict() for row in lists]).to_batches()), run.recommend(frame, 4))
        events.write.parquet(str(tmp_path / "events"))
    finally:
        spark.stop()
    from recpref.data.asked import Asked
    from recpref.data.preparing import prepare

    store = prepare(tmp_path / "events", tmp_path / "store", Asked("who", "what", "when"))
    assert store.digest == recpref.Interactions.from_dataframe(frame, user="who", item="what", time="when").digest
