"""One spelling for each name: what GS1 writes as a URN and as a Digital Link is the same."""

from __future__ import annotations

import pytest

from loyalty.items.epcis.epcs import canonical_link, parse_epc, pattern_prefix

CANONICAL = {
    # Examples of EPC Tag Data Standard, sections 6.3.1 to 6.3.17, and their Digital Links (CBV 2.0, section 8.9.2,
    # rules 17 and 18). The values agree with those that the Digital Link normaliser of RalphTro publishes.
    "urn:epc:id:sgtin:4012345.011111.98%22": "01/04012345111118/21/98%22",
    "urn:epc:id:sgtin:415056789012.0.987654": "01/04150567890128/21/987654",
    "urn:epc:id:sgtin:0614141.812345.6789%2F%26%25%22!%3F()": "01/80614141123458/21/6789%2F%26%25%22%21%3F%28%29",
    "urn:epc:id:sscc:4012345.3111111111": "00/340123451111111111",
    "urn:epc:id:sgln:4012345.00005.122": "414/4012345000054/254/122",
    "urn:epc:id:sgln:4012345.00005.0": "414/4012345000054",
    "urn:epc:id:grai:4012345.00022.334455": "8003/04012345000221334455",
    "urn:epc:id:giai:4012345.ABC345": "8004/4012345ABC345",
    "urn:epc:id:gsrn:4012345.0000006765": "8018/401234500000067657",
    "urn:epc:id:gsrnp:4012345.0000000007": "8017/401234500000000074",
    "urn:epc:id:gdti:4012345.00009.PO-4711": "253/4012345000092PO-4711",
    "urn:epc:id:gdti:987659999999..9": "253/98765999999929",
    "urn:epc:id:cpi:0614141.11111111111111-A%23%2F.1234": "8010/061414111111111111111-A%23%2F/8011/1234",
    "urn:epc:id:ginc:0614141.xyz47%2F11": "401/0614141xyz47%2F11",
    "urn:epc:id:gsin:4012345.222333444": "402/40123452223334442",
    "urn:epc:id:itip:4012345.011111.01.02.987": "8006/040123451111180102/21/987",
    "urn:epc:id:upui:1234567.098765.51qIgY)%3C%26Jp3*j7SDB": "01/01234567987651/235/51qIgY%29%3C%26Jp3%2Aj7SDB",
    "urn:epc:id:pgln:4000001.00000": "417/4000001000005",
    "urn:epc:id:pgln:999999999999.": "417/9999999999994",
    "urn:epc:class:lgtin:4012345.012345.Lot987": "01/04012345123456/10/Lot987",
    "urn:epc:idpat:sgtin:4012345.012345.*": "01/04012345123456",
    "urn:epc:idpat:grai:4012345.99999.*": "8003/04012345999990",
    "urn:epc:idpat:gdti:4012345.11111.*": "253/4012345111118",
    "urn:epc:idpat:sgcn:4012345.22222.*": "255/4012345222227",
    "urn:epc:idpat:cpi:4012345.AB12.*": "8010/4012345AB12",
    "urn:epc:idpat:itip:4012345.012345.01.02.*": "8006/040123451234560102",
    "urn:epc:idpat:upui:4012345.012345.*": "01/04012345123456",
    # Digital Link URI Syntax, section 4: any domain, the finest qualifier, no data attributes, 14 digits
    "http://us-company-with-upc.com/01/001122334455": "01/00001122334455",
    "https://example.org/01/9780345418913/21/765tz?11=221109": "01/09780345418913/21/765tz",
    "https://id.gs1.org/01/9780345418913/22/344/10/1223/21/765tz": "01/09780345418913/21/765tz",
    "https://example.com/some/path/01/04012345123456/10/A%2FB#here": "01/04012345123456/10/A%2FB",
    "https://fashion-corp.com/8006/040123451234560102/22/AB/21/443322": "8006/040123451234560102/21/443322",
    "https://fashion-corp.com/8006/040123451234560102/10/Lot-123/21/ser987": "8006/040123451234560102/21/ser987",
    "https://id.gs1.org/414/4280000000002/254/12": "414/4280000000002/254/12",
    "https://id.gs1.org/8010/0628165987/8011/9876": "8010/0628165987/8011/9876",
}


@pytest.mark.parametrize(("text", "canonical"), CANONICAL.items(), ids=CANONICAL)
def test_a_name_has_one_spelling(text: str, canonical: str) -> None:
    epc = parse_epc(text)
    assert epc.canonical == canonical
    assert epc.link == canonical_link(text) == f"https://id.gs1.org/{canonical}"
    assert parse_epc(epc.link) == epc


LEVELS = {
    "urn:epc:id:sgtin:4012345.011111.9876": "instance",
    "urn:epc:id:sscc:4012345.3111111111": "instance",
    "urn:epc:id:giai:4012345.ABC345": "instance",
    "urn:epc:class:lgtin:4012345.012345.Lot987": "class",
    "urn:epc:idpat:sgtin:4012345.012345.*": "class",
    "https://id.gs1.org/01/04012345123456": "class",
    "https://id.gs1.org/01/04012345123456/10/A": "class",
    "https://id.gs1.org/01/04012345123456/21/A": "instance",
    "urn:epc:id:sgln:4012345.00005.122": "place",
    "https://id.gs1.org/417/4012345000054": "place",
    "https://example.com/thing/7": "other",
    "urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8": "other",
}


@pytest.mark.parametrize(("text", "level"), LEVELS.items(), ids=LEVELS)
def test_a_name_is_of_one_object_of_a_class_or_of_a_place(text: str, level: str) -> None:
    assert parse_epc(text).level == level


def test_a_serialised_product_says_its_gtin_and_serial() -> None:
    epc = parse_epc("urn:epc:id:sgtin:4012345.011111.a%2Fb")
    assert (epc.gtin, epc.serial) == ("04012345111118", "a/b")
    assert parse_epc("https://id.gs1.org/01/4012345111118/21/a%2Fb") == epc
    assert parse_epc("https://id.gs1.org/01/4012345111118").serial is None


WRONG = {
    "urn:epc:id:sgtin:4012345.011111": "sgtin",
    "urn:epc:id:sgtin:4012345.0111.1": "13 digits",
    "urn:epc:id:sgtin:401234.011111.1": "13 digits",
    "urn:epc:id:sgtin:4012345.011111.": "sgtin",
    "urn:epc:id:sgtin:4012345.011111.a b": "not of the form",
    "urn:epc:id:sgtin:4012345.011111.123456789012345678901": "not of the form",
    "urn:epc:id:sgtin:4012345.01111x.1": "not of the form",
    "urn:epc:id:sscc:4012345.1": "17 digits",
    "urn:epc:id:nothing:4012345.1": "no EPC scheme",
    "urn:epc:class:sgtin:4012345.011111.1": "no EPC scheme",
    "urn:epc:idpat:sgtin:4012345.*.*": "not of the form",
    "https://id.gs1.org/01/04012345111119/21/1": "check digit",
    "https://id.gs1.org/01/0401234511111/21/1": "check digit",
    "https://id.gs1.org/00/340123451111111112": "check digit",
    "https://id.gs1.org/01/04012345111118/21/%zz": "not a URI",
    "https://id.gs1.org/01/04012345111118/21/123456789012345678901": "not a value that 21 can have",
    "4012345111118": "not a URI",
    "": "not a URI",
    "not a uri": "not a URI",
}


@pytest.mark.parametrize(("text", "reason"), WRONG.items(), ids=WRONG)
def test_what_is_no_name_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_epc(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://example.org/123/4012345ABC987/456/4711",
        "http://id.gs1.org/99/9780345418913",
        "http://id.gs1.org/01/9780345418913/99/utfgf",
        "http://example.de/01/97803",
        "42",
        "Hello World!",
        "",
    ],
)
def test_the_hash_takes_what_is_no_name_as_it_is(text: str) -> None:
    assert canonical_link(text) is None


PREFIXES = {
    "urn:epc:idpat:sgtin:4012345.012345.*": "01/04012345123456/",
    "urn:epc:idpat:grai:4012345.99999.*": "8003/04012345999990",
    "urn:epc:idpat:gdti:4012345.11111.*": "253/4012345111118",
    "urn:epc:idpat:cpi:4012345.AB12.*": "8010/4012345AB12/",
    "urn:epc:id:sgtin:4012345.012345.1": None,
    "https://id.gs1.org/01/04012345123456": None,
}


@pytest.mark.parametrize(("text", "prefix"), PREFIXES.items(), ids=PREFIXES)
def test_a_pattern_is_what_its_objects_start_with(text: str, prefix: str | None) -> None:
    assert pattern_prefix(text) == prefix
    if prefix is not None and text.count(".*") == 1 and "cpi" not in text:
        assert parse_epc(text.replace("idpat", "id").replace("*", "77")).canonical.startswith(prefix)
