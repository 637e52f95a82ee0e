"""MovieLens's files of movies and users as GroupLens ships them: they have no header, and their names say what is in them.

Source: the README files of ML-100K, ML-1M and ML-10M, https://grouplens.org/datasets/movielens/.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from recpref.data.asked import Asked
from recpref.data.separated import parsed

GENRES = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]
TEXTS = ("title", "genres", "release_date", "video_release_date", "url", "gender", "zip")  # 02139 is no number


class Layout(NamedTuple):
    """``what``: item or user. ``columns``: those after the id."""

    what: str
    separator: str
    columns: tuple[str, ...]


LAYOUTS = {
    "movies.dat": Layout("item", "::", ("title", "genres")),
    "users.dat": Layout("user", "::", ("gender", "age", "occupation", "zip")),
    "u.item": Layout("item", "|", ("title", "release_date", "video_release_date", "url", *GENRES)),
    "u.user": Layout("user", "|", ("age", "gender", "occupation", "zip")),
}


def layout_of(path: Path) -> Layout | None:
    """The layout of a file that is called as one of MovieLens's and begins like it, with an id and as many fields."""
    layout = LAYOUTS.get(path.name)
    if layout is None:
        return None
    with path.open("rb") as file:
        fields = file.readline(1 << 16).rstrip(b"\r\n").split(layout.separator.encode())
    return layout if len(fields) == 1 + len(layout.columns) and fields[0].isdigit() else None


def read_movielens(path: Path, layout: Layout, column: str, encoding: str) -> pa.Table:
    """The features, with the ids as texts in ``column``. Where no other ``encoding`` than utf-8 is said, it is GroupLens's. A tab in a
    text becomes a blank.

    Raises: ValueError for another encoding, rows of other lengths, or an id that is described twice.
    """
    content = path.read_bytes()
    encoding = _grouplens(content) if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    source = io.BytesIO(content.replace(b"\t", b" ").replace(layout.separator.encode(), b"\t"))
    kinds = {name: pa.string() for name in layout.columns if name in TEXTS}
    asked = Asked(column, column, encoding=encoding)
    try:
        return parsed(source, path, "\t", asked, [column, *layout.columns], header=False, kinds=kinds)
    except ValueError as error:
        raise ValueError(f"{error}; mend it, or rename {path.name} to open the data without its features") from error


def _grouplens(content: bytes) -> str:
    """ML-100K and ML-1M are in latin-1, and ML-10M is in utf-8, which latin-1 with accents is not."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
