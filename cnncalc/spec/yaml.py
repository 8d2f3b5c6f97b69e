"""YAML text, or data of Python's -> the plain data of a spec.

Scalars are resolved by YAML 1.2's core schema: `1e-3` is a number, `on`, `no` and `22:30` are
strings. Duplicate keys, tags, merge keys and a second document are errors; size, depth and the
growth by aliases are bounded, so no text can exhaust the machine.
"""

from __future__ import annotations

import re
from collections import abc
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from cnncalc.errors import FieldError, LimitError, Mark, Place, SyntaxSpecError, shorten
from cnncalc.spec.text import Mapping, Sequence, Source, place_of_last

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 300
MAX_VALUES = 400_000
"""Most keys and values a document may hold, each alias counted with all that it stands for."""
MAX_DIGITS = 60

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOT_TEXT = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""What no YAML may hold, and the byte order mark within a text, which loaders read apart."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_DIRECTIVES = re.compile(r"%(YAML\s+1\.[12]|TAG\s.*)\s*(#.*)?")
"""Lines of directives that every loader reads; others it may refuse or pass over."""


def parse(source: Source) -> Any:
    """The data of a YAML text.

    Raises:
        SyntaxSpecError: it is not YAML, or YAML that a spec may not use.
        LimitError: it is too deep or too large.
    """
    if found := _NOT_TEXT.search(source.text):
        _refuse_character(source, found)
    return _parse(source, len(source.text))


def _parse(source: Source, end: int) -> Any:
    """The data of a text, read up to `end`."""
    try:
        return _Composer(source, end).document()
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        if mark is None or "nesting depth" not in str(error):
            from cnncalc.spec.yaml_complaints import explained

            message, place, hint = explained(source.text, error)
            raise SyntaxSpecError(message, place=source.place(place), hint=hint) from None
        deepest = mark.index, (mark.line, mark.column)
    # libyaml counts to its own bound before it hands out the value that exceeds ours.
    if deepest[0] < end:
        return _parse(source, deepest[0])
    raise _too_deep(source.place(deepest[1]))


def _too_deep(place: Place) -> LimitError:
    return LimitError(f"is nested over {MAX_DEPTH} deep", place=place)


def _refuse_character(source: Source, found: re.Match[str]) -> NoReturn:
    """Raises `SyntaxSpecError` for a character that is no text."""
    if "\ud800" <= found.group() <= "\udfff":  # from a command line that is not UTF-8
        raise SyntaxSpecError("is not UTF-8 text", place=Place(source.name, 1, 1))
    raise SyntaxSpecError(
        f"holds the control character {found.group()!r}",
        place=place_of_last(source.name, source.text[: found.end()]),
        hint="is this a text file? save it as UTF-8",
    )


def parse_value(text: str, name: str) -> Any:
    """The YAML value of a command-line argument such as `--set depths=[3, 4, 6, 3]`."""
    return parse(Source(name, text))


class _Composer:
    """Builds data from the parser's events; every value is counted as it is made."""

    def __init__(self, source: Source, end: int) -> None:
        self.source = source
        events = yaml.parse(source.text[:end], Loader=_LOADER)
        in_python = issubclass(_LOADER, yaml.scanner.Scanner)
        self.events: Iterator[yaml.Event] = self.checked(events) if in_python else events
        self.anchors: dict[str, tuple[Any, int] | None] = {}
        self.values = 0

    def document(self) -> Any:
        data: Any = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.fail(event, "a second document", hint="a file holds one network")
                if event.explicit:
                    self.check_directives(event)
                data = self.value(next(self.events), 0)
        return data

    def checked(self, events: Iterator[Any]) -> Iterator[yaml.Event]:
        """The events of PyYAML's own parser, which lets half a character pass that is escaped."""
        start = 0
        try:
            for event in events:
                if isinstance(event, yaml.ScalarEvent) and event.style == '"':
                    mark: Any = event.start_mark
                    start = mark.index
                    if _SURROGATE.search(event.value):
                        break
                yield event
            else:
                return
        except (ValueError, OverflowError):  # from chr() or int()
            pass
        from cnncalc.spec.yaml_complaints import stumbled

        message, mark, hint = stumbled(self.source.text, start)
        raise SyntaxSpecError(message, place=self.source.place(mark), hint=hint)

    def check_directives(self, start: Any) -> None:
        """A directive that some loaders pass over is refused by all."""
        lines = self.source.text.splitlines()[: start.end_mark.line]
        for number, line in enumerate(lines):
            if line.startswith("%") and not _DIRECTIVES.fullmatch(line):
                from cnncalc.spec.yaml_complaints import DIRECTIVE

                message, hint = DIRECTIVE
                raise SyntaxSpecError(message, place=self.source.place((number, 0)), hint=hint)

    def value(self, event: yaml.Event, depth: int) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            self.count(event, 1)
            value = self.scalar(event)
            if event.anchor:
                self.anchors[event.anchor] = (value, 1)
            return value
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if depth >= MAX_DEPTH:
            raise _too_deep(self.place(event))
        if event.tag is not None and not event.implicit:  # type: ignore[attr-defined]
            self.refuse_tag(event)
        before = self.values
        self.count(event, 1)
        anchor = event.anchor  # type: ignore[attr-defined]
        if anchor:
            self.anchors[anchor] = None  # under construction
        if isinstance(event, yaml.MappingStartEvent):
            data: Any = self.mapping(event, depth)
        else:
            data = self.sequence(event, depth)
        if anchor:
            self.anchors[anchor] = (data, self.values - before)
        return data

    def mapping(self, start: yaml.Event, depth: int) -> Mapping:
        data = Mapping(self.source, _mark(start))
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                self.fail(
                    event, "a key must be a plain word", hint="quote a value that holds { or ["
                )
            self.values += 1
            key = str(event.value)
            if event.anchor:
                self.anchors[event.anchor] = (key, 1)
            if key == "<<" and event.implicit[0]:
                self.fail(event, "merge keys (<<) are not YAML 1.2", hint="use a block instead")
            if key in data:
                line = data.marks[key][0][0] + 1
                message = f"the key {shorten(key)} for the second time"
                self.fail(event, message, hint=f"the first is on line {line}: keep one")
            value_event = next(self.events)
            data[key] = self.value(value_event, depth + 1)
            data.marks[key] = (_mark(event), _mark(value_event))
        return data

    def sequence(self, start: yaml.Event, depth: int) -> Sequence:
        data = Sequence(self.source, _mark(start))
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            data.append(self.value(event, depth + 1))
            data.marks.append(_mark(event))
        return data

    def alias(self, event: Any) -> Any:
        known = self.anchors.get(event.anchor)
        if known is None:
            inside = event.anchor in self.anchors
            problem = "stands inside its own anchor" if inside else "has no anchor above it"
            self.fail(event, f"the alias *{event.anchor} {problem}")
        value, size = known
        self.count(event, size)
        return value

    def scalar(self, event: Any) -> Any:
        if event.tag is not None and not event.implicit[1]:
            self.refuse_tag(event)
        if not event.implicit[0]:  # quoted
            return event.value
        try:
            return resolve(event.value)
        except ValueError as error:
            self.fail(event, str(error))

    def count(self, event: yaml.Event, values: int) -> None:
        self.values += values
        if self.values > MAX_VALUES:
            raise LimitError(
                f"holds over {MAX_VALUES:,} values, counting what its aliases stand for",
                place=self.place(event),
            )

    def refuse_tag(self, event: Any) -> NoReturn:
        from cnncalc.spec.yaml_complaints import refused_tag

        message, hint = refused_tag(str(event.tag).replace("tag:yaml.org,2002:", "!!"))
        self.fail(event, message, hint=hint)

    def place(self, event: yaml.Event) -> Place:
        return self.source.place(_mark(event))

    def fail(self, event: yaml.Event, message: str, hint: str = "") -> NoReturn:
        raise SyntaxSpecError(message, place=self.place(event), hint=hint)


_NUMBER_START = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def resolve(text: str) -> Any:
    """A plain scalar by YAML 1.2's core schema. Raises `ValueError` for a number too long."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START:
        return text
    if len(text) > MAX_DIGITS:
        if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
            raise ValueError(f"a number of over {MAX_DIGITS} digits")
        return text
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def _mark(event: yaml.Event) -> Mark:
    mark: Any = event.start_mark
    return mark.line, mark.column


def plain(data: Any) -> Any:
    """Data of Python's as YAML would have given them: dicts, lists and scalars, none too large.

    Raises:
        FieldError: there is something that YAML has not.
        LimitError: they are too deep or too large.
    """
    return data if isinstance(data, Mapping | Sequence) else _Copy().value(data, 0)


class _Copy:
    def __init__(self) -> None:
        self.values = 0

    def value(self, data: Any, depth: int) -> Any:
        self.values += 1
        if self.values > MAX_VALUES:
            raise LimitError(f"the data hold over {MAX_VALUES:,} values")
        if depth > MAX_DEPTH:
            raise LimitError(f"the data are nested over {MAX_DEPTH} deep")
        if data is None or isinstance(data, bool | str):
            return data
        if isinstance(data, abc.Mapping):
            for key in data:
                if not isinstance(key, str):
                    raise FieldError(f"a key must be text; received {shorten(key)}")
            return {key: self.value(item, depth + 1) for key, item in data.items()}
        if isinstance(data, list | tuple):
            return [self.value(item, depth + 1) for item in data]
        if isinstance(data, Integral):
            if abs(data) >= 10**MAX_DIGITS:
                raise LimitError(f"a number of over {MAX_DIGITS} digits")
            return int(data)
        if isinstance(data, Real):
            return float(data)
        raise FieldError(f"data of the type {type(data).__name__}: {shorten(data)}")
