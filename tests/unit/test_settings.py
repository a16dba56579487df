"""Settings from the environment: every problem told at once, with the remedy and without a password."""

import traceback
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from worker.contract.address import checked, target
from worker.contract.broker import celery_options
from worker.contract.settings import Settings, SettingsError, load
from worker.contract.signature import Signature
from worker.contract.urls import redact

HIDDEN = "s3cret"


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch):
    """Set variables and return what `load` says of them."""

    def told(**variables: str) -> str:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError) as caught:
            load()
        assert HIDDEN not in "".join(traceback.format_exception(caught.value))
        return str(caught.value)

    return told


def test_the_defaults_suit_one_machine() -> None:
    """Nothing has to be set: every server is on this machine, at its usual port."""
    settings = load()
    assert settings == Settings()
    assert settings.database_url == "sqlite:///shelver.db"
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.mongo_url == "mongodb://127.0.0.1:27017/"
    assert settings.serving_address == "127.0.0.1:8500"
    assert (settings.page_size, settings.model_signature) == (64, Signature.PIXELS)


def test_a_variable_replaces_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """SHELVER_ and the name, read as the field's type."""
    for name, value in (("PAGE_SIZE", "7"), ("SIGNATURE", "jpeg"), ("PAGE_LINGER_SECONDS", "0.5")):
        monkeypatch.setenv(f"SHELVER_{name}", value)
    settings = load()
    assert (settings.page_size, settings.page_linger_seconds) == (7, 0.5)
    assert settings.model_signature is Signature.JPEG


def test_every_setting_is_explained() -> None:
    """`shelver-worker settings` has a meaning to print for each, and each default is in its own range."""
    assert all(field.description for field in Settings.model_fields.values())
    assert Settings(**{name: field.default for name, field in Settings.model_fields.items()}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("PAGE_SIZE", "many", "valid integer"),
        ("PAGE_SIZE", "0", "greater than or equal to 1"),
        ("PAGE_SIZE", "1001", "less than or equal to 1000"),
        ("PAGE_LINGER_SECONDS", "-1", "greater than 0"),
        ("SIGNATURE", "png", "'pixels' or 'jpeg'"),
        ("SERVING_ADDRESS", "localhost", "must be HOST:PORT"),
        ("SERVING_ADDRESS", ":8500", "must be HOST:PORT"),
        ("SERVING_ADDRESS", "host:http", "must be HOST:PORT"),
        ("SERVING_ADDRESS", "host:0", "must be HOST:PORT"),
        ("SERVING_ADDRESS", "host:65536", "must be HOST:PORT"),
        ("SERVING_ADDRESS", "host:8500,", "must be HOST:PORT"),
        ("SERVING_ADDRESS", "http://host:8500", "must be HOST:PORT"),
        ("SERVING_ADDRESS", "dns:///host:8500", "must be HOST:PORT"),
        ("SERVING_ADDRESS", "two words:8500", "must be HOST:PORT"),
        ("SERVING_ADDRESS", "10.0.0.256:8500", "10.0.0.256 is no IP address"),
        ("SERVING_ADDRESS", "[::g]:8500", "[::g] is no IP address"),
        ("SERVING_ADDRESS", "::1:8500", "an IPv6 address goes in brackets, as in [::1]:8500"),
        ("SERVING_ADDRESS", "10.0.0.1:8500,tf-serving:8500", "tf-serving is a name: list IP addresses, or use one DNS"),
        ("SERVING_ADDRESS", "10.0.0.1:8500,[::1]:8500", "mixes IPv4 and IPv6"),
        ("MONGO_URL", "127.0.0.1:27017", "must start with mongodb:// or mongodb+srv://"),
        ("REDIS_URL", "http://127.0.0.1", "must start with redis:// or rediss://"),
        ("DATABASE_URL", "mysql://h/d", "must be sqlite or postgresql, not mysql"),
        ("DATABASE_URL", "shelver.db", "must be sqlite:///FILE or postgresql://"),
        ("MODEL_NAME", "x" * 101, "at most 100 characters"),
        ("PAGE_SIZE", "", "is set but empty: give it a value or unset it"),
        ("REDIS_URL", "", "is set but empty: give it a value or unset it"),
        ("DATABASE_URL", "", "is set but empty: give it a value or unset it"),
        ("SIGNATURE", "", "is set but empty: give it a value or unset it"),
        ("MODEL_NAME", "", "is set but empty: give it a value or unset it"),
    ],
)
def test_a_wrong_value_is_told(name: str, value: str, remedy: str, refused) -> None:
    """The line names the variable, what must be there, what it is for and an example."""
    told = refused(**{f"SHELVER_{name}": value})
    field = Settings.model_fields[name.lower()]
    assert remedy in told
    assert told.splitlines()[1].strip().startswith(f"SHELVER_{name}")
    assert f"({field.description}; e.g. {field.default})" in told


@pytest.mark.parametrize("token", ["x" * 15, "0123456789abcde f", "0123456789abcdef\n", "0123456789abcdeé", " " * 20])
def test_a_token_that_is_none_is_told_and_not_shown(token: str, refused) -> None:
    """Too short to be safe, or not as it travels in a header: the error says how to make one, and nothing of it."""
    told = refused(SHELVER_API_TOKEN=token)
    assert "must be 16 or more printable ASCII characters without blanks; openssl rand -hex 32 makes one" in told
    assert token not in told


def test_without_a_token_is_a_setting_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container's environment writes what is left out."""
    monkeypatch.setenv("SHELVER_API_TOKEN", "")
    assert load() == Settings()


def test_all_problems_are_told_at_once(refused) -> None:
    """One reading of the message is enough to mend the environment."""
    told = refused(
        SHELVER_PAGE_SIZE="0",
        SHELVER_REDIS_URL="x",
        SHELVER_SIGNATURE="gif",
        SHELVER_PAGE_SIZ="5",
        SHELVER_MODEL_NAME="",
    )
    named = {line.split()[0].rstrip(":") for line in told.splitlines()[1:]}
    expected = ("PAGE_SIZE", "REDIS_URL", "SIGNATURE", "PAGE_SIZ", "MODEL_NAME")
    assert named == {f"SHELVER_{name}" for name in expected}


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("SHELVER_PAGE_SIZ", "SHELVER_PAGE_SIZ is no setting: did you mean SHELVER_PAGE_SIZE?"),
        ("SHELVER_MONGODB_URL", "did you mean SHELVER_MONGO_URL?"),
        ("SHELVER_QQQ", "SHELVER_QQQ is no setting: unset it"),
        ("SHELVER_", "SHELVER_ is no setting"),
    ],
)
def test_an_unknown_variable_is_told(name: str, advice: str, refused) -> None:
    """A slip of the pen is not silently without effect, and its value, maybe a password, is not shown."""
    assert advice in refused(**{name: HIDDEN})


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what begins with SHELVER_ is ours."""
    monkeypatch.setenv("SHELVERS", "x")
    monkeypatch.setenv("PAGE_SIZE", "x")
    assert load() == Settings()


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p@h:5433/d", "postgresql+psycopg://u:p@h:5433/d"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("postgresql://u:a%40b%2Fc@h/d?sslmode=require", "postgresql+psycopg://u:a%40b%2Fc@h/d?sslmode=require"),
        ("sqlite:////var/lib/shelver.db", "sqlite:////var/lib/shelver.db"),
    ],
)
def test_a_database_url_gets_its_driver(url: str, kept: str) -> None:
    """The URL a hosting service hands out works as it is; password and options stay whole."""
    assert Settings(database_url=url).database_url == kept


@pytest.mark.parametrize(
    ("address", "kept", "asked"),
    [
        ("tf-serving:8500", "tf-serving:8500", "dns:///tf-serving:8500"),
        ("tf_serving.shelver.svc.cluster.local.:8500",) * 2 + ("dns:///tf_serving.shelver.svc.cluster.local.:8500",),
        ("10.0.0.1:8500", "10.0.0.1:8500", "dns:///10.0.0.1:8500"),
        ("[::1]:8500", "[::1]:8500", "dns:///[::1]:8500"),
        (" 10.0.0.1:8500, 10.0.0.2:8501 ", "10.0.0.1:8500,10.0.0.2:8501", "ipv4:10.0.0.1:8500,10.0.0.2:8501"),
        ("[::1]:8500,[fe80::2]:8500", "[::1]:8500,[fe80::2]:8500", "ipv6:[::1]:8500,[fe80::2]:8500"),
    ],
)
def test_replicas_are_a_name_or_a_list(address: str, kept: str, asked: str) -> None:
    """One name stands for all of its addresses; a list is taken as it is; gRPC is told which of the two it is."""
    assert Settings(serving_address=address).serving_address == kept
    assert target(kept) == asked


@given(st.text())
def test_an_address_is_taken_or_told(address: str) -> None:
    """Whatever is set, it is HOST:PORT, a list of them, or one sentence."""
    try:
        kept = checked(address)
    except ValueError as error:
        told = str(error)
    else:
        told = "HOST:PORT" if checked(kept) == kept else kept
    assert "HOST:PORT" in told or "mixes IPv4 and IPv6" in told


@pytest.mark.parametrize(
    "variables",
    [
        {"SHELVER_MONGO_URL": f"http://u:{HIDDEN}@h"},
        {"SHELVER_REDIS_URL": f"user:{HIDDEN}@h"},
        {"SHELVER_DATABASE_URL": f"mysql://u:{HIDDEN}@h/d"},
        {"SHELVER_DATABASE_URL": f"u:{HIDDEN}@h/d"},
        {"SHELVER_DATABASE_URL": f"postgresql://u:{HIDDEN}@h:port/d"},
        {"SHELVER_DATABASE_URL": f"postgresql://u:with@sign:{HIDDEN}@h/d"},
        {"SHELVER_MONGO_URL": f"mongodb://u:{HIDDEN}@h/", "SHELVER_PAGE_SIZE": "0"},
        {"SHELVER_API_TOKEN": HIDDEN},
    ],
    ids=lambda variables: "+".join(variables.values()),
)
def test_no_error_shows_a_password(variables: dict[str, str], refused) -> None:
    """The message goes to a log: it names the variable, not its value (`refused` looks for the secret)."""
    assert list(variables)[-1] in refused(**variables)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("MONGO_URL", f"mongodb://u:{HIDDEN}/x@h/"),
        ("MONGO_URL", f"mongodb://u:x@{HIDDEN}@h/"),
        ("MONGO_URL", f"mongodb://u:x?{HIDDEN}@h/"),
        ("REDIS_URL", f"redis://:{HIDDEN}/x@h:6379/0"),
        ("REDIS_URL", f"redis://:{HIDDEN}[x@h:6379/0"),
        ("REDIS_URL", "redis://h:port/0"),
    ],
)
def test_an_address_that_no_client_takes_is_told(name: str, url: str, refused) -> None:
    """A password that is not percent-encoded is a setting to mend, told at start and not as each page's failure."""
    assert f"SHELVER_{name}" in refused(**{f"SHELVER_{name}": url})


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a CA's certificate, a certificate and its key, another's key, and what is none of these."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("client", "other"):
        made = authority.issue_cert(f"{name}@example.org")
        made.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        made.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    (tmp_path / "none.pem").write_text("no certificate")
    return tmp_path


def test_files_of_the_model_servers_tls_are_taken(files: Path) -> None:
    """A CA alone, or with a certificate and its key; empty is as good as unset."""
    names = {"ca": "ca.pem", "certificate": "client.pem", "key": "client.key"}
    given = {f"serving_{name}_file": str(files / file) for name, file in names.items()}
    assert Settings(**given).serving_key_file.endswith("client.key")
    assert Settings(**{**given, "serving_certificate_file": "", "serving_key_file": ""}).serving_ca_file


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"CA": "gone.pem"}, ["SHELVER_SERVING_CA_FILE is", "gone.pem': cannot be read: No such file or directory"]),
        ({"CA": "."}, ["SHELVER_SERVING_CA_FILE is", "cannot be read: Is a directory"]),
        ({"CA": "none.pem"}, ["none.pem': holds no certificate in PEM"]),
        ({"CA": "ca.pem", "KEY": "client.key"}, ["go together: set both or neither"]),
        (
            {"CERTIFICATE": "client.pem"},
            ["go together: set both or neither", "need SHELVER_SERVING_CA_FILE: without it nothing is encrypted"],
        ),
        (
            {"CA": "ca.pem", "CERTIFICATE": "client.pem", "KEY": "other.key"},
            ["must hold a certificate and its key, in PEM and without a passphrase (KEY_VALUES_MISMATCH)"],
        ),
        ({"CA": "ca.pem", "CERTIFICATE": "none.pem", "KEY": "none.pem"}, ["must hold a certificate and its key"]),
        ({"CA": "gone.pem", "KEY": "gone.key"}, ["SHELVER_SERVING_CA_FILE is", "SHELVER_SERVING_KEY_FILE is"]),
    ],
)
def test_files_of_tls_that_do_not_do_are_told(variables: dict[str, str], told: list[str], files: Path, refused) -> None:
    """All that is wrong with them, when the settings are read and not at the first call."""
    said = refused(**{f"SHELVER_SERVING_{name}_FILE": str(files / file) for name, file in variables.items()})
    assert all(each in said for each in told)


def test_replicas_by_tls_have_one_name(files: Path, refused) -> None:
    """gRPC holds a certificate against the whole list, which is nobody's name."""
    addresses = "10.0.0.1:8500,10.0.0.2:8500"
    said = refused(SHELVER_SERVING_CA_FILE=str(files / "ca.pem"), SHELVER_SERVING_ADDRESS=addresses)
    assert "SHELVER_SERVING_CA_FILE needs one name in SHELVER_SERVING_ADDRESS" in said


@pytest.mark.parametrize(
    ("name", "url", "option"),
    [
        ("MONGO_URL", f"mongodb://u:{HIDDEN}@h/?tls=true&", "tlsCAFile"),
        ("MONGO_URL", f"mongodb://u:{HIDDEN}@a:1,b:2/db?replicaSet=rs0&tls=true&", "tlsCertificateKeyFile"),
        ("REDIS_URL", f"rediss://:{HIDDEN}@h:6379/0?", "ssl_ca_certs"),
        ("REDIS_URL", f"rediss://:{HIDDEN}@h:6379/0?", "ssl_keyfile"),
        ("DATABASE_URL", f"postgresql://u:{HIDDEN}@h/d?sslmode=verify-full&", "sslrootcert"),
        ("DATABASE_URL", f"postgresql://u:{HIDDEN}@h/d?", "sslkey"),
    ],
)
def test_files_that_a_url_names_are_read_at_the_start(name: str, url: str, option: str, files: Path, refused) -> None:
    """One that is there is taken; of one that is not the option is told, and nothing else of the URL."""
    file = "ca.pem" if option in ("tlsCAFile", "ssl_ca_certs", "sslrootcert") else "client.key"
    Settings(**{name.lower(): f"{url}{option}={files / file}"})
    said = refused(**{f"SHELVER_{name}": f"{url}{option}={files / 'gone.pem'}"})
    assert f"SHELVER_{name}: names a file in {option} that cannot be read: No such file or directory" in said
    if file == "ca.pem":
        said = refused(**{f"SHELVER_{name}": f"{url}{option}={files / 'none.pem'}"})
        assert f"SHELVER_{name}: names a file in {option} that holds no certificate in PEM" in said


def test_postgresql_may_trust_the_systems_authorities() -> None:
    """Its word for them is no file."""
    url = "postgresql://u:p@h/d?sslmode=verify-full&sslrootcert=system"
    assert Settings(database_url=url).database_url.endswith("sslrootcert=system")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"redis://:{HIDDEN}@h/0?socket_timeout=3", "may have no options"),
        (f"redis://:{HIDDEN}@h/0?ssl_cert_reqs=none", "may have no options"),
        (
            f"rediss://:{HIDDEN}@h/0?db=3",
            "may have no options but ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_cert_reqs",
        ),
        (f"rediss://:{HIDDEN}@h/0?ssl_password={HIDDEN}", "may have no options but ssl_ca_certs"),
        (
            f"rediss://:{HIDDEN}@h/0?ssl_cert_reqs=CERT_NONE",
            "must have one of required, optional, none in ssl_cert_reqs",
        ),
        (f"rediss://:{HIDDEN}@h/0?ssl_check_hostname=0", "must have one of true, false in ssl_check_hostname"),
    ],
)
def test_options_of_redis_that_its_two_clients_read_differently_are_told(url: str, told: str, refused) -> None:
    """What one of them would ignore, take otherwise or fail at, nobody may rely on."""
    assert f"SHELVER_REDIS_URL: {told}" in refused(SHELVER_REDIS_URL=url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:p@h/0", "redis://:p@h/0"),
        ("rediss://:p@h/0", "rediss://:p@h/0?ssl_cert_reqs=required"),
        ("rediss://:p@h/0?ssl_check_hostname=false", "rediss://:p@h/0?ssl_check_hostname=false&ssl_cert_reqs=required"),
        ("rediss://:p@h/0?ssl_cert_reqs=none", "rediss://:p@h/0?ssl_cert_reqs=none"),
    ],
)
def test_celery_is_told_to_verify_redis(url: str, told: str) -> None:
    """Unless the URL itself says that it need not."""
    assert celery_options(Settings(redis_url=url))["broker_url"] == told


def test_no_repr_shows_a_password() -> None:
    """A settings object may be logged."""
    settings = Settings(
        mongo_url=f"mongodb://u:{HIDDEN}@h/",
        redis_url=f"redis://:{HIDDEN}@h/0",
        database_url=f"postgresql://u:{HIDDEN}@h/d",
        api_token=f"0123456789{HIDDEN}",
    )
    assert HIDDEN not in repr(settings) + str(settings)
    assert "page_size=64" in repr(settings)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://u:s3cret@h:5432/d", "postgresql+psycopg://***@h:5432/d"),
        ("postgresql://h/d?user=u&password=s3cret", "postgresql://h/d"),
        ("redis://:s3cret@h:6379/0", "redis://***@h:6379/0"),
        ("rediss://h/0#s3cret", "rediss://h/0"),
        ("mongodb://u:s3cret@a:1,b:2/?replicaSet=rs0", "mongodb://***@a:1,b:2/"),
        ("mongodb+srv://u:s3cret@cluster.example/", "mongodb+srv://***@cluster.example/"),
        ("sqlite:///shelver.db", "sqlite:///shelver.db"),
        ("sqlite:////var/lib/shelver.db", "sqlite:////var/lib/shelver.db"),
    ],
)
def test_a_shown_url_says_where_and_no_more(url: str, shown: str) -> None:
    """Host, port and database are enough to find the server; user, password and options stay out."""
    assert redact(url) == shown


@pytest.mark.parametrize("sign", list("/?#[]@:%& \\"), ids=repr)
@pytest.mark.parametrize("url", ["redis://:s3{}cret@host:6379/0", "postgresql://host/d?user=u&password=s3{}cret"])
def test_a_password_with_odd_signs_is_not_shown_either(url: str, sign: str) -> None:
    """Whoever forgets to percent-encode a password gets an error that shows no part of it."""
    shown = redact(url.format(sign))
    assert shown.startswith(url.partition("//")[0])
    assert all(part not in shown for part in ("s3", "cret"))


def test_time_limits_that_do_not_fit_are_told(refused) -> None:
    """A page may not wait for longer than it may live."""
    told = refused(SHELVER_WAIT_LIMIT_SECONDS="280", SHELVER_PREDICT_TIMEOUT_SECONDS="20")
    for name in ("WAIT_LIMIT_SECONDS", "PREDICT_TIMEOUT_SECONDS", "PAGE_TIME_LIMIT_SECONDS"):
        assert f"SHELVER_{name}" in told
    assert "lower the first or raise the last" in told


def test_time_limits_that_just_fit_are_taken() -> None:
    """The limit itself is the first value that does not fit; what a canary may take of a page is in it."""
    fits = Settings(wait_limit_seconds=154.9, predict_timeout_seconds=20)
    assert (fits.wait_limit_seconds, fits.canary_seconds) == (154.9, 5)
    with pytest.raises(ValueError, match="SHELVER_PAGE_TIME_LIMIT_SECONDS"):
        Settings(wait_limit_seconds=155, predict_timeout_seconds=20)


def test_a_product_must_fit_one_call(refused) -> None:
    """More pictures a product than pictures a call cannot be."""
    told = refused(SHELVER_MAX_PICTURES="129")
    assert "SHELVER_MAX_PICTURES must not exceed SHELVER_MAX_BATCH_PICTURES" in told


def test_limits_that_do_not_fit_are_told_together(refused) -> None:
    """Two pairs of settings that do not fit are two lines of one message."""
    told = refused(SHELVER_WAIT_LIMIT_SECONDS="300", SHELVER_MAX_PICTURES="129")
    assert "SHELVER_WAIT_LIMIT_SECONDS" in told
    assert "SHELVER_MAX_BATCH_PICTURES" in told


def test_environment_gives_another_process_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `environment` says, `load` reads back equal, password and driver included."""
    settings = Settings(
        mongo_url="mongodb://u:p%40@h/",
        database_url="postgres://u:p%2Fw@h/d?sslmode=require",
        signature="jpeg",
        page_size=3,
        page_linger_seconds=0.00001,
        max_picture_bytes=10**12,
        wait_limit_seconds=1.5,
        api_token="0123456789abcdef",  # noqa: S106
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load() == settings


def test_settings_do_not_change() -> None:
    """What a process was started with it keeps."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().page_size = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("SHUTDOWN_SECONDS", "0", "greater than or equal to 1"),
        ("PAGES_PER_CHILD", "0", "greater than or equal to 1"),
        ("CHILD_MEMORY_MEGABYTES", "64", "greater than or equal to 128"),
        ("LOG_FORMAT", "xml", "'text' or 'json'"),
        ("STATE_FOLDER", "", "is set but empty"),
        ("PAGE_TIME_LIMIT_SECONDS", "9", "greater than or equal to 10"),
    ],
)
def test_a_limit_of_the_worker_that_cannot_be_is_told(name: str, value: str, remedy: str, refused) -> None:
    """No child that is replaced before its first page, none that logs what nobody reads."""
    told = refused(**{f"SHELVER_{name}": value})
    assert f"SHELVER_{name}" in told
    assert remedy in told


@given(st.integers(10, 10**6))
def test_the_time_limits_of_a_page_follow_from_one_setting(limit: int) -> None:
    """Told to stop, then killed, and only long afterwards given to another: in this order whatever is set."""
    settings = Settings.model_construct(page_time_limit_seconds=limit)
    assert 0 < settings.page_soft_limit_seconds < limit
    assert settings.visibility_timeout_seconds == 3 * limit + 10


def test_a_page_is_not_given_to_two_workers() -> None:
    """A silent worker's page is redelivered only when it cannot still be at work; and nothing is ever unpickled."""
    settings = Settings(page_time_limit_seconds=600)
    options = celery_options(settings)
    assert options["broker_transport_options"]["visibility_timeout"] > 3 * 600
    assert options["accept_content"] == [options["task_serializer"]] == ["json"]
