"""Where downloaded data are kept, and how they get there."""

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from hashlib import file_digest, md5
from http.client import HTTPException
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.request import urlopen

from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.data import ArchiveDamaged, DownloadFailed
from archdsl.language.source import Span

__all__ = ["cache_folder", "expanded", "fetch"]

_TIMEOUT = 30  # seconds without a byte


def cache_folder() -> Path:
    """`$ARCHDSL_DATA`, or the folder that the platform has for what can be downloaded again."""
    if given := os.environ.get("ARCHDSL_DATA"):
        return expanded(given)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(base) / "archdsl"


def expanded(path: str) -> Path:
    """The path with the user's own folder for `~`, as it is where there is none of that name."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def fetch(url: str, digest: str, at: Span, say: Callable[[str], None]) -> Path:
    """A file of the web, in the cache: downloaded once, and whole or not at all.

    digest: its MD5. Raises SpecError where it cannot be downloaded or is not the file that it should be.
    """
    place = cache_folder() / url.rpartition("/")[2]
    try:
        if not place.is_file():
            say(f"note: downloading {url} to {place.parent}")
            _download(url, place)
        with place.open("rb") as file:
            found = file_digest(file, partial(md5, usedforsecurity=False)).hexdigest()
    except (OSError, HTTPException, ValueError) as error:
        raise SpecError([DownloadFailed(url, str(place), _reason(error)).at(at)]) from None
    if found != digest:
        what, fix = f"its MD5 is {found}, not {digest}", f"remove it, and it is downloaded from {url}"
        raise SpecError([ArchiveDamaged(str(place), what, fix).at(at)])
    return place


def _download(url: str, place: Path) -> None:
    """To the side, synced, then renamed. Several processes may do so at once."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with (
        urlopen(url, timeout=_TIMEOUT) as source,
        NamedTemporaryFile(dir=place.parent, suffix=".part", delete=False) as part,
    ):
        try:
            shutil.copyfileobj(source, part, 1 << 20)
            part.flush()
            os.fsync(part.fileno())
            expected = source.headers.get("Content-Length")
            if expected is not None and part.tell() != int(expected):
                raise OSError(f"{part.tell():,} of {int(expected):,} bytes came")
            part.close()
            Path(part.name).replace(place)
        finally:
            Path(part.name).unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return str(reason) or type(error).__name__
