"""Any number of interactions to a store, in memory that does not grow with them.

Two passes over the files: one counts the ids and looks at the times, one numbers the rows and puts them into buckets of neighbouring
users, which are then sorted one by one. The result is that of ``Interactions.from_file``, array by array, in its order and its digest.
Files that cannot be read part by part (JSON lines, atomic files, ...) are read whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from recpref.data.asked import Asked
from recpref.data.buckets import ROWS as BUCKET
from recpref.data.buckets import Buckets
from recpref.data.distinct import Counted, Distinct
from recpref.data.forms import Form, form_of
from recpref.data.guess import columns_of
from recpref.data.interactions import Columns, Interactions
from recpref.data.opening import described, open_file, read_folder
from recpref.data.store import Arrays, mapped, new_store, open_store, refuse_place, write_facts, write_store
from recpref.data.streams import ROWS, Stream, can_stream, names_in
from recpref.data.times import Moments, Range, absent, divided, is_number, moments, range_of, refuse_missing
from recpref.data.vocabulary import Vocabulary

BYTES = 24 + 16  # of a row: three numbers in the store, and one row of a bucket


class Rows:
    """The tables of a stream with the rows that are wanted. ``n``, ``dropped`` and ``first_missing`` are those of the last pass."""

    def __init__(self, stream: Stream, time: str | None, *, drop: bool):
        self.stream, self.time, self.drop = stream, time, drop
        self.n = self.dropped = 0
        self.first_missing = 0

    def tables(self, rows: int) -> Iterator[tuple[int, pa.Table]]:
        """Each with the number of its first row."""
        self.n = self.dropped = 0
        for table in self.stream.tables(rows):
            missing = None if self.time is None else absent(table[self.time])
            if missing is not None:
                self.first_missing = self.first_missing if self.dropped else self.n + int(missing.argmax())
                self.dropped += int(missing.sum())
                table = table.filter(pa.array(~missing)) if self.drop else table
            if table.num_rows:
                yield self.n, table
            self.n += table.num_rows


@dataclass(frozen=True)
class Counts:
    """What the first pass finds: both vocabularies, and what numbers in the column of times mean."""

    users: Counted
    items: Counted
    range: Range | None


def prepare(path: str | Path, out: str | Path, asked: Asked | None = None, *, rows: int = ROWS, bucket: int = BUCKET) -> Interactions:
    """The store ``out`` of a file or a folder, opened. ``rows`` are read at a time, and ``bucket`` sorted.

    Raises: ValueError as ``Interactions.from_file``, for files of several splits, and as ``new_store``.
    """
    path, out, asked = Path(path), Path(out), asked or Asked()
    refuse_place(out)
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    form = form_of(path) if path.is_dir() else Form([(None, [path])])
    if len(form.parts) > 1:
        raise ValueError(
            f"{path} holds several splits ({', '.join(str(split) for split, _ in form.parts)}), and a store holds one set of rows"
        )
    if can_stream(form.files, asked):
        _streamed(form, path, out, asked, rows, bucket)
    else:
        write_store(read_folder(path, asked) if path.is_dir() else open_file(path, asked), out)
    return open_store(out)


def _streamed(form: Form, path: Path, out: Path, asked: Asked, rows: int, bucket: int) -> None:
    name = path.name if path.is_dir() else path.name.split(".")[0]
    columns, line = columns_of(names_in(form.files, asked), asked, str(path), strict=form.strict)
    times = [] if columns.time is None else [columns.time]
    stream = Stream.of(form.files, [columns.user, columns.item], times, asked, path)
    source = Rows(stream, columns.time, drop=asked.missing_time == "drop")
    found = _counted(source, columns, rows, name)
    files = f" from {len(form.files)} files" if len(form.files) > 1 else ""
    report = [f"{name}: {source.n + source.dropped * source.drop:,} rows read{files}", line]
    if source.dropped:
        whole = source.n + source.dropped
        report.append(f"missing_time=drop: {source.dropped:,} of {whole:,} rows have no time and were dropped")
    with new_store(out, BYTES * source.n) as place:
        clock = _sorted(source, columns, found, place, (rows, bucket))
        report.append("times: none; a user's rows are in the order of the file" if clock is None else f"times: {clock.unit}")
        data = Interactions(
            user=mapped(place / "user.npy"),
            item=mapped(place / "item.npy"),
            time=None if clock is None else mapped(place / "time.npy"),
            fraction=mapped(place / "fraction.npy") if (place / "fraction.npy").exists() else None,
            clock="none" if clock is None else clock.clock,
            extra=None,
            users=described(Vocabulary(found.users.ids), form.users, columns.user, asked.encoding),
            items=described(Vocabulary(found.items.ids), form.items, columns.item, asked.encoding),
            name=name,
            columns=columns,
            report=tuple(report),
        )
        vars(data).update(offsets=np.append(0, np.cumsum(found.users.counts)), item_counts=np.append(0, found.items.counts))
        write_facts(place, data)


def _counted(source: Rows, columns: Columns, rows: int, name: str) -> Counts:
    """The first pass."""
    users, items = (Distinct(column, text=source.stream.text) for column in (columns.user, columns.item))
    ranges = []
    for first, table in source.tables(rows):
        users.add(table[columns.user])
        items.add(table[columns.item])
        if columns.time is not None and is_number(table[columns.time].type) and not (source.dropped and not source.drop):
            ranges.append(range_of(table[columns.time].to_numpy(), columns.time, first))
    if not users.rows and source.dropped:
        raise ValueError(f"{name}: no row has a time in column {columns.time!r}; say data.time=none for the order of the rows")
    if not users.rows:
        raise ValueError(f"{name} has no rows")
    counts = users.finished(), items.finished()
    if source.dropped and not source.drop:
        refuse_missing(str(columns.time), source.first_missing, source.dropped)
    most = max(ranges, key=lambda found: found.most, default=None)
    return Counts(*counts, most and most._replace(fractional=any(found.fractional for found in ranges)))


def _sorted(source: Rows, columns: Columns, found: Counts, place: Path, sizes: tuple[int, int]) -> Moments | None:
    """The second pass: writes the arrays. Returns what the times of the first rows are, where there are any."""
    rows, bucket = sizes
    clock: Moments | None = None
    with closing(Buckets(place, found.users.counts, bucket)) as buckets:
        for first, table in source.tables(rows):
            user = found.users.numbers(table[columns.user], columns.user)
            item = found.items.numbers(table[columns.item], columns.item)
            if columns.time is not None:
                times = moments(table[columns.time], columns.time, among=found.range, first=first)
                if clock is not None and (times.clock, times.a_second) != (clock.clock, clock.a_second):
                    raise ValueError(f"time column {columns.time!r} mixes units from row {first} on: {clock.unit}, and {times.unit}")
                clock = times
            buckets.add(user, item, None if clock is None else clock.key)
        may_be_finer = clock is not None and (clock.a_second > 1 or (found.range is not None and found.range.fractional))
        names = ("user", "item", *(["time"] if clock is not None else []), *(["fraction"] if may_be_finer else []))
        finer = False
        with closing(Arrays(place, names, source.n)) as arrays:
            for part in buckets.sorted():
                time = () if part.key is None or clock is None else divided(part.key, clock.a_second)
                finer = finer or bool(time and time[1].any())
                arrays.add(*(part.user, part.item, *time)[: len(names)])
    if may_be_finer and not finer:
        (place / "fraction.npy").unlink()
    return clock
