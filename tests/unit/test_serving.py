"""`shelver-producer api` before it serves: where it may listen, and what it needs."""

import socket
import sys

import pytest

from producer.cli.serving import CannotServe, api


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "", "127.0.0.1.example.com"])  # noqa: S104
def test_without_a_token_nobody_else_is_served(host: str) -> None:
    """Whoever can reach the port could fill the queue: the error says what to set."""
    with pytest.raises(CannotServe, match="set SHELVER_API_TOKEN to what callers must show .openssl rand"):
        api(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_taken_port_is_told(host: str) -> None:
    """Which one, and what to do."""
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotServe, match=f"cannot listen on {host}, port {port}: Address already in use; choose"):
            api(host, port)


def test_an_address_of_another_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a token it may listen anywhere, but not where this machine is not."""
    monkeypatch.setenv("SHELVER_API_TOKEN", "0123456789abcdef")
    for host in ("192.0.2.1", "no.such.host.invalid"):
        with pytest.raises(CannotServe, match=f"cannot listen on {host}"):
            api(host, 0)


@pytest.mark.parametrize("name", ["fastapi", "uvicorn", "limits", "swagger_ui_bundle"])
def test_a_missing_library_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's libraries are an extra: the error is the command that installs them."""
    for module in [each for each in sys.modules if each.startswith("producer.api.")]:
        monkeypatch.delitem(sys.modules, module)
    for module in [each for each in sys.modules if each.split(".")[0] == name]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CannotServe, match=rf"{name}.* is missing: pip install 'shelver\[api\]'"):
        api("127.0.0.1", 0)
