"""Data sets of cycles in a DVC repository of their own, without Git: each under its cycle's name, which stays its name.

Needs the extra `dvc`. Whatever DVC raises becomes one error, which costs the reference and nothing else.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from meliora.errors import MissingExtra, UpstreamError
from meliora.loop.artifacts.documents import Version, version_of
from meliora.loop.artifacts.folder import replace


class Dvc:
    """A DVC repository. `repository` is DVC's own class, `dvc.repo.Repo`."""

    def __init__(self, root: Path, repository: Any) -> None:
        self._root = root
        self._repository = repository

    @classmethod
    def at(cls, root: Path) -> Dvc:
        """Give the repository at a folder; it is made at its first use. Raises `MissingExtra` without DVC."""
        try:
            module: Any = importlib.import_module("dvc.repo")
        except ImportError as error:
            raise MissingExtra("DVC is not installed.", hint="pip install 'meliora[dvc]'") from error
        return cls(root, module.Repo)

    def track(self, cycle: str, name: str, body: bytes) -> Version:
        """Keep a data set; the same one again changes nothing. Raises `UpstreamError`."""
        path = self._root / cycle / name
        expected = version_of(f"dvc/{cycle}/{name}", body)
        with _ours():
            replace(path, body)
            with self._opened() as repository:
                repository.add(str(path))
            tracked = path.with_name(f"{name}.dvc").read_text(encoding="utf-8")
        if expected.hash not in tracked:
            raise UpstreamError(f"DVC keeps {name} of cycle {cycle} under another hash than {expected.hash}.")
        return expected

    def _opened(self) -> Any:
        if (self._root / ".dvc").is_dir():
            return self._repository(str(self._root))
        return self._repository.init(str(self._root), no_scm=True)


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # DVC raises its own and the system's
        raise UpstreamError(f"DVC: {type(error).__name__}: {error}"[:500]) from error
