import pytest

from orlop.apiserver.request import RequestInfo, parse_path


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/pods", {"verb": "list", "version": "v1", "resource": "pods"}),
        (
            "GET",
            "/api/v1/namespaces/a/pods/p",
            {"verb": "get", "version": "v1", "namespace": "a", "resource": "pods", "name": "p"},
        ),
        (
            "PUT",
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            {
                "verb": "update",
                "group": "apps",
                "version": "v1",
                "namespace": "a",
                "resource": "deployments",
                "name": "d",
                "subresource": "scale",
            },
        ),
        ("GET", "/api/v1/namespaces", {"verb": "list", "version": "v1", "resource": "namespaces"}),
        (
            "DELETE",
            "/api/v1/namespaces/a",
            {"verb": "delete", "version": "v1", "namespace": "a", "resource": "namespaces", "name": "a"},
        ),
        (
            "PUT",
            "/api/v1/namespaces/a/finalize",
            {
                "verb": "update",
                "version": "v1",
                "namespace": "a",
                "resource": "namespaces",
                "name": "a",
                "subresource": "finalize",
            },
        ),
        (
            "DELETE",
            "/api/v1/namespaces/a/pods",
            {"verb": "deletecollection", "version": "v1", "namespace": "a", "resource": "pods"},
        ),
        ("GET", "/api/v1/watch/pods", {"verb": "watch", "version": "v1", "resource": "pods"}),
        (
            "GET",
            "/api/v1/nodes/n/proxy/stats/summary",
            {
                "verb": "get",
                "version": "v1",
                "resource": "nodes",
                "name": "n",
                "subresource": "proxy",
                "rest": ("stats", "summary"),
            },
        ),
    ],
)
def test_resources(method: str, path: str, expected: dict[str, object]) -> None:
    assert parse_path(method, path) == RequestInfo(path, is_resource=True, **expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", ["/", "/api", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1", "/readyz", "/foo/bar"]
)
def test_pages(path: str) -> None:
    assert parse_path("GET", path) == RequestInfo(path, "get")
