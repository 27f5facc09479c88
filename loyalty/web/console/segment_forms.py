"""A segment's form: every sentence and group is fields of one form, so that no edit loses what was typed beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from litestar import Request

from loyalty.campaigns.segments.drafts import (
    MOST_SENTENCES,
    TESTS,
    Group,
    Sentence,
    find,
    new_sentence,
    rule_of,
    walk,
)
from loyalty.campaigns.segments.fields import KINDS
from loyalty.kit.errors import InvalidInputError

_LONGEST: Final = 400
_DEEPEST: Final = 6


async def read_fields(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The fields of a posted form, trimmed and bounded."""
    form = await request.form()
    return {name: value.replace("\0", "").strip()[:_LONGEST] for name, value in form.items() if isinstance(value, str)}


def read_tree(form: Mapping[str, str]) -> Group:
    """The draft that a form holds."""
    return _group(form, "r", [0])


def _group(form: Mapping[str, str], place: str, seen: list[int]) -> Group:
    join: Literal["all", "any"] = "any" if form.get(f"{place}.join") == "any" else "all"
    size = form.get(f"{place}.size", "0")
    group = Group(join=join, items=[], negated=form.get(f"{place}.negated") == "yes")
    for index in range(min(int(size), MOST_SENTENCES) if size.isdecimal() and size.isascii() else 0):
        here = f"{place}.{index}"
        seen[0] += 1
        if seen[0] > 2 * MOST_SENTENCES:
            break
        if f"{here}.join" in form and here.count(".") < _DEEPEST:
            group.items.append(_group(form, here, seen))
        elif form.get(f"{here}.field") in KINDS:
            group.items.append(_sentence(form, here))
    return group


def _sentence(form: Mapping[str, str], place: str) -> Sentence:
    field = form[f"{place}.field"]
    kind = KINDS[field]
    allowed = TESTS[kind.type]
    test = next((each for each in allowed if each == form.get(f"{place}.test")), allowed[0])
    return Sentence(
        field=field,
        arguments={name: form.get(f"{place}.{name}", "") for name in kind.needs + kind.may},
        test=test,
        value=form.get(f"{place}.value", ""),
        negated=form.get(f"{place}.negated") == "yes",
    )


def act(tree: Group, form: Mapping[str, str], *, currency: str) -> None:
    """Do to a draft what the button that was pressed says: add a sentence or a group, or take a part away."""
    what, _, place = form.get("do", "").partition(":")
    if what == "remove":
        held = find(tree, place)
        if held is not None:
            group, number = held
            del group.items[number]
        return
    target = dict(walk(tree)).get(place)
    if not isinstance(target, Group):
        return
    if what == "add" and (field := form.get(f"{place}.new")) in KINDS and field is not None:
        target.items.append(new_sentence(field, currency=currency))
    elif what == "group" and place.count(".") < _DEEPEST - 1:
        target.items.append(Group(join="any" if target.join == "all" else "all", items=[]))


def faults(tree: Group) -> dict[str, str]:
    """The places of sentences that are not whole yet, with the reason."""
    found: dict[str, str] = {}
    for place, item in walk(tree):
        if isinstance(item, Sentence):
            try:
                rule_of(Group(items=[msgspec.structs.replace(item, negated=False)]))
            except InvalidInputError as error:
                found[place] = error.detail
    return found
