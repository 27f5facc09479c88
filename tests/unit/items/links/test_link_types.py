from __future__ import annotations

import pytest

from loyalty.items.links.link_types import LINK_TYPES, link_type_address, read_link_type
from loyalty.web.i18n import LANGUAGES, Language, catalogue


@pytest.mark.parametrize(
    "spelling",
    ["gs1:pip", "https://ref.gs1.org/voc/pip", "https://gs1.org/voc/pip", "http://gs1.org/voc/pip"],
)
def test_the_vocabularys_addresses_mean_the_same(spelling: str) -> None:
    assert read_link_type(spelling) == "pip"


def test_earlier_terms_lead_to_todays() -> None:
    assert read_link_type("gs1:productSustainabilityInfo") == "sustainabilityInfo"
    assert read_link_type("gs1:promotionInfo") == "promotion"


def test_a_relation_is_an_address_that_gs1s_schema_takes() -> None:
    # resolver/1.2.0/linkset-schema, patternProperties: ^https?:\/\/[a-zA-z0-9./]+$
    for term in LINK_TYPES:
        assert link_type_address(term).removeprefix("https://").replace("/", "").replace(".", "").isalnum()
    assert len(set(LINK_TYPES)) == len(LINK_TYPES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_link_type_has_its_words(language: Language) -> None:
    assert {f"links.type.{term}" for term in LINK_TYPES} <= catalogue(language).keys()
