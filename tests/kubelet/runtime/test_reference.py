import pytest

from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.reference import with_default_tag


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("busybox", "busybox:latest"),
        ("busybox:1", "busybox:1"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("registry.k8s.io/pause@sha256:" + "a" * 64, "registry.k8s.io/pause@sha256:" + "a" * 64),
        ("Example.com/a", "Example.com/a:latest"),
        ("sha256:" + "f" * 64, "sha256:" + "f" * 64),
    ],
)
def test_names(image: str, full: str) -> None:
    assert with_default_tag(image) == full


@pytest.mark.parametrize("image", ["", "UPPER", "a//b", "a b", "a:", "a@sha256:12", "-a", "a" * 300, "f" * 64])
def test_bad_names(image: str) -> None:
    with pytest.raises(ImageFailure, match="couldn't parse image name") as caught:
        with_default_tag(image)
    assert caught.value.reason == "InvalidImageName"
