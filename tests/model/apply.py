"""Field ownership and server-side apply, plain and slow: flat sets of paths, one rule of the specification a function.

The rules are those of KEP-555 and of structured-merge-diff's documentation. A path is a tuple of steps: ("f", name),
("k", ((key, value), …)) or ("v", text).
"""

import json
from typing import Any, NamedTuple

import msgspec

from orlop import native

Path = tuple[Any, ...]
Paths = frozenset[Path]
UNOWNED = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
)
MISSING = object()


class Kind(NamedTuple):
    """A type and the field it stands in."""

    type: str | None
    field: dict[str, Any]

    def atom(self, value: Any) -> tuple[str, Any]:
        if self.type is None:
            return ("map", Kind(None, {})) if isinstance(value, dict) else ("leaf", None)
        described = msgspec.json.decode(native.wire_describe(self.type) or b"{}")
        whole = self.field.get("map") == "atomic"
        shape = described["shape"]
        if shape == "struct":
            if whole or described.get("atomic"):
                return "leaf", None
            return "struct", {f["name"]: Kind(f["type"], f) for f in described["fields"]}
        if shape == "map":
            return ("leaf", None) if whole else ("map", Kind(described["of"], {}))
        if shape == "list":
            keys = self.keys()
            return ("leaf", None) if keys is None else ("list", (Kind(described["of"], {}), keys))
        if shape in ("raw", "any", "props"):
            return Kind(None, {}).atom(value)
        return "leaf", None

    def keys(self) -> tuple[str, ...] | None:
        list_type = self.field.get("list")
        if list_type == "set":
            return ()
        if list_type == "map":
            return tuple(self.field["mapKeys"])
        if list_type is None and "merge" in self.field.get("patch", ""):
            return (self.field["mergeKey"],) if "mergeKey" in self.field else ()
        return None


def step(of: Kind, keys: tuple[str, ...], item: Any) -> tuple[str, Any]:
    if not keys:
        return ("v", json.dumps(item))
    fields = {f["name"]: f for f in msgspec.json.decode(native.wire_describe(of.type or "") or b"{}")["fields"]}
    found = []
    for key in sorted(keys):
        if key in item:
            found.append((key, item[key]))
        elif "default" in fields[key]:
            found.append((key, json.loads(fields[key]["default"])))
    return ("k", tuple(found))


def children(kind: Kind, value: Any) -> dict[tuple[str, Any], tuple[Kind, Any, bool]] | None:
    """What is below a value: step → (kind, value, whether it is a struct's field); None for a leaf."""
    what, more = kind.atom(value)
    if what == "leaf":
        return None
    if what == "struct":
        return {("f", k): (more.get(k, Kind(None, {})), v, k in more) for k, v in (value or {}).items()}
    if what == "map":
        return {("f", k): (more, v, False) for k, v in (value or {}).items()}
    of, keys = more
    return {step(of, keys, item): (of, item, False) for item in value or []}


def field_set(kind: Kind, value: Any, path: Path = ()) -> set[Path]:
    below = children(kind, value)
    if below is None:
        return {path}
    out: set[Path] = set()
    for s, (of, child, known) in below.items():
        out |= field_set(of, child, (*path, s))
        if not known or child is None or child == {}:
            out.add((*path, s))
    return out


def empty(value: Any) -> bool:
    return value is MISSING or value is None or value in ({}, [])


def compare(kind: Kind, old: Any, new: Any, path: Path = ()) -> tuple[set[Path], set[Path], set[Path]]:
    """(added, modified, removed)."""
    added: set[Path] = set()
    modified: set[Path] = set()
    removed: set[Path] = set()
    shown = new if new is not MISSING and new is not None else old if old is not MISSING else new
    before = children(kind, shown if old is MISSING else old) if not empty(old) else {}
    leaf = (empty(old) and empty(new)) or children(kind, shown) is None
    if leaf:
        if old is MISSING:
            added.add(path)
        elif new is MISSING:
            removed.add(path)
        elif old != new:
            modified.add(path)
        return added, modified, removed
    before = {} if empty(old) else children(kind, old) or {}
    after = {} if empty(new) else children(kind, new) or {}
    for s in before.keys() | after.keys():
        of = (after.get(s) or before[s])[0]
        was = before[s][1] if s in before else MISSING
        now = after[s][1] if s in after else MISSING
        a, m, r = compare(of, was, now, (*path, s))
        added |= a
        modified |= m
        removed |= r
    if old is MISSING:
        added.add(path)
    elif new is MISSING:
        removed.add(path)
    return added, modified, removed


def owned(paths: set[Path], ignored: tuple[str, ...]) -> set[Path]:
    """Without what nobody owns."""

    def keep(path: Path) -> bool:
        names = [s[1] for s in path if s[0] == "f"]
        if not path or path in ((("f", "apiVersion"),), (("f", "kind"),), (("f", "metadata"),)):
            return False
        if names[0] == "metadata" and len(path) > 1 and names[1] in UNOWNED:
            return False
        return not any(".".join(names[: i.count(".") + 1]) == i for i in ignored)

    return {p for p in paths if keep(p)}


def merge(kind: Kind, old: Any, new: Any) -> Any:
    if new is MISSING:
        return old
    if old is MISSING or (empty(old) and empty(new)):
        what = kind.atom(new)[0]
        if old is MISSING and what == "list" and not empty(new):
            return list(new)
        return new
    shown = new if new is not None else old
    what, more = kind.atom(shown)
    if what == "leaf":
        return new
    if what in ("struct", "map"):
        old, new = old or {}, new or {}
        out = {}
        for name in old.keys() | new.keys():
            of = more.get(name, Kind(None, {})) if what == "struct" else more
            out[name] = merge(of, old.get(name, MISSING), new.get(name, MISSING))
        return out
    of, keys = more
    ours = {step(of, keys, item): item for item in old or []}
    theirs = {step(of, keys, item): item for item in new or []}
    return [merge(of, ours.get(s, MISSING), theirs.get(s, MISSING)) for s in merged_order(list(ours), list(theirs))]


def merged_order(ours: list[Any], theirs: list[Any]) -> list[Any]:
    """Shared items in their order, our own where they stood before the shared item that followed them."""
    out: list[Any] = []
    shared = [s for s in theirs if s in ours]
    i = j = 0
    while i < len(ours) or j < len(theirs):
        if i < len(ours) and ours[i] not in theirs:
            out.append(ours[i])
            i += 1
        elif i < len(ours) and j < len(theirs) and ours[i] == theirs[j]:
            out.append(ours[i])
            shared = [s for s in shared if s != ours[i]]
            i, j = i + 1, j + 1
        elif i < len(ours) and ((j < len(theirs) and shared and shared[0] != ours[i]) or ours[i] in out):
            i += 1
        elif j < len(theirs):
            out.append(theirs[j])
            shared = [s for s in shared if s != theirs[j]]
            j += 1
        else:
            i += 1
    return out


def remove(kind: Kind, value: Any, paths: set[Path], path: Path = ()) -> Any:
    """Without the fields and items named; what becomes empty by that is null."""
    what, more = kind.atom(value)
    touched = any(p[: len(path)] == path and len(p) > len(path) for p in paths)
    if what == "leaf" or empty(value) or not touched:
        return value
    if what in ("struct", "map"):
        out = {}
        for name, child in value.items():
            of = more.get(name, Kind(None, {})) if what == "struct" else more
            if (*path, ("f", name)) not in paths:
                out[name] = remove(of, child, paths, (*path, ("f", name)))
        return out or None
    of, keys = more
    left = [
        remove(of, item, paths, (*path, step(of, keys, item)))
        for item in value
        if (*path, step(of, keys, item)) not in paths
    ]
    return left or None


def named(kind: Kind, paths: set[Path]) -> set[Path]:
    """With every struct field in it that something below is in it of."""
    out = set(paths)
    for path in paths:
        at = kind
        for i, s in enumerate(path):
            what, more = at.atom({})
            if what == "struct" and s[0] == "f":
                at = more.get(s[1], Kind(None, {}))
                if s[1] in more:
                    out.add(path[: i + 1])
            elif what == "map":
                at = more
            elif what == "list":
                at = more[0]
            else:
                at = Kind(None, {})
    return out


Owner = tuple[str, str]
"""(manager, operation)."""


class Model:
    """One object and the fields that each writer owns."""

    def __init__(self, type_key: str, zero: dict[str, Any]) -> None:
        self.kind = Kind(type_key, {})
        self.zero = zero
        self.object: dict[str, Any] | None = None
        self.owners: dict[Owner, set[Path]] = {}

    def update(self, manager: str, new: dict[str, Any], ignored: tuple[str, ...] = ()) -> None:
        if self.object is not None and not self.owners:
            # Nothing was ever noted of it: so it stays.
            self.object = new
            return
        old = self.zero if self.object is None else self.object
        added, modified, removed = (owned(p, ignored) for p in compare(self.kind, old, new))
        taken = added | modified
        for owner in self.owners:
            self.owners[owner] -= taken | removed
        if taken:
            self.owners.setdefault((manager, "Update"), set()).update(taken)
        self._tidy()
        self.object = new

    def apply(self, manager: str, config: dict[str, Any], force: bool) -> set[tuple[Owner, Path]]:
        """Applies, or returns what others own and would change."""
        old = self.zero if self.object is None else self.object
        if self.object is not None and not self.owners:
            added, modified, _ = compare(self.kind, self.zero, self.object)
            self.owners[("before-first-apply", "Update")] = owned(added | modified, ())
        merged = merge(self.kind, old, config)
        me = (manager, "Apply")
        applied = field_set(self.kind, config)
        mine = owned(applied, ())
        others = {owner: paths for owner, paths in self.owners.items() if owner != me}
        new = merged
        if last := self.owners.get(me):
            last = named(self.kind, last)
            pruned = remove(self.kind, merged, last)
            claimed = named(self.kind, applied.union(*others.values()))  # with the name, which nobody owns
            everything = named(self.kind, field_set(self.kind, merged))
            pruned = remove(self.kind, merged, everything - (named(self.kind, field_set(self.kind, pruned)) | claimed))
            kept = named(self.kind, field_set(self.kind, pruned))
            new = remove(self.kind, merged, (everything - kept) & last)
        added, modified, removed = (owned(p, ()) for p in compare(self.kind, old, new))
        changed = added | modified
        conflicts = {(owner, path) for owner, paths in others.items() for path in paths & changed}
        if conflicts and not force:
            return conflicts
        self.owners = {owner: paths - changed - removed for owner, paths in others.items()}
        self.owners[me] = mine
        self._tidy()
        self.object = new
        return set()

    def _tidy(self) -> None:
        self.owners = {owner: paths for owner, paths in self.owners.items() if paths}


def paths_of(fields: dict[str, Any], path: Path = ()) -> set[Path]:
    """FieldsV1 as paths."""
    out: set[Path] = set()
    for name, below in fields.items():
        if name == ".":
            out.add(path)
            continue
        text = name[2:]
        s: tuple[str, Any] = ("f", text)
        if name[0] == "k":
            s = ("k", tuple(sorted(json.loads(text).items())))
        elif name[0] == "v":
            s = ("v", json.dumps(json.loads(text)))
        out |= {(*path, s)} if not below else paths_of(below, (*path, s))
    return out
