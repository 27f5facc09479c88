from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from ledger.seal_keys import SealKeyError, SealKeys, SigningKeys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "seals.json"


def test_the_first_use_makes_a_key_that_only_the_owner_reads(path: Path) -> None:
    keys = SigningKeys.open(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert SigningKeys.open(path).current == keys.current


def test_a_signature_is_of_one_statement_and_one_key(path: Path, tmp_path: Path) -> None:
    keys, stranger = SigningKeys.open(path), SigningKeys.open(tmp_path / "other.json")
    signature = keys.sign(b"statement")
    assert keys.is_signed(b"statement", key=keys.current, signature=signature) is True
    assert keys.is_signed(b"Statement", key=keys.current, signature=signature) is False
    assert keys.is_signed(b"statement", key=keys.current, signature=signature[:-1]) is False
    assert keys.is_signed(b"statement", key=stranger.current, signature=signature) is None


def test_a_key_that_was_replaced_is_known_and_no_longer_signs(path: Path) -> None:
    old = SigningKeys.open(path)
    signature = old.sign(b"statement")
    new = SigningKeys.rotate(path)
    assert new.current != old.current
    assert [*new.public] == [old.current, new.current]
    assert new.is_signed(b"statement", key=old.current, signature=signature)
    assert new.retired_before(old.current, new.current)
    assert not new.retired_before(new.current, old.current)
    assert not new.retired_before(new.current, "unknown")
    assert path.stat().st_mode & 0o777 == 0o600
    assert old._private.private_bytes_raw() not in path.read_bytes()


def test_keys_that_were_lost_with_the_file_are_learned_again(path: Path) -> None:
    lost = SigningKeys.open(path)
    path.unlink()
    now = SigningKeys.open(path)
    learned = SigningKeys.learn(path, SealKeys.from_pem(lost.public_pem().values()))
    assert [*learned.public] == [lost.current, now.current]
    assert learned.current == now.current
    assert [*SigningKeys.learn(path, learned).public] == [lost.current, now.current]


def test_an_id_is_the_hash_of_the_public_key(path: Path) -> None:
    keys = SigningKeys.open(path)
    key = load_pem_public_key(keys.public_pem()[keys.current])
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert keys.current == hashlib.sha256(der).hexdigest()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_agrees_on_the_id_and_the_signature(path: Path, tmp_path: Path) -> None:
    keys = SigningKeys.open(path)
    (tmp_path / "key.pem").write_bytes(keys.public_pem()[keys.current])
    (tmp_path / "text").write_bytes(b"statement\n")
    (tmp_path / "signature").write_bytes(keys.sign(b"statement\n"))

    def openssl(*words: str) -> bytes:
        return subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True).stdout

    der = openssl("pkey", "-pubin", "-in", "key.pem", "-outform", "DER")
    assert hashlib.sha256(der).hexdigest() == keys.current
    openssl(
        *("pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "text", "-sigfile", "signature"),
    )


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"version": 2, "private": "", "public": []}', b'{"version": 1, "private": "AAAA"}']
)
def test_a_file_that_is_not_one_is_refused_and_kept(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SealKeyError, match="not a file of seal keys"):
        SigningKeys.open(path)
    assert path.read_bytes() == content


def test_a_private_key_that_is_not_the_last_public_ones_is_refused(path: Path, tmp_path: Path) -> None:
    SigningKeys.open(path)
    other = tmp_path / "other.json"
    SigningKeys.open(other)
    mixed = path.read_text().splitlines()
    mixed[2] = other.read_text().splitlines()[2]
    path.write_text("\n".join(mixed))
    with pytest.raises(SealKeyError, match="does not belong"):
        SigningKeys.read(path)


def test_two_changes_at_once_lose_no_key(path: Path) -> None:
    SigningKeys.open(path)
    path.with_suffix(".new").touch()
    with pytest.raises(SealKeyError, match="under way"):
        SigningKeys.rotate(path)
    assert path.with_suffix(".new").exists()


def test_without_a_file_there_is_nothing_to_read_or_rotate(path: Path) -> None:
    for attempt in (SigningKeys.read, SigningKeys.rotate):
        with pytest.raises(SealKeyError, match="there is no"):
            attempt(path)


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key_is_refused(pem: bytes) -> None:
    with pytest.raises(SealKeyError, match="PEM"):
        SealKeys.from_pem([pem])


def test_a_key_of_another_kind_is_refused() -> None:
    key = generate_private_key(SECP256R1()).public_key()
    with pytest.raises(SealKeyError, match="Ed25519"):
        SealKeys.from_pem([key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)])
