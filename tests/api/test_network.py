"""The way to Klaviyo as the environment has it: proxy and certificates, the same for all that makes calls.

Real TLS with a certificate that only the variables make trusted, and a real proxy.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.api import oauth
from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoTransientError, KlaviyoValidationError
from airflow_provider_klaviyo.api.network import CERTIFICATES, Route, route
from airflow_provider_klaviyo.api.oauth import OAuth
from tests.support.tls import HOST, ConnectProxy, TlsServer, make_certificate
from tests.support.transports import SECRET, get, settings, with_httpx, with_requests

PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
ALL = (*PROXIES, "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", *CERTIFICATES)

Reach = Callable[[str], None]
Environment = pytest.MonkeyPatch


def refresh(url: str) -> None:
    """Get an access token, as both transports do."""
    auth = OAuth("Connection 'c'", base_url=url, client_id="i", client_secret="s", refresh_token="r")
    assert auth.header() == "Bearer access-1"


CALLERS: dict[str, Reach] = {
    "requests": lambda url: with_requests(settings(url, connect_timeout=10), get()) and None,
    "httpx": lambda url: with_httpx(settings(url, connect_timeout=10), get()) and None,
    "OAuth": refresh,
}


@pytest.fixture(params=CALLERS.values(), ids=CALLERS.keys())
def reach(request: pytest.FixtureRequest) -> Reach:
    """Makes a call to a host; raises if there was no answer."""
    return request.param


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, brief_pauses: None) -> Environment:
    """One that has nothing of the variables, nor a token of an earlier test."""
    for name in ALL:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(oauth, "_shared", {})
    return monkeypatch


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(certificate: Path) -> Iterator[TlsServer]:
    with TlsServer(certificate) as running:
        yield running


@pytest.fixture
def proxy(server: TlsServer) -> Iterator[ConnectProxy]:
    with ConnectProxy(server.port) as running:
        yield running


# --- certificates -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", [name for name in CERTIFICATES if name != "SSL_CERT_DIR"])
def test_every_variable_makes_its_authority_trusted_for_every_caller(
    reach: Reach, server: TlsServer, certificate: Path, variable: str, environment: Environment
) -> None:
    environment.setenv(variable, str(certificate))
    reach(server.url)
    assert len(server.paths) == 1


@pytest.fixture(scope="module")
def hashed(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the certificate, as OpenSSL looks for it."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is not on the PATH")
    directory = tmp_path_factory.mktemp("hashed")
    shutil.copy(certificate, directory)
    subprocess.run([openssl, "rehash", str(directory)], check=True)
    return directory


@pytest.mark.parametrize("variable", CERTIFICATES)
def test_a_directory_of_authorities_is_read_from_every_variable(
    reach: Reach, server: TlsServer, hashed: Path, variable: str, environment: Environment
) -> None:
    environment.setenv(variable, str(hashed))
    reach(server.url)
    assert len(server.paths) == 1


def test_nobody_trusts_an_authority_that_no_variable_names(reach: Reach, server: TlsServer) -> None:
    with pytest.raises(KlaviyoTransientError):
        reach(server.url)
    assert server.paths == []


def test_a_variable_that_is_empty_is_not_set(
    reach: Reach, server: TlsServer, certificate: Path, environment: Environment
) -> None:
    for variable in CERTIFICATES[:-2]:
        environment.setenv(variable, "")
    environment.setenv("SSL_CERT_FILE", str(certificate))
    reach(server.url)
    assert len(server.paths) == 1


@pytest.mark.parametrize("later", CERTIFICATES[1:])
def test_the_first_variable_counts_for_every_caller(
    reach: Reach, server: TlsServer, certificate: Path, later: str, tmp_path: Path, environment: Environment
) -> None:
    environment.setenv("REQUESTS_CA_BUNDLE", str(make_certificate(tmp_path)))
    environment.setenv(later, str(certificate))
    with pytest.raises(KlaviyoTransientError):
        reach(server.url)
    assert server.paths == []


def missing(directory: Path) -> Path:
    return directory / "nowhere.pem"


def no_certificate(directory: Path) -> Path:
    file = directory / "bundle.pem"
    file.write_text("not a certificate\n")
    return file


def empty(directory: Path) -> Path:
    file = directory / "bundle.pem"
    file.touch()
    return file


def unhashed(directory: Path) -> Path:
    make_certificate(directory)
    return directory


@pytest.mark.parametrize("variable", CERTIFICATES)
@pytest.mark.parametrize("make", [missing, no_certificate, empty, unhashed])
def test_a_bundle_that_cannot_be_used_is_an_error_that_names_the_variable_and_not_passed_over(
    reach: Reach,
    server: TlsServer,
    variable: str,
    make: Callable[[Path], Path],
    tmp_path: Path,
    environment: Environment,
) -> None:
    path = make(tmp_path)
    environment.setenv(variable, str(path))
    with pytest.raises(KlaviyoValidationError, match=variable) as caught:
        reach(server.url)
    assert str(path) in str(caught.value)
    assert caught.value.pointer == variable
    assert server.paths == []


def test_a_bundle_that_was_replaced_is_read_again(
    reach: Reach, server: TlsServer, certificate: Path, tmp_path: Path, environment: Environment
) -> None:
    file = make_certificate(tmp_path)
    environment.setenv("REQUESTS_CA_BUNDLE", str(file))
    with pytest.raises(KlaviyoTransientError):
        reach(server.url)
    shutil.copy(certificate, file)
    reach(server.url)
    assert len(server.paths) == 1


def test_plain_http_needs_no_bundle(environment: Environment) -> None:
    environment.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    environment.setenv("HTTPS_PROXY", "nonsense://")
    assert route("http://127.0.0.1:5528") == Route()


# --- the proxy --------------------------------------------------------------------------------------------------------


@pytest.fixture
def trusted(certificate: Path, environment: Environment) -> None:
    environment.setenv("SSL_CERT_FILE", str(certificate))


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("variable", PROXIES)
def test_every_caller_goes_through_the_proxy_which_does_not_see_the_key(
    reach: Reach, server: TlsServer, proxy: ConnectProxy, variable: str, environment: Environment
) -> None:
    environment.setenv(variable, proxy.url.replace("//", "//me:p%40ss@"))
    reach(f"https://{HOST}")
    assert proxy.hosts == [f"{HOST}:443"]
    assert len(server.paths) == 1
    assert b"proxy-authorization: basic bwu6cebzcw==" in proxy.heads[0].lower()
    assert SECRET.encode() not in proxy.heads[0]


@pytest.mark.usefixtures("trusted")
def test_a_proxy_over_tls_is_trusted_by_the_same_authorities(
    reach: Reach, server: TlsServer, certificate: Path, environment: Environment
) -> None:
    with ConnectProxy(server.port, certificate) as proxy:
        environment.setenv("HTTPS_PROXY", proxy.url)
        reach(f"https://{HOST}")
    assert proxy.hosts == [f"{HOST}:443"]
    assert len(server.paths) == 1


@pytest.mark.usefixtures("trusted")
def test_a_proxy_may_be_named_without_its_scheme(
    reach: Reach, server: TlsServer, proxy: ConnectProxy, environment: Environment
) -> None:
    environment.setenv("HTTPS_PROXY", proxy.url.removeprefix("http://"))
    reach(f"https://{HOST}")
    assert len(server.paths) == 1


@pytest.mark.usefixtures("trusted")
def test_this_machine_is_never_reached_through_a_proxy(
    reach: Reach, server: TlsServer, proxy: ConnectProxy, environment: Environment
) -> None:
    for variable in PROXIES:
        environment.setenv(variable, proxy.url)
    reach(server.url)
    assert proxy.heads == []
    assert len(server.paths) == 1


@pytest.mark.usefixtures("trusted", "brief_pauses")
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("hosts", "is_direct"),
    [
        (HOST, True),
        (HOST.upper(), True),
        (".test", True),
        ("test", True),
        ("*.test", True),
        ("*", True),
        (f"{HOST}:443", True),
        (f"localhost, {HOST}", True),
        (f"localhost {HOST}", True),
        (f"https://{HOST}", True),
        ("", False),
        (f"{HOST}:8443", False),
        ("iyo.test", False),
        (f"a.{HOST}", False),
        ("127.0.0.0/8", False),
    ],
)
def test_hosts_of_no_proxy_are_reached_directly(
    reach: Reach,
    server: TlsServer,
    proxy: ConnectProxy,
    variable: str,
    hosts: str,
    is_direct: bool,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Directly, the name does not lead anywhere, which some resolvers take seconds to find out."""
    look_up = socket.getaddrinfo

    def leads_nowhere(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in (HOST, HOST.encode()):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", leads_nowhere)
    environment.setenv("HTTPS_PROXY", proxy.url)
    environment.setenv(variable, hosts)
    if is_direct:
        with pytest.raises(KlaviyoTransientError):
            reach(f"https://{HOST}")
    else:
        reach(f"https://{HOST}")
    assert set(proxy.hosts) == (set() if is_direct else {f"{HOST}:443"})  # a slow machine asks again


@pytest.mark.parametrize(
    ("host", "hosts", "is_direct"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:443", True),
        ("10.1.2.3", "10.1.2.3:8443", False),
        ("10.1.2.3", "10.2.0.0/16", False),
        ("10.1.2.3", "3", False),
        ("[fd00::1]", "fd00::/8", True),
        ("[fd00::1]", "[fd00::1]:443", True),
        ("[fd00::1]", "fd00::2", False),
    ],
)
def test_no_proxy_may_name_addresses_and_networks(
    host: str, hosts: str, is_direct: bool, environment: Environment
) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    environment.setenv("NO_PROXY", hosts)
    assert route(f"https://{host}").proxy == (None if is_direct else "http://proxy.example:3128")


def test_a_variable_in_lower_case_beats_the_same_in_capitals_also_when_it_is_empty(environment: Environment) -> None:
    environment.setenv("HTTPS_PROXY", "http://one.example:1")
    environment.setenv("https_proxy", "http://two.example:2")
    assert route(f"https://{HOST}").proxy == "http://two.example:2"
    environment.setenv("https_proxy", "")
    assert route(f"https://{HOST}").proxy is None
    environment.setenv("ALL_PROXY", "http://three.example:3")
    assert route(f"https://{HOST}").proxy == "http://three.example:3"


@pytest.mark.parametrize(
    "proxy", ["socks5://u:hunter2@proxy:1080", "ftp://hunter2@proxy", "http://", "http://h:hunter2", "a b hunter2", ":"]
)
def test_a_proxy_that_cannot_be_used_is_an_error_that_does_not_show_its_password(
    reach: Reach, proxy: str, environment: Environment
) -> None:
    environment.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(KlaviyoValidationError, match=r"HTTPS_PROXY.*NO_PROXY") as caught:
        reach(f"https://{HOST}")
    assert "hunter2" not in str(caught.value)


def test_a_route_does_not_show_the_password_of_its_proxy() -> None:
    assert "hunter2" not in repr(Route("http://me:hunter2@proxy:1"))


def test_a_proxy_that_is_not_there_is_a_passing_failure_of_every_caller(reach: Reach, environment: Environment) -> None:
    environment.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(KlaviyoError) as caught:
        reach(f"https://{HOST}")
    assert type(caught.value) is KlaviyoTransientError
