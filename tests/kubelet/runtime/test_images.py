import pytest

from orlop.clock import FakeClock
from orlop.kubelet.network.hollow import HollowNetwork
from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.hollow import HollowRuntime
from orlop.kubelet.runtime.hollow_stages import Match, Stage
from orlop.kubelet.runtime.images import ImageManager
from orlop.kubelet.runtime.reference import with_default_tag


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("busybox", "busybox:latest"),
        ("busybox:1", "busybox:1"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("registry.k8s.io/pause@sha256:" + "a" * 64, "registry.k8s.io/pause@sha256:" + "a" * 64),
        ("Example.com/a", "Example.com/a:latest"),
    ],
)
def test_names(image: str, full: str) -> None:
    assert with_default_tag(image) == full


@pytest.mark.parametrize("image", ["", "UPPER", "a//b", "a b", "a:", "a@sha256:12", "-a", "a" * 300, "f" * 64])
def test_bad_names(image: str) -> None:
    with pytest.raises(ImageFailure) as caught:
        with_default_tag(image)
    assert caught.value.reason == "InvalidImageName"


class World:
    def __init__(self, *stages: Stage) -> None:
        self.clock = FakeClock()
        self.runtime = HollowRuntime(self.clock, HollowNetwork(), stages)
        self.manager = ImageManager(self.runtime, self.clock)
        self.events: list[tuple[str, str, str]] = []

    async def ensure(self, image: str, policy: str) -> str:
        return await self.manager.ensure("uid", image, policy, report=lambda *e: self.events.append(e))  # type: ignore[arg-type]

    async def refused(self, image: str, policy: str) -> ImageFailure:
        with pytest.raises(ImageFailure) as caught:
            await self.ensure(image, policy)
        return caught.value


async def test_present_is_not_pulled_again() -> None:
    world = World()
    first = await world.ensure("a:1", "IfNotPresent")
    assert await world.ensure("a:1", "IfNotPresent") == first
    assert await world.ensure("a:1", "Never") == first
    assert [e[1] for e in world.events] == ["Pulling", "Pulled", "Pulled", "Pulled"]
    assert world.events[2][2] == 'Container image "a:1" already present on machine'


async def test_never_and_absent() -> None:
    world = World()
    error = await world.refused("a:1", "Never")
    assert error.reason == "ErrImageNeverPull"
    assert str(error) == 'Container image "a:1" is not present with pull policy of Never'


async def test_failures_back_off() -> None:
    world = World(Stage(match=Match(image="bad*"), pull_error="manifest unknown"))
    assert (await world.refused("bad:1", "IfNotPresent")).reason == "ErrImagePull"
    waiting = await world.refused("bad:1", "IfNotPresent")
    assert waiting.reason == "ImagePullBackOff"
    assert str(waiting) == 'Back-off pulling image "bad:1": ErrImagePull: manifest unknown'
    await world.clock.advance(10.1)
    assert (await world.refused("bad:1", "IfNotPresent")).reason == "ErrImagePull"
    await world.clock.advance(10.1)
    assert (await world.refused("bad:1", "IfNotPresent")).reason == "ImagePullBackOff"
    await world.clock.advance(10.1)
    assert (await world.refused("bad:1", "IfNotPresent")).reason == "ErrImagePull"
