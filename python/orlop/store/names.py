"""What a person calls a resource."""

from orlop.api import scheme


def resource_named(text: str) -> str:
    """The store's name ("apps/deployments") of what kubectl's user calls deployments, deploy, deployments.apps or
    Deployment. A name with a group that is not served here stands for itself (custom resources). Raises ValueError.
    """
    plural, _, group = text.partition(".")
    if "/" in text:
        group, _, plural = text.partition("/")
    for kind in scheme.KINDS:
        known = kind.plural, kind.singular, kind.kind, *kind.short_names
        if kind.stored and plural in known and group in ("", kind.group):
            return kind.resource
    if group and plural:
        return f"{group}/{plural}"
    raise ValueError(
        f"{text!r} is no resource that is served: a custom one is named with its group, things.example.com"
    )
