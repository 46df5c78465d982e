"""YAML as plain values, with the place of each in the file.

Only the plain part of YAML is read: mappings with text keys, lists, scalars. Aliases are refused, since a few of them
can stand for billions of values; so are tags that would build objects, repeated keys, and deep nesting.
"""

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from aisc.season.rules import KeyPath

MAX_BYTES = 1 << 20
MAX_DEPTH = 20

_YAML = "tag:yaml.org,2002:"
_PLAIN = frozenset({"map", "seq", "str", "int", "float", "bool", "null"})


class Place(NamedTuple):
    """A line and a column, both counted from 1."""

    line: int
    column: int


class YamlProblem(NamedTuple):
    """What keeps a file from being read, and where."""

    place: Place
    path: KeyPath
    message: str
    remedy: str


class Document(NamedTuple):
    """A file's values; the places of keys (or list items) and of values, by path; and the problems found so far."""

    data: Any
    keys: dict[KeyPath, Place]
    values: dict[KeyPath, Place]
    problems: list[YamlProblem]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, without aliases, without depth, and with times left as the text that was written."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401  # the types of PyYAML's own method
        """Refuse what could grow without bound before it is built."""
        if self.check_event(yaml.AliasEvent):
            mark = self._next_mark()
            raise yaml.composer.ComposerError(None, None, "an alias (*name) stands for a copied value", mark)
        if self.depth >= MAX_DEPTH:
            mark = self._next_mark()
            raise yaml.composer.ComposerError(None, None, f"values are nested deeper than {MAX_DEPTH}", mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _next_mark(self) -> Any:  # noqa: ANN401  # PyYAML's marks have no common public type
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in the stubs
        return event.start_mark


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(path: Path) -> Document:
    """Read one YAML file; what cannot be read at all gives ``data`` None and one problem.

    Raises:
        OSError: When the file cannot be opened.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        return _unreadable(Place(1, 1), "the file is larger than 1 MiB", "A season file is a few kilobytes of text.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        return _unreadable(Place(line, column), "the file is not UTF-8 text", "Save it as UTF-8.")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            document = Document(None, {}, {}, [])
            data = _Values(loader, document).build(node, ()) if node is not None else None
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, error.position - before.rfind("\n"))
        return _unreadable(place, f"the character U+{error.character:04X} is not allowed", "Remove it.")
    except yaml.MarkedYAMLError as error:
        return _unreadable(_place(error.problem_mark or error.context_mark), *_explain(error))
    return document._replace(data=data)


class _Values:
    """Builds plain values from nodes and notes where each stands."""

    def __init__(self, loader: _Loader, document: Document) -> None:
        self._loader = loader
        self._document = document

    def build(self, node: yaml.Node, path: KeyPath) -> Any:  # noqa: ANN401  # any plain value
        self._document.values[path] = _place(node.start_mark)
        if isinstance(node, yaml.MappingNode) and self._is_plain(node, path):
            return dict(self._items(node, path))
        if isinstance(node, yaml.SequenceNode) and self._is_plain(node, path):
            for index, item in enumerate(node.value):
                self._document.keys[(*path, index)] = _place(item.start_mark)
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None

    def _items(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, Any]]:
        for key_node, value_node in node.value:
            place = _place(key_node.start_mark)
            key = self._scalar(key_node, path) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                remedy = "Write a plain name, in quotes where YAML would read it as a number or as true or false."
                self._complain(place, path, "a key is not text", remedy)
                continue
            here = (*path, key)
            if here in self._document.keys:
                first = self._document.keys[here].line
                self._complain(place, here, f"the key is here twice, first in line {first}", "Keep one of them.")
                continue
            self._document.keys[here] = place
            yield key, self.build(value_node, here)

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Hashable:
        if not self._is_plain(node, path):
            return None
        try:
            value: Hashable = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, OverflowError):
            kind = node.tag.removeprefix(_YAML)
            self._complain(_place(node.start_mark), path, f"this is no {kind}", "Put text in quotes, and write no tag.")
            return None
        return value

    def _is_plain(self, node: yaml.Node, path: KeyPath) -> bool:
        """Refuse tags that would build something else than plain values."""
        if node.tag.removeprefix(_YAML) in _PLAIN:
            return True
        remedy = "Write plain text, numbers, lists and mappings, without tags."
        self._complain(_place(node.start_mark), path, f"a value of the kind {node.tag} is not read", remedy)
        return False

    def _complain(self, place: Place, path: KeyPath, message: str, remedy: str) -> None:
        self._document.problems.append(YamlProblem(place, path, message, remedy))


def _place(mark: Any) -> Place:  # noqa: ANN401  # PyYAML's marks have no common public type
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)


def _unreadable(place: Place, message: str, remedy: str) -> Document:
    return Document(None, {}, {}, [YamlProblem(place, (), message, remedy)])


def _explain(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """Say in our words what PyYAML's reader stumbled over."""
    found = error.problem or error.context or "the text cannot be read as YAML"
    if "'\\t'" in found:
        return "a tab is used to indent", "Indent with spaces."
    if "alias" in found:
        return found, "Write the value out, aliases are not read."
    if "nested" in found:
        return found, "A season file needs no such depth."
    if "single document" in (error.context or ""):
        return "a second document begins", "Keep one season a file, without --- lines."
    return f"this is not YAML: {found}", "Look for a missing colon, quote or bracket, here or just above."
