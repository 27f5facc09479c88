"""Personal data at rest: encrypted with keys that can be rotated, and found by a keyed blind index.

A value is sealed with AES-256-GCM (NIST SP 800-38D). The ciphertext names its key, so that old values stay readable
after a rotation; the associated data is who the value belongs to and which field it is, so that a ciphertext copied
into another member's row does not open. What must be looked up (a phone) is also stored as HMAC-SHA256 of its
normalised form under a key of its own: equal values have equal digests, and without the key they say nothing.

The keys live in one JSON file beside, and never inside, the database:

    {"version": 1, "current": 2, "index_key": "<base64>", "keys": {"1": "<base64>", "2": "<base64>"}}
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final, Self
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from loyalty.kit.errors import DomainError

_FILE_VERSION: Final = 1
_FORMAT: Final = 1
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # random: SP 800-38D allows 2**32 values a key, and rotation begins a new key long before
_TAG_BYTES: Final = 16
HEAD_BYTES: Final = 5  # format, then the key id as four bytes
_HIGHEST_KEY_ID: Final = 2**32 - 1


class KeyringError(DomainError):
    """The key file cannot be used, or a value was sealed by a key, for a member or for a field that is not this one."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "keyring"
    title: ClassVar[str] = "Personal data cannot be read"


class _KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    current: int
    index_key: bytes
    keys: dict[int, bytes]


class Keyring:
    """The keys for personal data. Immutable: `rotate` writes a new file and gives a new keyring.

    Safe to share between tasks and threads.
    """

    def __init__(self, *, keys: Mapping[int, bytes], current: int, index_key: bytes) -> None:
        if current not in keys:
            message = f"key {current} is named as current but is not in the keyring"
            raise KeyringError(message, field="current")
        for key_id, key in keys.items():
            if not 1 <= key_id <= _HIGHEST_KEY_ID or len(key) != _KEY_BYTES:
                message = f"key {key_id} must have an id from 1 to {_HIGHEST_KEY_ID} and {_KEY_BYTES} bytes"
                raise KeyringError(message, field="keys")
        if len(index_key) != _KEY_BYTES:
            message = f"the index key must have {_KEY_BYTES} bytes"
            raise KeyringError(message, field="index_key")
        self._index_key = index_key
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = current
        """The id of the key that seals new values."""

    @classmethod
    def generate(cls) -> Self:
        """Make a keyring with one new key, in memory alone."""
        return cls._from(_new_content())

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the keyring at `path`; at first use make it, atomically and readable by its owner alone (0600).

        Processes that start together all get the same keys. Raises KeyringError when the file is not a keyring: it is
        never replaced, because the old keys are the only way to what they sealed.
        """
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
            _write(draft, _new_content())
            try:
                os.link(draft, path)  # unlike a rename, this never replaces what another process was quicker to make
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return cls._from(_read(path))

    @classmethod
    def rotate(cls, path: Path) -> Self:
        """Add a new key to the file, make it current, and give the new keyring. Old keys stay and still open.

        Values sealed before answer True to `needs_rotation` until they are sealed anew. Raises KeyringError when
        there is no keyring at `path` or another rotation is under way.
        """
        with _alone(path) as draft:
            old = _read(path)
            added = max(old.keys) + 1
            new = _KeyFile(
                version=_FILE_VERSION,
                current=added,
                index_key=old.index_key,
                keys={**old.keys, added: secrets.token_bytes(_KEY_BYTES)},
            )
            keyring = cls._from(new)
            _write(draft, new)
            draft.replace(path)
        return keyring

    @classmethod
    def _from(cls, content: _KeyFile) -> Self:
        return cls(keys=content.keys, current=content.current, index_key=content.index_key)

    def encrypt(self, text: str, *, owner: UUID, field: str) -> bytes:
        """Seal `text` for one field of one member: format, key id, nonce, ciphertext and tag, in that order."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self.head + nonce + self._ciphers[self.current].encrypt(nonce, text.encode(), _bound_to(owner, field))

    def decrypt(self, sealed: bytes, *, owner: UUID, field: str) -> str:
        """Open what `encrypt` sealed for the same member and field. Raises KeyringError, never gives a wrong text."""
        key_id = self._key_id(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            message = f"the value was sealed with key {key_id}, which is not in the keyring"
            raise KeyringError(message, field=field)
        nonce, rest = sealed[HEAD_BYTES : HEAD_BYTES + _NONCE_BYTES], sealed[HEAD_BYTES + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, rest, _bound_to(owner, field)).decode()
        except InvalidTag as error:
            message = "the value was changed, or sealed for another member, field or keyring"
            raise KeyringError(message, field=field) from error

    def needs_rotation(self, sealed: bytes) -> bool:
        """Whether the value is sealed with a key that is no longer the current one."""
        return self._key_id(sealed) != self.current

    @property
    def head(self) -> bytes:
        """What every value begins with that the current key sealed: format and key id, `HEAD_BYTES` long."""
        return bytes([_FORMAT]) + self.current.to_bytes(4)

    def reseal(self, sealed: bytes, *, owner: UUID, field: str, new_owner: UUID | None = None) -> bytes:
        """Seal an old value anew with the current key, for `new_owner` if one is given. Raises as `decrypt` does."""
        return self.encrypt(self.decrypt(sealed, owner=owner, field=field), owner=new_owner or owner, field=field)

    def blind_index(self, *domain: str, value: str) -> bytes:
        """32 bytes that are equal for equal values of one domain (programme and kind), and mean nothing elsewhere.

        The caller normalises `value` first: `+8619900001234`, never one of its spellings.
        """
        message = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in (*domain, value))
        return hmac.digest(self._index_key, message, "sha256")

    @staticmethod
    def _key_id(sealed: bytes) -> int:
        if len(sealed) < HEAD_BYTES + _NONCE_BYTES + _TAG_BYTES or sealed[0] != _FORMAT:
            message = "the value is not one that a keyring sealed"
            raise KeyringError(message)
        return int.from_bytes(sealed[1:HEAD_BYTES])


def _bound_to(owner: UUID, field: str) -> bytes:
    return owner.bytes + field.encode()


def _new_content() -> _KeyFile:
    return _KeyFile(
        version=_FILE_VERSION,
        current=1,
        index_key=secrets.token_bytes(_KEY_BYTES),
        keys={1: secrets.token_bytes(_KEY_BYTES)},
    )


def _read(path: Path) -> _KeyFile:
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_KeyFile)
    except FileNotFoundError as error:
        message = f"there is no keyring at {path}"
        raise KeyringError(message, field=path.name) from error
    except msgspec.DecodeError as error:
        message = f"{path} is not a keyring ({error}); restore it from a backup, it must not be made anew"
        raise KeyringError(message, field=path.name) from error
    if content.version != _FILE_VERSION:
        message = f"{path} has version {content.version}, this program reads version {_FILE_VERSION}"
        raise KeyringError(message, field=path.name)
    return content


def _write(path: Path, content: _KeyFile) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[Path]:
    """Hold the draft's name, so that of two rotations at once neither loses the other's key."""
    draft = path.with_name(f"{path.name}.next")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        message = f"another rotation is under way; if none is, remove {draft} and repeat"
        raise KeyringError(message, field=draft.name) from error
    except FileNotFoundError as error:
        message = f"there is no keyring at {path}"
        raise KeyringError(message, field=path.name) from error
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)
