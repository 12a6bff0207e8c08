"""What schemathesis asks of this server's own OpenAPI: nothing is answered by a 5xx that upstream would not give."""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from tests.apiserver.test_any_request import Server
from tests.support.campaign import CAMPAIGN, campaign, times
from tests.support.requests import NAME, Sent

CONNECTS = {"attach", "exec", "portforward", "proxy", "log"}
"""What is answered by a kubelet: there is none here."""
OWN = {"namespace": "default", "name": NAME}
"""Path parameters that lead to an object; every second request has them."""


def sent(case: Any, known: bool) -> Sent:
    """A case as a request; `known`: to objects that are there."""
    if known:
        case.path_parameters = {**case.path_parameters, **OWN}
    body = None if isinstance(case.body, schemathesis.core.NotSet) else msgspec.json.encode(case.body)
    query = tuple((k, v) for k, v in (case.query or {}).items() if isinstance(v, str))
    media = case.media_type if case.method == "PATCH" else "application/json"
    return Sent(case.method.upper(), unquote(case.formatted_path), query, body, media, "*/*")


@campaign(240)
def test_what_schemathesis_asks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = Server(tmp_path)
    with server.runner as runner, caplog.at_level(logging.WARNING):
        runner.run(server.start())
        paths = runner.run(server.api("GET", "/openapi/v3")).body["paths"]
        assert len(paths) > 20
        asked = 0
        for place in paths.values():
            answer = runner.run(server.api("GET", place["serverRelativeURL"].partition("?")[0]))
            if answer.status == 404:  # of a definition that one of the requests has deleted
                continue
            for found in schemathesis.openapi.from_dict(answer.body).get_all_operations():
                operation = found.ok()
                asked += 1
                if (asked % 4 and not CAMPAIGN) or CONNECTS & {*operation.path.split("/")}:
                    continue

                @settings(
                    max_examples=times(1, 50),
                    deadline=None,
                    database=None,
                    derandomize=not CAMPAIGN,
                    phases=[Phase.generate],
                    suppress_health_check=[*HealthCheck],
                )
                @given(operation.as_strategy())
                def ask(case: Any) -> None:
                    caplog.clear()
                    for known in (False, True):
                        request = sent(case, known)
                        runner.run(server.send(request))
                        faults = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
                        assert not faults, (request, faults)

                ask()
        assert asked > 500
        runner.run(server.stop())
