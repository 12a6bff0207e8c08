"""kube-apiserver's flags about the audit of requests."""

import argparse
from pathlib import Path
from typing import Any

from orlop.apiserver.audit.settings import (
    MODES,
    AuditError,
    AuditSettings,
    BatchSettings,
    LogSettings,
    TruncateSettings,
    WebhookSettings,
)
from orlop.cli import options
from orlop.cluster.settings import SettingsError

VERSION = "audit.k8s.io/v1"
_LOG, _WEBHOOK = LogSettings(path=""), WebhookSettings(config_file=Path())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    group = parser.add_argument_group("audit", "what is recorded of requests; see docs/auditing.md")
    group.add_argument(
        "--audit-policy-file",
        type=Path,
        default=None,
        metavar="FILE",
        help="a Policy of audit.k8s.io/v1: without it nothing is recorded",
    )
    group.add_argument("--audit-log-path", default="", metavar="FILE", help="events, one a line; - is standard output")
    group.add_argument("--audit-log-maxage", type=int, default=0, metavar="DAYS", help="for which old files are kept")
    group.add_argument("--audit-log-maxbackup", type=int, default=0, metavar="N", help="old files that are kept")
    group.add_argument("--audit-log-maxsize", type=int, default=0, metavar="MB", help="of a file (0: 100)")
    _flag(group, "--audit-log-compress", False, "gzip old files")
    group.add_argument("--audit-log-format", choices=("json", "legacy"), default="json", help="of a line")
    _shared(group, "log", _LOG.batch, _LOG.truncate)
    group.add_argument(
        "--audit-webhook-config-file",
        type=Path,
        default=None,
        metavar="FILE",
        help="a kubeconfig of the server that is sent events",
    )
    group.add_argument(
        "--audit-webhook-initial-backoff",
        type=options.duration,
        default=_WEBHOOK.initial_backoff,
        metavar="DURATION",
        help="before what failed is sent again (default: 10s)",
    )
    _shared(group, "webhook", _WEBHOOK.batch, _WEBHOOK.truncate)


def _flag(group: argparse._ArgumentGroup, name: str, default: bool, words: str) -> None:
    group.add_argument(name, type=options.boolean, nargs="?", const=True, default=default, metavar="BOOL", help=words)


def _shared(group: argparse._ArgumentGroup, which: str, batch: BatchSettings, truncate: TruncateSettings) -> None:
    """What log and webhook both have."""
    start = f"--audit-{which}"
    group.add_argument(f"{start}-version", choices=(VERSION,), default=VERSION, help="of the events")
    group.add_argument(
        f"{start}-mode", choices=MODES, default=batch.mode, help=f"who waits for events (default: {batch.mode})"
    )
    group.add_argument(
        f"{start}-batch-buffer-size", type=int, default=batch.buffer_size, metavar="N", help="events that may wait"
    )
    group.add_argument(
        f"{start}-batch-max-size", type=int, default=batch.max_size, metavar="N", help="events written at once"
    )
    group.add_argument(
        f"{start}-batch-max-wait",
        type=options.duration,
        default=batch.max_wait,
        metavar="DURATION",
        help="after which fewer are written",
    )
    _flag(group, f"{start}-batch-throttle-enable", batch.throttle, "limit the batches of a second")
    group.add_argument(
        f"{start}-batch-throttle-qps", type=float, default=batch.qps, metavar="N", help="batches a second"
    )
    group.add_argument(
        f"{start}-batch-throttle-burst", type=int, default=batch.burst, metavar="N", help="batches at once"
    )
    _flag(group, f"{start}-truncate-enabled", truncate.enabled, "take the objects out of large events")
    group.add_argument(
        f"{start}-truncate-max-event-size",
        type=int,
        default=truncate.max_event_size,
        metavar="BYTES",
        help="from which an event is large",
    )
    group.add_argument(
        f"{start}-truncate-max-batch-size",
        type=int,
        default=truncate.max_batch_size,
        metavar="BYTES",
        help="of events sent at once",
    )


def settings(arguments: argparse.Namespace) -> AuditSettings | None:
    """What the flags say; None: nothing is recorded. Raises SettingsError."""
    policy: Path | None = arguments.audit_policy_file
    path, config = arguments.audit_log_path, arguments.audit_webhook_config_file
    if policy is None:
        return None
    log, webhook = None, None
    if path:
        log = LogSettings(
            path=path,
            max_age=arguments.audit_log_maxage,
            max_backups=arguments.audit_log_maxbackup,
            max_size=arguments.audit_log_maxsize,
            compress=arguments.audit_log_compress,
            format=arguments.audit_log_format,
            batch=_batch(arguments, "log"),
            truncate=_truncate(arguments, "log"),
        )
    if config is not None:
        webhook = WebhookSettings(
            config_file=config,
            initial_backoff=arguments.audit_webhook_initial_backoff,
            batch=_batch(arguments, "webhook"),
            truncate=_truncate(arguments, "webhook"),
        )
    try:
        for one in (log, webhook):
            if one is not None:
                one.check()
    except AuditError as error:
        raise SettingsError(str(error)) from error
    return AuditSettings(policy_file=policy, log=log, webhook=webhook)


def _batch(arguments: argparse.Namespace, which: str) -> BatchSettings:
    def of(name: str) -> Any:
        return getattr(arguments, f"audit_{which}_{name}")

    return BatchSettings(
        mode=of("mode"),
        buffer_size=of("batch_buffer_size"),
        max_size=of("batch_max_size"),
        max_wait=of("batch_max_wait"),
        throttle=of("batch_throttle_enable"),
        qps=of("batch_throttle_qps"),
        burst=of("batch_throttle_burst"),
    )


def _truncate(arguments: argparse.Namespace, which: str) -> TruncateSettings:
    start = f"audit_{which}_truncate"
    return TruncateSettings(
        enabled=getattr(arguments, f"{start}_enabled"),
        max_event_size=getattr(arguments, f"{start}_max_event_size"),
        max_batch_size=getattr(arguments, f"{start}_max_batch_size"),
    )
