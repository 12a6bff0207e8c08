"""batch/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from typing import Any

from msgspec import field as _f

from orlop.api.types import core_v1
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class JobSchedulingConfiguration(ApiStruct):
    scheduling_policy: Any = None
    scheduling_constraints: Any = None
    disruption_mode: Any = None
    resource_claims: list[Any] = _f(default_factory=list)


class PodFailurePolicyOnExitCodesRequirement(ApiStruct):
    container_name: str | None = None
    operator: str = _f(default_factory=str)
    values: list[int] = _f(default_factory=lambda: list())


class PodFailurePolicyOnPodConditionsPattern(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)


class PodFailurePolicyRule(ApiStruct):
    action: str = _f(default_factory=str)
    on_exit_codes: PodFailurePolicyOnExitCodesRequirement | None = None
    on_pod_conditions: list[PodFailurePolicyOnPodConditionsPattern] = _f(default_factory=list)


class PodFailurePolicy(ApiStruct):
    rules: list[PodFailurePolicyRule] = _f(default_factory=lambda: list())


class SuccessPolicyRule(ApiStruct):
    succeeded_indexes: str | None = None
    succeeded_count: int | None = None


class SuccessPolicy(ApiStruct):
    rules: list[SuccessPolicyRule] = _f(default_factory=lambda: list())


class JobSpec(ApiStruct):
    parallelism: int | None = None
    completions: int | None = None
    active_deadline_seconds: int | None = None
    pod_failure_policy: PodFailurePolicy | None = None
    success_policy: SuccessPolicy | None = None
    backoff_limit: int | None = None
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None
    selector: meta_v1.LabelSelector | None = None
    manual_selector: bool | None = None
    template: core_v1.PodTemplateSpec = _f(default_factory=lambda: core_v1.PodTemplateSpec())
    ttl_seconds_after_finished: int | None = None
    completion_mode: str | None = None
    suspend: bool | None = None
    pod_replacement_policy: str | None = None
    managed_by: str | None = None
    scheduling: JobSchedulingConfiguration | None = None


class JobTemplateSpec(ApiStruct):
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: JobSpec = _f(default_factory=lambda: JobSpec())


class CronJobSpec(ApiStruct):
    schedule: str = _f(default_factory=str)
    time_zone: str | None = None
    starting_deadline_seconds: int | None = None
    concurrency_policy: str = ""
    suspend: bool | None = None
    job_template: JobTemplateSpec = _f(default_factory=lambda: JobTemplateSpec())
    successful_jobs_history_limit: int | None = None
    failed_jobs_history_limit: int | None = None


class CronJobStatus(ApiStruct):
    active: list[core_v1.ObjectReference] = _f(default_factory=list)
    last_schedule_time: str | None = None
    last_successful_time: str | None = None


class CronJob(ApiStruct):
    api_version: str = _f(default_factory=lambda: "batch/v1")
    kind: str = _f(default_factory=lambda: "CronJob")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: CronJobSpec = _f(default_factory=lambda: CronJobSpec())
    status: CronJobStatus = _f(default_factory=lambda: CronJobStatus())


class CronJobList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "batch/v1")
    kind: str = _f(default_factory=lambda: "CronJobList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[CronJob] = _f(default_factory=lambda: list())


class JobCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_probe_time: str | None = _f(default_factory=_none)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class UncountedTerminatedPods(ApiStruct):
    succeeded: list[str] = _f(default_factory=list)
    failed: list[str] = _f(default_factory=list)


class JobStatus(ApiStruct):
    conditions: list[JobCondition] = _f(default_factory=list)
    start_time: str | None = None
    completion_time: str | None = None
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    terminating: int | None = None
    completed_indexes: str = ""
    failed_indexes: str | None = None
    uncounted_terminated_pods: UncountedTerminatedPods | None = None
    ready: int | None = None


class Job(ApiStruct):
    api_version: str = _f(default_factory=lambda: "batch/v1")
    kind: str = _f(default_factory=lambda: "Job")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: JobSpec = _f(default_factory=lambda: JobSpec())
    status: JobStatus = _f(default_factory=lambda: JobStatus())


class JobList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "batch/v1")
    kind: str = _f(default_factory=lambda: "JobList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Job] = _f(default_factory=lambda: list())
