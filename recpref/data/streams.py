"""Files to a stream of Arrow tables under one schema, a few million rows at a time: how data that outgrow memory are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from recpref.data.asked import Asked
from recpref.data.frames import without_views
from recpref.data.readers import TEXT, as_texts, joined, parquet_schema, suffix_of
from recpref.data.separated import layout, opened, unreadable

ROWS = 1 << 21  # of a table: enough that a table of hashes is not built too often
KINDS = (pa.int64(), pa.float64(), pa.string())  # what a column of a text may hold, the narrowest first


@dataclass(frozen=True)
class Stream:
    """The rows of ``files``, in their order, in the columns of ``schema``. ``text``: the files are texts, whose ids carry no type."""

    files: tuple[Path, ...]
    schema: pa.Schema
    text: bool
    asked: Asked

    @classmethod
    def of(cls, files: Sequence[Path], ids: Sequence[str], others: Sequence[str], asked: Asked, where: Path) -> Stream:
        """``ids`` are read as they are written, ``others`` as the numbers that they may be.

        Raises: ValueError for files that are damaged or do not fit together.
        """
        names, text = [*ids, *others], suffix_of(files[0]) in TEXT
        if text:
            kinds = [(name, pa.string()) for name in ids] + [(name, _kind(files, name, asked)) for name in others]
            return cls(tuple(files), pa.schema(kinds), text, asked)
        parts = [_named(file, asked) for file in files]
        parts = [pa.schema([schema.field(name) for name in names if name in schema.names]) for schema in parts]
        return cls(tuple(files), joined([without_views(part.empty_table()) for part in parts], where).schema, text, asked)

    def tables(self, rows: int = ROWS) -> Iterator[pa.Table]:
        """At least ``rows`` (but for the last table) and at most twice as many at a time. Raises: ValueError for damaged files."""
        return gathered((table for file in self.files for table in self._of_file(file, rows)), rows)

    def _of_file(self, file: Path, rows: int) -> Iterator[pa.Table]:
        texts = [field.name for field in self.schema if pa.types.is_string(field.type)]
        if self.text:
            kinds = {field.name: field.type for field in self.schema}
            yield from (pa.Table.from_batches([batch]) for batch in _parsed(file, kinds, self.asked))
            return
        try:
            with pa.parquet.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches(rows, columns=self.schema.names):
                    yield as_texts(without_views(pa.Table.from_batches([batch])), texts).select(self.schema.names).cast(self.schema)
        except (pa.ArrowInvalid, KeyError, OSError) as error:
            raise ValueError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error


def names_in(files: Sequence[Path], asked: Asked) -> list[str]:
    """The names of all columns. Raises: ValueError for a damaged file, or two columns of one name in it; FileNotFoundError."""
    return list(dict.fromkeys(name for file in files for name in _named(file, asked).names))


def can_stream(files: Sequence[Path], asked: Asked) -> bool:
    """Whether files can be read part by part: all Parquet, or all texts with a separator of one character."""
    if all(suffix_of(file) == ".parquet" for file in files):
        return True
    return all(suffix_of(file) in TEXT and file.is_file() and len(layout(file, asked)[0]) == 1 for file in files)


def gathered(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of at least ``rows``, but for the last one. Empty tables vanish."""
    held: list[pa.Table] = []
    for table in tables:
        held += [table] if table.num_rows else []
        if sum(part.num_rows for part in held) >= rows:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _named(file: Path, asked: Asked) -> pa.Schema:
    if not file.is_file():
        raise FileNotFoundError(f"no such file: {file}")
    if suffix_of(file) in TEXT:
        return pa.schema([(name, pa.string()) for name in layout(file, asked)[1]])
    try:
        return parquet_schema(file).remove_metadata()
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error


def _kind(files: Sequence[Path], name: str, asked: Asked) -> pa.DataType:
    """Whole numbers, numbers or texts: what every value of a column is. It costs a pass for each that it is not."""
    for kind in KINDS[:-1]:
        try:
            for file in files:
                for _ in _parsed(file, {name: kind}, asked):
                    pass
        except ValueError:
            continue
        return kind
    return KINDS[-1]


def _parsed(file: Path, kinds: dict[str, pa.DataType], asked: Asked) -> Iterator[pa.RecordBatch]:
    """The columns of a text file as these types. Raises: ValueError where it cannot be read, or holds what is not of its type."""
    separator, names, header = layout(file, asked)
    reading = pa.csv.ReadOptions(column_names=names, skip_rows=int(header), encoding=asked.encoding, block_size=1 << 24)
    try:
        with opened(file) as source:
            yield from pa.csv.open_csv(
                source,
                read_options=reading,
                parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
                convert_options=pa.csv.ConvertOptions(column_types=kinds, include_columns=list(kinds)),
            )
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
        raise unreadable(file, asked.encoding, error) from error
