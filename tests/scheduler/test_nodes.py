"""The nodes as the filters of volumes see them."""

from orlop.scheduler.podvolumes import HOSTNAME, Nodes


def test_nodes_by_host_name() -> None:
    nodes = Nodes()
    nodes.set("a", {HOSTNAME: "h1"})
    nodes.set("b", {HOSTNAME: "h2"})
    nodes.set("c", {})
    assert nodes.at(["h1", "nowhere"]) == ["a"]
    nodes.set("a", {HOSTNAME: "h2"})
    assert (nodes.at(["h1"]), sorted(nodes.at(["h2"])), len(nodes)) == ([], ["a", "b"], 3)
    nodes.set("b", None)
    assert (nodes.at(["h2"]), sorted(nodes.labels)) == (["a"], ["a", "c"])
