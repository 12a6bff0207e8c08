"""What a figure was measured on: `orlop.bench.machine`, for benchmarks that are run as files."""

from orlop.bench.machine import (
    SCALE as SCALE,
    commit as commit,
    cpu_seconds as cpu_seconds,
    line as line,
    proportional_mib as proportional_mib,
    scaled as scaled,
)


def without_engine() -> str:
    """Why nothing is measured with a Docker Engine here; empty where one answers."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=10)
        client.ping()
        client.close()
    except DockerException as error:
        return f"no Docker Engine answers ({error})"
    return ""


if __name__ == "__main__":
    print(line())
