"""Weights: content-addressed safetensors files. The name of a file is the hash of its bytes; no pickle is ever loaded.

    <root>/3f/3f9c….safetensors

Tensors that are equal give the same bytes, so the same weights are kept once, whoever saves them and however often.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.graph.sums import DamagedError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["WeightStore", "sealed", "serialised", "unsealed", "write_whole"]

_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_SUFFIX = ".safetensors"
_SEAL, _BLANK = "sha256", "0" * 64
_SEALED = re.compile(rb'"sha256":"([0-9a-f]{64})"')


class WeightStore:
    """A folder of weights, each under the hash of its content.

    Any number of processes may save and load at the same time: a file appears as a whole or not at all.

    Args:
        root: The folder; made when the first weights are saved.

    Example:
        >>> import tempfile, torch
        >>> store = WeightStore(Path(tempfile.mkdtemp()))
        >>> key = store.save({"w": torch.zeros(2, 3)})
        >>> key[:15], store.load(key)["w"].shape
        ('sha256:51857c33', torch.Size([2, 3]))
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def save(self, state: Mapping[str, Tensor]) -> str:
        """Keeps a state and says under which hash.

        Args:
            state: Tensors by name, on any device, in any memory layout.

        Returns:
            `sha256:` and 64 hexadecimal digits; the same for equal tensors.
        """
        return self.keep(serialised(state))

    def keep(self, content: bytes) -> str:
        """Keeps the bytes of a safetensors file as they are, and says under which hash.

        Args:
            content: Of the file; what its header says counts.
        """
        digest = hashlib.sha256(content).hexdigest()
        # Always written, even when it is there: saving again repairs a damaged file.
        write_whole(self._file(digest), content)
        return f"sha256:{digest}"

    def load(self, key: str) -> dict[str, Tensor]:
        """The state that was kept under a hash.

        Args:
            key: What `save` returned.

        Returns:
            Tensors by name, on the CPU, contiguous.

        Raises:
            InputError: The hash is malformed.
            UnknownKeyError: No weights have that hash.
            DamagedError: The file holds something else.
        """
        from safetensors.torch import load

        file = self.path(key)
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            raise UnknownKeyError("weights", key, self.hashes(), where=f"in {self.root}") from None
        found = hashlib.sha256(content).hexdigest()
        if f"sha256:{found}" != key:
            raise DamagedError(file, key.removeprefix("sha256:"), found, "save them again or restore a backup")
        tensors: dict[str, Tensor] = load(content)
        return tensors

    def path(self, key: str) -> Path:
        """Where the weights of a hash lie, whether they are there or not.

        Raises:
            InputError: The hash is malformed; nothing outside the folder can be named.

        Example:
            >>> WeightStore(Path("w")).path("sha256:" + "ab" * 32).parent.as_posix()
            'w/ab'
        """
        match = _HASH.fullmatch(key)
        if match is None:
            raise InputError(f"expected a weights hash, sha256: and 64 digits from 0-9a-f; got {key!r}")
        return self._file(match[1])

    def has(self, key: str) -> bool:
        """Whether there are weights under this hash; their content is checked when they are loaded."""
        return self.path(key).is_file()

    def hashes(self) -> list[str]:
        """Every hash that has weights, sorted."""
        found = (f"sha256:{file.stem}" for file in self.root.glob(f"??/*{_SUFFIX}"))
        return sorted(key for key in found if _HASH.fullmatch(key))

    def _file(self, digest: str) -> Path:
        return self.root / digest[:2] / f"{digest}{_SUFFIX}"


def serialised(state: Mapping[str, Tensor], header: Mapping[str, str] | None = None) -> bytes:
    """Tensors as the bytes of a safetensors file; the same for equal ones.

    Args:
        state: Tensors by name, on any device, in any memory layout.
        header: Text by name that stands before them.
    """
    from safetensors.torch import save

    # Copies, because safetensors refuses tensors that share memory, as tied weights do, and other memory layouts.
    plain = {name: state[name].detach().cpu().contiguous().clone() for name in sorted(state)}
    content: bytes = save(plain, None if header is None else dict(header))
    return content


def sealed(state: Mapping[str, Tensor], header: Mapping[str, str]) -> bytes:
    """The same, with a checksum of all of it in the header; equal tensors and headers give equal bytes.

    Args:
        state: Tensors by name, on any device, in any memory layout.
        header: Text by name that stands before them.
    """
    plain = serialised(state)
    told, data = _parts(plain)
    told = {"__metadata__": {**header, _SEAL: _BLANK}, **told}
    head = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)  # tensors begin at a multiple of 8
    content = len(head).to_bytes(8, "little") + head + data
    return content.replace(_seal(_BLANK), _seal(hashlib.sha256(content).hexdigest()), 1)


def unsealed(file: Path, known: Collection[str], remedy: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a file, which must hold what was sealed; one that never was is of an earlier version.

    Args:
        file: Of `sealed`, or of `serialised`.
        known: The names that its header may have.
        remedy: What mends it.

    Raises:
        DamagedError: It holds something else.
        OSError: It can't be read.
        ValueError: It is no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = file.read_bytes()
    named = _HASH.fullmatch(f"sha256:{file.name.removesuffix(_SUFFIX)}")  # a name that says what it holds
    seal = _SEALED.search(content, 0, min(8 + int.from_bytes(content[:8], "little"), len(content)))
    expected, whole = (named[1], content) if named else (seal[1].decode() if seal else "", content)
    if seal and not named:
        whole = content[: seal.start()] + _seal(_BLANK) + content[seal.end() :]
    got = hashlib.sha256(whole).hexdigest()
    if expected and got != expected:
        raise DamagedError(file, expected, got, remedy)
    try:
        tensors: dict[str, Tensor] = load(content)
        header = dict(_parts(content)[0].get("__metadata__", {}))
    except (SafetensorError, ValueError) as error:
        raise ValueError(str(error)) from None
    if seal:
        del header[_SEAL]
    elif not set(header) <= set(known):  # the seal itself is what was damaged
        raise DamagedError(file, "", got, remedy)
    return tensors, header


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and what follows it."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def _seal(digest: str) -> bytes:
    return f'"{_SEAL}":"{digest}"'.encode()


def write_whole(file: Path, content: bytes) -> None:
    """Writes a file that appears as a whole or not at all.

    Args:
        file: Its folder is made if need be; what was there is replaced.
        content: Of the file.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename is atomic only within one file system.
    handle, partial = tempfile.mkstemp(dir=file.parent, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(partial).replace(file)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
