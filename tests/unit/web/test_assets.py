from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from loyalty.web.assets import BUNDLES, Assets

STATIC = Path(__file__).parents[3] / "loyalty" / "web" / "static"


def test_an_address_changes_when_a_brands_theme_does(tmp_path: Path) -> None:
    theme = tmp_path / "theme.css"
    plain = Assets(theme=theme)
    theme.write_text(":root { --brand: #402060; }", "utf-8")
    themed = Assets(theme=theme)

    assert plain.address("shopper.css") != themed.address("shopper.css")
    assert plain.address("shopper.css") == Assets().address("shopper.css")


def test_a_brands_theme_comes_after_our_own_properties(tmp_path: Path) -> None:
    theme = tmp_path / "theme.css"
    theme.write_text(":root { --brand: #402060; }", "utf-8")

    for bundle in BUNDLES:
        assert (Assets(theme=theme).content(bundle) or b"").rstrip().endswith(b":root { --brand: #402060; }")


def test_an_unknown_file_is_an_error_in_a_template_and_nothing_to_a_browser() -> None:
    with pytest.raises(KeyError):
        Assets().address("no-such.css")
    assert Assets().content("../assets.py") is None


@pytest.mark.parametrize("bundle", BUNDLES)
def test_every_part_of_a_bundle_exists_and_the_whole_stays_small(bundle: str) -> None:
    assert [part for part in BUNDLES[bundle] if not (STATIC / part).is_file()] == []
    assert len(gzip.compress(Assets().content(bundle) or b"")) < 10_000


def test_styles_load_nothing_from_elsewhere_and_use_only_properties_that_are_set() -> None:
    whole = b"\n".join(Assets().content(bundle) or b"" for bundle in BUNDLES).decode()

    assert "http" not in whole
    assert "@import" not in whole
    used = set(re.findall(r"var\((--[\w-]+)", whole))
    assert used <= set(re.findall(r"(--[\w-]+)\s*:", whole))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("ink", "paper"),
        ("ink", "surface"),
        ("ink", "surface-sunk"),
        ("ink-soft", "paper"),
        ("ink-soft", "surface"),
        ("ink-soft", "surface-sunk"),
        ("brand", "paper"),
        ("brand", "surface"),
        ("brand", "brand-tint"),
        ("on-brand", "brand"),
        ("on-brand", "brand-hover"),
        ("good", "surface"),
        ("bad", "surface"),
        ("caution", "surface"),
        ("info", "surface"),
        ("good", "good-tint"),
        ("bad", "bad-tint"),
        ("caution", "caution-tint"),
        ("info", "info-tint"),
        ("ink", "caution-tint"),
        ("foil-ink", "surface"),
        ("foil", "card-from"),
        ("foil", "card-to"),
    ],
)
def test_text_has_contrast_aa_in_light_and_dark(scheme: str, text: str, ground: str) -> None:
    colours = _colours(scheme)

    assert _contrast(colours[text], colours[ground]) >= 4.5


def test_borders_of_controls_have_contrast_of_three_to_one() -> None:
    for scheme in ("light", "dark"):
        colours = _colours(scheme)
        assert _contrast(colours["line-strong"], colours["surface"]) >= 3


def _colours(scheme: str) -> dict[str, str]:
    source = (STATIC / "css" / "tokens.css").read_text("utf-8")
    light, _, dark = source.partition("\n@media")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    return found | (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark)) if scheme == "dark" else {})


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
