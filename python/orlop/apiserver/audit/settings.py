"""What an audit is told by flags; their names and defaults are kube-apiserver's."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Mode = Literal["batch", "blocking", "blocking-strict"]
MODES: tuple[Mode, ...] = ("batch", "blocking", "blocking-strict")
Format = Literal["json", "legacy"]


class AuditError(ValueError):
    """An audit that cannot be set up; the message names the flag, or the file and its field."""


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How events are gathered before they are written."""

    mode: Mode = "batch"
    """`batch`: written later, lost when there is no room; `blocking`: a request is answered when its events are
    written; `blocking-strict`: and fails where the first of them cannot be."""
    buffer_size: int = 10_000
    """Events that may wait."""
    max_size: int = 400
    """Events written at once."""
    max_wait: float = 30.0
    """Seconds after which they are written even if they are fewer."""
    throttle: bool = True
    qps: float = 10.0
    """Batches a second."""
    burst: int = 15
    """Batches at once, where there were fewer before."""

    def check(self, which: str) -> None:
        """Raises AuditError; `which` is the flags' word, `log` or `webhook`."""
        if self.mode != "batch":
            return
        named = [("buffer-size", self.buffer_size), ("max-size", self.max_size)]
        if self.throttle:
            named += [("throttle-qps", int(self.qps > 0)), ("throttle-burst", self.burst)]
        for name, value in named:
            if value <= 0:
                raise AuditError(f"--audit-{which}-batch-{name}: must be a positive number")


@dataclass(frozen=True, kw_only=True)
class TruncateSettings:
    """Events too large for whom they are for: without their objects, and not at all where that does not help."""

    enabled: bool = False
    max_event_size: int = 100 * 1024
    """Bytes."""
    max_batch_size: int = 10 * 1024 * 1024
    """Bytes."""

    def check(self, which: str) -> None:
        """Raises AuditError."""
        if self.max_event_size <= 0:
            raise AuditError(f"--audit-{which}-truncate-max-event-size: must be a positive number")
        if self.max_batch_size < self.max_event_size:
            raise AuditError(
                f"--audit-{which}-truncate-max-batch-size: {self.max_batch_size}: must be at least "
                f"--audit-{which}-truncate-max-event-size ({self.max_event_size})"
            )


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """A file of events, one a line, that is begun anew when it has grown."""

    path: str
    """`-` is standard output."""
    max_age: int = 0
    """Days that old files are kept; 0: for good."""
    max_backups: int = 0
    """Old files that are kept; 0: all."""
    max_size: int = 0
    """Megabytes of a file; 0: 100."""
    compress: bool = False
    """Old files are gzipped."""
    format: Format = "json"
    batch: BatchSettings = BatchSettings(mode="blocking", max_size=1, max_wait=0.0, throttle=False)
    truncate: TruncateSettings = TruncateSettings()

    def check(self) -> None:
        """Raises AuditError."""
        for name, value in (("maxage", self.max_age), ("maxbackup", self.max_backups), ("maxsize", self.max_size)):
            if value < 0:
                raise AuditError(f"--audit-log-{name}: {value}: can't be a negative number")
        self.batch.check("log")
        self.truncate.check("log")


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """A server that is sent EventLists."""

    config_file: Path
    """A kubeconfig."""
    initial_backoff: float = 10.0
    """Seconds before what failed is sent once more; half as much again each time after."""
    batch: BatchSettings = BatchSettings()
    truncate: TruncateSettings = TruncateSettings()

    def check(self) -> None:
        """Raises AuditError."""
        self.batch.check("webhook")
        self.truncate.check("webhook")


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """An audit: by which policy, and where its events go."""

    policy_file: Path
    log: LogSettings | None = None
    webhook: WebhookSettings | None = field(default=None)
