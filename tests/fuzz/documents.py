"""Documents that nobody should write: random ones, and configurations and pipelines with something done to them.

What is long is built by repeating, so that a document of a megabyte costs its maker a few draws.
"""

import json

from hypothesis import strategies as st

from edge.shipped import shipped

WHOLE = r"""
name: everything
integration: klaviyo-events-api
enabled: true
parameters: {private_api_key: "${TOKEN}", base_url: "${URL:-https://a.klaviyo.com}", endpoint: auto}
consent: [marketing]
anonymous: hold
hold_for: 14d
global: {profile: {"$email": {source: context.traits.email, required: true}}}
events:
  "*": {lane: background}
  purchase:
    metric: "Placed Order"
    when: "properties.value > `0` && length(properties.items) < `100`"
    lane: live
    properties:
      A: {source: properties.a, type: datetime, default: 2026-10-15}
      B: {mode: static, value: {a: [1, two, 3.5, null, true]}}
      C: {mode: first_of, sources: [properties.sku, properties.items.0.sku]}
      D: {mode: template, template: "{properties.a} {{}} ({properties.b})"}
      E: {mode: value_map, source: properties.list, map: {newsletter: Newsletter, "1": One, "*": Other}}
      F: {mode: count, source: properties.items}
      G: {mode: sum, source: properties.items, field: price, type: string}
      H: {mode: join, source: properties.items, field: item_name, separator: "; "}
      I: {mode: expression, expression: "properties.items[?price > `20`].{a: item_id, b: quantity}"}
      Items: &items
        source: properties.items
        mode: array_map
        fields:
          - {source: item_id, target: ProductID, type: string}
          - {source: parts, target: Parts, mode: array_map, fields: [{source: name, target: Name}]}
      Again: *items
"""
BASES = [WHOLE, *[shipped(name).read_text("utf-8") for name in ("pipelines/klaviyo-events.yaml", "config/edge.yaml")]]
ENVIRON = {
    "KLAVIYO_PRIVATE_API_KEY": "never-shown-7",
    "TOKEN": "never-shown-7",
    "EMPTY": "",
    "SPACED": " never-shown-7\n",
    "NUMBER": "8080",
}
SECRET = "never-shown-7"

WORDS = [
    *["name", "integration", "events", "parameters", "properties", "source", "mode", "when", "site", "cookie", "keys"],
    *[
        "no",
        "yes",
        "null",
        "~",
        "true",
        "0123",
        "0x1F",
        "1_000",
        "12:30",
        "1e5",
        ".nan",
        "-",
        "--",
        "2026-10-15",
        "14d",
    ],
    *["${TOKEN}", "${NONE}", "${EMPTY}", "${SPACED}", "${", "$${", "${a.b}", "${A:-", "pk_0123456789abcdef", "50/s"],
]
MARKS = [
    *"&*!|>%@`'\"{}[],:?-#~$\\ \n\t=<",
    ": ",
    "- ",
    "\n  ",
    "\n\t",
    "&a ",
    "*a ",
    "<<: ",
    "---\n",
    "...\n",
    "!!str ",
    "? ",
]
ODD = ["\ufeff", "\x00", "\x85", "\u2028", "\U0001f375", "ä", "\x07", "\ud800", "\r", "\r\n"]
# Parts of JMESPath whose repetition nests, loops or fails.
EXPRESSION_PARTS = [
    *["(", "[", "{a:", "!", "&", "a.", "a||", "@|", "[*]", "[?", "[]", "*.", "`1`,", '"', "'", "a==", "length("],
    *["a[0].", "sort_by(@, &", "[::-1]", "not_null(", "1", "`", "\\", "[0,", "to_string(", "@."],
]
REPEATED = [
    *[
        "[",
        "{a: ",
        "- ",
        "? ",
        "a: ",
        "&a [",
        "!",
        "${",
        "${A}",
        "$${",
        "${A:-",
        "0",
        "1_",
        "1:",
        "9",
        "a",
        ".",
        "a.",
        "a-",
    ],
    *[
        "a/",
        "'",
        '"',
        "\\",
        "\t",
        " ",
        "\n",
        "#",
        "{{",
        "{a}",
        "{",
        "*a ",
        "- &a x\n",
        "a,",
        "a: 1\n",
        "é",
        "\U0001f375",
        "%",
    ],
]

random_texts = st.lists(st.sampled_from([*MARKS, *MARKS, *WORDS, *ODD]), max_size=40).map("".join)
# Short ones are common, the longest ones beyond every limit.
counts = st.one_of(st.integers(1, 40), st.integers(1, 3_000), st.integers(1, 300_000))
repeats = st.builds(lambda text, count: (text * count)[:1_050_000], st.sampled_from(REPEATED), counts)
expressions = st.builds(
    lambda parts, count, end: "".join(parts) * count + end,
    st.lists(st.sampled_from(EXPRESSION_PARTS), min_size=1, max_size=3),
    st.one_of(st.integers(1, 30), st.integers(1, 700)),
    st.sampled_from(["", "a", ")", "]", "`0`"]),
).map(lambda text: text[:2_100])


def _bomb(width: int, depth: int) -> str:
    lines = ["a0: &a0 [" + ",".join("x" * width) + "]"]
    lines += [f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * width)}]" for level in range(1, depth)]
    return "\n".join(lines)


def _many(form: str, count: int) -> str:
    return "".join(form.replace("#", str(number)) for number in range(count))[:1_050_000]


bombs = st.builds(_bomb, st.integers(1, 12), st.integers(1, 30))
crowds = st.builds(
    _many,
    st.sampled_from(
        [
            *["k#: 1\n", "k#: ${A#}\n", "on: #\n", "- {source: a#, target: b#}\n", "k#: &k# [x]\n", "k#: *k\n"],
            *["  e#: {metric: m#}\n", "      T#: {source: a.b.#, type: integer}\n", "k#: 0#\n", "'k#': \"${A}#\"\n"],
            '      E#: {mode: expression, expression: "a.b[#].c || `#`"}\n',
        ]
    ),
    st.one_of(st.integers(1, 300), st.integers(1, 40_000)),
)
values = st.one_of(
    random_texts,
    st.sampled_from(WORDS),
    repeats,
    repeats.map(json.dumps),
    expressions.map(json.dumps),
    expressions.map(lambda text: "{mode: expression, expression: " + json.dumps(text) + "}"),
    repeats.map(lambda text: "{mode: template, template: " + json.dumps(text) + "}"),
)
lines = st.one_of(
    random_texts,
    bombs,
    crowds,
    st.builds(
        lambda indent, key, value: f"{' ' * indent}{key}: {value}", st.integers(0, 12), st.sampled_from(WORDS), values
    ),
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Give a shipped document with one to five lines deleted, doubled, moved, indented, given a value, or put in."""
    text = draw(st.sampled_from(BASES)).split("\n")
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(text) - 1))
        match draw(st.sampled_from(["delete", "double", "move", "indent", "value", "value", "insert", "cut"])):
            case "delete" if len(text) > 1:
                del text[at]
            case "double":
                text.insert(at, text[draw(st.integers(0, len(text) - 1))])
            case "move":
                text[at], text[-1 - at] = text[-1 - at], text[at]
            case "indent":
                text[at] = draw(st.sampled_from([" ", "  ", "\t", "    ", "- "])) + text[at]
            case "value":
                text[at] = text[at].partition(":")[0] + ": " + draw(values)
            case "insert":
                text.insert(at, draw(lines))
            case "cut":
                text[at] = text[at][: draw(st.integers(0, len(text[at])))]
    return "\n".join(text)


documents = st.one_of(random_texts, mutated(), mutated(), st.lists(lines, min_size=1, max_size=3).map("\n".join))
