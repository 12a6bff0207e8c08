"""Objects of the sizes that clusters have."""

from orlop.api.types import core_v1, meta_v1


def pod(index: int) -> core_v1.Pod:
    """A pod as a Deployment makes it, on a node."""
    container = core_v1.Container(
        name="web",
        image="registry.example/web:1",
        command=["/bin/web", "--port=8080"],
        env=[core_v1.EnvVar(name=f"E{n}", value="value") for n in range(10)],
        ports=[core_v1.ContainerPort(container_port=8080, protocol="TCP")],
        resources=core_v1.ResourceRequirements(
            limits={"cpu": "1", "memory": "1Gi"}, requests={"cpu": "1", "memory": "1Gi"}
        ),
    )
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=f"p{index}", namespace="default", uid=f"uid-{index}", labels={"app": "web"}),
        spec=core_v1.PodSpec(
            containers=[container],
            node_name="n1",
            volumes=[core_v1.Volume(name="v", secret=core_v1.SecretVolumeSource(secret_name="files"))],
        ),
        status=core_v1.PodStatus(phase="Running", conditions=[core_v1.PodCondition(type="Ready", status="True")] * 5),
    )
