"""What is said where MLflow cannot be used: what is wrong, what helps, and no password."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.errors import UserError
from pipeline.tracking import faults, place
from pipeline.tracking.client import connect, connect_existing, prepare

SECRET = "s3cret"


def said(monkeypatch, uri):
    """The one line that `prepare` ends with."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError) as error:
        prepare(required=True)
    (line,) = str(error.value).splitlines()
    assert line.endswith(" (tracking.required: false goes on without it)")
    assert SECRET not in line
    return line


class Refusing(BaseHTTPRequestHandler):
    """Healthy, as MLflow is with `--app-name basic-auth`; to all else it answers with its server's status and text."""

    def answer(self) -> None:
        healthy = self.path == "/health"
        self.server.asked.append(self.headers.get("Authorization"))
        self.send_response(200 if healthy else self.server.status)
        self.end_headers()
        self.wfile.write(b"OK" if healthy else self.server.text.encode())

    do_GET = do_POST = answer

    def log_message(self, *_) -> None:
        """Quiet."""


@contextmanager
def serving(status: int, text: str, context: ssl.SSLContext | None = None) -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        server.status, server.text, server.asked = status, text, []
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (
            401,
            "You are not authenticated. Please see https://www.mlflow.org",
            "user or password is wrong or missing; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        ),
        (403, "Permission denied", "this user may not write there; set MLFLOW_TRACKING_USERNAME"),
        (
            403,
            '{"error_code": "PERMISSION_DENIED", "message": "Permission denied"}',
            "this user may not write there; set MLFLOW_TRACKING_USERNAME",
        ),
        (
            403,
            "Invalid Host header - possible DNS rebinding attack detected",
            "it does not know this host name; start it with --allowed-hosts",
        ),
        (404, "Not found", "no MLflow there; check MLFLOW_TRACKING_URI"),
        (200, "<html>Welcome</html>", "no MLflow there; check MLFLOW_TRACKING_URI"),
        (500, "oops", "it failed; look into its log"),
    ],
)
def test_a_server_that_refuses_is_noticed_before_any_work(status, text, expected, monkeypatch):
    with serving(status, text) as server:
        line = said(monkeypatch, f"http://me:{SECRET}@127.0.0.1:{server.server_port}")
        assert line.startswith(f"MLflow at http://127.0.0.1:{server.server_port}: {expected}")
        assert server.asked[-1].startswith("Basic ")


@pytest.mark.parametrize(
    "uri",
    [
        "htpp://localhost:5000",
        "http//localhost:5000",
        "http:/localhost:5000",
        "http://",
        "http://127.0.0.1:99999",
        "localhost:5000",
        "sqllite:///mlflow.db",
        "sqlite://mlflow.db",
        "sqlite:/mlflow.db",
        "./mlruns",
        "file:///mlruns",
        f"htpp://me:{SECRET}@localhost:5000",
        f"http://me:{SECRET}/1@localhost",
        f"mysq://me:{SECRET}@localhost/x",
    ],
)
def test_a_mistyped_uri_is_said_to_be_none(uri, monkeypatch):
    line = said(monkeypatch, uri)
    assert "not a URI of MLflow; check MLFLOW_TRACKING_URI: http://HOST:PORT" in line


def test_a_folder_that_is_not_there_is_not_made(monkeypatch, tmp_path):
    line = said(monkeypatch, f"sqlite:///{tmp_path}/tpyo/mlflow.db")
    assert f"no folder {tmp_path}/tpyo; make it, or check MLFLOW_TRACKING_URI" in line
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_others_does_not_show_its_password(monkeypatch):
    said(monkeypatch, f"postgresql://me:{SECRET}@127.0.0.1:9/x?password={SECRET}")


@pytest.fixture
def certificate(tmp_path) -> Path:
    """Of 127.0.0.1, with its key, signed by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    text = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "certificate.pem"
    path.write_bytes(text + made.public_bytes(form))
    return path


def test_a_certificate_that_is_not_trusted_can_be_named(certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(404, "", context) as server:
        uri = f"https://127.0.0.1:{server.server_port}"
        remedy = "name its CA in MLFLOW_TRACKING_SERVER_CERT_PATH"
        assert f"{uri}: its certificate is not trusted; {remedy}" in said(monkeypatch, uri)
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificate))
        assert f"{uri}: no MLflow there" in said(monkeypatch, uri)


def test_https_where_http_is_spoken_is_said(monkeypatch):
    with serving(200, "") as server:
        line = said(monkeypatch, f"https://127.0.0.1:{server.server_port}")
        assert "it does not speak TLS; check MLFLOW_TRACKING_URI: http://?" in line


TEXT = st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=4)


@given(
    st.sampled_from(["http", "https", "postgresql", "mysql+pymysql", "mssql", "htpp", "HTTP"]),
    TEXT.map(lambda text: text.replace("@", "%40")),
    st.sampled_from(["localhost:5000", "127.0.0.1/x", "a.example/b?c=d"]),
)
def test_no_message_shows_a_password(scheme, password, host):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_URI", f"{scheme}://me:{password}@{host}")
        assert place.shown() == f"{scheme}://{host}"
        error = ValueError(f"API request to {place.uri()}/api/2.0 failed, see {place.uri()}")
        assert faults.first_line(error) == f"API request to {scheme}://{host}/api/2.0 failed, see {scheme}://{host}"


@pytest.mark.parametrize("use", [connect, connect_existing])
def test_paths_with_an_at_sign_are_shown_whole(use, tmp_path, monkeypatch):
    (tmp_path / "me@work").mkdir()
    (tmp_path / "me@work/mlflow.db").write_text("no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/me@work/mlflow.db")
    with pytest.raises(UserError, match=f"MLflow at sqlite:///{tmp_path}/me@work/mlflow.db: the file is damaged"):
        use()
