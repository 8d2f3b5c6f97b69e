"""Names: every node has a path of scopes, and `inputs` finds earlier nodes by it."""

from __future__ import annotations

from cnncalc.errors import LimitError, ReferenceSpecError, did_you_mean, shorten

MAX_DEPTH = 64
MAX_PATH = 1000
INPUT = -1
"""The index that stands for the network's input."""


class Scope:
    """A block call, group, join or branch: named things, each a node's index or a scope."""

    __slots__ = ("counts", "depth", "kind", "members", "output", "parent", "path", "repeated")

    def __init__(self, kind: str, path: str, parent: Scope | None) -> None:
        self.kind = kind
        self.path = path
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.members: dict[str, int | Scope] = {}
        self.counts: dict[str, int] = {}
        self.repeated: dict[str, int] = {}
        self.output = INPUT
        if self.depth > MAX_DEPTH:
            raise LimitError(f"scopes are nested over {MAX_DEPTH} deep")

    def name_for(self, kind: str, name: str | None, *, repeated: bool) -> str:
        """The name of the next item of a kind: `name` if given, numbered under `repeat`.

        Raises:
            ReferenceSpecError: the name is taken or may not be used.
        """
        number = self.counts[kind] = self.counts.get(kind, 0) + 1
        if name is None:
            name = f"{kind}{number}"
        elif repeated:
            turn = self.repeated[name] = self.repeated.get(name, 0) + 1
            name = f"{name}{turn}"
        if name in self.members:
            raise ReferenceSpecError(
                f"the name {name!r} is taken in its scope", hint="give one of the two another name"
            )
        if len(self.path) + len(name) > MAX_PATH:
            raise LimitError(
                f"its name is over {MAX_PATH:,} characters long", hint="nest less, or name it"
            )
        return name

    def path_of(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def open(self, kind: str, name: str) -> Scope:
        """A new scope within this one."""
        scope = Scope(kind, self.path_of(name), self)
        self.members[name] = scope
        return scope

    def find(self, path: str) -> int:
        """The node that a name means here: looked up in this scope, then outwards.

        Raises:
            ReferenceSpecError: there is none, or it means several.
        """
        if path == "input":
            return INPUT
        head, *rest = path.split(".")
        scope: Scope | None = self
        while scope is not None and head not in scope.members:
            if head in scope.repeated:
                last = scope.repeated[head]
                raise ReferenceSpecError(
                    f"{head!r} is repeated: say which one",
                    hint=f"{head}1 to {head}{last}" if last > 1 else f"{head}1",
                )
            scope = scope.parent
        if scope is None:
            raise self._unknown(head)
        found: int | Scope = scope.members[head]
        for part in rest:
            if not isinstance(found, Scope) or part not in found.members:
                known = found.members if isinstance(found, Scope) else ()
                raise ReferenceSpecError(
                    f"{shorten(path)} names no earlier node", hint=did_you_mean(part, known)
                )
            found = found.members[part]
        return self._output_of(path, found)

    def _output_of(self, path: str, found: int | Scope) -> int:
        if isinstance(found, int):
            return found
        scope: Scope | None = self
        while scope is not None:
            if scope is found:
                raise ReferenceSpecError(
                    f"{shorten(path)} is the scope that this item stands in: a cycle",
                    hint="inputs name nodes above their item",
                )
            scope = scope.parent
        return found.output

    def _unknown(self, name: str) -> ReferenceSpecError:
        known = ["input"]
        scope: Scope | None = self
        while scope is not None:
            known += scope.members
            scope = scope.parent
        hint = did_you_mean(name, known)
        if not hint.startswith("did"):
            hint = f"a name means a node above its item{hint and ' ('}{hint}{hint and ')'}"
        return ReferenceSpecError(f"{shorten(name)} names no earlier node", hint=hint)
