"""The pool of load balancers' addresses."""

from hypothesis import HealthCheck, given, settings, strategies as st

from orlop.control.controller import Key
from orlop.controllers.addresspool import Pool

A, B = Key("default", "a"), Key("default", "b")


def test_the_lowest_free_address_of_the_family_is_given() -> None:
    pool = Pool(["192.0.2.0/30", "2001:db8::/127", "198.51.100.7/32"])
    taken = [pool.take(A, 4) for _ in range(4)]
    assert taken == ["192.0.2.1", "192.0.2.2", "198.51.100.7", ""]
    assert [pool.take(B, 6) for _ in range(3)] == ["2001:db8::", "2001:db8::1", ""]
    assert pool.keep(A, ["192.0.2.2"])
    assert not pool.keep(A, ["192.0.2.2"])
    assert pool.take(B, 4) == "192.0.2.1"


def test_addresses_of_nodes_are_not_given() -> None:
    pool = Pool(["192.0.2.0/29"])
    assert pool.take(A, 4, lambda address: address in ("192.0.2.1", "192.0.2.3")) == "192.0.2.2"
    assert pool.take(A, 4, lambda address: address in ("192.0.2.1", "192.0.2.3")) == "192.0.2.4"


def test_an_address_has_one_holder() -> None:
    pool = Pool(["192.0.2.0/29"])
    assert pool.claim(A, "192.0.2.1") == ""
    assert pool.claim(A, "192.0.2.1") == ""
    assert pool.claim(B, "192.0.2.1") == "192.0.2.1 is held by Service default/a"
    assert pool.claim(B, "192.0.3.1") == "192.0.3.1 is not in the pool 192.0.2.0/29"
    assert pool.claim(B, "one") == "'one' is no IP address"
    assert pool.holder("192.0.2.1") == A


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(["take", "claim", "free"]), st.integers(0, 3), st.integers(1, 6))))
def test_any_history_gives_what_a_search_from_the_start_would(history: list[tuple[str, int, int]]) -> None:
    pool, holders = Pool(["192.0.2.0/29"]), dict[str, Key]()
    addresses = [f"192.0.2.{i}" for i in range(1, 7)]
    for what, who, which in history:
        key, address = Key("default", str(who)), addresses[which - 1]
        if what == "take":
            expected = next((one for one in addresses if one not in holders), "")
            assert pool.take(key, 4) == expected
            if expected:
                holders[expected] = key
        elif what == "claim":
            assert (pool.claim(key, address) == "") == (holders.setdefault(address, key) == key)
        else:
            assert pool.keep(key, []) == (key in holders.values())
            holders = {one: holder for one, holder in holders.items() if holder != key}
