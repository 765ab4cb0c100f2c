"""The hub's client against a server on this machine: answers, refusals and silence."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.doctor import Status, hub
from harness.doctor.hub import Answer, Question, Settings

ONE = Question("owner/one", "0" * 40)
TWO = Question("owner/two", None)
SECRET = "not-a-token-of-anybody"  # noqa: S105 - nobody has it
ONLINE = Settings(offline=False, token=False, cache="cache")
OFFLINE = Settings(offline=True, token=True, cache="cache")

pytestmark = pytest.mark.hub


class Hub(BaseHTTPRequestHandler):
    """Knows ``owner/one`` at one commit; in front of ``portal`` stands a page to log in."""

    def do_GET(self) -> None:
        known = self.path.startswith(f"/api/models/owner/one/revision/{'0' * 40}")
        portal = "portal" in self.path
        body = b"<html>log in</html>" if portal else json.dumps({"id": "owner/one"}).encode()
        self.send_response(200 if known or portal else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint(cache: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    from huggingface_hub import constants  # noqa: PLC0415

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert not cache.exists()
    return monkeypatch


def point_to(endpoint: pytest.MonkeyPatch, port: int) -> None:
    from huggingface_hub import constants  # noqa: PLC0415

    endpoint.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")


@pytest.fixture
def server(endpoint: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        point_to(endpoint, running.server_address[1])
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.usefixtures("server")
def test_a_repository_at_its_commit_is_had_and_another_is_not() -> None:
    answers = hub.ask([ONE, TWO])
    assert answers[ONE] == Answer(reached=True, has=True)
    assert (answers[TWO].reached, answers[TWO].has) == (True, False)
    assert "404" in answers[TWO].fault


@pytest.mark.usefixtures("server")
def test_a_page_to_log_in_is_no_hub() -> None:
    portal = Question("owner/portal", None)
    assert hub.ask([portal])[portal] == Answer(False, fault="something else than a hub answers")


def test_a_closed_port_is_not_reached(endpoint: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        point_to(endpoint, unused.getsockname()[1])
        answer = hub.ask([ONE])[ONE]
    assert (answer.reached, answer.has) == (False, False)
    assert answer.fault


def test_silence_ends_at_the_limit(endpoint: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point_to(endpoint, silent.getsockname()[1])
        started = time.monotonic()
        answers = hub.ask([ONE, TWO], limit_s=0.3)
        elapsed_s = time.monotonic() - started
    assert elapsed_s < 1.5
    assert {answer.fault for answer in answers.values()} == {"no answer within 0.3 s"}


def test_the_whole_limit_is_three_seconds() -> None:
    assert hub.LIMIT_S <= 3.0


@pytest.mark.parametrize("source", ["variable", "file"])
def test_a_token_is_seen_and_never_shown(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    assert not hub.read_settings().token
    if source == "variable":
        monkeypatch.setenv("HF_TOKEN", SECRET)
    else:
        (tmp_path / "token").write_text(SECRET, encoding="ascii")
    settings = hub.read_settings()
    assert settings == Settings(offline=True, token=True, cache=str(cache))
    for answers in ({}, {ONE: Answer(True, True)}):
        assert SECRET not in str(hub.examine(settings, answers, needed=False))


@pytest.mark.parametrize(("needed", "status"), [(True, Status.MISSING), (False, Status.NOTE)])
def test_a_hub_out_of_reach_is_missing_only_where_something_is_to_be_fetched(
    needed: bool, status: Status
) -> None:
    unreached = {ONE: Answer(False, fault="ConnectError")}
    assert hub.examine(OFFLINE, {}, needed=needed).status is status
    finding = hub.examine(ONLINE, unreached, needed=needed)
    assert finding.status is status
    assert "ConnectError" in finding.found
    assert "no token is set" in finding.found
    assert hub.examine(ONLINE, {ONE: Answer(True, True)}, needed=needed).status is Status.OK


def test_a_hub_that_refuses_one_repository_is_reached() -> None:
    answers = {ONE: Answer(True, fault="RepositoryNotFoundError: 401"), TWO: Answer(False)}
    assert hub.examine(ONLINE, answers, needed=True).status is Status.OK


def test_offline_names_the_variable_and_the_way_out() -> None:
    finding = hub.examine(OFFLINE, {}, needed=True)
    assert "HF_HUB_OFFLINE" in finding.found
    assert "unset HF_HUB_OFFLINE" in finding.remedy
    assert finding.details["reached"] is None
