"""Static files that come inside installed distributions, so that none is copied into the project."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

SERVED: dict[str, tuple[str, str]] = {
    # address below static/: (distribution, path inside it)
    "vendor/bootstrap.min.css": ("bootstrap-wrapper", "bootstrap/css/bootstrap.min.css"),
    "vendor/bootstrap.bundle.min.js": ("bootstrap-wrapper", "bootstrap/js/bootstrap.bundle.min.js"),
    # the two above name their maps, and the manifest refuses a name that leads nowhere
    "vendor/bootstrap.min.css.map": ("bootstrap-wrapper", "bootstrap/css/bootstrap.min.css.map"),
    "vendor/bootstrap.bundle.min.js.map": ("bootstrap-wrapper", "bootstrap/js/bootstrap.bundle.min.js.map"),
}


class DistributionFinder(BaseFinder):
    """Finds exactly the files listed in :data:`SERVED`."""

    def __init__(self, app_names: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        if path not in SERVED:
            return []
        found = str(_located(path))
        return [found] if find_all else found

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, FileSystemStorage]]:
        for path in SERVED:
            storage = _One(path)
            yield path, storage


class _One(FileSystemStorage):
    """A storage that holds a single file under its public name."""

    def __init__(self, public: str) -> None:
        self.public = public
        self.prefix = ""
        super().__init__(location=str(_located(public).parent))

    def path(self, name: str) -> str:
        return str(_located(self.public))


def _located(path: str) -> Path:
    name, inside = SERVED[path]
    return Path(str(distribution(name).locate_file(inside)))
