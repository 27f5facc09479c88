"""JSON-LD contexts: which prefix of a name stands for which namespace.

EPCIS needs no JSON-LD processor. A context is a list of addresses and of objects that map prefixes to namespaces; the
standard's own context declares some more, and bare words are read by the field that they stand in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from loyalty.items.epcis.faults import Fault
from loyalty.items.epcis.uris import is_uri

EPCIS_CONTEXT: Final = "https://ref.gs1.org/standards/epcis/2.0.1/epcis-context.jsonld"
"""The standard's own context, as it is named in what is answered."""

_STANDARD: Final = {
    "epcis": "https://ref.gs1.org/epcis/",
    "cbv": "https://ref.gs1.org/cbv/",
    "cbvmda": "urn:epcglobal:cbv:mda:",
    "gs1": "https://ref.gs1.org/voc/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dcterms": "http://purl.org/dc/terms/",
}
"""Prefixes that the standard's context declares (epcis-context.jsonld 2.0.1)."""

_ITS_OWN: Final = "epcis-context.jsonld"


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The prefixes in force. `closed` says that no foreign context may declare further ones."""

    declared: dict[str, str] = {}
    addresses: tuple[str, ...] = ()
    """Contexts of others that were named."""
    closed: bool = True

    def namespace(self, prefix: str) -> str | None:
        """What a prefix stands for; None where nothing here declares it."""
        return self.declared.get(prefix) or _STANDARD.get(prefix)

    def expand(self, name: str) -> str:
        """A compact name (`gs1:Temperature`) in full; any other as it is."""
        prefix, separator, local = name.partition(":")
        namespace = self.namespace(prefix) if separator and not local.startswith("//") else None
        return name if namespace is None else namespace + local

    def knows(self, name: str) -> bool:
        """Whether a member's name is one of an extension: under a prefix in force, or in full."""
        prefix, separator, local = name.partition(":")
        if not (prefix and separator and local):
            return False
        return local.startswith("//") or prefix == "urn" or not self.closed or self.namespace(prefix) is not None

    def with_inner(self, inner: Context) -> Context:
        """The context inside one that says more: what is declared there goes before."""
        return Context(
            declared=self.declared | inner.declared,
            addresses=self.addresses + inner.addresses,
            closed=self.closed and inner.closed,
        )


def read_context(value: Any, path: str) -> tuple[Context, list[Fault]]:
    """The context that an `@context` member says, and what is wrong with it: an address, an object, or a list."""
    declared: dict[str, str] = {}
    addresses: list[str] = []
    faults: list[Fault] = []
    closed = True
    for place, part in _parts(value, path):
        if isinstance(part, str):
            if not is_uri(part):
                faults.append(Fault(place, "is not the address of a context"))
            elif not part.endswith(_ITS_OWN):
                addresses.append(part)
                closed = False
        elif isinstance(part, dict):
            for prefix, meaning in part.items():
                namespace = meaning.get("@id") if isinstance(meaning, dict) else meaning
                if prefix.startswith("@"):
                    closed = closed and prefix != "@vocab"
                elif isinstance(namespace, str) and ":" in namespace:
                    declared[prefix] = namespace
                else:
                    faults.append(Fault(f"{place}.{prefix}", "is not the address of a namespace"))
        else:
            faults.append(Fault(place, "is neither an address nor an object of prefixes"))
    return Context(declared=declared, addresses=tuple(addresses), closed=closed), faults


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        yield from ((f"{path}[{place}]", part) for place, part in enumerate(value))
    else:
        yield path, value
