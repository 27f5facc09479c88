"""Link types: what a link leads to, as terms of the GS1 Web Vocabulary (https://ref.gs1.org/voc/)."""

from __future__ import annotations

from typing import Final

VOCABULARY: Final = "https://ref.gs1.org/voc/"
PREFIX: Final = "gs1:"
_OTHER_NAMES: Final = (
    VOCABULARY,
    "https://gs1.org/voc/",
    "http://gs1.org/voc/",
    "https://www.gs1.org/voc/",
    "http://www.gs1.org/voc/",
)
"""The vocabulary has moved; links made with an earlier address mean the same term."""

DEFAULT: Final = "defaultLink"
DEFAULT_MULTI: Final = "defaultLinkMulti"

LINK_TYPES: Final = (
    "pip",
    "homepage",
    "promotion",
    "loyaltyProgram",
    "registerProduct",
    "hasRetailers",
    "purchaseSuppliesOrAccessories",
    "socialMedia",
    "subscribe",
    "review",
    "leaveReview",
    "instructions",
    "quickStartGuide",
    "tutorial",
    "whatsInTheBox",
    "relatedVideo",
    "relatedImage",
    "recipeInfo",
    "activityIdeas",
    "menuInfo",
    "ingredientsInfo",
    "nutritionalInfo",
    "allergenInfo",
    "consumerHandlingStorageInfo",
    "safetyInfo",
    "certificationInfo",
    "sustainabilityInfo",
    "dpp",
    "traceability",
    "verificationService",
    "recallStatus",
    "epcis",
    "masterData",
    "logisticsInfo",
    "registryEntry",
    "support",
    "faqs",
    "serviceInfo",
    "appDownload",
    "backgroundInfo",
    "eventsInfo",
    "careersInfo",
    "locationInfo",
    "openingHoursInfo",
    "scheduleTime",
    "paymentLink",
    "userAgreement",
    "reportFound",
    "statisticInfo",
    "smartLabel",
    "epil",
    "eifu",
    "smpc",
    "brandHomepageClinical",
    "brandHomepagePatient",
    "jws",
    "handledBy",
)
"""The terms a link can have, those that brands use most first. Which link is the default is no type of its own."""

_FORMER: Final = {"productSustainabilityInfo": "sustainabilityInfo", "promotionInfo": "promotion"}
"""Terms that went out of use, or are used though the vocabulary never had them."""


def read_link_type(text: str) -> str:
    """The term that a request or form names: `gs1:pip`, the term's address, or an earlier name of either.

    What is none of the vocabulary's stays as it is: nothing is of that type.
    """
    for head in (PREFIX, *_OTHER_NAMES):
        if text.startswith(head):
            term = text.removeprefix(head)
            return _FORMER.get(term, term)
    return text


def link_type_address(term: str) -> str:
    """The address of a term, which is the relation's name in a linkset."""
    return VOCABULARY + term
