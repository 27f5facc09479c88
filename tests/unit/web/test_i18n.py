"""Both catalogues say the same things, and say no more than pages use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import nodes

from loyalty.web.i18n import LANGUAGES, Language, Translator, catalogue, choose_language, placeholders
from loyalty.web.rendering import environment

WEB = Path(__file__).parents[3] / "loyalty" / "web"
ANY_PART = "*"


def _pattern(expression: nodes.Node) -> str:
    """The key that an expression makes, with `*` for what only a request knows."""
    if isinstance(expression, nodes.Const):
        return str(expression.value)
    if isinstance(expression, nodes.Concat):
        return "".join(_pattern(each) for each in expression.nodes)
    return ANY_PART


def _template_keys() -> Iterator[str]:
    for name in environment().list_templates(extensions=["html", "svg"]):
        assert environment().loader is not None
        source, _, _ = environment().loader.get_source(environment(), name)  # type: ignore[union-attr]
        for call in environment().parse(source).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "t":
                yield _pattern(call.args[0])


def _python_keys() -> Iterator[str]:
    """`t("…")` in Python, f-strings as patterns."""
    for path in WEB.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "t"):
                continue
            key = call.args[0]
            if isinstance(key, ast.Constant):
                yield str(key.value)
            elif isinstance(key, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else ANY_PART for part in key.values)


USED = sorted({*_template_keys(), *_python_keys()})


def _matcher(pattern: str) -> re.Pattern[str]:
    return re.compile(r"\w+".join(re.escape(part) for part in pattern.split(ANY_PART)))


def test_both_languages_have_the_same_keys() -> None:
    assert catalogue("zh").keys() == catalogue("en").keys()


def test_a_text_has_the_same_placeholders_in_both_languages() -> None:
    differing = [
        key for key, text in catalogue("en").items() if placeholders(text) != placeholders(catalogue("zh")[key])
    ]

    assert differing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_and_none_is_still_in_the_other_language(language: Language) -> None:
    chinese = re.compile("[\N{CJK UNIFIED IDEOGRAPH-4E00}-\N{CJK UNIFIED IDEOGRAPH-9FFF}]")
    for key, text in catalogue(language).items():
        for form in [text] if isinstance(text, str) else text.values():
            assert form.strip() == form != "", key
            if language == "en":
                assert not chinese.search(form), key


def test_every_key_that_a_page_uses_exists() -> None:
    keys = catalogue("en").keys()

    assert [pattern for pattern in USED if not any(_matcher(pattern).fullmatch(key) for key in keys)] == []


def test_no_text_is_unused() -> None:
    matchers = [_matcher(pattern) for pattern in USED]

    assert [key for key in catalogue("en") if not any(matcher.fullmatch(key) for matcher in matchers)] == []


def test_no_key_is_hidden_from_these_tests_behind_a_lone_variable() -> None:
    assert ANY_PART not in USED


@pytest.mark.parametrize(
    ("language", "count", "words"),
    [
        ("en", 1, "1 point"),
        ("en", 0, "0 points"),
        ("en", 1234, "1,234 points"),
        ("zh", 1, "1 积分"),
        ("zh", 1234, "1,234 积分"),
    ],
)
def test_english_has_a_singular_and_chinese_needs_none(language: Language, count: int, words: str) -> None:
    assert Translator(language)("common.points.count", n=count) == words


def test_a_number_that_is_filled_in_later_has_its_form_chosen_now() -> None:
    t = Translator("en")

    assert t("item.claim.title", n="[n]", count=1) == "[n] point comes with this item"
    assert t("item.claim.title", n="[n]", count=2) == "[n] points come with this item"


def test_a_missing_key_or_placeholder_is_an_error() -> None:
    with pytest.raises(KeyError):
        Translator("en")("common.no_such_text")
    with pytest.raises(KeyError):
        Translator("en")("common.points.count")


@pytest.mark.parametrize(
    ("asked", "remembered", "header", "chosen"),
    [
        ("zh", "en", "en", "zh"),
        (None, "zh", "en", "zh"),
        (None, None, "zh-TW;q=0.8, en", "en"),
        (None, None, "fr, zh-CN;q=0.4, en;q=0.2", "zh"),
        (None, None, "zh;q=0, en;q=nonsense", "zh"),
        (None, None, "fr, de", "zh"),
        ("xx", "yy", "", "zh"),
        (None, None, None, "zh"),
    ],
)
def test_the_address_wins_over_the_cookie_over_the_browser_over_the_programme(
    asked: str | None, remembered: str | None, header: str | None, chosen: str
) -> None:
    assert choose_language(asked=asked, remembered=remembered, accept_language=header, default="zh") == chosen
