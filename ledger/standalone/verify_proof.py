"""Check a proof that an entry stands in a Tallystar ledger, or a folder of its seals, without the ledger.

    python verify_proof.py proof.json --key key-….pem
    python verify_proof.py proof.json --key key-….pem --seals folder
    python verify_proof.py --key key-….pem --seals folder

It needs this file, Python 3.9 or newer, the package `cryptography`, and the public key that you were given when you
began to trust it: not one that came with the proof. It exits with 0 when everything is as it should be, with 1 when
something is not and says what, with 2 when it was called wrongly.

What it checks, in this order:
1. each record leads to the next: SHA-256 over the hash of the entry before and the entry's columns as PostgreSQL sends
   them (`record_send`);
2. the last of them is a leaf of the seal's Merkle tree (RFC 9162, section 2.1);
3. the seal was signed (Ed25519) by the key that you gave, and each later seal names the hash of the one before it;
4. where you gave a folder of seals, the seal is the one in the folder, and the folder's own files fit each other.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import struct
import sys
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

FORMAT = "tallystar-proof/1"
NO_SEAL = "0" * 64
STATEMENT = re.compile(
    r"tallystar-seal/1\nnumber (?P<number>[1-9]\d*)\nsealed_at (?P<sealed_at>\S+)\nclosings \d+-\d+\n"
    r"complete_until \S+\nleaves (?P<leaves>\d+)\nroot (?P<root>[0-9a-f]{64})\nprevious (?P<previous>[0-9a-f]{64})\n"
    r"key (?P<key>[0-9a-f]{64})\n",
    re.ASCII,
)
EPOCH = datetime.fromisoformat("2000-01-01T00:00:00+00:00")

# The columns of an entry in their order, with PostgreSQL's numbers for their types.
UUID, TEXT, BIGINT, INTEGER, BOOLEAN, BYTES, MOMENT, BIGINTS = 2950, 25, 20, 23, 16, 17, 1184, 1016
COLUMNS = {
    "member_id": UUID,
    "unit": TEXT,
    "seq": BIGINT,
    "programme_id": UUID,
    "posting": BIGINT,
    "kind": TEXT,
    "amount": BIGINT,
    "debit": TEXT,
    "credit": TEXT,
    "posted": BIGINT,
    "pending": BIGINT,
    "held": BIGINT,
    "debt": BIGINT,
    "idem_key": TEXT,
    "request_hash": BYTES,
    "reverses_member": UUID,
    "reverses": BIGINT,
    "hold_id": UUID,
    "peer_id": UUID,
    "opens_lot": BOOLEAN,
    "lot_expires_at": MOMENT,
    "lot_available_at": MOMENT,
    "lot_priority": INTEGER,
    "lot_origin_member": UUID,
    "lot_origin_seq": BIGINT,
    "hold_expires_at": MOMENT,
    "idle_expires_at": MOMENT,
    "source": TEXT,
    "reason": TEXT,
    "actor": TEXT,
    "approved_by": TEXT,
    "rule_version": TEXT,
    "effective_at": MOMENT,
    "recorded_at": MOMENT,
    "lots": BIGINTS,
    "amounts": BIGINTS,
}


Keys = dict[str, Ed25519PublicKey]  # by the ids that seals name them by
Says = dict[str, str]  # what a seal says, and its hash


class Wrong(Exception):  # noqa: N818  (it is what the sentence says)
    """What was checked is not as it should be."""


# --- 1. Records -------------------------------------------------------------------------------------------------------


def column(kind: int, value: Any) -> bytes:
    """One value as PostgreSQL sends it: its type, its length, itself."""
    if value is None:
        return struct.pack(">ii", kind, -1)
    if kind == UUID:
        data = uuid.UUID(value).bytes
    elif kind == TEXT:
        data = value.encode()
    elif kind == BIGINT:
        data = struct.pack(">q", value)
    elif kind == INTEGER:
        data = struct.pack(">i", value)
    elif kind == BOOLEAN:
        data = struct.pack(">?", value)
    elif kind == BYTES:
        data = bytes.fromhex(value)
    elif kind == MOMENT:
        since = datetime.fromisoformat(value) - EPOCH
        data = struct.pack(">q", (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
    else:
        data = struct.pack(">iiiii", 1, 0, BIGINT, len(value), 1)
        data += b"".join(struct.pack(">iq", 8, one) for one in value)
    return struct.pack(">ii", kind, len(data)) + data


def next_hash(before: bytes, entry: dict[str, Any]) -> bytes:
    """The hash of the entry that follows the entry whose hash is `before`."""
    if entry.keys() != COLUMNS.keys():
        raise Wrong("an entry of the proof has not the columns of an entry")
    record = b"".join(column(kind, entry[name]) for name, kind in COLUMNS.items())
    return hashlib.sha256(before + struct.pack(">i", len(COLUMNS)) + record).digest()


def follow(proof: dict[str, Any]) -> bytes:
    """The leaf that the proof's entries lead to."""
    first = proof["entries"][0]
    head = bytes.fromhex(proof["before"])
    if (len(head) == 0) != (first["seq"] == 1):
        raise Wrong("only the first entry of an account has none before it")
    for number, entry in enumerate(proof["entries"], first["seq"]):
        if (entry["member_id"], entry["unit"], entry["seq"]) != (first["member_id"], first["unit"], number):
            raise Wrong("the entries of the proof do not follow each other on one account")
        head = next_hash(head, entry)
    account: bytes = uuid.UUID(first["member_id"]).bytes + first["unit"].encode() + b"\0"
    return account + struct.pack(">q", proof["entries"][-1]["seq"]) + head


# --- 2. The tree (RFC 9162, 2.1) --------------------------------------------------------------------------------------


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node above two others."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root_by_path(leaf: bytes, index: int, size: int, path: list[str]) -> bytes:
    """The root that a leaf's path leads to (2.1.3.2)."""
    found, last = leaf_hash(leaf), size - 1
    for sibling in path:
        if last == 0:
            raise Wrong("the path is too long for the tree")
        if index % 2 == 1 or index == last:
            found = node_hash(bytes.fromhex(sibling), found)
            while index % 2 == 0 and index != 0:
                index, last = index // 2, last // 2
        else:
            found = node_hash(found, bytes.fromhex(sibling))
        index, last = index // 2, last // 2
    if last != 0:
        raise Wrong("the path is too short for the tree")
    return found


def root(leaves: list[bytes]) -> bytes:
    """The root of a tree (2.1.1), from subtrees that double."""
    peaks: list[bytes] = []
    for number, leaf in enumerate(leaves, 1):
        merged = leaf_hash(leaf)
        while number % 2 == 0:
            merged, number = node_hash(peaks.pop(), merged), number // 2  # noqa: PLW2901
        peaks.append(merged)
    if not peaks:
        return hashlib.sha256().digest()
    merged = peaks.pop()
    while peaks:
        merged = node_hash(peaks.pop(), merged)
    return merged


# --- 3. Seals ---------------------------------------------------------------------------------------------------------


def read_keys(paths: list[str]) -> Keys:
    """The public keys of these files, by the ids that seals name them by."""
    keys = {}
    for path in paths:
        key = load_pem_public_key(Path(path).read_bytes())
        if not isinstance(key, Ed25519PublicKey):
            raise Wrong(f"{path} is not an Ed25519 public key")
        keys[hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()] = key
    return keys


def check_seal(seal: dict[str, str], keys: Keys) -> Says:
    """What a seal says, once its signature is right."""
    says = STATEMENT.fullmatch(seal["statement"])
    if says is None:
        raise Wrong("this is not the statement of a seal")
    name = f"seal {says['number']}"
    if says["key"] not in keys:
        raise Wrong(f"{name} is signed by the key {says['key']}, which is not one that you gave")
    try:
        keys[says["key"]].verify(bytes.fromhex(seal["signature"]), seal["statement"].encode())
    except InvalidSignature:
        raise Wrong(
            f"the signature of {name} is not right: what it says was changed, or another key signed it"
        ) from None
    return {**says.groupdict(), "hash": hashlib.sha256(seal["statement"].encode()).hexdigest()}


def check_order(before: Says, after: Says) -> None:
    """Two seals follow each other."""
    if int(after["number"]) != int(before["number"]) + 1 or after["previous"] != before["hash"]:
        raise Wrong(f"seal {after['number']} does not follow seal {before['number']}")


# --- 4. A folder of seals ---------------------------------------------------------------------------------------------


def read_leaves(data: bytes) -> list[bytes]:
    """The leaves of a .heads file: 16 bytes, a unit and a zero byte, 8 bytes, 32 bytes; one after the other."""
    leaves: list[bytes] = []
    start = 0
    while start < len(data):
        end = data.index(b"\0", start + 16) + 1 + 8 + 32
        if end > len(data):
            raise ValueError
        leaves.append(data[start:end])
        start = end
    return leaves


def check_folder(folder: Path, keys: Keys) -> list[Says]:
    """Every seal of a folder, from the first on; raises Wrong naming the first file that does not fit."""
    seals: list[Says] = []
    for path in sorted(folder.glob("seal-*.json")):
        try:
            seal = check_seal(json.loads(path.read_text(encoding="utf-8")), keys)
            leaves = read_leaves(path.with_suffix(".heads").read_bytes())
        except Wrong as error:
            raise Wrong(f"{path.name}: {error}") from None
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise Wrong(f"{path.name} and its .heads cannot be read: {error!r}") from None
        if not seals and (seal["number"] != "1" or seal["previous"] != NO_SEAL):
            raise Wrong(f"{path.name} is the first file and not the first seal")
        if seals:
            check_order(seals[-1], seal)
        if len(leaves) != int(seal["leaves"]) or root(leaves).hex() != seal["root"]:
            raise Wrong(f"{path.with_suffix('.heads').name} does not hold the heads that were sealed")
        seals.append(seal)
    if not seals:
        raise Wrong(f"there are no seals in {folder}")
    return seals


# --- The verdict ------------------------------------------------------------------------------------------------------


def check_proof(proof: dict[str, Any], keys: Keys) -> list[Says]:
    """Check a proof; answers its seal and the later ones. Raises Wrong."""
    if proof.get("format") != FORMAT:
        raise Wrong(f"this is not a proof of the kind {FORMAT}")
    seals = [check_seal(seal, keys) for seal in [proof["seal"], *proof["later_seals"]]]
    for before, after in zip(seals, seals[1:]):  # noqa: B905, RUF007  (Python 3.9)
        check_order(before, after)
    leaf = follow(proof)
    size, index = int(seals[0]["leaves"]), proof["leaf"]["index"]
    if not 0 <= index < size or root_by_path(leaf, index, size, proof["leaf"]["path"]).hex() != seals[0]["root"]:
        raise Wrong(
            f"the entries do not lead to what seal {seals[0]['number']} holds: "
            "an entry of the proof, or the path, is not what was sealed"
        )
    return seals


def member_name(member_id: str) -> str:
    """The member's id as Tallystar shows it: 26 digits of Crockford's base 32."""
    number = uuid.UUID(member_id).int
    return "mem_" + "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number >> shift & 31] for shift in range(125, -1, -5))


def tell_proof(proof: dict[str, Any], seals: list[Says]) -> None:
    """Say what was proved, in words."""
    entry, seal, followed = proof["entries"][0], seals[0], len(proof["entries"]) - 1
    say(f"Entry {entry['seq']} of member {member_name(entry['member_id'])}, {entry['unit']}:")
    say(f"  {entry['kind']} of {entry['amount']}, from {entry['debit']} to {entry['credit']}, source {entry['source']}")
    say(f"  recorded at {entry['recorded_at']}, in effect at {entry['effective_at']}")
    say(
        f"  then: {entry['posted']} to spend, {entry['pending']} pending, {entry['held']} on hold, {entry['debt']} owed"
    )
    say(f"PROVED: exactly this entry was in the ledger when seal {seal['number']} was signed, at {seal['sealed_at']}.")
    say(f"  {followed} later entries lead from it to its account's head, one of {seal['leaves']} under the seal.")
    if len(seals) > 1:
        say(f"  {len(seals) - 1} later seals follow without a gap, up to seal {seals[-1]['number']}.")


def tell_folder(folder: Path, seals: list[Says]) -> None:
    """Say what a folder holds, in words."""
    say(f"INTACT: {folder} holds seals 1 to {seals[-1]['number']}, the last of {seals[-1]['sealed_at']}.")
    say("  Each is signed, follows the one before it, and has the heads that it was signed for.")


def say(line: str) -> None:
    """One line for people; what an entry's texts hold cannot make it two."""
    sys.stdout.write("".join(sign if sign.isprintable() else "?" for sign in line) + "\n")


def run(options: argparse.Namespace) -> None:
    """Check what was asked for. Raises Wrong."""
    keys = read_keys(options.key)
    folder = check_folder(options.seals, keys) if options.seals else []
    if options.proof:
        try:
            proof = json.loads(options.proof.read_text(encoding="utf-8"))
            seals = check_proof(proof, keys)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error) as error:
            raise Wrong(f"this is not a whole proof: {error!r}") from None
        held = [seal["hash"] for seal in folder]
        if folder and seals[0]["hash"] not in held:
            raise Wrong(f"seal {seals[0]['number']} of the proof is not the one in {options.seals}")
        tell_proof(proof, seals)
        if folder:
            say(f"  That seal is the one in {options.seals}.")
    if folder:
        tell_folder(options.seals, folder)


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proof", nargs="?", type=Path, help="the file that tallystar ledger prove wrote")
    parser.add_argument("--key", action="append", required=True, help="a public key in PEM; again for each that signed")
    parser.add_argument("--seals", type=Path, help="a folder of seals: your own copy, best of all")
    options = parser.parse_args()
    if options.proof is None and options.seals is None:
        parser.error("give a proof, or a folder of seals, or both")
    try:
        run(options)
    except Wrong as error:
        say(f"NOT PROVED: {error}." if options.proof else f"NOT INTACT: {error}.")
        return 1
    except (OSError, ValueError) as error:
        say(f"NOT READ: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
