"""Rules of Jobs: pkg/apis/batch/v1/defaults.go, pkg/apis/batch/validation, pkg/registry/batch/job."""

from msgspec.structs import replace

from orlop.api import selectors
from orlop.api.errors import IMMUTABLE, FieldError, invalid_value, required
from orlop.api.types import batch_v1, core_v1, meta_v1
from orlop.apiserver.registry import jobpolicies, meta, names, poddefaults, podtemplate, podvalidation, podwarnings
from orlop.apiserver.registry.common import immutable, not_negative
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

BACKOFF_LIMIT = 6
INT32_MAX = (1 << 31) - 1
MAX_PARALLELISM = 100_000
"""Pods at once of an indexed Job: its completed indexes must fit its status."""
SOFT_COMPLETIONS = 100_000
HIGH_LIMIT = 10_000
MANAGED_BY_MAX = 63
PREFIX = "batch.kubernetes.io/"
UID_LABELS = (f"{PREFIX}controller-uid", "controller-uid")
NAME_LABELS = (f"{PREFIX}job-name", "job-name")
TRACKING = f"{PREFIX}job-tracking"


class Jobs(Strategy):
    """Pods that end."""

    generation = True
    fields = (("status.successful", "status.succeeded=0"),)
    garbage_collected = "background"

    def default(self, obj: batch_v1.Job) -> None:
        spec = obj.spec
        poddefaults.pod_spec(spec.template.spec)
        if spec.completions is None and spec.parallelism is None:
            spec.completions = 1
        if spec.parallelism is None:
            spec.parallelism = 1
        if spec.backoff_limit is None:
            spec.backoff_limit = BACKOFF_LIMIT if spec.backoff_limit_per_index is None else INT32_MAX
        if not obj.metadata.labels and spec.template.metadata.labels:
            obj.metadata.labels = dict(spec.template.metadata.labels)
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
        if not obj.metadata.labels:
            obj.metadata.labels = dict(labels)

    def validate(self, obj: batch_v1.Job) -> list[FieldError]:
        return _generated(obj) + validate_spec(obj.spec, "spec", selected=True) + _indexed_name(obj)

    def validate_update(self, new: batch_v1.Job, old: batch_v1.Job) -> list[FieldError]:
        errors = validate_spec(new.spec, "spec", selected=True)
        spec, before = new.spec, old.spec
        errors += _completions(spec, before)
        errors += immutable(spec.selector, before.selector, "spec.selector")
        errors += _template_change(new, old)
        errors += immutable(spec.completion_mode, before.completion_mode, "spec.completionMode")
        errors += immutable(spec.pod_failure_policy, before.pod_failure_policy, "spec.podFailurePolicy")
        errors += immutable(spec.backoff_limit_per_index, before.backoff_limit_per_index, "spec.backoffLimitPerIndex")
        errors += immutable(spec.managed_by, before.managed_by, "spec.managedBy")
        return errors + immutable(spec.success_policy, before.success_policy, "spec.successPolicy")

    def validate_status(self, new: batch_v1.Job, old: batch_v1.Job) -> list[FieldError]:
        status = new.status
        errors: list[FieldError] = []
        for name, value in (
            ("active", status.active),
            ("succeeded", status.succeeded),
            ("failed", status.failed),
            ("terminating", status.terminating),
            ("ready", status.ready),
        ):
            errors += not_negative(value, f"status.{name}")
        if status.ready is not None and status.ready > status.active:
            errors.append(invalid_value("status.ready", status.ready, "more ready pods than active"))
        finished = {c.type for c in status.conditions if c.status == "True"} & {"Complete", "Failed"}
        if status.completion_time is not None and "Complete" not in finished:
            words = "cannot set completionTime when there is no Complete=True condition"
            errors.append(invalid_value("status.completionTime", status.completion_time, words))
        if finished and status.active > 0:
            errors.append(invalid_value("status.active", status.active, "active>0 is invalid for finished job"))
        if len(finished) > 1:
            errors.append(
                invalid_value("status.conditions", status.conditions, "cannot set Complete=True and Failed=true")
            )
        return errors

    def warnings(self, obj: batch_v1.Job) -> list[str]:
        found = []
        if problems := names.label(obj.metadata.name):
            found.append(
                "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a "
                f"DNS label is recommended: [{' '.join(problems)}]"
            )
        return found + podwarnings.warnings(obj.spec.template.spec, "spec.template.spec")


def validate_spec(spec: batch_v1.JobSpec, path: str, selected: bool) -> list[FieldError]:
    """What is wrong with a Job's spec; a CronJob's template has no selector yet."""
    errors: list[FieldError] = []
    if selected:
        if spec.selector is None:
            errors.append(required(f"{path}.selector"))
        else:
            errors += podtemplate.validate_selector(spec.selector, f"{path}.selector")
            try:
                if not selectors.from_struct(spec.selector).matches(spec.template.metadata.labels):
                    errors.append(
                        invalid_value(
                            f"{path}.template.metadata.labels",
                            spec.template.metadata.labels,
                            "`selector` does not match template `labels`",
                        )
                    )
            except ValueError:
                pass
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
    template = spec.template
    errors += meta.validate_labels(template.metadata.labels, f"{path}.template.metadata.labels")
    errors += meta.validate_annotations(template.metadata.annotations, f"{path}.template.metadata.annotations")
    errors += podvalidation.validate_spec(template.spec, f"{path}.template.spec", template.metadata)
    where = f"{path}.template.spec.restartPolicy"
    policy = template.spec.restart_policy
    if policy in ("", "Always"):
        errors.append(required(where, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        errors.append(unsupported(where, policy, ("OnFailure", "Never")))
    elif spec.pod_failure_policy is not None and policy != "Never":
        errors.append(invalid_value(where, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    return errors


def _mode(spec: batch_v1.JobSpec, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    mode = spec.completion_mode
    if mode not in (None, "NonIndexed", "Indexed"):
        errors.append(unsupported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed")))
    if mode == "Indexed":
        if spec.completions is None:
            errors.append(required(f"{path}.completions", "when completion mode is Indexed"))
        elif (spec.parallelism or 0) > MAX_PARALLELISM:
            words = f"must be less than or equal to {MAX_PARALLELISM} when completion mode is Indexed"
            errors.append(invalid_value(f"{path}.parallelism", spec.parallelism, words))
        if spec.completions is not None and (spec.max_failed_indexes or 0) > spec.completions:
            words = "must be less than or equal to completions"
            errors.append(invalid_value(f"{path}.maxFailedIndexes", spec.max_failed_indexes, words))
        if spec.backoff_limit_per_index is not None and (spec.completions or 0) > SOFT_COMPLETIONS:
            errors += _high(spec, path)
        return errors
    words = "requires indexed completion mode"
    if spec.backoff_limit_per_index is not None:
        errors.append(invalid_value(f"{path}.backoffLimitPerIndex", spec.backoff_limit_per_index, words))
    if spec.max_failed_indexes is not None:
        errors.append(invalid_value(f"{path}.maxFailedIndexes", spec.max_failed_indexes, words))
    return errors


def _high(spec: batch_v1.JobSpec, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    when = f"when completions are above {SOFT_COMPLETIONS}"
    if spec.max_failed_indexes is None:
        errors.append(required(f"{path}.maxFailedIndexes", f"must be specified {when}"))
    for name, value in (("parallelism", spec.parallelism), ("maxFailedIndexes", spec.max_failed_indexes)):
        if value is not None and value > HIGH_LIMIT:
            words = f"must be less than or equal to {HIGH_LIMIT} {when} and used with backoff limit per index"
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
    """A selector that the server makes must be the one it would have made."""
    spec = job.spec
    if spec.manual_selector or spec.selector is None:
        return []
    errors: list[FieldError] = []
    labels = spec.template.metadata.labels
    for keys, wanted in ((UID_LABELS, job.metadata.uid), (NAME_LABELS, job.metadata.name)):
        for key in keys:
            if labels.get(key) != wanted:
                path = f"spec.template.metadata.labels[{key}]"
                errors.append(invalid_value(path, labels, f"must be '{wanted}'"))
    made = meta_v1.LabelSelector(match_labels={UID_LABELS[0]: job.metadata.uid})
    if spec.selector != made:
        errors.append(invalid_value("spec.selector", spec.selector, "`selector` not auto-generated"))
    return errors


def _indexed_name(job: batch_v1.Job) -> list[FieldError]:
    """The host name of the last index must be one."""
    spec = job.spec
    if spec.completion_mode != "Indexed" or not spec.completions:
        return []
    hostname = f"{job.metadata.name}-{spec.completions - 1}"
    if not (wrong := names.label(hostname)):
        return []
    words = f"will not able to create pod with invalid DNS label: {hostname}: {wrong[0]}"
    return [invalid_value("metadata.name", job.metadata.name, words)]


def _completions(new: batch_v1.JobSpec, old: batch_v1.JobSpec) -> list[FieldError]:
    """An indexed Job may grow and shrink if its parallelism goes along."""
    if new.completions == old.completions:
        return []
    if old.completion_mode != "Indexed":
        return [invalid_value("spec.completions", new.completions, IMMUTABLE)]
    if new.completions is None or new.completions != new.parallelism:
        words = f"can only be modified in tandem with spec.parallelism: {IMMUTABLE}"
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
            affinity=before.spec.affinity,
            containers=_same_resources(template.spec.containers, before.spec.containers),
            init_containers=_same_resources(template.spec.init_containers, before.spec.init_containers),
        )
        metadata = replace(template.metadata, labels=before.metadata.labels, annotations=before.metadata.annotations)
        template = replace(template, spec=spec, metadata=metadata)
    return immutable(template, before, "spec.template")


def _same_resources(new: list[core_v1.Container], old: list[core_v1.Container]) -> list[core_v1.Container]:
    if len(new) != len(old):
        return new
    return [replace(c, resources=o.resources) for c, o in zip(new, old, strict=True)]
