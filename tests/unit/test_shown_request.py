"""What is kept and shown of a request never holds a credential."""

import orjson

from edge.delivery import Request
from edge.drainer.sending import shown_request


def test_credentials_are_masked_in_headers_and_in_the_query():
    url = "https://vendor.example/collect?measurement_id=G-1&api_secret=s3cret&debug=1"
    request = Request("POST", url, {"Authorization": "Bearer s3cret", "Accept": "*/*"}, b"{}")
    assert orjson.loads(shown_request(request)) == {
        "method": "POST",
        "url": "https://vendor.example/collect?measurement_id=G-1&api_secret=****&debug=1",
        "headers": {"Authorization": "****", "Accept": "*/*"},
        "body": "{}",
    }
