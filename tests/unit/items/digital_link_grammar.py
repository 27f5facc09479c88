"""One address for each rule of the grammar of GS1 Digital Link: URI Syntax, section 4, with the verdict of the grammar.

The addresses and verdicts are facts of two suites that go through the grammar rule by rule: of release 1.7.0 the rules
corpus of the crate dpp-digital-link (`tests/gs1_syntax_rules_corpus.rs`), which GS1's Barcode Syntax Engine judges as
well, and of release 1.6.0 `test/uri-syntax-conformance.test.ts` of barkh-products/gs1-digital-link-fns. Each row names
its rule. Where ours differs, `DIFFERENT` says why.
"""

from __future__ import annotations

from typing import Final

Said = dict[str, str]

G: Final = "09506000134352"
SSCC: Final = "106141411234567897"
GLN: Final = "4226350800008"
GDTI: Final = "4012345678901"
GSIN: Final = "40123456789012349"
GSRN: Final = "401234567890123450"
ITIP: Final = f"{G}0101"
GMN: Final = "1987654Ad4X4bL5ttr2310c2K"
_SITE: Final = "https://example.com"
_ITEM: Final = f"{_SITE}/01/{G}"
_NUMBERS: Final = (
    ("00", SSCC),
    ("402", GSIN),
    ("414", GLN),
    ("417", GLN),
    ("8017", GSRN),
    ("8018", GSRN),
    ("8006", ITIP),
)
"""Keys of digits alone, all of one length."""

VALID: Final[list[tuple[str, str, Said]]] = [
    ("4.11 scheme", f"http://example.com/01/{G}", {"01": G}),
    ("4.11 scheme in capitals", f"HTTP://example.com/01/{G}", {"01": G}),
    ("4.11 port", f"https://example.com:8443/01/{G}", {"01": G}),
    ("4.11 port", f"https://127.0.0.1:80/01/{G}", {"01": G}),
    ("4.11 IP literal", f"https://[::1]/01/{G}", {"01": G}),
    ("4.11 IP literal and port", f"https://[2001:db8::1]:8443/01/{G}", {"01": G}),
    ("4.11 custom path", f"{_SITE}/a/b/c/01/{G}", {"01": G}),
    ("4.11 an empty segment before the key", f"{_SITE}//01/{G}", {"01": G}),
    ("4.11 pchar before the key", f"{_SITE}/a%20b/01/{G}", {"01": G}),
    ("4.11 pchar before the key", f"{_SITE}/r:e@s!$&'()*+,;=/01/{G}", {"01": G}),
    ("4.9 gtin-path, variant", f"{_ITEM}/22/A", {"01": G, "22": "A"}),
    ("4.9 gtin-path, lot", f"{_ITEM}/10/B", {"01": G, "10": "B"}),
    ("4.9 gtin-path, serial", f"{_ITEM}/21/C", {"01": G, "21": "C"}),
    ("4.9 gtin-path, variant and lot", f"{_ITEM}/22/A/10/B", {"01": G, "22": "A", "10": "B"}),
    ("4.9 gtin-path, variant and serial", f"{_ITEM}/22/A/21/C", {"01": G, "22": "A", "21": "C"}),
    ("4.9 gtin-path, lot and serial", f"{_ITEM}/10/B/21/C", {"01": G, "10": "B", "21": "C"}),
    ("4.9 gtin-path, all three", f"{_ITEM}/22/A/10/B/21/C", {"01": G, "22": "A", "10": "B", "21": "C"}),
    ("4.9 upui-path", f"{_ITEM}/235/TPX", {"01": G, "235": "TPX"}),
    *(
        (f"4.6 longest {ai}", f"{_ITEM}/{ai}/{'A' * most}", {"01": G, ai: "A" * most})
        for ai, most in (("22", 20), ("10", 20), ("21", 20), ("235", 28))
    ),
    ("4.5 sscc-value", f"{_SITE}/00/{SSCC}", {"00": SSCC}),
    ("4.5 gsin-value", f"{_SITE}/402/{GSIN}", {"402": GSIN}),
    ("4.5 gln-value", f"{_SITE}/414/{GLN}", {"414": GLN}),
    ("4.5 partyGln-value", f"{_SITE}/417/{GLN}", {"417": GLN}),
    ("4.5 gsrnp-value", f"{_SITE}/8017/{GSRN}", {"8017": GSRN}),
    ("4.5 gsrn-value", f"{_SITE}/8018/{GSRN}", {"8018": GSRN}),
    ("4.5 itip-value", f"{_SITE}/8006/{ITIP}", {"8006": ITIP}),
    ("4.5 itip-value, piece 12 of 34", f"{_SITE}/8006/095201234567881234", {"8006": "095201234567881234"}),
    ("4.9 itip-path, lot", f"{_SITE}/8006/{ITIP}/10/B", {"8006": ITIP, "10": "B"}),
    ("4.9 itip-path, serial", f"{_SITE}/8006/{ITIP}/21/C", {"8006": ITIP, "21": "C"}),
    ("4.9 itip-path, variant", f"{_SITE}/8006/{ITIP}/22/A", {"8006": ITIP, "22": "A"}),
    ("4.5 gdti-value", f"{_SITE}/253/{GDTI}", {"253": GDTI}),
    ("4.5 gdti-value with a serial", f"{_SITE}/253/{GDTI}ABC123", {"253": f"{GDTI}ABC123"}),
    ("4.5 gdti-value, longest serial", f"{_SITE}/253/{GDTI}{'A' * 17}", {"253": GDTI + "A" * 17}),
    ("4.5 gcn-value", f"{_SITE}/255/{GDTI}", {"255": GDTI}),
    ("4.5 gcn-value, longest serial", f"{_SITE}/255/{GDTI}123456789012", {"255": f"{GDTI}123456789012"}),
    ("4.5 grai-value", f"{_SITE}/8003/0{GDTI}", {"8003": f"0{GDTI}"}),
    ("4.5 grai-value with a serial", f"{_SITE}/8003/0{GDTI}ABC", {"8003": f"0{GDTI}ABC"}),
    ("4.5 grai-value, longest serial", f"{_SITE}/8003/0{GDTI}{'A' * 16}", {"8003": f"0{GDTI}" + "A" * 16}),
    ("4.5 ginc-value", f"{_SITE}/401/4012345ORDER99", {"401": "4012345ORDER99"}),
    ("4.5 ginc-value, longest", f"{_SITE}/401/4012345{'A' * 23}", {"401": "4012345" + "A" * 23}),
    ("4.5 giai-value", f"{_SITE}/8004/4012345ABC123", {"8004": "4012345ABC123"}),
    ("4.5 giai-value, longest", f"{_SITE}/8004/4012345{'A' * 23}", {"8004": "4012345" + "A" * 23}),
    ("4.5 gmn-value", f"{_SITE}/8013/{GMN}", {"8013": GMN}),
    (
        "4.5 gmn-value, check characters over the symbols of set 82",
        f"{_SITE}/8013/12345_%21%22%25%26%27%28%29%2A%2B%2C-.%2FLC",
        {"8013": "12345_!\"%&'()*+,-./LC"},
    ),
    ("4.5 cpid-value", f"{_SITE}/8010/4012345ABC123", {"8010": "4012345ABC123"}),
    ("4.5 cpid-value, symbols of set 39", f"{_SITE}/8010/4012345AB-C%23%2F", {"8010": "4012345AB-C#/"}),
    ("4.5 cpid-value, longest", f"{_SITE}/8010/4012345{'A' * 23}", {"8010": "4012345" + "A" * 23}),
    ("4.9 cpid-path", f"{_SITE}/8010/4012345ABC/8011/123456789012", {"8010": "4012345ABC", "8011": "123456789012"}),
    ("4.9 gln-path", f"{_SITE}/414/{GLN}/254/{'A' * 20}", {"414": GLN, "254": "A" * 20}),
    ("4.9 fid-path", f"{_SITE}/414/{GLN}/7040/1ABC", {"414": GLN, "7040": "1ABC"}),
    ("4.9 eoid-path", f"{_SITE}/417/{GLN}/7040/1ABC", {"417": GLN, "7040": "1ABC"}),
    ("4.9 mid-path", f"{_SITE}/8004/4012345ABC123/7040/1ABC", {"8004": "4012345ABC123", "7040": "1ABC"}),
    ("4.9 gsrnp-path", f"{_SITE}/8017/{GSRN}/8019/1234567890", {"8017": GSRN, "8019": "1234567890"}),
    ("4.9 gsrn-path", f"{_SITE}/8018/{GSRN}/8019/123", {"8018": GSRN, "8019": "123"}),
    ("4.9 payTo-path", f"{_SITE}/415/{GLN}/8020/REF123", {"415": GLN, "8020": "REF123"}),
    ("4.6 longest payment reference", f"{_SITE}/415/{GLN}/8020/{'A' * 25}", {"415": GLN, "8020": "A" * 25}),
    *(
        (f"4.2 {symbol} encoded", f"{_ITEM}/21/A%{ord(symbol):02X}B", {"01": G, "21": f"A{symbol}B"})
        for symbol in "!\"%&'()*+,/:;<=>?"
    ),
    *((f"4.2 {symbol} as itself", f"{_ITEM}/21/A{symbol}B", {"01": G, "21": f"A{symbol}B"}) for symbol in "-._"),
    ("4.2 small hexadecimal letters", f"{_ITEM}/21/a%2fb", {"01": G, "21": "a/b"}),
    ("4.2 set 64", f"{_ITEM}/21/S?8030=Az_-%3D09", {"01": G, "21": "S", "8030": "Az_-=09"}),
    ("4.10 extension", f"{_ITEM}?linkType=gs1:pip&context=eu", {"01": G}),
    ("4.10 extension with a digit", f"{_ITEM}?23P=12098", {"01": G}),
    (
        "4.10 extension with an equals sign in its value",
        f"{_ITEM}?3100=000123&23P=12098=abc",
        {"01": G, "3100": "000123"},
    ),
    ("4.10 extension with an encoded sign", f"{_ITEM}?bad%23key=ok%23value", {"01": G}),
    ("4.10 extension with a plus", f"{_ITEM}?a+b=c+d", {"01": G}),
    ("4.10 attribute of two forms", f"{_ITEM}?7007=240101250101", {"01": G, "7007": "240101250101"}),
    ("4.11 semicolons between pairs", f"{_ITEM}?17=250101;3103=000195", {"01": G, "17": "250101", "3103": "000195"}),
]

INVALID: Final[list[tuple[str, str, str, str]]] = [
    ("4.11 scheme", f"ftp://example.com/01/{G}", "scheme", "not http"),
    ("4.11 scheme", f"example.com/01/{G}", "uri", "neither a URI nor a path"),
    ("4.11 no user name", f"https://user@example.com/01/{G}", "host", "cannot be in the name"),
    ("4.11 reg-name", f"https://exa mple.com/01/{G}", "uri", "percent-encode"),
    ("4.11 port is digits", f"https://example.com:80a/01/{G}", "host", "colon and a port"),
    ("4.11 nothing after an IP literal", f"https://[::1]x/01/{G}", "host", "colon and a port"),
    *((f"4.11 {bad} before the key", f"{_SITE}/re{bad}s/01/{G}", "uri", "percent-encode") for bad in ' é"<{\\'),
    *((f"4.11 {bad} before the key", f"{_SITE}/re{bad}s/01/{G}", "path", "cannot have") for bad in ("[", "]", "%zz")),
    ("4.5 gtin-value, check digit", f"{_SITE}/01/09506000134353", "01", "check digit"),
    ("4.5 gtin-value, 15 digits", f"{_ITEM}0", "01", "14 digits here, not 15"),
    ("4.5 gtin-value, a letter", f"{_SITE}/01/0950600013435A", "01", "not a value"),
    ("4.5 gtin-value, nothing", f"{_SITE}/01/", "01", "no value"),
    ("4.1 GTIN-13 without its zero", f"{_SITE}/01/9506000134352", "01", "14 digits here, not 13"),
    ("4.1 GTIN-8 without its zeros", f"{_SITE}/01/12345670", "01", "14 digits here, not 8"),
    ("4.9 gtin-path, lot before variant", f"{_ITEM}/10/B/22/A", "path[4]", "22 is out of order"),
    ("4.9 gtin-path, serial before lot", f"{_ITEM}/21/C/10/B", "path[4]", "10 is out of order"),
    ("4.9 gtin-path, serial before variant", f"{_ITEM}/21/C/22/A", "path[4]", "22 is out of order"),
    ("4.9 gtin-path, lot twice", f"{_ITEM}/10/A/10/B", "path[4]", "10 is there twice"),
    ("4.9 gtin-path, variant twice", f"{_ITEM}/22/A/22/B", "path[4]", "22 is there twice"),
    ("4.9 upui-path after a serial", f"{_ITEM}/21/C/235/T", "path[4]", "235 is out of order"),
    ("4.9 upui-path after a variant", f"{_ITEM}/22/A/235/T", "path[4]", "235 is out of order"),
    ("4.9 upui-path after a lot", f"{_ITEM}/10/B/235/T", "path[4]", "235 is out of order"),
    ("4.9 upui-path before a serial", f"{_ITEM}/235/T/21/C", "path[4]", "21 is out of order"),
    ("4.9 upui-path, twice", f"{_ITEM}/235/T/235/U", "path[4]", "235 is there twice"),
    ("4.9 a qualifier without a value", f"{_ITEM}/10", "10", "no value"),
    ("4.6 lot-value, nothing", f"{_ITEM}/10/", "10", "no value"),
    *(
        (f"4.6 {ai} too long", f"{_ITEM}/{ai}/{'A' * most}", ai, "not a value")
        for ai, most in (("22", 21), ("10", 21), ("21", 21), ("235", 29))
    ),
    *((f"4.5 {ai} a digit short", f"{_SITE}/{ai}/{value[:-1]}", ai, "not a value") for ai, value in _NUMBERS),
    *((f"4.5 {ai} a digit long", f"{_SITE}/{ai}/{value}0", ai, "not a value") for ai, value in _NUMBERS),
    *(
        (f"4.5 {ai} with a letter", f"{_SITE}/{ai}/{value[:4]}A{value[5:]}", ai, "not a value")
        for ai, value in _NUMBERS
    ),
    ("4.5 sscc-value, check digit", f"{_SITE}/00/123456789012345674", "00", "check digit"),
    ("4.5 gsin-value, check digit", f"{_SITE}/402/12345678901234561", "402", "check digit"),
    ("4.5 gln-value, check digit", f"{_SITE}/414/9520123456789", "414", "check digit"),
    ("4.5 payTo-value, check digit", f"{_SITE}/415/9520123456789/8020/PAY", "415", "check digit"),
    ("4.5 partyGln-value, check digit", f"{_SITE}/417/9520123456789", "417", "check digit"),
    ("4.5 gsrnp-value, check digit", f"{_SITE}/8017/123456789012345674", "8017", "check digit"),
    ("4.5 gsrn-value, check digit", f"{_SITE}/8018/123456789012345674", "8018", "check digit"),
    ("4.5 itip-value, check digit", f"{_SITE}/8006/095201234567891234", "8006", "check digit"),
    ("4.5 gdti-value, check digit", f"{_SITE}/253/1234567890129ABC", "253", "check digit"),
    ("4.5 gdti-value, 12 digits", f"{_SITE}/253/{GDTI[:12]}", "253", "not a value"),
    ("4.5 gdti-value, serial too long", f"{_SITE}/253/{GDTI}{'A' * 18}", "253", "not a value"),
    ("4.5 gcn-value, check digit", f"{_SITE}/255/1234567890129", "255", "check digit"),
    ("4.5 gcn-value, letters", f"{_SITE}/255/{GDTI}ABC", "255", "not a value"),
    ("4.5 gcn-value, serial too long", f"{_SITE}/255/{GDTI}1234567890123", "255", "not a value"),
    ("4.5 grai-value without its zero", f"{_SITE}/8003/{GDTI}", "8003", "not a value"),
    ("4.5 grai-value with another digit for it", f"{_SITE}/8003/1{GDTI}", "8003", "not with zero"),
    ("4.5 grai-value, check digit", f"{_SITE}/8003/01234567890129ABC", "8003", "check digit"),
    ("4.5 grai-value, serial too long", f"{_SITE}/8003/0{GDTI}{'A' * 17}", "8003", "not a value"),
    ("4.5 ginc-value, too long", f"{_SITE}/401/4012345{'A' * 24}", "401", "not a value"),
    ("4.5 ginc-value, outside set 82", f"{_SITE}/401/4012345A%40B", "401", "not a value"),
    ("4.5 giai-value, too long", f"{_SITE}/8004/4012345{'A' * 24}", "8004", "not a value"),
    ("4.5 giai-value, outside set 82", f"{_SITE}/8004/4012345A%40B", "8004", "not a value"),
    ("4.5 giai-value, no company prefix", f"{_SITE}/8004/ABCD123", "8004", "company prefix"),
    ("4.5 gmn-value, too long", f"{_SITE}/8013/4012345{'A' * 19}", "8013", "not a value"),
    ("4.5 gmn-value, check characters", f"{_SITE}/8013/{GMN[:-1]}X", "8013", "check characters"),
    ("4.5 cpid-value, too long", f"{_SITE}/8010/4012345{'A' * 24}", "8010", "not a value"),
    ("4.5 cpid-value, small letters", f"{_SITE}/8010/4012345abc", "8010", "not a value"),
    ("4.5 cpid-value, outside set 39", f"{_SITE}/8010/4012345AB_C", "8010", "not a value"),
    ("4.6 cpsn-value, too long", f"{_SITE}/8010/4012345ABC/8011/1234567890123", "8011", "not a value"),
    ("4.6 cpsn-value, letters", f"{_SITE}/8010/4012345ABC/8011/ABC", "8011", "not a value"),
    ("4.6 glnx-value, too long", f"{_SITE}/414/{GLN}/254/{'A' * 21}", "254", "not a value"),
    *(
        (f"4.6 uic-ext-value {value}", f"{_SITE}/{key}/7040/{value}", "7040", "not a value")
        for key in (f"414/{GLN}", f"417/{GLN}", "8004/4012345ABC123")
        for value in ("ABCD", "1AB", "1ABCD")
    ),
    ("4.9 fid-path after an extension", f"{_SITE}/414/{GLN}/254/E/7040/1ABC", "path[4]", "7040 is out of order"),
    ("4.9 partyGln-path, an extension", f"{_SITE}/417/{GLN}/254/E", "path[2]", "not a qualifier"),
    ("4.6 srin-value, too long", f"{_SITE}/8017/{GSRN}/8019/12345678901", "8019", "not a value"),
    ("4.6 srin-value, letters", f"{_SITE}/8017/{GSRN}/8019/ABC", "8019", "not a value"),
    ("4.9 payTo-path without a reference", f"{_SITE}/415/{GLN}", "path", "needs 8020"),
    ("4.6 refno-value, too long", f"{_SITE}/415/{GLN}/8020/{'A' * 26}", "8020", "not a value"),
    ("4.9 a qualifier for a key", f"{_SITE}/8020/REF123", "path", "no primary key"),
    ("4.9 sscc-path, a qualifier", f"{_SITE}/00/{SSCC}/22/A", "path[2]", "not a qualifier of an SSCC"),
    ("4.9 gmn-path, a qualifier", f"{_SITE}/8013/{GMN}/10/1", "path[2]", "not a qualifier"),
    ("4.9 itip-path, 235", f"{_SITE}/8006/{ITIP}/235/T", "path[2]", "not a qualifier"),
    ("4.9 a qualifier of another key", f"{_ITEM}/254/GLN-EXT", "path[2]", "not a qualifier"),
    ("4.10 an attribute in the path", f"{_ITEM}/99/DATA", "path[2]", "not a qualifier"),
    ("4.9 a second key", f"{_ITEM}/00/{SSCC}", "path[2]", "a second primary key"),
    ("4.9 a second key", f"{_SITE}/00/{SSCC}/01/{G}", "path[2]", "a second primary key"),
    ("an identifier that is none", f"{_ITEM}/04/NOSUCHAI", "path[2]", "not a qualifier"),
    ("4.12 a slash at the end", f"{_ITEM}/21/C/", "path[4]", "an empty part"),
    ("4.12 an empty value", f"{_SITE}/01//{G}", "path[2]", "not a qualifier"),
    ("4.12 an empty identifier", f"{_ITEM}//21/A", "path[2]", "an empty part"),
    *((f"4.2 {raw} is in no URI", f"{_ITEM}/21/A{raw}B", "uri", "percent-encode") for raw in "<>{|\\^`"),
    *(
        (f"4.2 {bad} is outside set 82", f"{_ITEM}/21/A{bad}B", "21", "not a value")
        for bad in ("%24", "%7E", "%40", "%23", "%20")
    ),
    *((f"4.2 {bad} is outside set 82", f"{_ITEM}/21/A{bad}B", "21", "outside GS1's sets") for bad in ("%C3%A9", "%FF")),
    *((f"4.2 {bad} is cut short", f"{_ITEM}/21/A{bad}", "21", "percent sign") for bad in ("%ZZ", "%2", "%")),
    ("4.2 outside set 64", f"{_ITEM}/21/S?8030=ABC%21", "query[8030]", "not a value"),
    ("4.10 an extension of digits alone", f"{_ITEM}?236=12098", "query[236]", "not a GS1 identifier"),
    ("4.10 an extension of digits alone", f"{_ITEM}?04=X", "query[04]", "not a GS1 identifier"),
    ("4.10 expiryDateParameter", f"{_ITEM}?17=26123", "query[17]", "not a value"),
    ("4.10 expiryDateParameter, letters", f"{_ITEM}?17=ABCDEF", "query[17]", "not a value"),
    ("4.10 an attribute without a value", f"{_ITEM}?17", "query[17]", "no value"),
    ("4.10 an attribute cut short", f"{_ITEM}?17=%E0%A4%A", "query[17]", "percent sign"),
    ("4.10 netWeightVMTIParameter", f"{_ITEM}?3103=500", "query[3103]", "not a value"),
    ("4.10 a qualifier among attributes", f"{_ITEM}?17=250101;10=LOT", "query[10]", "belongs in the path"),
    *(
        (f"4.10 {ai} is left out", f"{_ITEM}?{ai}={value}", f"query[{ai}]", "not an identifier that a query can have")
        for ai, value in (("8200", "https://example.com"), ("03", "09520123456788"), ("8014", "ABC"))
    ),
    *(
        (f"4.10 {ai}, check digit", f"{_SITE}/00/{SSCC}?{ai}={value}", f"query[{ai}]", "check digit")
        for ai, value in (
            ("02", "09520123456789"),
            *((ai, "9520123456789") for ai in ("410", "411", "412", "413", "414", "416")),
        )
    ),
]

DIFFERENT: Final[list[tuple[str, Said | str, str]]] = [
    (
        f"Https://example.com/01/{G}",
        {"01": G},
        "the grammar has a scheme in one case alone; RFC 3986 has no case there",
    ),
    (
        f"https://exa(mple.com/01/{G}",
        "cannot be in the name",
        "the grammar has all that RFC 3986 allows a registered name; no host's has it, and GS1's engine refuses it",
    ),
    (f"https://exa%41mple.com/01/{G}", "cannot be in the name", "the same of percent signs"),
    (f"https:///01/{G}", "no host", "the grammar allows an empty name, which leads nowhere"),
    *(
        (f"{_ITEM}/21/A{symbol}B", {"01": G, "21": f"A{symbol}B"}, "the grammar wants it encoded; RFC 3986 does not")
        for symbol in "!&'()*+,;=:"
    ),
    (f'{_ITEM}/21/A"B', "percent-encode", "the grammar names the quotation mark itself, which no URI can have"),
    (f"{_ITEM}?linkType", {"01": G}, "the grammar wants a value; what is not GS1's is passed on as it is"),
    (f"{_ITEM}?linkType=gs1:pip#part", {"01": G}, "the grammar has no fragment, which never reaches a server"),
    (f"{_ITEM}?%E0%A4%A=1", {"01": G}, "an extension that is cut short is not GS1's either, and passed on"),
    (
        f"{_ITEM}?17=240101&17=250101",
        "twice",
        "release 1.6 lets the last value go; of two days only one can be printed on the package",
    ),
    (
        f"{_ITEM}?context=abc",
        {"01": G},
        "gs1-digital-link-fns keeps the word for resolvers and refuses it; this is one",
    ),
    (
        f"{_SITE}/00/{SSCC}?7041=PX",
        "not an identifier that a query can have",
        "gs1-digital-link-fns takes it; the Syntax Dictionary of 2026-01-27 does not mark it as an attribute",
    ),
    (
        f"{_ITEM}/21/S?8040=123456789012345",
        "not an identifier that a query can have",
        "the same of the numbers of a phone, 8040 to 8043",
    ),
    (
        f"{_SITE}/8003/095555550000200",
        "check digit",
        "grigolatoe/gs1-digital-link-resolver does not look at a GRAI's check digit",
    ),
    (
        "https://id.gs1.org/01/9780345418913/10/38737643/21/58943?15=230911",
        "14 digits here, not 13",
        "digital-link.js takes 13 digits, as the releases before 1.2 did",
    ),
    (
        "http://example.org/gtin/054123450013/lot/ABC%26%2B123?3103=000189&3923=2172",
        "short names",
        "the README of GS1DigitalLinkToolkit.js has short names and 12 digits, which went out of use with 1.2",
    ),
]
"""Where our verdict is not the grammar's, or not that of a source that reads it."""
