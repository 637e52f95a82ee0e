"""Text files of separated fields to Arrow tables: the separator is sniffed, a missing header noticed, ids stay texts."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from recpref.data.asked import Asked
from recpref.data.frames import refuse_twice
from recpref.data.guess import is_id, is_kept, is_time
from recpref.data.ids import as_written

TRIED = ("\t", "::", "|", ";", ",")
MOVIELENS = ["user_id", "item_id", "rating", "timestamp"]
HEAD = 1 << 16


def read_text(path: Path, asked: Asked) -> pa.Table:
    """A text file. Columns of ids are texts, exactly as written.

    Raises: ValueError where it cannot be read: another encoding, rows of other lengths, a damaged archive, no header.
    """
    separator, names, header = layout(path, asked)
    with opened(path) as stream:
        source = io.BytesIO(stream.read().replace(separator.encode(), b"\t")) if len(separator) > 1 else stream
        return parsed(source, path, separator if len(separator) == 1 else "\t", asked, names, header=header)


def layout(path: Path, asked: Asked) -> tuple[str, list[str], bool]:
    """The separator of a text file, the names of its columns, and whether it has a header. Raises: as ``read_text``."""
    head = beginning(path, asked.encoding)
    separator = asked.divider or ("\t" if ".tsv" in path.name.lower() else sniffed(head))
    fields = next(csv.reader([head[0]], delimiter=separator)) if len(separator) == 1 else head[0].split(separator)
    fields = [field.strip('"') for field in fields]
    names = _names(fields, path, asked)
    refuse_twice(names, path)
    if len(head) == 1 and names == fields:
        raise ValueError(f"{path} has no rows")
    return separator, names, names == fields


def sniffed(lines: Sequence[str]) -> str:
    """The separator that cuts all lines into the same number of fields, and into the most; a comma where none does.

    A comma inside quotes cuts too many, so that lines that differ count for less than those that agree.
    """

    def merit(separator: str) -> tuple[bool, int]:
        counts = [line.count(separator) for line in lines if line]
        return counts[0] > 0 and min(counts) == counts[0] == max(counts), counts[0]

    return max(reversed(TRIED), key=merit)


def beginning(path: Path, encoding: str) -> list[str]:
    """The first lines, the last of which is whole."""
    with opened(path) as stream:
        content = stream.read(HEAD)
    lines = _decoded(content, encoding, path).removeprefix("\ufeff").splitlines()
    if not lines:
        raise ValueError(f"{path} is empty")
    return lines[: 20 if len(content) < HEAD or len(lines) == 1 else min(20, len(lines) - 1)]


def _names(fields: list[str], path: Path, asked: Asked) -> list[str]:
    """The header; where the first line holds numbers, and no names of a user and an item, those that MovieLens and Amazon mean without
    writing them."""
    named = sum(is_id(field) or field in (asked.user, asked.item) for field in fields) > 1
    if named or not any(map(_is_number, fields)):
        return fields
    last = fields[-1]
    if len(fields) == 4 and _is_number(last) and float(last) >= 10**8 and _is_number(fields[2]):
        return MOVIELENS
    raise ValueError(
        f"{path}: the first line ({', '.join(fields[:6])}) is no header; write one, such as user_id,item_id,timestamp "
        "(without one, only user, item, rating and time in this order can be read)"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip().lower() not in ("nan", "inf", "infinity")


def opened(path: Path) -> Any:
    """The bytes of a file, unpacked."""
    return pa.input_stream(str(path), compression="gzip" if path.suffix.lower() == ".gz" else None)


def _decoded(content: bytes, encoding: str, path: Path) -> str:
    """The text of a beginning, whose last character may be cut."""
    try:
        return content.decode(encoding) if len(content) < HEAD else content[:-8].decode(encoding, errors="ignore")
    except LookupError as error:
        raise ValueError(f"data.encoding={encoding} is unknown; utf-8, latin-1 and cp1252 are the usual ones") from error
    except UnicodeDecodeError as error:
        raise ValueError(other_encoding(path, encoding)) from error


def unreadable(path: Path, encoding: str, error: Exception) -> ValueError:
    """What is said of a text that cannot be read."""
    if "utf8" in str(error).lower() or isinstance(error, UnicodeDecodeError):
        return ValueError(other_encoding(path, encoding))
    return ValueError(f"{path} cannot be read: {str(error).splitlines()[0]}")


def other_encoding(path: Path, encoding: str) -> str:
    """What is said where a text is not written as it should be."""
    return f"{path} is not written in {encoding}; say data.encoding=latin-1, or what else it is written in"


def parsed(
    source: Any, path: Path, separator: str, asked: Asked, names: list[str], *, header: bool, kinds: dict[str, Any] | None = None
) -> pa.Table:
    """The rows of an open file under these names, whether or not it has a header of its own. With ``kinds`` nothing is quoted."""
    wanted = [] if asked.extra else wanted_columns(names, asked)
    texts = {name: pa.string() for name in names if is_id(name) or name in (asked.user, asked.item)}
    try:
        table = pa.csv.read_csv(
            source,
            read_options=pa.csv.ReadOptions(column_names=names, skip_rows=int(header), encoding=asked.encoding),
            parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=kinds is None, quote_char=kinds is None and '"'),
            convert_options=pa.csv.ConvertOptions(column_types={**texts, **(kinds or {})}, include_columns=wanted),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
        raise unreadable(path, asked.encoding, error) from error
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if pa.types.is_binary(kind):
            raise ValueError(f"{other_encoding(path, asked.encoding)} (column {name!r})")
    return table


def wanted_columns(names: Sequence[str], asked: Asked) -> list[str]:
    """All columns, or only those asked for and those that may be guessed."""
    if asked.extra:
        return list(names)
    needed = (asked.user, asked.item, asked.time)
    return [name for name in names if name in needed or is_id(name) or is_time(name) or is_kept(name, asked)]


def settled(table: pa.Table, asked: Asked) -> pa.Table:
    """The table with ids made integers where each is written as one."""
    for place, name in enumerate(table.column_names):
        if (is_id(name) or name in (asked.user, asked.item)) and pa.types.is_string(table[name].type):
            table = table.set_column(place, name, as_written(table[name]))
    return table


def read_separated(source: Path, columns: list[str], separator: str, *, member: str | None = None, header: bool = False) -> pa.Table:
    """A text file under a card's names, perhaps inside a zip archive, with separators of one or more characters.

    Raises: ValueError where the file or the archive is damaged, or the archive has no such member.
    """
    try:
        text = zipfile.ZipFile(source).read(member) if member else source.read_bytes()
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError) as error:
        raise ValueError(f"{source} cannot be read: {error}") from error
    if len(separator) > 1:
        text, separator = text.replace(separator.encode(), b"\t"), "\t"
    return settled(parsed(io.BytesIO(text), source, separator, Asked(), columns, header=header), Asked())
