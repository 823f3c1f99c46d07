"""YAML from outside: plain values only, no key twice, nothing that a small text could blow up."""

from __future__ import annotations

import os
from typing import Any

import yaml

from gait_envs.errors import one_line
from gait_envs.reading.text import MAX_DEPTH, Fault, check_tree, read_text

MAX_YAML = 64 << 10  # bytes, read in 2 s at most; a configuration has two thousand
MAX_DIGITS = 64  # of a number, as written


def read_yaml(path: str | os.PathLike[str], error: Fault, limit: int = MAX_YAML) -> Any:
    """The value in a YAML file, made of what JSON can hold."""
    return parse_yaml(read_text(path, error, limit), str(path), error)


def parse_yaml(text: str, where: str, error: Fault) -> Any:
    """The value in a YAML text; `error` names the line of a fault."""
    try:
        tree = yaml.load(text, _Strict)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise error(f"{where}{line}: not valid YAML: {one_line(fault.problem or fault.context)}") from None
    except Exception as fault:  # PyYAML lets through what dates, numbers and binary values raise
        raise error(f"{where}: not valid YAML: {one_line(fault)}") from None
    return check_tree(tree, where, error)


class _Strict(yaml.SafeLoader):
    """As SafeLoader, but shallow, without repeated and merged keys, and with numbers of a modest length."""

    depth = 0

    def fetch_flow_collection_start(self, token: Any) -> None:
        # Before the nodes are composed, as a bracket is compared with all that are open when it is scanned.
        if self.flow_level >= MAX_DEPTH:
            raise yaml.scanner.ScannerError(None, None, f"nested more than {MAX_DEPTH} deep", self.get_mark())
        super().fetch_flow_collection_start(token)

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(
                None, None, f"nested more than {MAX_DEPTH} deep", self.peek_event().start_mark
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":  # merges of merges grow without end
                raise yaml.constructor.ConstructorError(None, None, "merge keys (<<) are not read", key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} is there twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)

    def construct_number(self, node: Any) -> Any:
        if len(node.value) > MAX_DIGITS:
            raise yaml.constructor.ConstructorError(
                None, None, f"a number of {len(node.value)} digits; at most {MAX_DIGITS} are read", node.start_mark
            )
        is_int = node.tag.endswith(":int")
        return self.construct_yaml_int(node) if is_int else self.construct_yaml_float(node)


for _tag in ("int", "float"):
    _Strict.add_constructor(f"tag:yaml.org,2002:{_tag}", _Strict.construct_number)
