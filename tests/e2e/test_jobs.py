"""Jobs and CronJobs through real kubectl: made from the command line, waited for, run by the clock."""

import pytest

from tests.e2e.conftest import IMAGE
from tests.support.cluster import UpCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


def test_a_job_is_made_waited_for_and_read(cluster: UpCluster, namespace: str) -> None:
    def kubectl(*words: str, input: str | None = None) -> str:
        return cluster.kubectl("-n", namespace, *words, input=input)

    kubectl("create", "job", "hi", f"--image={IMAGE}", "--", "echo", "hi there")
    kubectl("wait", "--for=condition=complete", "job/hi", "--timeout=60s")
    assert kubectl("logs", "job/hi").strip() == "hi there"
    status = cluster.get("-n", namespace, "job", "hi")["status"]
    assert (status["succeeded"], status["ready"], status["terminating"]) == (1, 0, 0)
    assert "uncountedTerminatedPods" not in status or not status["uncountedTerminatedPods"]
    pods = cluster.get("-n", namespace, "pods", "-l", "batch.kubernetes.io/job-name=hi")["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Succeeded"]
    assert not pods[0]["metadata"].get("finalizers"), "it has been counted"
    assert "Completed" in kubectl("describe", "job", "hi")
    kubectl("delete", "job", "hi")
    eventually("its pods go with it", lambda: kubectl("get", "pods", "-o", "name") == "", 30)


def test_each_index_has_a_pod_of_its_own(cluster: UpCluster, namespace: str) -> None:
    job = f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: parts}}
spec:
  completions: 3
  parallelism: 2
  completionMode: Indexed
  backoffLimitPerIndex: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - {{name: part, image: "{IMAGE}", command: [sh, -c, 'test $JOB_COMPLETION_INDEX != 1']}}
"""
    cluster.kubectl("-n", namespace, "apply", "-f", "-", input=job)
    cluster.kubectl("-n", namespace, "wait", "--for=condition=failed", "job/parts", "--timeout=60s")
    status = cluster.get("-n", namespace, "job", "parts")["status"]
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1")
    reasons = {c["type"]: c["reason"] for c in status["conditions"] if c["status"] == "True"}
    assert reasons == {"FailureTarget": "FailedIndexes", "Failed": "FailedIndexes"}


def test_a_cron_job_runs_by_hand_and_by_the_clock(cluster: UpCluster, namespace: str) -> None:
    def kubectl(*words: str) -> str:
        return cluster.kubectl("-n", namespace, *words)

    kubectl("create", "cronjob", "tick", f"--image={IMAGE}", "--schedule=* * * * *", "--", "echo", "tick")
    kubectl("create", "job", "now", "--from=cronjob/tick")
    kubectl("wait", "--for=condition=complete", "job/now", "--timeout=60s")
    assert kubectl("logs", "job/now").strip() == "tick"
    eventually("the clock has run it", lambda: _last(cluster, namespace), 90, every=1)
    kubectl("patch", "cronjob", "tick", "-p", '{"spec": {"suspend": true}}')
    assert cluster.get("-n", namespace, "cronjob", "tick")["spec"]["suspend"]


def _last(cluster: UpCluster, namespace: str) -> str:
    status = cluster.get("-n", namespace, "cronjob", "tick")["status"]
    return str(status.get("lastSuccessfulTime", ""))
