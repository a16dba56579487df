"""TLS to every server, with passwords and clients' certificates, by settings alone: what works and what is refused.

The servers are real and let nobody in otherwise. Each process acts as the role that deploy/grants gives it.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from celery import Celery
from kombu.exceptions import OperationalError
from pymongo import MongoClient
from sqlalchemy import func, select, text
from typer.testing import CliRunner

from deploy.local.processes import Processes, Started
from tests.conftest import command
from tests.integration.certificates import HOST, Files
from tests.integration.conftest import register
from tests.integration.queues import wait_for
from tests.integration.secured import acting, as_seller, secured
from tests.pictures import listing
from trainer.cli import app as trainer_commands
from trainer.run import Run
from trainer.serve.errors import ServeError
from trainer.serve.server import ModelServer
from worker.catalog import Catalog
from worker.contract.broker import celery_options
from worker.contract.database import Database
from worker.contract.errors import Unavailable
from worker.contract.grpc_channel import FILES
from worker.contract.messages import Page
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import predictions
from worker.control import Control
from worker.serving import Serving
from worker.status import look

SECRET = "hunter2"  # noqa: S105
Line = tuple[Settings, Files]
#: turns a URL or a set of files into one that is refused
Change = Callable[[str], str]


@pytest.fixture(scope="module")
def line(models_folder: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Every server, and settings as the worker has them."""
    with secured(tmp_path_factory.mktemp("secured"), models_folder, SECRET) as made:
        register(run, acting("trainer", made.settings))
        yield made.settings, made.files


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path / "logs")
    yield started
    started.stop()


def start(processes: Processes, settings: Settings, *arguments: str) -> Started:
    return processes.start(arguments[0], [*command(arguments[0]), *arguments[1:]], environment(settings))


def environment(settings: Settings) -> dict[str, str]:
    return {**os.environ, **settings.environment()}


def done(settings: Settings, *arguments: str, **more: str) -> str:
    """Run a command to its good end and return what it said."""
    environ = environment(settings) | more
    made = subprocess.run(arguments, env=environ, capture_output=True, text=True, timeout=100)
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout


def test_a_new_listing_is_seen_classified_and_told_of(line: Line, processes: Processes) -> None:
    """The watcher, Redis, the worker and all its servers, and the catalog system's own calls, by settings alone."""
    settings, _ = line
    producing = acting("producer", settings)
    start(processes, settings, "shelver-worker", "run", "--concurrency", "1").wait_for(r"@\S+ ready")
    start(processes, producing, "shelver-producer", "watch").wait_for("watching")
    with MongoClient(as_seller(settings.mongo_url)) as client:
        client[settings.mongo_database][settings.mongo_collection].insert_many([listing(each) for each in (1, 2)])
    with closing(Database(acting("reader", settings).database_url)) as database:

        def count() -> int:
            with database.begin() as connection:
                return connection.scalar(select(func.count()).select_from(predictions)) or 0

        wait_for(lambda: count() == 2, seconds=60)
    calls = "from producer import enqueue, status\nprint(enqueue([2, 3]), status(1).status)"
    assert done(producing, sys.executable, "-c", calls).split() == ["2", "predicted"]
    wait_for(lambda: look(acting("reader", settings)).rejects == {"not_found": 1}, seconds=60)
    assert "2" in done(producing, *command("shelver-producer"), "backfill", "--dry-run")


def test_probes_find_every_server(line: Line) -> None:
    """A line of TLS alone is ready, and migrating it again changes nothing."""
    settings, _ = line
    assert look(acting("reader", settings)).problems() == []
    assert "is at schema" in done(acting("owner", settings), *command("shelver-worker"), "migrate")


def test_each_role_may_do_its_task_and_no_more(line: Line) -> None:
    """A reader reads all there is, as pg_dump must; only the console writes verdicts."""
    settings, _ = line
    reader = acting("reader", settings).database_url.replace("+psycopg", "").replace(f":{SECRET}-sql@", "@")
    dump = ["/usr/lib/postgresql/15/bin/pg_dump", "--dbname", reader]
    assert "CREATE TABLE public.verdicts" in done(settings, *dump, PGPASSWORD=f"{SECRET}-sql")
    for role, may in (("reader", False), ("worker", False), ("producer", False), ("console", True)):
        with closing(Database(acting(role, settings).database_url)) as database, database.begin() as connection:
            asked = text("SELECT has_table_privilege('verdicts', 'INSERT')")
            assert connection.scalar(asked) is may


def test_a_process_that_has_tensorflow_reaches_postgresql(line: Line) -> None:
    """TensorFlow has OpenSSL's names for code of its own; publishing a model ended in an abort."""
    settings, _ = line
    asked = (
        "import trainer.cli, tensorflow\nfrom worker.contract.database import Database\n"
        "with Database(__import__('os').environ['SHELVER_DATABASE_URL']).begin() as connection:\n"
        "    print(connection.exec_driver_sql('SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()').scalar())"
    )
    assert "TLSv1.3" in done(acting("trainer", settings), sys.executable, "-c", asked)


def ask_mongo(settings: Settings) -> None:
    with closing(Catalog(settings)) as catalog:
        catalog.listed([1])


def ask_redis(settings: Settings) -> None:
    with closing(Control(settings)) as control:
        control.ping()


def send(settings: Settings) -> None:
    with closing(Pages(settings)) as pages:
        pages.send(Page((1,)))


def ask_sql(settings: Settings) -> None:
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        connection.execute(text("SELECT 1"))


def ask_model(settings: Settings) -> None:
    with closing(Serving(settings)) as serving:
        serving.model()


def swap(old: str, new: str) -> Change:
    def change(url: str) -> str:
        assert old in url
        return url.replace(old, new)

    return change


def without(*options: str) -> Change:
    def change(url: str) -> str:
        place, _, given = url.partition("?")
        left = "&".join(each for each in given.split("&") if each.partition("=")[0] not in options)
        return f"{place}?{left}"

    return change


def plain_redis(url: str) -> str:
    return url.partition("?")[0].replace("rediss", "redis")


VERIFY = "certificate verify failed"
REFUSED = [
    ("mongo_url", ask_mongo, swap("ca.pem", "other-ca.pem"), VERIFY),
    ("mongo_url", ask_mongo, without("tls", "tlsCAFile", "tlsCertificateKeyFile"), "the URL needs tls=true"),
    ("mongo_url", ask_mongo, without("tlsCertificateKeyFile"), "the URL needs tlsCertificateKeyFile"),
    ("mongo_url", ask_mongo, swap("client-both", "stranger-both"), "may not know the CA of tlsCertificateKeyFile"),
    ("mongo_url", ask_mongo, swap(f"{SECRET}-mongo", f"{SECRET}-wrong"), "Authentication failed"),
    ("redis_url", ask_redis, swap("ca.pem", "other-ca.pem"), VERIFY),
    ("redis_url", ask_redis, without("ssl_ca_certs"), VERIFY),
    ("redis_url", ask_redis, plain_redis, "the URL needs rediss://"),
    ("redis_url", ask_redis, without("ssl_certfile", "ssl_keyfile"), "the URL needs ssl_certfile"),
    ("redis_url", ask_redis, swap("client.", "stranger."), "may not know the CA of ssl_certfile"),
    ("redis_url", ask_redis, swap(f"{SECRET}-redis", f"{SECRET}-wrong"), "invalid username-password pair"),
    ("redis_url", send, swap("ca.pem", "other-ca.pem"), VERIFY),
    ("redis_url", send, without("ssl_ca_certs"), VERIFY),
    ("redis_url", send, plain_redis, "the URL needs rediss://"),
    ("database_url", ask_sql, swap("ca.pem", "other-ca.pem"), VERIFY),
    ("database_url", ask_sql, swap("sslmode=verify-full", "sslmode=disable"), "no encryption"),
    ("database_url", ask_sql, without("sslcert", "sslkey"), "connection requires a valid client certificate"),
    ("database_url", ask_sql, swap("client.", "stranger."), "SSL"),
    ("database_url", ask_sql, swap(f"{SECRET}-sql", f"{SECRET}-wrong"), "password authentication failed"),
]


@pytest.mark.parametrize(("name", "ask", "change", "told"), REFUSED, ids=[f"{each[0]}: {each[-1]}" for each in REFUSED])
def test_what_a_server_or_its_client_refuses_is_one_sentence(
    line: Line, name: str, ask: Callable[[Settings], None], change: Change, told: str
) -> None:
    """It names the variable, says what is wrong or lacking, and nothing of a password; and it comes at once."""
    settings = line[0].model_copy(update={name: change(getattr(line[0], name)), "connect_timeout_seconds": 1.0})
    with pytest.raises(Unavailable) as caught:
        ask(settings)
    sentence = str(caught.value)
    assert told in sentence
    assert f"(SHELVER_{name.upper()})" in sentence
    assert SECRET not in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("transport", [{}, {"broker_transport": "worker.transport:Transport"}], ids=["kombu's", "ours"])
@pytest.mark.parametrize("change", [swap("ca.pem", "other-ca.pem"), without("ssl_ca_certs")], ids=["other", "unnamed"])
def test_celery_verifies_redis_unasked(line: Line, transport: dict[str, str], change: Change) -> None:
    """kombu would take any certificate, and by a transport of another name send the password without TLS."""
    settings = line[0].model_copy(update={"redis_url": change(line[0].redis_url)})
    with Celery("test", set_as_current=False) as app:
        app.conf.update(celery_options(settings), **transport)
        with app.connection_for_write() as connection, pytest.raises(OperationalError, match=VERIFY):
            connection.ensure_connection(max_retries=1, timeout=5)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"serving_ca_file": "other-ca.pem"}, "its certificate is not by the CA in SHELVER_SERVING_CA_FILE"),
        (
            dict.fromkeys(FILES, ""),
            "if it speaks TLS, set SHELVER_SERVING_CA_FILE",
        ),
        (
            {"serving_certificate_file": "", "serving_key_file": ""},
            "set SHELVER_SERVING_CERTIFICATE_FILE and SHELVER_SERVING_KEY_FILE",
        ),
        (
            {"serving_certificate_file": "stranger.pem", "serving_key_file": "stranger.key"},
            "does it trust the CA of SHELVER_SERVING_CERTIFICATE_FILE",
        ),
        ({"serving_key_file": "gone.key"}, r"gone.key \(SHELVER_SERVING_KEY_FILE\) cannot be read: No such file"),
    ],
)
def test_what_the_model_server_refuses_is_one_sentence(line: Line, changes: dict[str, str], told: str) -> None:
    """A wrong CA, no TLS, no certificate, a stranger's, and a file that was there when the settings were read."""
    settings, files = line
    update = {name: file and files[file] for name, file in changes.items()}
    with pytest.raises(Unavailable, match=told):
        ask_model(settings.model_copy(update=update))


@pytest.mark.parametrize(
    ("server", "told"),
    [("expired", "its certificate has expired"), ("elsewhere", "not for the name in SHELVER_SERVING_ADDRESS")],
)
def test_a_certificate_that_is_not_good_here_is_refused(
    line: Line, models_folder: Path, server: str, told: str
) -> None:
    """By the CA that is trusted, but of the past, or for another name."""
    settings, files = line
    with (
        ModelServer(models_folder, HOST, 0, ssl_config_file=files.ssl_config(server, client_verify=False)) as model,
        pytest.raises(Unavailable, match=told),
    ):
        ask_model(settings.model_copy(update={"serving_address": model.address}))


def test_without_client_verify_no_certificate_is_asked_for(line: Line, models_folder: Path) -> None:
    """The CA file alone is enough then; a server that speaks no TLS is told apart."""
    settings, files = line
    alone = {"serving_certificate_file": "", "serving_key_file": ""}
    with ModelServer(models_folder, HOST, 0, ssl_config_file=files.ssl_config(client_verify=False)) as model:
        ask_model(settings.model_copy(update={**alone, "serving_address": model.address}))
    with ModelServer(models_folder, HOST, 0) as model, pytest.raises(Unavailable, match="it speaks no TLS"):
        ask_model(settings.model_copy(update={**alone, "serving_address": model.address}))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("server_key: 'secret-key", "is no SSLConfig in text format"),
        ("server_keys: 'secret-key'", "is no SSLConfig in text format"),
        ("server_key: 'secret-key'", "needs server_key and server_cert"),
        ("server_key: 'secret-key' server_cert: 'x' client_verify: true", "needs custom_ca"),
        ("server_key: 'secret-key' server_cert: 'x'", "no pair in PEM"),
    ],
)
def test_an_ssl_config_that_cannot_be_is_one_sentence(
    models_folder: Path, tmp_path: Path, config: str, told: str
) -> None:
    """And nothing of the key that may be in it."""
    path = tmp_path / "ssl.config"
    path.write_text(config)
    made = CliRunner().invoke(
        trainer_commands, ["serve", str(models_folder), "--port", "0", "--ssl-config-file", str(path)]
    )
    assert isinstance(made.exception, ServeError)
    assert told in str(made.exception)
    assert "secret-key" not in str(made.exception)
