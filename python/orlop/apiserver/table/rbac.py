"""Bindings of roles. Roles themselves have the default columns."""

from typing import Any

import msgspec

from orlop.apiserver.table.printer import AGE, NAME, Column, Fields, Metadata, Object, Printer, age, wide


class _Ref(Fields):
    kind: str = ""
    name: str = ""


class _Subject(Fields):
    kind: str = ""
    name: str = ""
    namespace: str = ""


class _Binding(Object):
    role_ref: _Ref = msgspec.field(default_factory=_Ref)
    subjects: tuple[_Subject, ...] = ()


def _binding(obj: _Binding, metadata: Metadata, now: float) -> list[Any]:
    def named(kind: str) -> str:
        return ", ".join(subject.name for subject in obj.subjects if subject.kind == kind)

    accounts = ", ".join(f"{s.namespace}/{s.name}" for s in obj.subjects if s.kind == "ServiceAccount")
    return [
        metadata.name,
        f"{obj.role_ref.kind}/{obj.role_ref.name}",
        age(metadata, now),
        named("User"),
        named("Group"),
        accounts,
    ]


def _printer(kind: str) -> Printer[_Binding]:
    return Printer(
        _Binding,
        _binding,
        NAME,
        Column("Role", description="The role that is granted."),
        AGE,
        wide("Users", f"Users in the {kind}"),
        wide("Groups", f"Groups in the {kind}"),
        wide("ServiceAccounts", f"ServiceAccounts in the {kind}"),
    )


ROLE_BINDING = _printer("roleBinding")
CLUSTER_ROLE_BINDING = _printer("clusterRoleBinding")
