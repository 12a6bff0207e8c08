"""Rules of Jobs: pkg/apis/batch/v1/defaults.go, pkg/apis/batch/validation, pkg/registry/batch/job."""

import msgspec
from msgspec.structs import replace

from orlop.api import selectors
from orlop.api.errors import IMMUTABLE, FieldError, invalid_value, required
from orlop.api.types import batch_v1, core_v1, meta_v1
from orlop.apiserver.registry import jobpolicies, jobstatus, names, poddefaults, podfields, podtemplate, podwarnings
from orlop.apiserver.registry.common import immutable, not_negative
from orlop.apiserver.registry.goforms import go_form
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

BACKOFF_LIMIT = 6
INT32_MAX = (1 << 31) - 1
MAX_PARALLELISM = 100_000
"""Pods at once of an indexed Job: its completed indexes must fit its status."""
SOFT_COMPLETIONS = 100_000
HIGH_LIMIT = 10_000
MAX_FAILED_INDEXES = 100_000
MANAGED_BY_MAX = 63
PREFIX = "batch.kubernetes.io/"
UID_LABELS = (f"{PREFIX}controller-uid", "controller-uid")
NAME_LABELS = (f"{PREFIX}job-name", "job-name")
TRACKING = f"{PREFIX}job-tracking"


class Jobs(Strategy):
    """Pods that end."""

    generation = True
    fields = (("status.successful", "status.succeeded=0"),)
    garbage_collected = "orphan"
    deletion_advice = (
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or "
        "set propagationPolicy=Orphan to suppress this warning"
    )

    def default(self, obj: batch_v1.Job) -> None:
        spec = obj.spec
        poddefaults.pod_spec(spec.template.spec)
        if spec.completions is None and spec.parallelism is None:
            spec.completions = 1
        if spec.parallelism is None:
            spec.parallelism = 1
        if spec.backoff_limit is None:
            spec.backoff_limit = BACKOFF_LIMIT if spec.backoff_limit_per_index is None else INT32_MAX
        _label(obj)
        if spec.completion_mode is None:
            spec.completion_mode = "NonIndexed"
        if spec.suspend is None:
            spec.suspend = False
        if spec.manual_selector is None:
            spec.manual_selector = False
        jobpolicies.default(spec)
        if spec.pod_replacement_policy is None:
            spec.pod_replacement_policy = "TerminatingOrFailed" if spec.pod_failure_policy is None else "Failed"

    def prepare_create(self, obj: batch_v1.Job) -> None:
        spec = obj.spec
        podfields.drop(spec.template.spec)
        if spec.manual_selector:
            return
        labels = spec.template.metadata.labels
        for key in UID_LABELS:
            labels.setdefault(key, obj.metadata.uid)
        for key in NAME_LABELS:
            labels.setdefault(key, obj.metadata.name)
        if spec.selector is None:
            spec.selector = meta_v1.LabelSelector()
        spec.selector.match_labels.setdefault(UID_LABELS[0], obj.metadata.uid)
        _label(obj)

    def prepare_update(self, new: batch_v1.Job, old: batch_v1.Job) -> None:
        podfields.drop(new.spec.template.spec, old.spec.template.spec)

    def prepare_status(self, new: batch_v1.Job, old: batch_v1.Job) -> None:
        _label(new)

    def validate(self, obj: batch_v1.Job) -> list[FieldError]:
        return _generated(obj) + validate_spec(obj.spec, "spec", selected=True) + _indexed_name(obj)

    def validate_update(self, new: batch_v1.Job, old: batch_v1.Job) -> list[FieldError]:
        errors = validate_spec(new.spec, "spec", selected=True)
        spec, before = new.spec, old.spec
        errors += _completions(spec, before)
        errors += immutable(spec.selector, before.selector, "spec.selector")
        errors += _template_change(new, old)
        errors += immutable(spec.completion_mode, before.completion_mode, "spec.completionMode")
        if spec.pod_failure_policy != before.pod_failure_policy:
            errors.append(invalid_value("spec.podFailurePolicy", go_form(spec.pod_failure_policy), IMMUTABLE))
        errors += immutable(spec.backoff_limit_per_index, before.backoff_limit_per_index, "spec.backoffLimitPerIndex")
        errors += immutable(spec.managed_by, before.managed_by, "spec.managedBy")
        if spec.success_policy != before.success_policy:
            errors.append(invalid_value("spec.successPolicy", go_form(spec.success_policy), IMMUTABLE))
        return errors

    def validate_status(self, new: batch_v1.Job, old: batch_v1.Job) -> list[FieldError]:
        return jobstatus.validate(new, old)

    def warnings(self, new: batch_v1.Job, old: batch_v1.Job | None = None) -> list[str]:
        if podwarnings.seen(new, old):
            return []
        return (podwarnings.owner_name(new.metadata) if old is None else []) + spec_warnings(new.spec, "spec.")


def _label(job: batch_v1.Job) -> None:
    """A Job without labels has those of its pods."""
    if not job.metadata.labels:
        job.metadata.labels = dict(job.spec.template.metadata.labels)


def spec_warnings(spec: batch_v1.JobSpec, prefix: str) -> list[str]:
    """Advice on a Job's spec, a CronJob's too."""
    found = []
    many = (spec.completions or 0) > SOFT_COMPLETIONS and (spec.parallelism or 0) > HIGH_LIMIT
    if spec.completion_mode == "Indexed" and many:
        found.append(
            "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
            "Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        )
    return found + podwarnings.warnings(spec.template.spec, spec.template.metadata, f"{prefix}template.")


def validate_spec(spec: batch_v1.JobSpec, path: str, selected: bool) -> list[FieldError]:
    """What is wrong with a Job's spec; a CronJob's template has no selector yet."""
    errors: list[FieldError] = []
    for name, value in (
        ("parallelism", spec.parallelism),
        ("completions", spec.completions),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index),
        ("maxFailedIndexes", spec.max_failed_indexes),
    ):
        errors += not_negative(value, f"{path}.{name}")
    if spec.max_failed_indexes is not None and spec.backoff_limit_per_index is None:
        errors.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    errors += _managed_by(spec.managed_by, f"{path}.managedBy")
    errors += _mode(spec, path)
    errors += jobpolicies.validate(spec, path)
    errors += podtemplate.validate_template(spec.template, f"{path}.template")
    where = f"{path}.template.spec.restartPolicy"
    policy = spec.template.spec.restart_policy
    if policy in ("", "Always"):
        errors.append(required(where, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        errors.append(unsupported(where, policy, ("OnFailure", "Never")))
    elif spec.pod_failure_policy is not None and policy != "Never":
        errors.append(invalid_value(where, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    return errors + _selector(spec, path) if selected else errors


def _selector(spec: batch_v1.JobSpec, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if spec.selector is None:
        errors.append(required(f"{path}.selector"))
    else:
        errors += podtemplate.validate_selector(spec.selector, f"{path}.selector")
    return errors + podtemplate.validate_selected(spec.template, spec.selector, f"{path}.template")


def _mode(spec: batch_v1.JobSpec, path: str) -> list[FieldError]:
    mode = spec.completion_mode
    if mode == "Indexed":
        return _indexed(spec, path)
    if mode not in (None, "NonIndexed"):
        return [unsupported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed"))]
    return [
        invalid_value(f"{path}.{name}", value, "requires indexed completion mode")
        for name, value in (
            ("backoffLimitPerIndex", spec.backoff_limit_per_index),
            ("maxFailedIndexes", spec.max_failed_indexes),
        )
        if value is not None
    ]


def _indexed(spec: batch_v1.JobSpec, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    completions, failed = spec.completions, spec.max_failed_indexes
    if completions is None:
        errors.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if (spec.parallelism or 0) > MAX_PARALLELISM:
        words = f"must be less than or equal to {MAX_PARALLELISM} when completion mode is Indexed"
        errors.append(invalid_value(f"{path}.parallelism", spec.parallelism, words))
    if completions is not None and failed is not None and failed > completions:
        errors.append(invalid_value(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions"))
    if failed is not None and failed > MAX_FAILED_INDEXES:
        words = f"must be less than or equal to {MAX_FAILED_INDEXES}"
        errors.append(invalid_value(f"{path}.maxFailedIndexes", failed, words))
    if spec.backoff_limit_per_index is None or (completions or 0) <= SOFT_COMPLETIONS:
        return errors
    if failed is None:
        words = f"must be specified when completions is above {SOFT_COMPLETIONS}"
        errors.append(required(f"{path}.maxFailedIndexes", words))
    for name, value in (("parallelism", spec.parallelism), ("maxFailedIndexes", failed)):
        if value is not None and value > HIGH_LIMIT:
            words = (
                f"must be less than or equal to {HIGH_LIMIT} when completions are above {SOFT_COMPLETIONS} and used "
                "with backoff limit per index"
            )
            errors.append(invalid_value(f"{path}.{name}", value, words))
    return errors


def _managed_by(value: str | None, path: str) -> list[FieldError]:
    if value is None:
        return []
    errors = names.domain_path(value, path)
    if len(value) > MANAGED_BY_MAX:
        errors.append(FieldError("FieldValueTooLong", path, None, f"may not be more than {MANAGED_BY_MAX} bytes"))
    return errors


def _generated(job: batch_v1.Job) -> list[FieldError]:
    """A selector that the server makes must find the pods by the labels that it makes."""
    spec = job.spec
    if spec.manual_selector or spec.selector is None:
        return []
    errors: list[FieldError] = []
    labels = spec.template.metadata.labels
    uid, name = job.metadata.uid, job.metadata.name
    made = {UID_LABELS[1]: uid, NAME_LABELS[1]: name, UID_LABELS[0]: uid, NAME_LABELS[0]: name}
    for key, wanted in made.items():
        if labels.get(key) != wanted:
            path = f"spec.template.metadata.labels[{key}]"
            words = f"must be '{wanted}'"
            shown = dict(sorted(labels.items()))
            errors.append(invalid_value(path, shown, words) if key in labels else required(path, words))
    if not podtemplate.is_unreadable(spec.selector) and not selectors.from_struct(spec.selector).matches(made):
        errors.append(invalid_value("spec.selector", spec.selector, "`selector` not auto-generated"))
    return errors


def _indexed_name(job: batch_v1.Job) -> list[FieldError]:
    """The host name of the last index must be one."""
    spec = job.spec
    if spec.completion_mode != "Indexed" or not spec.completions or spec.completions < 0:
        return []
    hostname = f"{job.metadata.name}-{spec.completions - 1}"
    if not names.label(hostname):
        return []
    words = f"will not able to create pod with invalid DNS label: {hostname}"
    return [invalid_value("metadata.name", job.metadata.name, words)]


def _completions(new: batch_v1.JobSpec, old: batch_v1.JobSpec) -> list[FieldError]:
    """An indexed Job may grow and shrink if its parallelism goes along."""
    if new.completions == old.completions:
        return []
    if new.completion_mode != "Indexed":
        return [invalid_value("spec.completions", new.completions, IMMUTABLE)]
    if new.completions is not None and new.completions != new.parallelism:
        words = "can only be modified in tandem with spec.parallelism"
        return [invalid_value("spec.completions", new.completions, words)]
    return []


def _template_change(new: batch_v1.Job, old: batch_v1.Job) -> list[FieldError]:
    template = new.spec.template
    before = old.spec.template
    if template == before:
        return []
    stopped = any(c.type == "Suspended" and c.status == "True" for c in old.status.conditions)
    if old.spec.suspend and old.status.active == 0 and (old.status.start_time is None or stopped):
        # Where pods will run and what they may use may be said while there are none (KEP-2926, KEP-5440).
        spec = replace(
            template.spec,
            node_selector=before.spec.node_selector,
            tolerations=before.spec.tolerations,
            scheduling_gates=before.spec.scheduling_gates,
            affinity=_same_node_affinity(template.spec.affinity, before.spec.affinity),
            containers=_same_resources(template.spec.containers, before.spec.containers),
            init_containers=_same_resources(template.spec.init_containers, before.spec.init_containers),
        )
        metadata = replace(template.metadata, labels=before.metadata.labels, annotations=before.metadata.annotations)
        template = replace(template, spec=spec, metadata=metadata)
        if template == before:
            return []
        return [invalid_value("spec.template.spec", go_form(new.spec.template.spec), IMMUTABLE)]
    shown = {**msgspec.to_builtins(template.metadata), "Spec": go_form(template.spec)}
    return [invalid_value("spec.template", shown, IMMUTABLE)]


def _same_resources(new: list[core_v1.Container], old: list[core_v1.Container]) -> list[core_v1.Container]:
    if len(new) != len(old):
        return new
    return [replace(c, resources=o.resources) for c, o in zip(new, old, strict=True)]


def _same_node_affinity(new: core_v1.Affinity | None, old: core_v1.Affinity | None) -> core_v1.Affinity | None:
    """The new one with what the old one says of nodes; None where the old one says nothing."""
    if new is None and old is None:
        return None
    merged = replace(new or core_v1.Affinity(), node_affinity=old.node_affinity if old is not None else None)
    return None if old is None and merged == core_v1.Affinity() else merged
