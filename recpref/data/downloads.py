"""Downloads into a local cache, each held against the checksum that its card names."""

from __future__ import annotations

from pathlib import Path


def cache() -> Path:
    """The local cache of downloads."""
    import pooch

    return Path(pooch.os_cache("recpref"))


def cached(url: str) -> Path:
    """Where the file at ``url`` is, or would be."""
    return cache() / url.rsplit("/", 1)[-1]


def downloaded(url: str, sha256: str) -> Path:
    """The file at ``url`` in the local cache, downloaded with a progress bar if it is not there.

    Raises: ValueError where the checksum differs (a truncated download, too); ConnectionError where nothing answers.
    """
    import pooch
    import requests

    try:
        return Path(pooch.retrieve(url, known_hash=f"sha256:{sha256}", path=cache(), fname=cached(url).name, progressbar=True))
    except requests.RequestException as error:
        raise ConnectionError(f"{url} could not be downloaded: {error}; put the data into $RECPREF_DATA instead") from error
    except ValueError as error:
        raise ValueError(f"{url} is not the file that the card describes: {error}") from error
