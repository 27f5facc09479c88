"""What proves the books: `tallystar ledger verify|seal|prove|verifier`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from ledger.audit import Evidence, expected_entries, verify_all
from ledger.closing import close_books
from ledger.findings import Finding, Verification
from ledger.proofs import Proof, write_proof
from ledger.proofs import prove as prove_entry
from ledger.seal_files import Published, SealFolder, publish
from ledger.seal_keys import FILE_NAME, SealKeys, SigningKeys
from loyalty.commands.progress import Counter
from loyalty.commands.running import REFUSED, Opened, answer_json, json_option, run
from loyalty.kit.db import transaction
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.members.member import MEMBER_PREFIX
from loyalty.settings import Settings

_MOST_SHOWN: Final = 50
_MOST_JOBS: Final = 64
_VERIFIER: Final = "verify_proof.py"


@click.command()
@click.option(
    "--jobs",
    type=click.IntRange(1, _MOST_JOBS),
    default=lambda: min(os.cpu_count() or 1, 4),
    show_default="the cores there are, at most 4",
    help="Processes that share the work.",
)
@click.option(
    "--seals",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of seals to check against; TALLYSTAR_SEALS is the default.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A public key to trust, in PEM; several oldest first. The installation's own key file is the default.",
)
@json_option
def verify(*, jobs: int, seals: Path | None, keys: tuple[Path, ...], as_json: bool) -> None:
    """Replay every entry, compare hashes, balances, lots and holds with what follows, and check every seal.

    Exit code 1 where something does not follow; each finding names member, unit and the first wrong entry, or the seal
    and its file.
    """
    evidence = _evidence(Settings.from_environment(), seals, keys)

    async def work(opened: Opened) -> Verification:
        async with transaction(opened.engine) as connection:
            expected = await expected_entries(connection)
        with Counter("entries", total=expected) as counter:

            def progress(found: Verification) -> None:
                counter.show(found.entries, min(found.entries, expected), beside=f" of {found.accounts:,} accounts")

            return await verify_all(opened.engine, jobs=jobs, evidence=evidence, progress=progress)

    found = run(work)
    if as_json:
        answer_json(
            {
                "passed": found.passed,
                "accounts": found.accounts,
                "entries": found.entries,
                "seals": found.seals,
                "folder": None if evidence.folder is None else str(evidence.folder),
                "findings": [_as_json(finding) for finding in found.findings],
            }
        )
    else:
        _report(found, evidence)
    if not found.passed:
        raise click.exceptions.Exit(REFUSED)


def _evidence(settings: Settings, seals: Path | None, keys: tuple[Path, ...]) -> Evidence:
    own = settings.keys / FILE_NAME
    pem: tuple[bytes, ...] | None = None
    if keys:
        pem = tuple(path.read_bytes() for path in keys)
        SealKeys.from_pem(pem)
    elif own.exists():
        pem = tuple(SigningKeys.read(own).public_pem().values())
    folder = seals or (settings.seals if settings.seals.is_dir() else None)
    return Evidence(public_keys=pem, folder=folder)


def _as_json(finding: Finding) -> dict[str, Any]:
    member = None if finding.member_id is None else public_id(MEMBER_PREFIX, finding.member_id)
    return {**msgspec.structs.asdict(finding), "member_id": member}


def _report(found: Verification, evidence: Evidence) -> None:
    click.echo(f"{found.entries:,} entries of {found.accounts:,} accounts were replayed.")
    outside = f"and the files in {evidence.folder}" if evidence.folder else "in the database alone"
    click.echo(f"Seals checked: {found.seals or 0:,}, {outside}.")
    if found.passed:
        click.echo("The books balance: every hash, balance, lot and hold follows from the entries.")
        return
    click.echo(f"{len(found.findings):,} do not follow from the entries:")
    for finding in found.findings[:_MOST_SHOWN]:
        click.echo(f"  {_described(finding)}")
    if len(found.findings) > _MOST_SHOWN:
        click.echo(f"  and {len(found.findings) - _MOST_SHOWN:,} more; --json lists all")


def _described(finding: Finding) -> str:
    places = []
    if finding.member_id is not None:
        place = "its balances, lots or holds" if finding.sequence is None else f"entry {finding.sequence}"
        places.append(f"{public_id(MEMBER_PREFIX, finding.member_id)} {finding.unit}, {place}")
    elif finding.seal is not None:
        places.append(f"seal {finding.seal}")
    if finding.file is not None:
        places.append(finding.file)
    return ": ".join([", ".join(places), finding.problem] if places else [finding.problem])


@click.command()
@click.option("--new-key", is_flag=True, help="Sign with a new key from now on; the old one stays known.")
@click.option(
    "--known-key",
    "known_keys",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A public key (PEM) that signed before and was lost with the key file; several oldest first.",
)
@json_option
def seal(*, new_key: bool, known_keys: tuple[Path, ...], as_json: bool) -> None:
    """Close the books, sign the heads of all accounts that moved, and write the seal outside the database.

    Does at once what the jobs do every TALLYSTAR_SEAL_MINUTES. Exit code 1 where what is outside differs.
    """

    async def work(opened: Opened) -> Published:
        path = opened.settings.keys / FILE_NAME
        keys = SigningKeys.open(path)
        if known_keys:
            keys = SigningKeys.learn(path, SealKeys.from_pem([known.read_bytes() for known in known_keys]))
        if new_key:
            keys = SigningKeys.rotate(path)
        await close_books(opened.engine)
        return await publish(opened.engine, keys=keys, folder=SealFolder(opened.settings.seals))

    made = run(work)
    if as_json:
        answer_json(
            {
                "seal": None if made.seal is None else made.seal.number,
                "leaves": None if made.seal is None else made.seal.leaves,
                "written": made.written,
                "problems": made.problems,
            }
        )
    else:
        if made.seal is None:
            click.echo("Nothing has moved since the last seal.")
        else:
            click.echo(f"Seal {made.seal.number} holds the heads of {made.seal.leaves:,} accounts.")
        for name in made.written:
            click.echo(f"  written: {name}")
        for problem in made.problems:
            click.echo(f"  WRONG: {problem}")
    if made.problems:
        raise click.exceptions.Exit(REFUSED)


@click.command()
@click.argument("member")
@click.argument("sequence", type=click.IntRange(min=1))
@click.option("--unit", default="points", show_default=True, help="What is counted.")
@click.option(
    "--later-seals", is_flag=True, help="Put the seals that followed into it, for somebody who holds only a newer one."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Where to write it; - is standard output. Default: a file in this folder, named after the entry.",
)
@json_option
def prove(*, member: str, sequence: int, unit: str, later_seals: bool, output: Path | None, as_json: bool) -> None:
    """Write the proof that entry SEQUENCE of MEMBER (mem_...) is in the ledger as it was sealed.

    Whoever has the public key checks it without the database: `tallystar ledger verifier` gives the program.
    """

    async def work(opened: Opened) -> Proof:
        async with transaction(opened.engine) as connection:
            return await prove_entry(
                connection,
                member_id=parse_public_id(MEMBER_PREFIX, member, field="member"),
                unit=unit,
                sequence=sequence,
                later_seals=later_seals,
            )

    proof = run(work)
    path = output or Path(f"proof-{member}-{unit}-{sequence}.json")
    if str(path) == "-":
        sys.stdout.buffer.write(write_proof(proof))
        return
    path.write_bytes(write_proof(proof))
    if as_json:
        answer_json({"file": str(path)})
    else:
        click.echo(f"{path} proves entry {sequence}. Check it where nobody has to trust this machine:")
        click.echo(f"  python {_VERIFIER} {path.name} --key <the public key>")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@json_option
def verifier(*, folder: Path, as_json: bool) -> None:
    """Write the stand-alone verifier and the public keys into FOLDER, for an auditor to carry away."""
    settings = Settings.from_environment()
    keys = SigningKeys.open(settings.keys / FILE_NAME)
    files: Mapping[str, bytes] = {
        _VERIFIER: resources.files("ledger.standalone").joinpath(_VERIFIER).read_bytes(),
        **{f"key-{name}.pem": pem for name, pem in keys.public_pem().items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if as_json:
        answer_json({"files": [str(folder / name) for name in files], "key": keys.current})
    else:
        for name in files:
            click.echo(folder / name)
