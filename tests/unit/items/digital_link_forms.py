"""Digital Link forms as others document them, each table with its source; and where ours differs on purpose, why.

The forms are facts: an address, and what it says or why it is refused. Keys are Application Identifiers.
"""

from __future__ import annotations

from typing import Final

Said = dict[str, str]
"""The key, then its qualifiers, then attributes, as an address says them."""

G: Final = "12312312312333"
S: Final = "006141411234567890"

STANDARD_VALID: Final[list[tuple[str, Said]]] = [
    ("https://id.gs1.org/01/09520123456788", {"01": "09520123456788"}),
    ("https://brand.example.com/01/09520123456788", {"01": "09520123456788"}),
    ("https://brand.example.com/some-extra/pathinfo/01/09520123456788", {"01": "09520123456788"}),
    ("https://id.gs1.org/01/09520123456788/22/2A", {"01": "09520123456788", "22": "2A"}),
    ("https://id.gs1.org/01/09520123456788/10/ABC123", {"01": "09520123456788", "10": "ABC123"}),
    ("https://id.gs1.org/01/09520123456788/21/12345", {"01": "09520123456788", "21": "12345"}),
    (
        "https://id.gs1.org/01/09520123456788/10/ABC1/21/12345?17=180426",
        {"01": "09520123456788", "10": "ABC1", "21": "12345", "17": "180426"},
    ),
    ("https://id.gs1.org/01/09520123456788?3103=000195", {"01": "09520123456788", "3103": "000195"}),
    (
        "https://example.com/01/09520123456788?3103=000195&3922=0299&17=201225",
        {"01": "09520123456788", "3103": "000195", "3922": "0299", "17": "201225"},
    ),
    (
        "https://id.gs1.org/01/09520123456788?17=201225&3103=000195&3922=0299",
        {"01": "09520123456788", "17": "201225", "3103": "000195", "3922": "0299"},
    ),
    ("https://id.gs1.org/00/952012345678912345", {"00": "952012345678912345"}),
    ("https://id.gs1.org/00/195201234567891232", {"00": "195201234567891232"}),
    (
        "https://id.gs1.org/00/952012345678912345?02=09520123456788&37=25&10=ABC123",
        {"00": "952012345678912345", "02": "09520123456788", "37": "25", "10": "ABC123"},
    ),
    ("https://id.gs1.org/414/9520123456788", {"414": "9520123456788"}),
    ("https://id.gs1.org/414/9520123456788/254/32a%2Fb", {"414": "9520123456788", "254": "32a/b"}),
    (
        "https://id.gs1.org/00/195201234567891232?02=09520123456788&37=25&10=ABC123",
        {"00": "195201234567891232", "02": "09520123456788", "37": "25", "10": "ABC123"},
    ),
    (
        "https://example.com/8004/9520614141234567?01=09520123456788",
        {"8004": "9520614141234567", "01": "09520123456788"},
    ),
    (
        "https://example.com/01/09520123456788?8004=9520614141234567",
        {"01": "09520123456788", "8004": "9520614141234567"},
    ),
]
"""GS1 Digital Link Standard: URI Syntax, section 5 (examples), as the GS1 Barcode Syntax Engine's tests
(gs1/gs1-syntax-engine, src/c-lib/dl.c, "Examples from DL specification") and digital-link-rs
(abiriadev/digital-link-rs, src/parser/gs1path.rs, spec examples 5.1 to 5.11) quote them; GTINs with 14 digits."""

ENGINE_VALID: Final[list[tuple[str, Said]]] = [
    (f"http://a/00/{S}", {"00": S}),
    (f"HTTP://a/00/{S}", {"00": S}),
    (f"https://a/00/{S}", {"00": S}),
    (f"HTTPS://a/00/{S}", {"00": S}),
    (f"https://a/01/{G}", {"01": G}),
    (f"https://xn--fsq.xn--0zwm56d/01/{G}", {"01": G}),
    (f"https://a./01/{G}", {"01": G}),
    (f"https://a:65535/01/{G}", {"01": G}),
    (f"https://192.0.2.1/01/{G}", {"01": G}),
    (f"https://3232235777/01/{G}", {"01": G}),
    (f"https://0300.0250.01.01/01/{G}", {"01": G}),
    (f"https://0xC0.0xA8.0x01.0x01/01/{G}", {"01": G}),
    (f"https://[2001:db8::1]/01/{G}", {"01": G}),
    (f"https://a/stem/00/{S}", {"00": S}),
    (f"https://a/more/stem/00/{S}", {"00": S}),
    (f"https://a/00/faux/00/{S}", {"00": S}),
    (f"https://a/01/{G}/22/TEST/10/ABC/21/XYZ", {"01": G, "22": "TEST", "10": "ABC", "21": "XYZ"}),
    (f"https://a/01/{G}/235/TEST", {"01": G, "235": "TEST"}),
    ("https://a/253/1231231231232", {"253": "1231231231232"}),
    ("https://a/253/1231231231232TEST5678901234567", {"253": "1231231231232TEST5678901234567"}),
    ("https://a/8018/123456789012345675/8019/123", {"8018": "123456789012345675", "8019": "123"}),
    (f"https://a/stem/00/{S}?", {"00": S}),
    (f"https://a/stem/00/{S}?99=ABC", {"00": S, "99": "ABC"}),
    ("https://a/stem/401/12345678?99=ABC", {"401": "12345678", "99": "ABC"}),
    (f"https://a/01/{G}?99=ABC&98=XYZ", {"01": G, "99": "ABC", "98": "XYZ"}),
    (f"https://a/01/{G}?&&&99=ABC&&&&&&98=XYZ&&&", {"01": G, "99": "ABC", "98": "XYZ"}),
    (f"https://a/01/{G}?99=ABC&unknown=666&98=XYZ", {"01": G, "99": "ABC", "98": "XYZ"}),
    (f"https://a/01/{G}?unknown=666&99=ABC&98=XYZ", {"01": G, "99": "ABC", "98": "XYZ"}),
    (f"https://a/01/{G}?99=ABC&98=XYZ&unknown=666", {"01": G, "99": "ABC", "98": "XYZ"}),
    (f"https://a/01/{G}?unknown1=555&99=ABC&unknown2=666&98=XYZ&unknown3=777", {"01": G, "99": "ABC", "98": "XYZ"}),
    (f"https://a/01/{G}?99=ABC&singleton&98=XYZ", {"01": G, "99": "ABC", "98": "XYZ"}),
    (f"https://a/01/{G}?singleton&99=ABC&98=XYZ", {"01": G, "99": "ABC", "98": "XYZ"}),
    (f"https://a/01/{G}?99=ABC&98=XYZ&singleton", {"01": G, "99": "ABC", "98": "XYZ"}),
    (f"https://a/01/{G}?singleton1&99=ABC&singleton2&98=XYZ&singleton3", {"01": G, "99": "ABC", "98": "XYZ"}),
    (
        f"https://a/01/{G}/22/ABC%2d123?99=ABC&98=XYZ%2f987",
        {"01": G, "22": "ABC-123", "99": "ABC", "98": "XYZ/987"},
    ),
    (f"https://a/01/{G}/22/ABC+123?99=ABC&98=XYZ%2f987", {"01": G, "22": "ABC+123", "99": "ABC", "98": "XYZ/987"}),
    (f"https://a/01/{G}/22/test/10/abc/21/xyz#", {"01": G, "22": "test", "10": "abc", "21": "xyz"}),
    (f"https://a/01/{G}/22/test/10/abc/21/xyz#fragment", {"01": G, "22": "test", "10": "abc", "21": "xyz"}),
    (f"https://a/stem/00/{S}?99=ABC#", {"00": S, "99": "ABC"}),
    (f"https://a/stem/00/{S}?99=ABC#fragment", {"00": S, "99": "ABC"}),
    ("https://id.gs1.org/01/09520123456788/235/XYZ?10=ABC123", {"01": "09520123456788", "235": "XYZ", "10": "ABC123"}),
    ("https://example.com/01/12312312312326/21/abc123", {"01": "12312312312326", "21": "abc123"}),
    (
        "https://example.com/01/12312312312326/22/ABC/10/DEF/21/GHI?95=INT",
        {"01": "12312312312326", "22": "ABC", "10": "DEF", "21": "GHI", "95": "INT"},
    ),
    (
        f"https://example.com/01/{G}/10/ABC%2B123?99=XYZ%2BQWERTY",
        {"01": G, "10": "ABC+123", "99": "XYZ+QWERTY"},
    ),
    (
        "https://example.com/8017/795260646688514634?99=000001&253=9526064000028000001",
        {"8017": "795260646688514634", "99": "000001", "253": "9526064000028000001"},
    ),
    (
        "https://example.com/253/9526064000028000001?99=000001&8017=795260646688514634",
        {"253": "9526064000028000001", "99": "000001", "8017": "795260646688514634"},
    ),
    (
        "https://example.com/253/9526064000028000001?01=12312312312326&99=000001&10=DEF&95=INT",
        {"253": "9526064000028000001", "01": "12312312312326", "99": "000001", "10": "DEF", "95": "INT"},
    ),
    (
        "https://example.com/8010/0200?3133=333333&3300=000000&01=04065093955756&99=57&10=0",
        {"8010": "0200", "3133": "333333", "3300": "000000", "01": "04065093955756", "99": "57", "10": "0"},
    ),
]
"""GS1 Barcode Syntax Engine, gs1/gs1-syntax-engine, src/c-lib/dl.c: test_dl_parseDLuri and test_dl_generateDLuri."""

ENGINE_INVALID: Final[list[tuple[str, str, str]]] = [
    ("", "uri", "empty"),
    ("ftp://", "scheme", "not http"),
    ("http://", "host", "no host"),
    ("http:///", "host", "no host"),
    ("http://a", "path", "no primary key"),
    ("http://a/", "path", "no primary key"),
    ("http://a/b", "path", "no primary key"),
    ("http://a/b/", "path", "no primary key"),
    (f"https://00/{S}", "path", "no primary key"),
    (f"https://[fe80::1%25lo]/01/{G}", "host", "cannot be in the name"),
    (f"https://$a/{S}", "host", "cannot be in the name"),
    (f"https://a$/{S}", "host", "cannot be in the name"),
    (f"https://a/gtin/{G}", "path", "short names"),
    ("https://a/01/2112345678900", "01", "14 digits here, not 13"),
    ("https://a/01/416000336108", "01", "14 digits here, not 12"),
    ("https://a/01/02345673", "01", "14 digits here, not 8"),
    ("https://a/253/1231231231232TEST56789012345678", "253", "not a value"),
    (f"https://a/stem/00/{S}/", "path[3]", "an empty part"),
    (f"https://a/01/{G}?99=", "query[99]", "no value"),
    (f"https://a/01/{G}?99=ABC&999=faux", "query[999]", "not a GS1 identifier"),
    (f"https://a/01/{G}/22/ABC%2d123?99=ABC&98=XYZ+987", "query[98]", "not a value"),
    ("https://example.com/01/09520123456788?10=ABC123", "query[10]", "lot.* belongs in the path"),
    ("https://id.gs1.org/01/09520123456788/10/ABC123?99=XYZ789&01=09520123456788", "query[01]", "once"),
    ("https://id.gs1.org/01/09520123456788/10/ABC123?99=XYZ789&10=ABC123", "query[10]", "once"),
    ("https://example.com/01/09520123456788/89/ABC123?99=XYZ", "path[2]", "not a qualifier"),
    ("https://example.com/01/09520123456788?99=XYZ&89=ABC123", "query[89]", "not a GS1 identifier"),
    (f"https://a/01/{G}/21/A%00B", "21", "not a value"),
    (f"https://a/01/{G}/21/A%ffB", "21", "outside GS1's sets"),
    (f"https://a/01/{G}/21/A%01B", "21", "not a value"),
    (f"https://a/01/{G}/21/ABC%2", "21", "percent sign without"),
    (f"https://a/01/{G}/21/A%4gB", "21", "percent sign without"),
    (f"https://a/01/{G}?8200=http://example.com", "query[8200]", "not an identifier that a query can have"),
    (f"https://a/01/{G}/235/TPX9526064?22=ABC", "query[22]", "not an identifier that a query can have"),
    (f"https://a/01/{G}/22/ABC/10/DEF?235=TPX9526064", "query[235]", "not an identifier that a query can have"),
    (f"https://a/01/{G}/9/abc", "path[2]", "not a qualifier"),
    (f"https://a/01/{G}/99999/abc", "path[2]", "not a qualifier"),
    (f"https://a/01/{G}?9=abc", "query[9]", "not a GS1 identifier"),
    (f"https://a/01/{G}?99999=abc", "query[99999]", "not a GS1 identifier"),
]
"""The same tests (test_dl_parseDLuri, test_dl_URIunescape, test_dl_generateDLuri), and for the last four those of
gs1/gs1-digital-link-uri-simple-parser, gs1dlparser.c, "Invalid-length AI components"."""

ENGINE_SEQUENCES: Final[list[tuple[str, ...]]] = [
    ("00",),
    ("01",),
    ("01", "21"),
    ("01", "10"),
    ("01", "10", "21"),
    ("01", "22"),
    ("01", "22", "21"),
    ("01", "22", "10"),
    ("01", "22", "10", "21"),
    ("01", "235"),
    ("253",),
    ("255",),
    ("401",),
    ("402",),
    ("414",),
    ("414", "254"),
    ("414", "7040"),
    ("415", "8020"),
    ("417",),
    ("417", "7040"),
    ("8003",),
    ("8004",),
    ("8004", "7040"),
    ("8006",),
    ("8006", "21"),
    ("8006", "10"),
    ("8006", "10", "21"),
    ("8006", "22"),
    ("8006", "22", "21"),
    ("8006", "22", "10"),
    ("8006", "22", "10", "21"),
    ("8010",),
    ("8010", "8011"),
    ("8013",),
    ("8017",),
    ("8017", "8019"),
    ("8018",),
    ("8018", "8019"),
]
"""gs1-syntax-engine, src/c-lib/dl.c, test_dl_testValidateDLpathAIseq; 415 with 8020 from the GS1 Syntax Dictionary."""

TOOLKIT_VALID: Final[list[tuple[str, Said]]] = [
    ("https://id.gs1.org/00/998440410914660971", {"00": "998440410914660971"}),
    ("https://id.gs1.org/01/05412345000013", {"01": "05412345000013"}),
    ("https://id.gs1.org/01/05412345000013/22/AJY3095721P49", {"01": "05412345000013", "22": "AJY3095721P49"}),
    (
        "https://id.gs1.org/01/05412345000013/22/AJY3095721P49/10/ABC123/21/72292641703",
        {"01": "05412345000013", "22": "AJY3095721P49", "10": "ABC123", "21": "72292641703"},
    ),
    ("https://id.gs1.org/01/05412345000013/235/8TFV883a904GH%263", {"01": "05412345000013", "235": "8TFV883a904GH&3"}),
    ("https://id.gs1.org/253/3060077601309", {"253": "3060077601309"}),
    ("https://id.gs1.org/255/5678409730535", {"255": "5678409730535"}),
    ("https://id.gs1.org/401/0541234537290A41%26GHpp33", {"401": "0541234537290A41&GHpp33"}),
    ("https://id.gs1.org/402/21173492661712079", {"402": "21173492661712079"}),
    ("https://id.gs1.org/414/5060917510004", {"414": "5060917510004"}),
    ("https://id.gs1.org/414/5060917510004/254/RP56J920471", {"414": "5060917510004", "254": "RP56J920471"}),
    ("https://id.gs1.org/414/5060917510004/7040/5KFX", {"414": "5060917510004", "7040": "5KFX"}),
    ("https://id.gs1.org/417/5060917510004/7040/5KFX", {"417": "5060917510004", "7040": "5KFX"}),
    ("https://id.gs1.org/8003/04965031954585", {"8003": "04965031954585"}),
    (
        "https://id.gs1.org/8004/0541234537290A41%26GHpp33/7040/5BVR",
        {"8004": "0541234537290A41&GHpp33", "7040": "5BVR"},
    ),
    (
        "https://id.gs1.org/8010/0541234537290A41%23GH33/8011/6639047221",
        {"8010": "0541234537290A41#GH33", "8011": "6639047221"},
    ),
    ("https://id.gs1.org/8013/12345678901234MS", {"8013": "12345678901234MS"}),
    ("https://id.gs1.org/8013/5060917511473062B98T", {"8013": "5060917511473062B98T"}),
    ("https://id.gs1.org/8017/817019610850151481/8019/4003812", {"8017": "817019610850151481", "8019": "4003812"}),
    ("https://id.gs1.org/8018/411369833821910265/8019/4003812", {"8018": "411369833821910265", "8019": "4003812"}),
]
"""Solidsoft-Reply/Gs1DigitalLinkLib, Tests/Features/ExtractFromGs1DigitalLink.feature and
Gs1ElementStringsToGs1DigitalLink.feature, which test the toolkit that GS1 published as GS1DigitalLinkToolkit.js."""

BIIP_VALID: Final[list[tuple[str, Said]]] = [
    ("https://id.gs1.org/01/00614141123452", {"01": "00614141123452"}),
    ("https://id.gs1.org/01/00614141123452/10/ABC123", {"01": "00614141123452", "10": "ABC123"}),
    ("https://id.gs1.org/01/00614141123452?foo=bar", {"01": "00614141123452"}),
    (
        "https://id.gs1.org/00/106141412345678908?02=00614141123452&37=25&10=ABC123",
        {"00": "106141412345678908", "02": "00614141123452", "37": "25", "10": "ABC123"},
    ),
    ("https://id.gs1.org/01/07032069804988/10/0329?15=210526", {"01": "07032069804988", "10": "0329", "15": "210526"}),
    ("https://brand.example.net/prefix/01/00614141123452", {"01": "00614141123452"}),
]
BIIP_INVALID: Final[list[tuple[str, str, str]]] = [
    ("614141123452", "uri", "neither a URI nor a path"),
    ("mailto:alice@example.com", "scheme", "not http"),
    ("http://example.com/foo/123", "path", "no primary key"),
    ("https://example.com/foo/01/614141123452", "01", "14 digits here, not 12"),
    ("https://example.com/foo/01/00614141123452/123", "path[3]", "not a qualifier"),
    ("https://id.gs1.org/01/00614141123452/15/20250324", "path[2]", "not a qualifier"),
    ("https://id.gs1.org/01/00614141123452/10/ABC123/22/123456789", "path[4]", "22 is out of order"),
    ("https://id.gs1.org/01/01234567890128/21/12345XYZ/10/ABC123", "path[4]", "10 is out of order"),
    ("https://id.gs1.org/00/106141412345678908/10/ABC123", "path[2]", "not a qualifier of an SSCC"),
    ("https://id.gs1.org/01/00614141123452?15=000000", "query[15]", "not a day"),
]
"""jodal/biip, tests/test_gs1_digital_link_uris.py."""

BARCODE_PARSER_VALID: Final[list[tuple[str, Said]]] = [
    (
        "https://id.gs1.org/01/09501101530003/22/CPV123/10/BATCH1",
        {"01": "09501101530003", "22": "CPV123", "10": "BATCH1"},
    ),
    ("https://id.gs1.org/01/09501101530003/235/TPX456", {"01": "09501101530003", "235": "TPX456"}),
    ("https://id.gs1.org/00/123456789012345675", {"00": "123456789012345675"}),
]
BARCODE_PARSER_INVALID: Final[list[tuple[str, str, str]]] = [
    ("https://id.gs1.org/01/09501101530003/10/BATCH1/22/CPV123", "path[4]", "22 is out of order"),
    ("https://id.gs1.org/01/09501101530003/22/CPV123/235/TPX456", "path[4]", "235 is out of order"),
    ("https://id.gs1.org/00/123456789012345675/10/EXTRA", "path[2]", "not a qualifier"),
    ("https://id.gs1.org/01/09501101530003?10=BATCH1&22=CPV1", "query[10]", "belongs in the path"),
]
"""Gs1BarcodeParser.Tests, DigitalLinkTests: the forms it calls valid and invalid."""

GLYPH_VALID: Final[list[tuple[str, Said]]] = [
    (
        "http://brand.example/links/414/9520123456788/254/32a%2fb?linkType=gs1%3Atraceability&label=caf%C3%A9#details",
        {"414": "9520123456788", "254": "32a/b"},
    ),
    ("HTTPS://ID.GS1.ORG/01/09520123456788", {"01": "09520123456788"}),
    ("https://id.gs1.org/415/9520123456788/8020/REF-123", {"415": "9520123456788", "8020": "REF-123"}),
    ("https://id.gs1.org/01/09520123456788/10/%2E", {"01": "09520123456788", "10": "."}),
    ("https://id.gs1.org/01/09520123456788/10/%2E%2E", {"01": "09520123456788", "10": ".."}),
    (
        "https://id.gs1.org/01/09520123456788/10/A%2BB?17=201225;3103=000195",
        {"01": "09520123456788", "10": "A+B", "17": "201225", "3103": "000195"},
    ),
]
GLYPH_INVALID: Final[list[tuple[str, str, str]]] = [
    ("https://id.gs1.org/gtin/09520123456788", "path", "short names"),
    ("https://id.gs1.org/01/0952012345678", "01", "14 digits here, not 13"),
    ("https://id.gs1.org/01/09520123456788/21/123/10/LOT", "path[4]", "10 is out of order"),
    ("https://id.gs1.org/01/09520123456788?10=LOT", "query[10]", "belongs in the path"),
    ("https://id.gs1.org/01/09520123456788?236=12098", "query[236]", "not a GS1 identifier"),
    ("https://id.gs1.org/01/09520123456788?12345=12098", "query[12345]", "not a GS1 identifier"),
    ("https://id.gs1.org/01/09520123456788?17=201225&17=201226", "query[17]", "twice"),
    ("https://id.gs1.org/01/09520123456788%ZZ", "01", "percent sign without"),
    ("https://id.gs1.org/01/09520123456788/", "path[2]", "an empty part"),
    ("https://id.gs1.org/01/09520123456788?linkType=café", "uri", "percent-encode it"),
    ("https://id.gs1.org/01/09520123456789", "01", "check digit"),
]
"""EvotecIT/CodeGlyphX, CodeGlyphX.Tests, Gs1DigitalLinkTests, which hold to URI Syntax 1.6.0, sections 4.12 and 5."""

PARTY_VALID: Final[list[tuple[str, Said]]] = [
    ("https://id.gs1.org/417/4012345000009", {"417": "4012345000009"}),
    ("https://id.gs1.org/253/4012345000115ebon-4711", {"253": "4012345000115ebon-4711"}),
    ("https://id.gs1.org/8004/4012345ABCD-123", {"8004": "4012345ABCD-123"}),
    ("https://id.gs1.org/8003/04012345111118988", {"8003": "04012345111118988"}),
    ("https://id.gs1.org/414/4012345000108", {"414": "4012345000108"}),
    (
        "https://id.gs1.org/01/04012345999990/10/20210401-A/21/XYZ-1234",
        {"01": "04012345999990", "10": "20210401-A", "21": "XYZ-1234"},
    ),
]
"""RalphTro/fictitiousOne, testData.md: what a resolver is to be filled with for trying it out."""

RESOLVER_SUITE_INVALID: Final[list[tuple[str, str, str]]] = [
    ("https://id.gs1.org/01/09506000134376/foo", "path[2]", "not a qualifier"),
    ("https://id.gs1.org/01/09506000134376/badrequest", "path[2]", "not a qualifier"),
    ("https://id.gs1.org/01/09506000134352/21/S1/10/L1", "path[4]", "10 is out of order"),
    ("https://id.gs1.org/01/09506000134352/17/261231", "path[2]", "'17' is not a qualifier"),
    ("https://id.gs1.org/01/09506000134352/99/ABC", "path[2]", "'99' is not a qualifier"),
    ("https://id.gs1.org/01/09521234000014/21/X", "01", "check digit"),
    ("https://id.gs1.org/01/09521234000013?17=261332", "query[17]", "not a day"),
    ("https://id.gs1.org/01/09521234000013?410=9521234000014", "query[410]", "check digit"),
    ("https://id.gs1.org/01/09521234000013?90=with%20space", "query[90]", "not a value"),
    ("https://id.gs1.org/01/09521234000013/10/L/10/M", "path[4]", "10 is there twice"),
    ("https://id.gs1.org/01/09521234000013/21/%E0%A4%A", "21", "percent sign without"),
]
"""What a resolver has to answer with 400: `/foo` of GS1's resolver test suite (gs1/GS1DL-resolver-testsuite,
errorCodeChecks), `/badrequest` of gs1/GS1_DigitalLink_Resolver_CE, tests/setup_test.py, and the refusals that open
reviews of conformance to GS1-Conformant Resolver 1.2.1, section 2.4, list (finding F10; refuse-… vectors)."""

VERIFIER_VALID: Final[list[tuple[str, Said]]] = [
    ("https://id.gs1.org/253/4602443000331XYZ", {"253": "4602443000331XYZ"}),
    ("https://id.gs1.org/255/0811625999996554433", {"255": "0811625999996554433"}),
    ("https://id.gs1.org/401/401234522233ABcd", {"401": "401234522233ABcd"}),
    ("https://id.gs1.org/414/4226350800008", {"414": "4226350800008"}),
    ("https://id.gs1.org/417/4012345999990", {"417": "4012345999990"}),
    (
        "https://gs1.dl.uri.with.a.lot.of.sub.domains.test.example.org/01/09780345418913/10/1223",
        {"01": "09780345418913", "10": "1223"},
    ),
    ("http://www.id.example.de/01/04012345123456", {"01": "04012345123456"}),
]
VERIFIER_INVALID: Final[list[tuple[str, str, str]]] = [
    ("https://id.gs1.org/sscc/340123451111111111", "path", "short names"),
    ("https://id.gs1.org/414/4226350800008/", "path[2]", "an empty part"),
    ("https://id.gs1.org/417/401234599999", "417", "not a value"),
    ("https://www.someURL.info/01/02/03/04", "path[2]", "not a qualifier"),
    ("https://id.gs1.org/01/9780345418913/22/344", "01", "14 digits here, not 13"),
    ("http://example.org/123/4012345ABC987/456/4711", "path", "no primary key"),
    ("http://id.gs1.org/01/09780345418913/99/utfgf", "path[2]", "not a qualifier"),
    ("https://example.com/01/04150567890128/235/UPUISERIALNUMBER9876543241516161", "235", "not a value"),
    ("https://example.com/01/04150567890128/21/", "21", "no value"),
    ("(01)04012345123456(21)987", "uri", "neither a URI nor a path"),
    ("01/04012345123456/21/987", "uri", "neither a URI nor a path"),
    ("https://example.com/01/04150567890128/ 21/", "uri", "percent-encode"),
]
"""RalphTro/GS1DigitalLinkURIVerifierForEPCIS, README: candidates that it calls valid and not (check digits mended,
at which it does not look)."""

RESOLVERS_VALID: Final[list[tuple[str, Said]]] = [
    ("/01/00000010092095/10/US20260611-A", {"01": "00000010092095", "10": "US20260611-A"}),
    ("/some/hosted/prefix/01/00000010092095/10/LOT1", {"01": "00000010092095", "10": "LOT1"}),
    ("/414/0614141000012/254/32a%2Fb", {"414": "0614141000012", "254": "32a/b"}),
    ("/01/00000010092095?400=PO43706&linkType=gs1:epcis", {"01": "00000010092095", "400": "PO43706"}),
    (
        "https://example.com/01/09506000134369/10/ABC123/21/12345?linkType=gs1:pip",
        {"01": "09506000134369", "10": "ABC123", "21": "12345"},
    ),
    ("https://id.gs1.org/01/08690504080008/10/50%25", {"01": "08690504080008", "10": "50%"}),
    (
        "HTTPS://ID.GS1.ORG/01/09521234543213/22/ABC%2D123?99=XYZ-987",
        {"01": "09521234543213", "22": "ABC-123", "99": "XYZ-987"},
    ),
    (
        "https://id.gs1.org/01/05412345000013/10/ABC%26%2B123?3103=000189&3923=2172",
        {"01": "05412345000013", "10": "ABC&+123", "3103": "000189", "3923": "2172"},
    ),
]
RESOLVERS_INVALID: Final[list[tuple[str, str, str]]] = [
    ("/01/00000010092094", "01", "check digit"),
    ("/01", "01", "no value"),
    ("/products/some-sku", "path", "no primary key"),
    ("/01/00000010092095/colour/red", "path[2]", "not a qualifier"),
    ("/17/251231", "path", "no primary key"),
    ("https://id.gs1.org/10/LOT123", "path", "no primary key"),
    ("https://id.gs1.org/414/8690123456789/10/LOT123", "path[2]", "not a qualifier"),
    ("https://id.gs1.org/01/08690504080008/10/A%2", "10", "percent sign without"),
]
"""Tests of Starfish-Network/gs1-digital-link-resolver, grigolatoe/gs1-digital-link-resolver (appendix A.1 of release
1.2), duruilhan/gs1-digital-link-toolkit (GS1's own example of its toolkit) and bwipp/postscriptbarcode."""

DIFFERENT: Final[list[tuple[str, Said | str, str]]] = [
    (
        f"HtTp://a/b/00/{S}",
        {"00": S},
        "the Syntax Engine refuses a scheme in mixed case; RFC 3986, section 3.1, has no case there",
    ),
    (
        "https://id.gs1.org/01/09520123456788/10/ABC123?99=XYZ789&99=XYZ789",
        {"01": "09520123456788", "10": "ABC123", "99": "XYZ789"},
        "the Syntax Engine refuses any repetition; said twice the same is not two things, and is ignored",
    ),
    (
        "https://id.gs1.org/01/09501101530003/22/CPV1?10=BATCH1",
        "belongs in the path",
        "Gs1BarcodeParser takes it; URI Syntax 1.6 and the Syntax Engine do not",
    ),
    (
        "https://id.gs1.org/410/5060917510004",
        "no primary key",
        "the toolkit takes 410 to 413 and 416 as keys, as version 1.0 did; they are attributes now",
    ),
    (
        "https://id.gs1.org/415/5060917510004",
        "needs 8020",
        "the toolkit takes 415 alone; a payee's GLN requires the payment's reference",
    ),
    (
        "https://id.gs1.org/8006/054123450000130201",
        "piece 02 of 01",
        "the toolkit does not look at the pieces; the Syntax Dictionary does (pieceoftotal)",
    ),
    (
        "https://id.gs1.org/01/05412345000013?02=05412345000013",
        "cannot be said of one thing",
        "a GTIN and the GTIN of contents exclude each other (Syntax Dictionary, ex)",
    ),
    (
        "https://id.gs1.org/01/09520123456788?",
        {"01": "09520123456788"},
        "CodeGlyphX refuses an empty query; it says nothing that could be wrong",
    ),
    (
        "https://id.gs1.org/01/09520123456788/10/ABC123#details",
        {"01": "09520123456788", "10": "ABC123"},
        "some refuse a fragment, which the syntax does not have; it never reaches a server, so it is ignored",
    ),
    (
        "https://id.gs1.org?01=09520123456788&21=12345",
        "no primary key",
        "OpenEPCIS reads links of a query alone; the syntax has a key in the path",
    ),
    (
        "https://id.gs1.org/01/09520123456788/12345/XYZ",
        "not a qualifier",
        "OpenEPCIS reads what it knows and leaves the rest out; a resolver answers 400",
    ),
    (
        "https://id.gs1.org/01/09520123456788/10/LOT@123",
        "not a value that 10 can have",
        "OpenEPCIS does not look at characters; the General Specifications have no @ in a lot",
    ),
    (
        "https://id.gs1.org/01/09520123456788/21/",
        "no value",
        "OpenEPCIS reads an empty serial",
    ),
    (
        "https://id.gs1.org/01/05412345000013?17=261231;3103=000189",
        {"01": "05412345000013", "17": "261231", "3103": "000189"},
        "URI Syntax, section 4.11, allows the semicolon between pairs as well; most readers do not know it",
    ),
]
"""Where sources disagree with each other, or we with one of them."""
