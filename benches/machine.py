"""What a figure was measured on: `orlop.bench.machine`, for benchmarks that are run as files."""

from orlop.bench.machine import (
    SCALE as SCALE,
    commit as commit,
    cpu_seconds as cpu_seconds,
    line as line,
    proportional_mib as proportional_mib,
    scaled as scaled,
)

if __name__ == "__main__":
    print(line())
