"""Rules of ObjectMeta, the same for every kind: apimachinery's pkg/api/validation/objectmeta.go."""

from functools import lru_cache

from orlop.api import selectors
from orlop.api.errors import IMMUTABLE, FieldError, forbidden_field, invalid_value, required
from orlop.api.types import meta_v1
from orlop.apiserver.registry import names

ANNOTATIONS_MAX = 256 * 1024
"""Bytes of all annotations of an object, keys and values."""
ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer behind which a definition's instances end."""
STANDARD_FINALIZERS = frozenset({"kubernetes", ORPHAN, FOREGROUND, CLEANUP})
EMPTY = "must not be empty"
EVENT_KIND_OWNERS = frozenset({("v1", "Event")})


REMEMBERED = 8192
"""Label keys and values whose judgement is kept: a cluster's objects use few, again and again."""


@lru_cache(REMEMBERED)
def key_errors(key: str) -> tuple[str, ...]:
    """What is wrong with a label key."""
    return tuple(selectors.key_errors(key))


@lru_cache(REMEMBERED)
def value_errors(value: str) -> tuple[str, ...]:
    """What is wrong with a label value."""
    return tuple(selectors.value_errors(value))


def validate(meta: meta_v1.ObjectMeta, namespaced: bool, name_rule: names.NameRule) -> list[FieldError]:
    """What is wrong with the metadata of a new object."""
    errors: list[FieldError] = []
    if meta.generate_name:
        base = meta.generate_name[:-1] if meta.generate_name.endswith("-") else meta.generate_name
        errors += [invalid_value("metadata.generateName", meta.generate_name, m) for m in name_rule(base)]
    if not meta.name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += [invalid_value("metadata.name", meta.name, m) for m in name_rule(meta.name)]
    if namespaced:
        if not meta.namespace:
            errors.append(required("metadata.namespace"))
        else:
            errors += [invalid_value("metadata.namespace", meta.namespace, m) for m in names.label(meta.namespace)]
    elif meta.namespace:
        errors.append(forbidden_field("metadata.namespace", "not allowed on this type"))
    if meta.generation < 0:
        errors.append(invalid_value("metadata.generation", meta.generation, "must be greater than or equal to 0"))
    return errors + _common(meta)


def _common(meta: meta_v1.ObjectMeta) -> list[FieldError]:
    errors: list[FieldError] = []
    if meta.labels:
        errors += validate_labels(meta.labels, "metadata.labels")
    if meta.annotations:
        errors += validate_annotations(meta.annotations, "metadata.annotations")
    if meta.owner_references:
        errors += _owners(meta.owner_references)
    if meta.finalizers:
        errors += _finalizers(meta.finalizers)
    return errors


def validate_labels(labels: dict[str, str], path: str) -> list[FieldError]:
    """What is wrong with a map of labels."""
    errors: list[FieldError] = []
    for key, value in labels.items():
        if key_errors(key) or value_errors(value):
            break
    else:
        return errors
    for key, value in sorted(labels.items()):
        errors += [invalid_value(path, key, message) for message in selectors.key_errors(key)]
        errors += [invalid_value(path, value, message) for message in value_errors(value)]
    return errors


def validate_annotations(annotations: dict[str, str], path: str) -> list[FieldError]:
    """What is wrong with a map of annotations."""
    errors = []
    size = 0
    for key, value in annotations.items():
        errors += [invalid_value(path, key, message) for message in key_errors(key.lower())]
        size += len(key) + len(value)
    if size > ANNOTATIONS_MAX:
        errors.append(FieldError("FieldValueTooLong", path, None, f"may not be more than {ANNOTATIONS_MAX} bytes"))
    return errors


def _owners(owners: list[meta_v1.OwnerReference]) -> list[FieldError]:
    errors = []
    path = "metadata.ownerReferences"
    controller = ""
    for i, owner in enumerate(owners):
        where = f"{path}[{i}]"
        if not owner.api_version:
            errors.append(required(f"{where}.apiVersion", EMPTY))
        elif owner.api_version.count("/") > 1 or "" in owner.api_version.split("/"):
            errors.append(
                invalid_value(f"{where}.apiVersion", owner.api_version, "must be <group>/<version> or <version>")
            )
        for field, value in (("kind", owner.kind), ("name", owner.name), ("uid", owner.uid)):
            if not value:
                errors.append(required(f"{where}.{field}", EMPTY))
        if (owner.api_version, owner.kind) in EVENT_KIND_OWNERS:
            why = f"/{owner.api_version}, Kind={owner.kind} is disallowed from being an owner"
            errors.append(invalid_value(where, owner, why))
        if not owner.controller:
            continue
        if controller:
            why = (
                'Only one reference can have Controller set to true. Found "true" in references for '
                f"{controller} and {owner.kind}/{owner.name}"
            )
            errors.append(invalid_value(path, owners, why))
        else:
            controller = f"{owner.kind}/{owner.name}"
    return errors


def finalizer(name: str, path: str) -> list[FieldError]:
    """A finalizer's name: qualified, or one of the old ones without a domain."""
    return [invalid_value(path, name, message) for message in key_errors(name)] + _standard(name, path)


def _standard(name: str, path: str) -> list[FieldError]:
    if "/" in name or name in STANDARD_FINALIZERS:
        return []
    return [invalid_value(path, name, "name is neither a standard finalizer name nor is it fully qualified")]


def _finalizers(finalizers: list[str]) -> list[FieldError]:
    path = "metadata.finalizers"
    errors = [invalid_value(path, name, message) for name in finalizers for message in key_errors(name)]
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        errors.append(invalid_value(path, finalizers, f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"))
    for i, name in enumerate(finalizers):
        errors += _standard(name, f"{path}[{i}]")
    return errors


def validate_update(new: meta_v1.ObjectMeta, old: meta_v1.ObjectMeta) -> list[FieldError]:
    """What is wrong with a change of metadata."""
    errors: list[FieldError] = []
    if old.deletion_timestamp is not None:
        added = [f for f in new.finalizers if f not in old.finalizers]
        if added:
            listed = ", ".join(f'"{f}"' for f in sorted(added))
            errors.append(
                forbidden_field(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, found new finalizers "
                    f"[]string{{{listed}}}",
                )
            )
    # Seldom does any of them differ, and most writes come by here.
    if (
        new.name != old.name
        or new.namespace != old.namespace
        or new.uid != old.uid
        or new.creation_timestamp != old.creation_timestamp
        or new.deletion_timestamp != old.deletion_timestamp
        or new.deletion_grace_period_seconds != old.deletion_grace_period_seconds
    ):
        for field, value, before in (
            ("name", new.name, old.name),
            ("namespace", new.namespace, old.namespace),
            ("uid", new.uid, old.uid),
            ("creationTimestamp", new.creation_timestamp, old.creation_timestamp),
            ("deletionTimestamp", new.deletion_timestamp, old.deletion_timestamp),
            ("deletionGracePeriodSeconds", new.deletion_grace_period_seconds, old.deletion_grace_period_seconds),
        ):
            if value != before:
                errors.append(invalid_value(f"metadata.{field}", value, IMMUTABLE))
    return errors + _common(new)
