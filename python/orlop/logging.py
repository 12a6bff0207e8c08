"""Logs to stderr: text for a person, JSON lines for a machine. Components use the standard `logging` loggers."""

import logging
import sys
from typing import Literal, TextIO

import msgspec

Format = Literal["text", "json"]

_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName"}


def get(name: str) -> logging.Logger:
    """The logger of a component: `orlop.<name>`."""
    return logging.getLogger(f"orlop.{name}")


def setup(level: int | str = "INFO", format: Format = "text", stream: TextIO | None = None) -> None:
    """Sends every record of the process to `stream` (stderr). What is passed as `extra` is written out as fields."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    # A line for every connection and upgrade; the audit of requests is elsewhere.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {k: v for k, v in record.__dict__.items() if k not in _STANDARD}


class TextFormatter(logging.Formatter):
    """`2026-01-02T15:04:05 INFO scheduler: message key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        name = record.name.removeprefix("orlop.")
        line = f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')} {record.levelname} {name}: {record.getMessage()}"
        for key, value in _fields(record).items():
            line += f" {key}={value}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JSONFormatter(logging.Formatter):
    """One JSON object a line: ts (seconds), level, component, msg, then the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "ts": round(record.created, 6),
            "level": record.levelname.lower(),
            "component": record.name.removeprefix("orlop."),
            "msg": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry, enc_hook=str).decode()
