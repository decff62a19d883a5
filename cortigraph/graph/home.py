"""Where one memory lives on disk.

    <home>/database   the embedded Neo4j, its password and its log
    <home>/weights    content-addressed safetensors
    <home>/batches    what each ingestion brought, so that it can be resumed and reverted
    <home>/cache      decoded data sets; may be deleted at any time
    <home>/work       training jobs under way

The server's jars are the same for every home, so they lie apart, in `shared_cache()`.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cortigraph.graph.errors import SetupError

__all__ = ["Home", "shared_cache"]


@dataclass(frozen=True)
class Home:
    """The folder of one memory. Its sub-folders come into being, private to the user, when they are first asked for.

    Args:
        root: The folder itself, absolute.

    Example:
        >>> import tempfile
        >>> home = Home.resolve(tempfile.mkdtemp())
        >>> home.weights.is_dir(), home.weights.name
        (True, 'weights')
    """

    root: Path

    @classmethod
    def resolve(cls, path: str | Path | None = None) -> Home:
        """Find the home: the argument, else `CORTIGRAPH_HOME`, else the platform's folder for user data.

        Args:
            path: A folder that exists or is to be made; `~` is expanded.

        Returns:
            The home, with an absolute root. Nothing is created yet.

        Raises:
            SetupError: It can't be a folder: a file is there or above it, its name is too long, or there is no way in.
        """
        chosen = path or os.environ.get("CORTIGRAPH_HOME")
        if not chosen:
            import platformdirs

            chosen = platformdirs.user_data_path("cortigraph")
        root = _expanded(chosen)
        try:
            if not stat.S_ISDIR(root.stat().st_mode):
                raise _unusable(root, "a file is there")
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _unusable(root, error.strerror) from error
        return cls(root)

    @property
    def database(self) -> Path:
        """The embedded server's folder."""
        return private_folder(self.root / "database")

    @property
    def weights(self) -> Path:
        """Content-addressed weights."""
        return private_folder(self.root / "weights")

    @property
    def batches(self) -> Path:
        """What each ingestion brought."""
        return private_folder(self.root / "batches")

    @property
    def cache(self) -> Path:
        """Decoded data sets; disposable."""
        return private_folder(self.root / "cache")

    @property
    def work(self) -> Path:
        """Training jobs under way."""
        return private_folder(self.root / "work")


def shared_cache() -> Path:
    """The folder for what all homes share: `CORTIGRAPH_CACHE`, else the platform's cache folder.

    Returns:
        An absolute folder that exists.

    Raises:
        SetupError: The folder can't be made or written.

    Example:
        >>> shared_cache().is_dir()
        True
    """
    chosen: str | Path | None = os.environ.get("CORTIGRAPH_CACHE")
    if not chosen:
        import platformdirs

        chosen = platformdirs.user_cache_path("cortigraph")
    return private_folder(_expanded(chosen))


def private_folder(path: Path) -> Path:
    """Make a folder that only the user can enter, and its parents alike; what exists is left as it is.

    Args:
        path: The folder.

    Returns:
        The same path.

    Raises:
        SetupError: A file is in the way, or the user may not write there.
    """
    if path.is_dir():
        return path
    try:
        for folder in reversed([path, *path.parents]):  # with `parents=True` these would be open to all
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unusable(path, error.strerror) from error
    return path


def _expanded(chosen: str | Path) -> Path:
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError as error:  # `~nobody`
        raise _unusable(Path(chosen), str(error)) from error


def _unusable(path: Path, why: object) -> SetupError:
    return SetupError(
        f"cannot make the folder {path}: {why}; choose another with CORTIGRAPH_HOME (--home) or CORTIGRAPH_CACHE"
    )
