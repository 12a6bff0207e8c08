"""Which protocol a client of exec, attach or port-forward gets, and in which words it is refused."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from orlop.kubelet.server import upgrade
from orlop.streaming import channels, portforward


def request(**headers: str) -> web.Request:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return make_mocked_request("POST", "/exec/d/p/c", headers=named)


def test_spdy() -> None:
    asked = request(Upgrade="SPDY/3.1", X_Stream_Protocol_Version="v9.channel.k8s.io, v4.channel.k8s.io")
    assert upgrade.spdy_protocol(asked, channels.SPDY) == "v4.channel.k8s.io"
    several = CIMultiDict([("Upgrade", "SPDY/3.1")])
    several.extend([("X-Stream-Protocol-Version", v) for v in ("v9", "v2.channel.k8s.io", "v5.channel.k8s.io")])
    asked = make_mocked_request("POST", "/", headers=several)
    assert upgrade.spdy_protocol(asked, channels.SPDY) == "v2.channel.k8s.io"


def test_spdy_that_cannot_be() -> None:
    with pytest.raises(web.HTTPBadRequest, match="Bad Request") as plain:
        upgrade.spdy_protocol(request(), channels.SPDY)
    assert plain.value.text == "Upgrade request required"
    with pytest.raises(web.HTTPBadRequest) as silent:
        upgrade.spdy_protocol(request(Upgrade="SPDY/3.1"), channels.SPDY)
    assert silent.value.text == "unable to upgrade: header X-Stream-Protocol-Version does not exist in request"
    with pytest.raises(web.HTTPForbidden) as other:
        upgrade.spdy_protocol(request(Upgrade="SPDY/3.1", X_Stream_Protocol_Version="v9"), portforward.SPDY)
    assert other.value.text == (
        "unable to upgrade: unable to negotiate protocol: client supports [v9], server accepts [portforward.k8s.io]"
    )
    assert other.value.headers.getall("X-Accepted-Stream-Protocol-Versions") == ["portforward.k8s.io"]


def test_websockets() -> None:
    asked = request(Sec_WebSocket_Protocol="v5.channel.k8s.io,v4.channel.k8s.io")
    assert upgrade.websocket_protocol(asked, channels.WEBSOCKET, channels.V1) == channels.V5
    assert upgrade.websocket_protocol(request(), channels.WEBSOCKET, channels.V1) == channels.V1
    with pytest.raises(web.HTTPForbidden):
        upgrade.websocket_protocol(request(Sec_WebSocket_Protocol="chat"), channels.WEBSOCKET, channels.V1)
