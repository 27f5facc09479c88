"""The keys that sign seals: a file apart from the database, so that whoever owns the database cannot sign.

`keys/seals.json` holds the private key that signs now and the public keys of all that ever signed, oldest first:

    {"version": 1, "private": "<base64>", "public": ["<base64>", "<base64>"]}

A key's id is the SHA-256 of its public half as SubjectPublicKeyInfo (RFC 5280) in DER, as RFC 6962 names a log; anybody
finds it again with `openssl pkey -pubin -in key.pem -outform DER | sha256sum`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Annotated, ClassVar, Final, Self

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from loyalty.kit.errors import DomainError
from loyalty.kit.files import write_new

FILE_NAME: Final = "seals.json"

_Key = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class SealKeyError(DomainError):
    """The file of the keys that sign seals cannot be used as it is."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "seal-keys"
    title: ClassVar[str] = "Seals cannot be signed or checked"


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    private: _Key
    public: Annotated[list[_Key], msgspec.Meta(min_length=1)]


def key_id(key: Ed25519PublicKey) -> str:
    """The id of a public key: 64 hexadecimal digits."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class SealKeys:
    """The public keys of all that ever signed, oldest first: enough to check every seal. Immutable."""

    def __init__(self, public: Sequence[Ed25519PublicKey]) -> None:
        self.public: Final = {key_id(key): key for key in public}
        """The keys by their ids."""
        self._places: Final = {name: place for place, name in enumerate(self.public)}

    @classmethod
    def from_pem(cls, keys: Iterable[bytes]) -> SealKeys:
        """Keys that somebody was given, oldest first. Raises SealKeyError where one is not an Ed25519 public key."""
        public = []
        for pem in keys:
            try:
                key = load_pem_public_key(pem)
            except (ValueError, UnsupportedAlgorithm) as error:
                raise SealKeyError("this is not a public key in PEM", field="key") from error
            if not isinstance(key, Ed25519PublicKey):
                raise SealKeyError("this is not an Ed25519 key", field="key")
            public.append(key)
        return SealKeys(public)

    def is_signed(self, statement: bytes, *, key: str, signature: bytes) -> bool | None:
        """Whether that key signed the statement; None where the key is not one of ours."""
        public = self.public.get(key)
        if public is None:
            return None
        try:
            public.verify(signature, statement)
        except InvalidSignature:
            return False
        return True

    def retired_before(self, key: str, other: str) -> bool:
        """Whether a key had been replaced by the time when the other signed."""
        return key in self._places and other in self._places and self._places[key] < self._places[other]

    def public_pem(self) -> dict[str, bytes]:
        """Every public key by its id, in the form that openssl and the stand-alone verifier read."""
        return {
            name: key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for name, key in self.public.items()
        }


class SigningKeys(SealKeys):
    """The same with the private key that signs now: what the key file holds."""

    def __init__(self, private: Ed25519PrivateKey, public: Sequence[Ed25519PublicKey]) -> None:
        super().__init__(public)
        self._private: Final = private
        self.current: Final = key_id(private.public_key())
        """The id of the key that signs."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the key file, made with a first key at first use. Raises SealKeyError where the file is not one.

        Processes that start together all get the same key.
        """
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError), write_new(path, mode=0o600) as file:
                file.write(_written(_with_new_key([])))
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the key file. Raises SealKeyError where there is none or it is not one."""
        content = _read(path)
        private = Ed25519PrivateKey.from_private_bytes(content.private)
        public = [Ed25519PublicKey.from_public_bytes(key) for key in content.public]
        if private.public_key() != public[-1]:
            message = f"the private key of {path} does not belong to its last public key; restore it from a backup"
            raise SealKeyError(message, field=path.name)
        return cls(private, public)

    @classmethod
    def rotate(cls, path: Path) -> Self:
        """Put a new key in place of the one that signs, whose private half is gone then; its public half stays known.

        Raises SealKeyError where there is no key file or another change of it is under way.
        """
        with _replacing(path) as file:
            file.write(_written(_with_new_key(_read(path).public)))
        return cls.read(path)

    @classmethod
    def learn(cls, path: Path, keys: SealKeys) -> Self:
        """Put public keys that signed before, and were lost with an earlier key file, before those in it.

        Raises SealKeyError as `rotate` does.
        """
        with _replacing(path) as file:
            own = _read(path)
            earlier = [raw for raw in (key.public_bytes_raw() for key in keys.public.values()) if raw not in own.public]
            file.write(_written(_File(private=own.private, public=[*earlier, *own.public])))
        return cls.read(path)

    def sign(self, statement: bytes) -> bytes:
        """The Ed25519 signature (RFC 8032) of a statement by the current key: 64 bytes."""
        return self._private.sign(statement)


def _read(path: Path) -> _File:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError as error:
        raise SealKeyError(f"there is no file of seal keys at {path}", field=path.name) from error
    except msgspec.MsgspecError as error:
        message = f"{path} is not a file of seal keys ({error}); restore it from a backup"
        raise SealKeyError(message, field=path.name) from error


def _with_new_key(earlier: Sequence[bytes]) -> _File:
    key = Ed25519PrivateKey.generate()
    return _File(private=key.private_bytes_raw(), public=[*earlier, key.public_key().public_bytes_raw()])


def _written(content: _File) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write the successor of the key file. It is the lock as well: what is read meanwhile nobody else can replace."""
    successor = path.with_suffix(".new")
    try:
        descriptor = os.open(successor, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        message = f"another change of the keys is under way; if none is, it was cut short: remove {successor}"
        raise SealKeyError(message, field=path.name) from error
    except FileNotFoundError as error:
        raise SealKeyError(f"there is no folder {path.parent}", field=path.name) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        successor.replace(path)
    finally:
        successor.unlink(missing_ok=True)
