"""Lists of codes that were handed out: what a code of a leaked key has to stand in.

A list is a file of sorted 8-byte numbers, one a code: the lowest 64 of a serial's 80 bits, big-endian. Looking one up
is a binary search in the mapped file, some thirty pages at most, whatever its length. It is made from the keys, an
export's codes at a time, and sorted by buckets, because the bits of serials are spread evenly; memory stays flat.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from loyalty.items.batches import read_serials
from loyalty.kit.errors import UnavailableError

_SUFFIX: Final = ".codes"
_BUCKETS: Final = 256
_NUMBER: Final = np.dtype(">u8")
_TAG_BITS: Final = 40


class Manifests:
    """The lists in a folder, by export; read as they are asked for. Without a folder there are none."""

    def __init__(self, folder: Path | None) -> None:
        self.folder: Final = folder
        self._open: Final[dict[UUID, NDArray[np.uint64]]] = {}

    def list_any(self, exports: Iterable[UUID], serial: str) -> bool:
        """Whether a serial stands in any of these exports' lists. Raises UnavailableError where one cannot be read."""
        (number,) = numbers_of([serial])
        return any(_stands_in(self._list(export), number) for export in exports)

    def write(self, export: UUID, batches: Iterable[NDArray[np.bytes_]]) -> bytes:
        """Keep the list of an export's serials (`S16`, in any order); its SHA-256. Raises UnavailableError.

        A list that is there is replaced by the new one, whole.
        """
        path = self._path(export)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=path.parent)))
            successor = folder / "sorted"
            digest = hashlib.sha256()
            with successor.open("wb") as file:
                for piece in _sorted(folder, batches):
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            successor.replace(path)
        self._open.pop(export, None)
        return digest.digest()

    def _list(self, export: UUID) -> NDArray[np.uint64]:
        found = self._open.get(export)
        if found is None:
            path = self._path(export)
            try:
                found = np.memmap(path, dtype=_NUMBER, mode="r")
            except (OSError, ValueError) as error:
                message = f"the list of codes {path} cannot be read: {error}"
                raise UnavailableError(message) from error
            self._open[export] = found
        return found

    def _path(self, export: UUID) -> Path:
        if self.folder is None:
            raise UnavailableError("there is no folder of lists of codes")
        return self.folder / f"{export}{_SUFFIX}"


def numbers_of(serials: list[str] | NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """The lowest 64 bits of serials. One that cannot be a serial becomes a number, too; its tag says what it is."""
    heads, tags = read_serials(serials)
    return heads.astype(np.uint64) << np.uint64(_TAG_BITS) | tags.astype(np.uint64)


def _stands_in(numbers: NDArray[np.uint64], number: np.uint64) -> bool:
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] < number:
            low = middle + 1
        else:
            high = middle
    return low < len(numbers) and bool(numbers[low] == number)


def _sorted(folder: Path, batches: Iterable[NDArray[np.bytes_]]) -> Iterator[bytes]:
    """All numbers in order, a bucket of the highest byte at a time."""
    paths = [folder / f"{bucket:02x}" for bucket in range(_BUCKETS)]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for batch in batches:
            numbers = np.sort(numbers_of(batch))
            ends = np.searchsorted(numbers >> np.uint64(56), np.arange(_BUCKETS), side="right")
            for bucket, part in enumerate(np.split(numbers, ends[:-1])):
                files[bucket].write(part.tobytes())
    for path in paths:
        yield np.sort(np.fromfile(path, dtype=np.uint64)).astype(_NUMBER).tobytes()
