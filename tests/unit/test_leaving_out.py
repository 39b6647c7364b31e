"""Warnings: what a valid pipeline leaves out although its vendor's own features need it."""

from edge.destinations import BUILTIN
from edge.pipeline import load_pipeline
from edge.shipped import shipped
from tests.pipeline_files import ENVIRON, MINIMAL, compiled

HEAD = """
name: k
integration: klaviyo-events-api
parameters: {private_api_key: "${KLAVIYO_PRIVATE_API_KEY}"}
global: {profile: {"$email": {source: context.traits.email}}}
"""


def warnings_of(text: str) -> list[str]:
    return [str(warning) for warning in compiled(text).warnings]


def test_each_feature_that_would_not_work_is_named_at_its_event_with_what_it_needs():
    text = HEAD + (
        "events:\n"
        "  view_item: {properties: {ProductName: {source: properties.item_name}, URL: {source: properties.item_url}}}\n"
        "  search: {properties: {SearchTerm: {source: properties.search_term}}}\n"
    )
    assert warnings_of(text) == [
        "p.yaml:7:3: events.view_item: leaves out ImageURL, so browse-abandonment mails cannot show the product",
        "p.yaml:7:3: events.view_item: leaves out ProductID, so flows and segments cannot tell which product it was",
        "p.yaml:7:3: events.view_item: leaves out Categories, so flows and segments by category stay empty",
    ]


def test_of_a_list_that_is_there_what_its_objects_lack_is_named_and_of_a_missing_one_only_its_name():
    items = "Items: {mode: array_map, source: properties.items, fields: [{source: item_name, target: ProductName}]}"
    rest = 'CheckoutURL: {source: properties.checkout_url}, "$value": {source: properties.value}'
    listed = f"events:\n  started_checkout: {{properties: {{{rest}, {items}}}}}\n"
    without = f"events:\n  started_checkout: {{properties: {{{rest}}}}}\n"
    lacks = "so abandoned-checkout mails cannot show the cart"
    assert warnings_of(HEAD + listed) == [
        "p.yaml:7:3: events.started_checkout: leaves out Items.Quantity, Items.ItemPrice, Items.ProductURL, "
        f"Items.ImageURL, {lacks}"
    ]
    assert warnings_of(HEAD + without) == [f"p.yaml:7:3: events.started_checkout: leaves out Items, {lacks}"]


def test_a_list_whose_inside_only_the_event_knows_is_taken_as_complete():
    rest = 'CheckoutURL: {source: properties.checkout_url}, "$value": {source: properties.value}'
    text = HEAD + f"events:\n  started_checkout: {{properties: {{{rest}, Items: {{source: properties.items}}}}}}\n"
    assert warnings_of(text) == []


def test_a_profile_that_names_nobody_is_warned_of_in_either_spelling_of_its_keys():
    for key, warnings in (("external_id", 0), ("$id", 0), ("_kx", 0), ("$first_name", 1)):
        assert len(warnings_of(MINIMAL.replace("$email", key).replace("Term", "SearchTerm"))) == warnings, key


def test_an_event_under_another_of_its_names_is_warned_of_where_the_file_names_it():
    properties = '{Items: {source: properties.items}, "$value": {source: properties.value}}'
    text = HEAD + f"events:\n  begin_checkout: {{properties: {properties}}}\n"
    assert warnings_of(text) == [
        "p.yaml:7:3: events.begin_checkout: leaves out CheckoutURL, "
        "so abandoned-checkout mails have no link back to the checkout"
    ]


def test_the_shipped_pipelines_leave_nothing_out():
    for file in sorted(shipped("pipelines").glob("*.yaml")):
        assert load_pipeline(file, ENVIRON).warnings == ()


# What they do with a property is the receiver's affair.
WITHOUT_FEATURES = {"webhook", "segment", "archive"}


def test_every_destination_says_which_properties_its_features_need():
    for word, destination in BUILTIN.items():
        if word in WITHOUT_FEATURES:
            assert destination.features == ()
            continue
        assert any(feature.event is None for feature in destination.features)
        assert {"view_item", "purchase"} <= {feature.event for feature in destination.features}
