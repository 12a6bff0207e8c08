"""kube-apiserver's audit flags: what is made of them, what is refused, and that they work."""

import argparse
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orlop.cli import apiserver, audit, up
from orlop.cluster.components import apiserver_config
from orlop.cluster.settings import Settings, SettingsError

POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    apiserver.add_arguments(parser)
    return parser.parse_args(["--data-dir", "d", *words])


def test_nothing_is_recorded_without_a_policy() -> None:
    assert audit.settings(arguments("--audit-log-path", "a.log")) is None


def test_flags_have_upstreams_defaults() -> None:
    flags = ["--audit-policy-file=p", "--audit-log-path=a.log", "--audit-webhook-config-file=c"]
    found = audit.settings(arguments(*flags))
    assert found is not None
    assert found.log is not None
    assert found.webhook is not None
    assert (found.log.batch.mode, found.webhook.batch.mode) == ("blocking", "batch")
    assert (found.log.format, found.log.max_size) == ("json", 0)
    assert (found.webhook.batch.max_size, found.webhook.batch.max_wait, found.webhook.batch.qps) == (400, 30.0, 10.0)
    assert found.webhook.initial_backoff == 10.0


def test_flags_say_otherwise() -> None:
    flags = (
        "--audit-policy-file=p --audit-log-path=- --audit-log-maxage=3 --audit-log-maxbackup=2 --audit-log-maxsize=5"
    )
    flags += " --audit-log-compress --audit-log-format=legacy --audit-log-mode=batch --audit-log-batch-max-wait=1m"
    flags += (
        " --audit-log-batch-throttle-enable=true --audit-log-truncate-enabled --audit-log-truncate-max-event-size=9"
    )
    found = audit.settings(arguments(*flags.split()))
    assert found is not None
    log = found.log
    assert log is not None
    assert (log.path, log.max_age, log.max_backups, log.max_size, log.compress) == ("-", 3, 2, 5, True)
    assert (log.format, log.batch.mode, log.batch.max_wait, log.batch.throttle) == ("legacy", "batch", 60.0, True)
    assert (log.truncate.enabled, log.truncate.max_event_size) == (True, 9)


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--audit-log-maxage=-1", "--audit-log-maxage: -1: can't be a negative number"),
        ("--audit-log-truncate-max-event-size=0", "--audit-log-truncate-max-event-size: must be a positive number"),
        ("--audit-log-truncate-max-batch-size=5", "--audit-log-truncate-max-batch-size: 5: must be at least"),
        ("--audit-webhook-batch-max-size=0", "--audit-webhook-batch-max-size: must be a positive number"),
        ("--audit-webhook-batch-throttle-qps=0", "--audit-webhook-batch-throttle-qps: must be a positive number"),
    ],
)
def test_what_cannot_be_is_named(flag: str, words: str) -> None:
    flags = ["--audit-policy-file=p", "--audit-log-path=a.log", "--audit-webhook-config-file=c"]
    with pytest.raises(SettingsError, match=re.escape(words)):
        audit.settings(arguments(*flags, flag))


def test_a_cluster_keeps_its_audit(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    settings = Settings(data_dir=tmp_path, audit_policy_file=policy)
    with pytest.raises(SettingsError, match=r"--audit-policy-file: .*policy.yaml cannot be read"):
        up.check_audit(settings)
    policy.write_text(POLICY)
    up.check_audit(settings)
    found = apiserver_config(settings).audit
    assert found is not None
    assert found.log is not None
    assert found.log.path == str(tmp_path / "logs" / "audit.log")
    assert apiserver_config(Settings(data_dir=tmp_path)).audit is None


def orlop(folder: Path, policy: str, *flags: str) -> "subprocess.Popen[str]":
    file = folder / "policy.yaml"
    file.write_text(policy)
    words = ["apiserver", "--data-dir", str(folder / "data"), "--store=memory", "--secure-port=0"]
    words += [f"--audit-policy-file={file}", *flags]
    command = [sys.executable, "-m", "orlop.cli.main", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_policy_that_cannot_be_used_ends_the_server(tmp_path: Path) -> None:
    process = orlop(tmp_path, POLICY.replace("Metadata", "All"), "--audit-log-path=-")
    _, told = process.communicate(timeout=60)
    assert process.returncode != 0
    assert 'rules[0].level: Unsupported value: "All"' in told
    assert "Traceback" not in told


def test_events_on_standard_output(tmp_path: Path) -> None:
    process = orlop(tmp_path, POLICY, "--audit-log-path=-")
    assert process.stderr is not None
    found = ""
    for line in process.stderr:
        if address := re.search(r"serving at (https://\S+)", line):
            found = address[1]
            break
    subprocess.run(["curl", "-sk", "-H", "Audit-ID: mine", f"{found}/version"], check=True, capture_output=True)
    process.send_signal(signal.SIGTERM)
    written, _ = process.communicate(timeout=60)
    events = [event for event in map(json.loads, written.splitlines()) if event["auditID"] == "mine"]
    assert [event["stage"] for event in events] == ["RequestReceived", "ResponseComplete"]
    assert events[1]["user"]["username"] == "system:anonymous"
    assert events[1]["sourceIPs"] == ["127.0.0.1"]
