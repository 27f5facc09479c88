"""The shapes of GS1's two documents, written out: a resolver's linkset and its description.

Sources, both beside the GS1-Conformant Resolver standard 1.2.0 at https://ref.gs1.org/standards/resolver/1.2.0/:
`linkset-schema`, a profile of RFC 9264, section 4.2, and `description-file-schema`.
"""

from __future__ import annotations

import re
from typing import Any, Final

VOCABULARY: Final = "https://ref.gs1.org/voc/"
DEFAULT: Final = f"{VOCABULARY}defaultLink"

_ADDRESS: Final = re.compile(r"https?://\S+")
_RELATION: Final = re.compile(r"https?://[^\s/]+/\S+")
_MEDIA_TYPE: Final = re.compile(r"\w+/[-+.\w]+")
_LANGUAGE: Final = re.compile(r"[a-z]{2}(-[A-Z]{2})?")
_TARGET_FIELDS: Final = {"href", "title", "type", "hreflang", "context", "fwqs"}
_CONTEXT_FIELDS: Final = {"anchor", "description"}

_DESCRIPTION: Final[dict[str, type]] = {
    "name": str,
    "resolverRoot": str,
    "supportedPrimaryKeys": list,
    "supportedLinkType": list,
    "linkTypeDefaultCanBeLinkset": bool,
    "supportedContextValuesEnumerated": list,
    "supportedContextValuesExternal": list,
    "contact": dict,
    "termsOfUse": str,
    "validation": bool,
    "extensionProfile": str,
    "jsonLdContextLocation": str,
}
_PRIMARY_KEYS: Final = {
    *("all", "01", "8006", "8013", "8010", "410", "411", "412", "413", "414", "415", "417", "8017", "8018"),
    *("255", "00", "253", "401", "402", "8003", "8004"),
}
_PREFIX: Final = re.compile(r"[a-zA-Z_][A-Za-z0-9_-]*:")


def assert_linkset(document: Any, *, complete: bool = True) -> list[dict[str, Any]]:
    """It is a linkset as GS1 has it, with one default link in all where it is complete; returns its contexts."""
    assert set(document) - {"@context"} == {"linkset"}
    contexts: list[dict[str, Any]] = document["linkset"]
    assert contexts
    for context in contexts:
        assert _ADDRESS.fullmatch(context["anchor"])
        relations = set(context) - _CONTEXT_FIELDS
        assert relations
        for relation in relations:
            assert _RELATION.fullmatch(relation), relation
            assert isinstance(context[relation], list)
            assert context[relation]
            for target in context[relation]:
                _assert_target(target, is_default=relation == DEFAULT)
    assert len({context["anchor"] for context in contexts}) == len(contexts)
    defaults = [target for context in contexts for target in context.get(DEFAULT, [])]
    assert len(defaults) == (1 if complete else 0)
    return contexts


def _assert_target(target: dict[str, Any], *, is_default: bool) -> None:
    assert {"href", "title"} <= set(target) <= ({"href", "title"} if is_default else _TARGET_FIELDS)
    assert _ADDRESS.fullmatch(target["href"])
    assert target["title"].strip()
    assert is_default or _MEDIA_TYPE.fullmatch(target["type"])
    assert all(_LANGUAGE.fullmatch(language) for language in target.get("hreflang", []))
    assert target.get("context") != []
    assert target.get("hreflang") != []


def assert_description(document: Any) -> dict[str, Any]:
    """It is a resolver description; returns it."""
    assert {"resolverRoot", "supportedPrimaryKeys"} <= set(document) <= set(_DESCRIPTION)
    for name, value in document.items():
        assert isinstance(value, _DESCRIPTION[name]), name
    assert _ADDRESS.fullmatch(document["resolverRoot"])
    assert document["supportedPrimaryKeys"]
    assert set(document["supportedPrimaryKeys"]) <= _PRIMARY_KEYS
    for each in document.get("supportedLinkType", []):
        assert set(each) == {"namespace", "prefix"}
        assert _ADDRESS.fullmatch(each["namespace"])
        assert _PREFIX.fullmatch(each["prefix"])
    for each in document.get("supportedContextValuesExternal", []):
        assert set(each) == {"nameOfList", "url"}
    assert document.get("contact", {"fn": "x"})["fn"]
    return dict(document)
