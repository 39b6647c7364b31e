"""Trees of templates: a body as a pipeline file writes it, with paths in braces wherever a value belongs.

A text that is one path alone, "{data.properties}", gives the value itself, whatever its type; any other text becomes a
text. What is not there is left out of its object or list.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from edge.mapping.paths import astray, look_up
from edge.mapping.templates import filled, parse_template
from edge.settings import Reader, quoted
from edge.yamlfile import Node

# Takes what the paths read and gives what stands here; None: nothing does.
Body: TypeAlias = Callable[[object], object]


def compile_tree(reader: Reader, key: str, roots: Sequence[str]) -> Body:
    """Compile the tree under a key; what is wrong is collected in the reader's problems.

    Args:
        reader: of the mapping that holds the tree.
        key: names the tree, which is there.
        roots: what stands at the top of what the paths read, the likeliest first.
    """
    node = reader.node(key)
    assert node is not None, "who compiles a tree has looked for it"
    return _tree(reader, node, reader.path_of(key), roots)


def _tree(reader: Reader, node: Node, path: str, roots: Sequence[str]) -> Body:
    if isinstance(node.value, dict):
        keys = {key: _tree(reader, inner, f"{path}.{key}", roots) for key, inner in node.value.items()}
        return lambda source: {key: got for key, make in keys.items() if (got := make(source)) is not None}
    if isinstance(node.value, list):
        entries = [_tree(reader, inner, f"{path}[{index}]", roots) for index, inner in enumerate(node.value)]
        return lambda source: [got for make in entries if (got := make(source)) is not None]
    if isinstance(node.value, str) and node.value:
        return _leaf(reader, node, node.value, path, roots)
    constant = node.plain()
    return lambda source: constant


def _leaf(reader: Reader, node: Node, text: str, path: str, roots: Sequence[str]) -> Body:
    try:
        template = parse_template(text)
        for _, named in template:
            if named is not None and (what := astray(named, roots, is_secret=node.is_from_environ)):
                raise ValueError(what)
    except ValueError as error:
        reader.problems.add(node, path, f"{quoted(node)} {error}")
        return lambda source: None
    if len(template) == 2 and not template[0][0] and not template[1][0]:
        return look_up(str(template[0][1]))
    write = filled(template, None)
    return lambda source: got if isinstance(got := write(source), str) else None
