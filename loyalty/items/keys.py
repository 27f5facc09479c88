"""The master keys of item codes: a file apart from the database, so that a leak of either alone mints nothing.

`keys/item-codes.json` holds masters by key id (1 to 31), with a separate master for PINs. New ranges use the newest
key id; older ones go on verifying what they minted. A lost file makes every printed code unreadable: back it up.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Annotated, Final, Self

import msgspec
import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from loyalty.items.codes import KID_LIMIT, MASTER_LENGTH, ItemCode, ItemKeys, serial_kid
from loyalty.items.manifests import Manifests
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError

FILE_NAME: Final = "item-codes.json"
MANIFESTS: Final = "manifests"
"""The folder, beside the key file, of the lists of codes that were handed out."""
_DERIVED_LIMIT: Final = 4096
"""Derived keys kept in memory. A brand with more products than this derives some again, at some 50 µs each."""


class Master(msgspec.Struct, frozen=True, kw_only=True):
    """The two masters of one key id, 32 bytes each."""

    master: bytes
    pin_master: bytes
    created_at: datetime


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    keys: dict[Annotated[int, msgspec.Meta(ge=1, lt=KID_LIMIT)], Master]


class MasterKeys:
    """The masters by key id, and the keys of products derived from them."""

    def __init__(
        self, masters: Mapping[int, Master], *, manifests: Path | None = None, path: Path | None = None
    ) -> None:
        if not masters:
            raise InvalidInputError("the file of item code keys holds no key", field="keys")
        for kid, master in masters.items():
            if len(master.master) != MASTER_LENGTH or len(master.pin_master) != MASTER_LENGTH:
                raise InvalidInputError(f"the masters of key id {kid} must have {MASTER_LENGTH} bytes", field="keys")
        self.masters: Final = dict(masters)
        self._path: Final = path
        self._read_as = _state_of(path)
        self.manifests: Final = Manifests(manifests)
        self._derived: Final[dict[tuple[str, int], ItemKeys]] = {}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the key file. Raises NotFoundError where there is none, InvalidInputError where it is not one."""
        return cls(_read(path), manifests=path.parent / MANIFESTS, path=path)

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Read the key file, made with a first key at first use. Of several processes at once, one makes it."""
        if not path.exists():
            _create(path)
        return cls.load(path)

    def refresh(self) -> None:
        """Learn the keys that were added to the file since it was read, so that a rotation needs no restart.

        Raises InvalidInputError where the file is no longer one of keys.
        """
        present = _state_of(self._path)
        if self._path is not None and present not in (None, self._read_as):
            self.masters.update(_read(self._path))
            self._read_as = present

    @property
    def kids(self) -> list[int]:
        """The key ids that verify, in order."""
        return sorted(self.masters)

    @property
    def current_kid(self) -> int:
        """The key id that new ranges use: the newest."""
        return max(self.masters)

    def for_product(self, gtin: str, kid: int) -> ItemKeys:
        """The keys of a product (14 digits) under a key id. Raises NotFoundError where the key id has no master."""
        derived = self._derived.get((gtin, kid))
        if derived is None:
            master = self.masters.get(kid)
            if master is None:
                raise NotFoundError(f"there is no item code key {kid}", field="kid")
            derived = ItemKeys(gtin=gtin, kid=kid, master=master.master, pin_master=master.pin_master)
            if len(self._derived) >= _DERIVED_LIMIT:
                self._derived.clear()
            self._derived[gtin, kid] = derived
        return derived

    def verify(self, gtin: str, serial: str) -> ItemCode | None:
        """Read a serial of a product (14 digits); None where no key of ours made it. Touches no database."""
        kid = serial_kid(serial)
        if kid is not None and kid not in self.masters:
            self.refresh()
        return None if kid not in self.masters else self.for_product(gtin, kid).verify(serial)

    def verify_many(self, gtin: str, serials: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The key ids and the indexes of many serials of a product (14 digits), in any case; -1 in both where no key
        of ours made one.
        """
        kids, indexes = (np.full(len(serials), -1, dtype=np.int64) for _ in range(2))
        for kid in self.kids:
            found = self.for_product(gtin, kid).verify_many(serials)
            kids[found >= 0] = kid
            indexes = np.maximum(indexes, found)
        return kids, indexes

    def with_new_key(self) -> MasterKeys:
        """These masters and new ones under the next key id. Raises ConflictError when all 31 key ids are taken."""
        kid = self.current_kid + 1
        if kid >= KID_LIMIT:
            raise ConflictError(f"all {KID_LIMIT - 1} key ids are taken", field="keys")
        return MasterKeys({**self.masters, kid: _new_master()}, manifests=self.manifests.folder)

    @cached_property
    def imported_pin_key(self) -> bytes:
        """What the PINs of imported serials are hashed under: of the first PIN master, which is never taken away."""
        first = self.masters[min(self.masters)].pin_master
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=b"item-code/v1", info=b"imported-pin").derive(first)


def rotate(path: Path) -> MasterKeys:
    """Add a key id with new masters to the key file; new ranges use it, and older ids go on verifying.

    A running server takes it up by itself. Raises NotFoundError where there is no file, ConflictError when all
    31 key ids are taken or another rotation is under way.
    """
    successor = path.with_suffix(".new")
    try:
        descriptor = os.open(successor, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        message = f"another rotation is under way; if none is, it was cut short: remove {successor}"
        raise ConflictError(message, field="keys") from error
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no folder {path.parent}", field="keys") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            # The successor is the lock: what is read now cannot be replaced by another, so no key is lost.
            keys = MasterKeys.load(path).with_new_key()
            _write(file, keys.masters)
        successor.replace(path)
    except BaseException:
        successor.unlink(missing_ok=True)
        raise
    return keys


def _read(path: Path) -> dict[int, Master]:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file of item code keys at {path}", field="keys") from error
    try:
        return msgspec.json.decode(content, type=_File).keys
    except msgspec.MsgspecError as error:
        raise InvalidInputError(f"{path} is not a file of item code keys: {error}", field="keys") from error


def _state_of(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when a file is replaced."""
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name) as file:  # made with mode 0600
        _write(file, {1: _new_master()})
        # A link appears whole or not at all, and only if nobody was first.
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)


def _write(file: IO[bytes], masters: Mapping[int, Master]) -> None:
    file.write(msgspec.json.format(msgspec.json.encode(_File(keys=dict(masters))), indent=2))
    file.flush()
    os.fsync(file.fileno())


def _new_master() -> Master:
    return Master(
        master=secrets.token_bytes(MASTER_LENGTH),
        pin_master=secrets.token_bytes(MASTER_LENGTH),
        created_at=utc_now(),
    )
