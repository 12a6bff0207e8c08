"""What can be written in bulk. The lists are answered, not stored: no table of stored kinds has them."""

from orlop.api.scheme import Kind

GROUP, VERSION = "bulk.orlop.dev", "v1alpha1"
BINDINGS = Kind(
    group=GROUP,
    version=VERSION,
    kind="BindingList",
    plural="bindings",
    folder="bulk",
    namespaced=False,
    verbs=("create",),
)
KINDS = (BINDINGS,)
