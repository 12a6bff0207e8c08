"""The docker runtime; `runtime.DockerRuntime` is the door."""

from orlop.kubelet.runtime.docker.runtime import DockerRuntime

__all__ = ["DockerRuntime"]
