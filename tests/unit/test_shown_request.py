"""What is kept and shown of a request never holds a credential."""

import orjson

from edge.delivery import Request
from edge.drainer.letters import shown_request


def test_credentials_are_masked_in_headers_and_in_the_query():
    url = "https://vendor.example/collect?measurement_id=G-1&api_secret=s3cret&appsecret_proof=5e&debug=1"
    request = Request("POST", url, {"Authorization": "Bearer s3cret", "Accept": "*/*"}, b"{}")
    assert orjson.loads(shown_request(request)) == {
        "method": "POST",
        "url": "https://vendor.example/collect?measurement_id=G-1&api_secret=****&appsecret_proof=****&debug=1",
        "headers": {"Authorization": "****", "Accept": "*/*"},
        "body": "{}",
    }


def test_credentials_of_a_form_are_masked():
    form = b"client_id=a&client_secret=s3cret&grant_type=refresh_token&refresh_token=s3cret&assertion=s3cret"
    request = Request(
        "POST", "https://vendor.example/token", {"Content-Type": "application/x-www-form-urlencoded"}, form
    )
    assert orjson.loads(shown_request(request))["body"] == (
        "client_id=a&client_secret=****&grant_type=refresh_token&refresh_token=****&assertion=****"
    )
