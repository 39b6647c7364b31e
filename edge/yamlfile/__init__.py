"""Files that people write in YAML: a tree whose values know their places, and everything wrong with it at once.

`loading` grows the tree, `node` is one value and the list of problems, `scalars` is what a plain word means, `grammar`
says what mends a broken file.
"""

from edge.yamlfile.loading import MAX_BYTES, MAX_DEPTH, MAX_EXPANDED_NODES, MAX_NODES, load_yaml, read_text
from edge.yamlfile.node import MAX_PROBLEMS, Node, Plain, Problems
from edge.yamlfile.scalars import MAX_SAFE_INTEGER, defaults_of, plain_value, variables_of

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_EXPANDED_NODES",
    "MAX_NODES",
    "MAX_PROBLEMS",
    "MAX_SAFE_INTEGER",
    "Node",
    "Plain",
    "Problems",
    "defaults_of",
    "load_yaml",
    "plain_value",
    "read_text",
    "variables_of",
]
