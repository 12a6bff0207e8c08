"""An operator: a Deployment for each Site (crd.yaml), and in the Site's status how many of its pods are ready."""

from msgspec import field

from orlop import controller
from orlop.api.types import apps_v1


class SiteSpec(controller.Struct):
    image: str = ""
    replicas: int = 1


class SiteStatus(controller.Struct):
    ready: int = 0


class Site(controller.Object):
    __kind__ = controller.kind("example.com/v1", "Site", plural="sites")
    spec: SiteSpec = field(default_factory=SiteSpec)
    status: SiteStatus = field(default_factory=SiteStatus)


class Sites(controller.Controller):
    name = "sites-controller"

    def setup(self, builder: controller.Builder) -> None:
        self.sites = builder.for_(Site)
        self.deployments = builder.owns(apps_v1.Deployment)

    async def reconcile(self, key: controller.Key) -> None:
        site = self.sites.get(*key)
        if site is None:
            return  # its Deployment goes with it: the garbage collector sees to that
        wanted = deployment(site)
        await self.context.client.patch(
            apps_v1.Deployment, key.name, key.namespace, wanted, type="apply", manager=self.name, force=True
        )
        found = self.deployments.get(*key)
        ready = found.status.ready_replicas if found is not None else 0
        if site.status.ready != ready:
            patch = {"status": {"ready": ready}}
            await self.context.client.patch(Site, key.name, key.namespace, patch, subresource="status")


def deployment(site: Site) -> dict[str, object]:
    labels = {"site": site.metadata.name}
    container = {"name": "web", "image": site.spec.image}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": site.metadata.name, "ownerReferences": [controller.controller_reference(site)]},
        "spec": {
            "replicas": site.spec.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


if __name__ == "__main__":
    controller.run(Sites())
