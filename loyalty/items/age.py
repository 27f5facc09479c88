"""Files encrypted to a public key in the format of age (c2sp.org/age, v1), byte for byte the same each time.

Whoever has the private key opens them with `age --decrypt` or any other implementation. Libraries draw a fresh key for
each encryption, so that a download that broke off could not be gone on with; here everything that is random comes
from a secret of the caller's. The price is a rule: one secret encrypts one content, ever. The primitives are those of
`cryptography`.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from loyalty.kit.errors import InvalidInputError

SECRET_BYTES: Final = 64
CHUNK_BYTES: Final = 64 * 1024
_TAG_BYTES: Final = 16
_FILE_KEY_BYTES: Final = 16
_NONCE_BYTES: Final = 16
_COUNTER_BYTES: Final = 11
_KEY_BYTES: Final = 32
_VERSION: Final = b"age-encryption.org/v1"
_PREFIX: Final = "age"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


class Recipient:
    """A public key as age writes it, `age1…`. Raises InvalidInputError (`recipient`) where it is none."""

    def __init__(self, text: str) -> None:
        self.text: Final = text.strip()
        try:
            self._key: Final = X25519PublicKey.from_public_bytes(_read_bech32(self.text))
        except ValueError as error:
            message = f"this is not a public key of age, such as age-keygen prints (age1…): {error}"
            raise InvalidInputError(message, field="recipient") from error

    def encrypt(self, pieces: Iterable[bytes | memoryview], secret: bytes) -> Iterator[bytes]:
        """The pieces as an age file for this recipient. `secret` is 64 bytes, for this content alone."""
        ephemeral, file_key, nonce = secret[:_KEY_BYTES], secret[_KEY_BYTES:-_NONCE_BYTES], secret[-_NONCE_BYTES:]
        yield self._header(X25519PrivateKey.from_private_bytes(ephemeral), file_key)
        yield nonce
        cipher = ChaCha20Poly1305(_derive(file_key, salt=nonce, info=b"payload"))
        waiting, number = bytearray(), 0
        for piece in pieces:
            waiting += piece
            # The last chunk says that it is the last, so a whole one waits until more has come.
            whole = (len(waiting) - 1) // CHUNK_BYTES
            if whole > 0:
                view = memoryview(bytes(waiting[: whole * CHUNK_BYTES]))
                yield b"".join(
                    cipher.encrypt(_chunk_nonce(number + place), view[start : start + CHUNK_BYTES], None)
                    for place, start in enumerate(range(0, len(view), CHUNK_BYTES))
                )
                number += whole
                del waiting[: whole * CHUNK_BYTES]
        yield cipher.encrypt(_chunk_nonce(number, last=True), bytes(waiting), None)

    def size(self, plain_bytes: int) -> int:
        """How long the file of so many bytes is."""
        header = self._header(X25519PrivateKey.from_private_bytes(bytes(_KEY_BYTES)), bytes(_FILE_KEY_BYTES))
        chunks = max(1, -(-plain_bytes // CHUNK_BYTES))
        return len(header) + _NONCE_BYTES + plain_bytes + chunks * _TAG_BYTES

    def _header(self, ephemeral: X25519PrivateKey, file_key: bytes) -> bytes:
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(self._key)  # which refuses the points that would make it all zeros
        wrapping = _derive(shared, salt=share + self._key.public_bytes_raw(), info=_VERSION + b"/X25519")
        body = ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None)
        head = b"\n".join([_VERSION, b"-> X25519 " + _base64(share), _base64(body), b"---"])
        mac = hmac.digest(_derive(file_key, salt=b"", info=b"header"), head, sha256)
        return head + b" " + _base64(mac) + b"\n"


def _chunk_nonce(number: int, *, last: bool = False) -> bytes:
    return number.to_bytes(_COUNTER_BYTES) + (b"\x01" if last else b"\x00")


def _derive(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=salt, info=info).derive(key)


def _base64(content: bytes) -> bytes:
    return base64.b64encode(content).rstrip(b"=")


def _read_bech32(text: str) -> bytes:
    """The 32 bytes of a Bech32 text (BIP 173) with age's prefix. Raises ValueError."""
    lower = text.lower()
    head, _, tail = lower.rpartition("1")
    if head != _PREFIX or text not in (lower, text.upper()):
        message = "it does not begin with age1"
        raise ValueError(message)
    symbols = [_BECH32.find(character) for character in tail]
    if (
        -1 in symbols
        or _checksum([ord(each) >> 5 for each in head] + [0] + [ord(each) & 31 for each in head] + symbols) != 1
    ):
        message = "a character is wrong"
        raise ValueError(message)
    value = 0
    for symbol in symbols[:-6]:
        value = value << 5 | symbol
    spare = 5 * len(symbols[:-6]) - 8 * _KEY_BYTES
    if not 0 <= spare < 5 or value & ((1 << spare) - 1):  # noqa: PLR2004  (less than one symbol is padding)
        message = f"it does not hold {_KEY_BYTES} bytes"
        raise ValueError(message)
    return (value >> spare).to_bytes(_KEY_BYTES)


def _checksum(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATOR):
            check ^= generator if top >> place & 1 else 0
    return check
