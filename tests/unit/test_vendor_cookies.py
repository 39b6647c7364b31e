"""Vendors' cookies: exact forms of real shape are read, everything else is nothing, and nothing ever raises."""

import base64

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.vendor_ids import find_ids

FBP, FBC = "fb.1.1795180000000.1234567890", "fb.1.1795180000000.IwAR0abcDEF_x-1"
LONG = "x" * 5_000


def kla_id(**content: object) -> str:
    """Give `__kla_id` as Klaviyo's script writes it."""
    return base64.b64encode(orjson.dumps(content)).decode()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", {}),
        ("cart=1", {}),
        (f"_fbp={FBP}", {"fbp": FBP}),
        (f"a=1; _fbp={FBP}.Bg; b=2", {"fbp": FBP + ".Bg"}),
        (f"a=1;_fbp={FBP}", {"fbp": FBP}),
        (f"_fbc={FBC}", {"fbc": FBC}),
        (f"_fbc={FBC}.AQYBAQIA", {"fbc": FBC + ".AQYBAQIA"}),
        (f"_fbp=x; _fbp={FBP}", {"fbp": FBP}),
        ("_ga=GA1.1.1893726451.1795170000", {"ga_client_id": "1893726451.1795170000"}),
        ("_ga=GA1.2.1893726451.1795170000", {"ga_client_id": "1893726451.1795170000"}),
        ("_ga=GA1.2-2.1893726451.1795170000", {"ga_client_id": "1893726451.1795170000"}),
        ("_ga_AB12CD34EF=GS1.1.1795182000.3.1.1795182060.0.0.0", {"ga_session_id": "1795182000"}),
        ("_ga_AB12CD34EF=GS2.1.s1795182000$o3$g1$t1795182060$j60$l0$h0", {"ga_session_id": "1795182000"}),
        ("_ga_AB12CD34EF=GS2.1.o3$g1$s1795182000$t1795182060", {"ga_session_id": "1795182000"}),
        ("_ga_AB12CD34EF=GS2.1.s1795182000%24o3%24g1", {"ga_session_id": "1795182000"}),
        ("_ga_AAAA=GS1.1.999999999.1.0.1.0; _ga_BBBB=GS2.1.s1795182000$o1", {"ga_session_id": "1795182000"}),
        ("_gcl_aw=GCL.1795180000.Cj0KCQiA-abc_D", {"gclid": ["Cj0KCQiA-abc_D", 1_795_180_000_000]}),
        ("_ttp=2fG7aQxYz0123456789abcdefgh", {"ttp": "2fG7aQxYz0123456789abcdefgh"}),
        ("_ttp=01JABCDEFGHJKMNPQRSTVWXYZ0_.tt.1", {"ttp": "01JABCDEFGHJKMNPQRSTVWXYZ0_.tt.1"}),
        ("ttclid=E.C.P.v3fQ2", {"ttclid": "E.C.P.v3fQ2"}),
        (f"__kla_id={kla_id(cid='c', **{'$exchange_id': 'Ab_c-1.Xy'})}", {"kx": "Ab_c-1.Xy"}),
        (f"__kla_id={kla_id(**{'$exchange_id': 'Ab'}).replace('=', '%3D')}", {"kx": "Ab"}),
        (f"__kla_id={kla_id(**{'$exchange_id': 'Ab'}).rstrip('=')}", {"kx": "Ab"}),
        (f"__kla_id={kla_id(cid='only')}", {}),
        (f"my_fbp={FBP}", {}),
        (f"x__fbp={FBP}; x_ga=GA1.1.1.2; xttclid=E.C.P", {}),
        ("_gat_gtag_UA_1=1; _gid=GA1.2.1.2", {}),
    ],
)
def test_what_real_cookies_say_is_read_as_it_stands(header: str, found: dict[str, object]) -> None:
    assert find_ids(header) == (found, [])


@pytest.mark.parametrize(
    ("header", "cookie"),
    [
        ("_fbp=", "_fbp"),
        ("_fbp=fb.1.1795180000000", "_fbp"),
        ("_fbp=fb.1.1795180000000.12x", "_fbp"),
        (f"_fbp={FBP}.{LONG}", "_fbp"),
        ("_fbp=fb.1.1795180000000.1\x0012", "_fbp"),
        ("_fbp=fb.1.١٧٩٥١٨٠٠٠٠٠٠٠.12", "_fbp"),
        ("_fbc=fb.1.1795180000000.", "_fbc"),
        ("_fbc=fb.1.1795180000000.a%20b", "_fbc"),
        ("_fbc=fb.1.1795180000000.a.b.c", "_fbc"),
        (f"_fbc=fb.1.1795180000000.{LONG}", "_fbc"),
        ("_ga=GA1.1.1893726451", "_ga"),
        ("_ga=GA1.1.a.b", "_ga"),
        ("_ga=GA1.1.amp-Xyz", "_ga"),
        ("_ga=GA2.1.1.2", "_ga"),
        ("_ga=GA1.1.99999999999.1", "_ga"),
        ("_ga_AB12CD34EF=GS1.1.x.1", "_ga_"),
        ("_ga_AB12CD34EF=GS2.1.o3$g1", "_ga_"),
        ("_ga_AB12CD34EF=GS2.1.s1$s2", "_ga_"),
        (f"_ga_AB12CD34EF=GS2.1.s{LONG}", "_ga_"),
        ("_gcl_aw=GCL.1795180000.", "_gcl_aw"),
        ("_gcl_aw=GCL.soon.Cj0", "_gcl_aw"),
        ("_gcl_aw=1.1795180000.Cj0<b>", "_gcl_aw"),
        ("_ttp=short", "_ttp"),
        ("_ttp=2fG7aQxYz01234567 89", "_ttp"),
        (f"ttclid={LONG}", "ttclid"),
        ("__kla_id=%%%", "__kla_id"),
        ("__kla_id=bm90IGpzb24=", "__kla_id"),
        ("__kla_id=WzFd", "__kla_id"),
        (f"__kla_id={kla_id(**{'$exchange_id': 'Ab'})[:9]}", "__kla_id"),
        (f"__kla_id={kla_id(**{'$exchange_id': {'a': 1}})}", "__kla_id"),
        (f"__kla_id={kla_id(**{'$exchange_id': 'a b'})}", "__kla_id"),
        (f"__kla_id={kla_id(**{'$exchange_id': LONG})}", "__kla_id"),
    ],
)
def test_what_is_in_no_form_is_nothing_and_is_told_by_its_cookies_name(header: str, cookie: str) -> None:
    assert find_ids(header) == ({}, [cookie])


NAMES = st.sampled_from(["_fbp", "_fbc", "_ga", "_ga_AB12", "_gcl_aw", "_ttp", "ttclid", "__kla_id", "x"])
PIECES = st.sampled_from(
    ["fb.1.1795180000000.", "GA1.1.", "GS2.1.s", "GS1.1.", "GCL.1795180000.", "eyIk", "%", "$", "."]
)
TEXT = st.text(max_size=40) | st.text("0123456789.abc$=%", max_size=40)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NAMES, st.lists(PIECES, max_size=2), TEXT), max_size=6))
def test_no_header_raises_and_what_is_kept_is_bounded_plain_text(parts: list[tuple[str, list[str], str]]) -> None:
    header = "; ".join(f"{name}={''.join(pieces)}{text}" for name, pieces, text in parts)
    found, unreadable = find_ids(header)
    texts = [value[0] if isinstance(value, list) else value for value in found.values()]
    assert all(isinstance(text, str) and text.isascii() and text.isprintable() and len(text) <= 1_000 for text in texts)
    assert not any(" " in text or ";" in text for text in texts)
    assert len(found) + len(unreadable) <= 8
    assert len(orjson.dumps(found)) <= 4_096
