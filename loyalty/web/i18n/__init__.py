"""Words in Chinese and English.

A language is a folder of TOML files; a text's key is the file's stem and the path inside it, so `[join] title` in
`member.toml` is `member.join.title`. A text may hold `{placeholders}`. Where English needs two forms, a text is a table
`{ one = "{n} point", other = "{n} points" }`, and `n` chooses; Chinese needs only the one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

from markupsafe import Markup, escape

from loyalty.web.i18n.formats import Formats, format_number

Language = Literal["zh", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
LANGUAGE_TAGS: Final[Mapping[Language, str]] = {"zh": "zh-CN", "en": "en"}
"""BCP 47 tags for `<html lang>`: `zh-CN` makes a browser choose simplified glyphs and break Chinese lines well."""

_FOLDER: Final = Path(__file__).parent
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_PLURAL_FORMS: Final = {"one", "other"}

Text = str | dict[str, str]
"""A text, or its plural forms by CLDR category."""


def _flatten(prefix: str, table: Mapping[str, Any]) -> dict[str, Text]:
    texts: dict[str, Text] = {}
    for name, value in table.items():
        key = f"{prefix}.{name}"
        if isinstance(value, dict) and not (value.keys() <= _PLURAL_FORMS and "other" in value):
            texts.update(_flatten(key, value))
        else:
            texts[key] = value
    return texts


@cache
def catalogue(language: Language) -> Mapping[str, Text]:
    """Every text of a language by its whole key."""
    texts: dict[str, Text] = {}
    for path in sorted((_FOLDER / language).glob("*.toml")):
        texts.update(_flatten(path.stem, tomllib.loads(path.read_text("utf-8"))))
    return texts


def placeholders(text: Text) -> set[str]:
    """The names in braces, over all plural forms."""
    forms = [text] if isinstance(text, str) else list(text.values())
    return {name for form in forms for name in _PLACEHOLDER.findall(form)}


class Translator:
    """`t("member.card.points", n=120)`: the text of a key in one language, with its placeholders filled in.

    Integers are grouped as the language does. Where `n` is to be filled in later, `count` chooses its form. Filled with
    HTML (Markup), a text is HTML whose own words are escaped: so a sentence of a form has its fields in it. A key that
    is not in the catalogue, or a placeholder that is not given, is a mistake in a template: it raises KeyError, and the
    tests render every page in both languages.
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self._texts = catalogue(language)

    def __call__(self, key: str, **values: str | int) -> str:
        """Write the text of `key`. Raises KeyError as the class says."""
        text = self._texts[key]
        if not isinstance(text, str):
            number = values["count"] if "count" in values else values["n"]
            text = text.get("one", text["other"]) if abs(int(number)) == 1 else text["other"]
        if any(isinstance(value, Markup) for value in values.values()):
            return Markup(_PLACEHOLDER.sub(lambda found: escape(_written(values[found[1]])), escape(text)))  # noqa: S704
        return _PLACEHOLDER.sub(lambda found: _written(values[found[1]]), text)


def _written(value: str | int) -> str:
    return format_number(value) if isinstance(value, int) else value


def choose_language(
    *, asked: str | None, remembered: str | None, accept_language: str | None, default: str = "en"
) -> Language:
    """The language of a page: what the address asks for, else the cookie, else the browser's preference, else default.

    `accept_language` is the header of RFC 9110, section 12.5.4: `zh-TW;q=0.8, en` names English first. A language that
    we do not have is passed over.
    """
    for choice in (asked, remembered, *_preferences(accept_language or ""), default):
        for language in LANGUAGES:
            if choice is not None and (choice == language or choice.startswith(f"{language}-")):
                return language
    return "en"


def _preferences(header: str) -> list[str]:
    weighted: list[tuple[float, str]] = []
    for part in header[:400].split(","):
        tag, _, parameter = part.strip().lower().partition(";")
        name, _, weight = parameter.strip().partition("=")
        try:
            quality = float(weight) if name == "q" else 1.0
        except ValueError:
            continue
        if quality > 0:
            weighted.append((quality, tag.strip()))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


__all__ = ["LANGUAGES", "LANGUAGE_TAGS", "Formats", "Language", "Translator", "catalogue", "choose_language"]
