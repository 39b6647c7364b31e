"""Consent platforms' values as real pages have them."""

import base64

ONETRUST = (
    "isGpcEnabled=0&datestamp=Fri+Nov+20+2026+18%3A00%3A00+GMT%2B0000+(Greenwich+Mean+Time)&version=202405.1.0"
    "&browserGpcFlag=0&isIABGlobal=false&hosts=&consentId=00000000-0000-4000-8000-000000000001&interactionCount=1"
    "&isAnonUser=1&landingPath=NotLandingPage&groups=C0001%3A1%2CC0002%3A1%2CC0003%3A0%2CC0004%3A0&intType=3"
    "&geolocation=GB%3BENG"
)
COOKIEBOT = (
    "{stamp:'c3RhbXA=',necessary:true,preferences:false,statistics:true,marketing:false,method:'explicit',ver:1,"
    "utc:1795197600120,region:'gb'}"
)
SHOPIFY = (
    '{"con":{"CMP":{"a":"1","m":"0","p":"0","s":""}},"v":"2.1","region":"GBENG","reg":"GDPR",'
    '"purposes":{"p":false,"a":true,"m":false,"t":false},"display_banner":false,"sale_of_data_region":false}'
)


def tc_string(
    consents: set[int],
    *,
    legitimate: set[int] = frozenset(),  # type: ignore[assignment]
    updated_ms: int = 1_795_197_600_100,
    is_purpose_one_left: bool = False,
) -> str:
    """Write the core segment of a TC string: CMP 300 in version 2, vendor list 142, policy 4, no vendors."""
    moment = updated_ms // 100
    fields = [(2, 6), (moment, 36), (moment, 36), (300, 12), (2, 12), (1, 6), (ord("e") - 97, 6), (ord("n") - 97, 6)]
    fields += [(142, 12), (4, 6), (1, 1), (0, 1), (0, 12)]
    for purposes in (consents, legitimate):
        fields += [(int(number in purposes), 1) for number in range(1, 25)]
    fields += [(int(is_purpose_one_left), 1), (6, 6), (1, 6), (0, 16), (0, 1), (0, 16), (0, 1), (0, 12)]
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    bits += "0" * (-len(bits) % 8)
    return base64.urlsafe_b64encode(int(bits, 2).to_bytes(len(bits) // 8, "big")).rstrip(b"=").decode()
