"""Where the program is put to work: what the files for it say is so, as far as it can be tried without an engine."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
import yaml
from dotenv import dotenv_values
from streamlit import config as streamlit_config
from streamlit.runtime.secrets import Secrets

from core.__main__ import parser
from core.config import read_settings
from core.db.models import Model
from core.web.routes import ROUTES
from tests import image
from tests.conftest import missing
from tests.ports import free_port
from tests.read_only import may_write_only

HERE = Path(__file__).parents[1]
NGINX, UNITS = HERE / "deploy" / "nginx", HERE / "deploy" / "systemd"
DOCKERFILE = image.steps((HERE / "Dockerfile").read_text())
COMPOSE = yaml.safe_load((HERE / "compose.yaml").read_text())
WORKFLOW = yaml.safe_load((HERE / ".github" / "workflows" / "checks.yml").read_text())
RENDER = yaml.safe_load((HERE / "render.yaml").read_text())
SETTINGS = set(dotenv_values(HERE / ".env.example"))
WITHIN_S = 180.0


@contextmanager
def nginx_running(folder: Path, port: int, *replicas: int) -> Iterator[str]:
    """The address of an nginx with our configuration in front of two replicas on these ports."""
    process = subprocess.Popen(nginx_command(folder, port, *replicas), cwd=folder)
    try:
        give_up_at_s = time.monotonic() + WITHIN_S
        while not _listens(port):
            assert process.poll() is None and time.monotonic() < give_up_at_s, (folder / "error.log").read_text()
            time.sleep(0.02)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(WITHIN_S)


def nginx_command(folder: Path, port: int, *replicas: int) -> list[str]:
    """nginx on our configuration, with these ports and with its files in a folder."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        missing("nginx")
    config = _changed(
        (NGINX / "shoptally.conf").read_text(),
        {
            "listen 8080;": f"listen 127.0.0.1:{port};",
            "/var/log/nginx/access.log": f"{folder}/access.log",
            "/etc/nginx/shoptally/replicas.conf": f"{folder}/replicas.conf",
        },
    )
    ports = {f"server 127.0.0.1:{8501 + place} ": f"server 127.0.0.1:{its} " for place, its in enumerate(replicas)}
    (folder / "replicas.conf").write_text(_changed((NGINX / "replicas.conf").read_text(), ports))
    (folder / "shoptally.conf").write_text(config)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n"
        f"events {{}}\nhttp {{\n{places}include {folder}/shoptally.conf;\n}}\n"
    )
    return [str(found), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def _changed(text: str, changes: dict[str, str]) -> str:
    for ours, here in changes.items():
        assert text.count(ours) == 1, ours
        text = text.replace(ours, here)
    return text


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def stub(knows: str) -> Iterator[int]:
    """The port of a replica that tells what it was asked, and has one file."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            there = "/media/" not in self.path or self.path.endswith(knows)
            body = json.dumps({"by": knows, **{name.lower(): text for name, text in self.headers.items()}}).encode()
            self.send_response(200 if there else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def started_as(unit: str) -> str:
    """The command of a systemd unit."""
    text = (UNITS / f"{unit}.service").read_text()
    return next(line.removeprefix("ExecStart=") for line in text.splitlines() if line.startswith("ExecStart="))


@contextmanager
def balanced(folder: Path, *, alive: int = 2) -> Iterator[httpx2.Client]:
    """A client of nginx in front of two replicas, or of one and a dead one."""
    with ExitStack() as stack:
        ports = [stack.enter_context(stub(name)) if place < alive else free_port() for place, name in enumerate("ab")]
        url = stack.enter_context(nginx_running(folder, free_port(), *ports))
        yield stack.enter_context(httpx2.Client(base_url=url, timeout=WITHIN_S))


def session(number: int) -> dict[str, str]:
    return {"Cookie": f"_streamlit_xsrf=2|{number}; shoptally_session=secret{number}"}


def test_nginx_keeps_a_session_on_one_replica_and_spreads_sessions_over_both(tmp_path: Path):
    with balanced(tmp_path) as client:
        of = {
            number: {client.get(path, headers=session(number)).json()["by"] for path in ("/", "/_stcore/stream", "/x")}
            for number in range(20)
        }
        strangers = {client.get("/", headers={"Cookie": f"_streamlit_xsrf=2|{n}"}).json()["by"] for n in range(10)}
    assert all(len(replicas) == 1 for replicas in of.values())
    assert set.union(*of.values()) == {"a", "b"}
    assert len(strangers) == 1  # all have one address


def test_nginx_finds_a_tabs_file_on_the_other_replica(tmp_path: Path):
    with balanced(tmp_path) as client:
        for number in range(6):
            for name in ("a", "b"):
                assert client.get(f"/media/{name}", headers=session(number)).json()["by"] == name
        assert client.get("/media/nobodys").status_code == 404


def test_nginx_passes_over_a_replica_that_is_dead(tmp_path: Path):
    with balanced(tmp_path, alive=1) as client:
        answers = [client.request(how, "/x", headers=session(n)) for n in range(12) for how in ("GET", "POST")]
    assert {answer.status_code for answer in answers} == {200}


def test_nginx_tells_the_app_who_asks_and_where_and_believes_no_visitor(tmp_path: Path):
    asked = {"Host": "numbers.example:444", "X-Forwarded-For": "8.8.8.8", "X-Forwarded-Proto": "https"}
    upgrade = {"Connection": "keep-alive, Upgrade", "Upgrade": "websocket"}
    with balanced(tmp_path) as client:
        told = client.get("/?token=hunter2", headers=asked | upgrade).json()
        plain = client.get("/").json()
    assert told["host"] == "numbers.example:444"
    assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert (told["upgrade"], told["connection"]) == ("websocket", "upgrade")
    assert "upgrade" not in plain and len(plain["x-request-id"]) == 32
    log = (tmp_path / "access.log").read_text()
    assert told["x-request-id"] in log and "hunter2" not in log


@pytest.mark.parametrize("unit", ["shoptally@", "shoptally-worker@"])
def test_systemd_understands_the_units_and_finds_them_hardened(tmp_path: Path, unit: str):
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze")
    command = started_as(unit)
    module, *words = shlex.split(command.replace("%i", "8501"))[2:]
    if module == "core":
        parser().parse_args(words)
    text = (UNITS / f"{unit}.service").read_text().replace(command.split()[0], sys.executable)
    (tmp_path / f"{unit}.service").write_text(text)
    for words in (["verify"], ["security", "--no-pager", "--offline=true", "--threshold=20"]):
        analyze = ["systemd-analyze", *words, f"./{unit}.service"]
        done = subprocess.run(analyze, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def said(word: str) -> list[str]:
    """The words of the Dockerfile's last instruction of a kind."""
    return [step for step in DOCKERFILE if step.word == word][-1].words


def is_pinned(name: str) -> bool:
    """Whether an image is named with a tag that stands for one version."""
    return re.fullmatch(r"[\w./-]+:\d[\w.-]*", name) is not None


def test_the_images_are_pinned():
    bases = [step.words[0] for step in DOCKERFILE if step.word == "FROM"]
    assert len(bases) == 2 and len(set(bases)) == 1
    others = [service["image"] for service in COMPOSE["services"].values() if "build" not in service]
    assert all(is_pinned(name) for name in (*bases, *others))
    assert not any(is_pinned(name) for name in ("python", "python:latest", "python:slim"))


def test_the_image_runs_as_nobody_what_make_run_starts():
    assert said("USER") == ["shoptally"]
    assert "useradd --uid 10001 --no-create-home" in " ".join(step.text for step in DOCKERFILE if step.word == "RUN")
    program, *words = said("CMD")
    assert (program, words[:2]) == ("streamlit", ["run", "app.py"])
    assert set(words[2::2]) <= {f"--{name}" for name in streamlit_config.get_config_options()}
    assert said("EXPOSE") == [words[words.index("--server.port") + 1]]
    assert "streamlit run app.py" in (HERE / "Makefile").read_text()


def test_the_image_installs_as_make_does():
    makefile = (HERE / "Makefile").read_text()
    options = set(re.search(r"^INSTALL := .* install (.*)$", makefile, re.MULTILINE)[1].split()) - {"--quiet"}
    [install] = [step.text for step in DOCKERFILE if "pip install" in step.text]
    assert options <= set(install.split())
    assert install.endswith(" -r requirements.txt")


def test_every_file_the_image_takes_is_let_through_and_nothing_else():
    taken = {
        source for step in DOCKERFILE if step.word == "COPY" and "--from" not in step.text for source in step.words[:-1]
    }
    rules = [line for line in (HERE / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == taken
    assert all((HERE / source).exists() for source in taken)


def test_the_image_writes_to_its_volume_and_the_temporary_folder_alone(tmp_path: Path):
    """Its command and its health check, as the Dockerfile has them, without a home and on files it may only read."""
    data, temporary, port = tmp_path / "data", tmp_path / "temporary", free_port()
    for folder in (data, temporary):
        folder.mkdir()
    settings = dict(word.split("=", 1) for word in said("ENV")) | {
        "PATH": os.environ["PATH"], "DATA_DIR": str(data), "TMPDIR": str(temporary), "DEMO": "1",
    }  # fmt: skip
    here = {"python": sys.executable, "8501": str(port), "0.0.0.0": "127.0.0.1"}
    started = [here.get(word, word) for word in ["python", "-m", *said("CMD")]]
    check = [here.get(word, word.replace("8501", str(port))) for word in said("HEALTHCHECK")]
    with (tmp_path / "log").open("wb") as log:
        command = may_write_only([data, temporary], *started)
        process = subprocess.Popen(command, cwd=HERE, env=settings, stdout=log, stderr=log)
    try:
        give_up_at_s = time.monotonic() + WITHIN_S
        while subprocess.run(check, check=False, stderr=subprocess.DEVNULL).returncode != 0:
            assert process.poll() is None and time.monotonic() < give_up_at_s, (tmp_path / "log").read_text()
            time.sleep(0.3)
    finally:
        process.terminate()
        code = process.wait(WITHIN_S)
    text = (tmp_path / "log").read_text()
    # When it has ended in order, uvicorn ends it once more by the signal that it got.
    assert (code, "denied" in text, "Traceback" in text) == (-signal.SIGTERM, False, False), text
    assert {path.name for path in data.iterdir()} >= {"shoptally.db", "secret.key"}


def test_who_may_write_only_to_a_folder_may_not_write_elsewhere(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    for where, code in (("mine/file", 0), ("file", 1)):
        command = may_write_only([tmp_path / "mine"], "touch", str(tmp_path / where))
        assert subprocess.run(command, check=False, capture_output=True).returncode == code


def address_of(service: str) -> str:
    return str(COMPOSE["services"][service]["networks"]["default"]["ipv4_address"])


def test_compose_starts_two_apps_behind_nginx_and_two_workers_on_tables_that_were_migrated_once():
    services = COMPOSE["services"]
    replicas = re.findall(r"^server (\S+):8501 ", (NGINX / "replicas-compose.conf").read_text(), re.MULTILINE)
    assert replicas == [address_of("app1"), address_of("app2")]
    for app in ("app1", "app2"):
        assert services[app]["environment"]["FORWARDED_ALLOW_IPS"] == address_of("nginx")
        assert "command" not in services[app]
    for name in ("app1", "app2", "worker1", "worker2", "migrate"):
        service = services[name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["environment"]["SYNC_WORKER"] == "0"
        if "command" in service:
            assert service["command"][:3] == ["python", "-m", "core"]
            parser().parse_args(service["command"][3:])
        elif name != "migrate":
            assert service["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert "pg_isready" in services["database"]["healthcheck"]["test"]
    mounted = [volume.split(":")[0] for volume in services["nginx"]["volumes"]]
    assert all((HERE / path).is_file() for path in mounted)


def test_compose_asks_for_no_secret_that_its_example_does_not_explain():
    text, example = (HERE / "compose.yaml").read_text(), dotenv_values(HERE / "deploy" / "compose.env.example")
    assert set(re.findall(r"\$\{(\w+)", text)) <= set(example)
    assert set(example) - {"POSTGRES_PASSWORD"} <= SETTINGS
    assert all(not example[name] for name in ("POSTGRES_PASSWORD", "APP_ENCRYPTION_KEYS"))
    ignored = subprocess.run(
        ["git", "check-ignore", "deploy/compose.env", ".env"], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert ignored.stdout.split() == ["deploy/compose.env", ".env"]


def test_nginx_takes_the_addresses_of_compose(tmp_path: Path):
    command = nginx_command(tmp_path, free_port(), free_port(), free_port())
    (tmp_path / "replicas.conf").write_text((NGINX / "replicas-compose.conf").read_text())
    done = subprocess.run([*command, "-t"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_github_runs_what_ci_run_does_on_the_python_of_the_image():
    checks = WORKFLOW["jobs"]["checks"]
    assert [step["run"] for step in checks["steps"] if "run" in step][-1] == ".ci/run"
    assert checks["container"] == said("FROM")[0].replace("-slim", "")
    script, makefile = (HERE / ".ci" / "run").read_text(), (HERE / "Makefile").read_text()
    assert re.findall(r"^make (\w+)$", script, re.MULTILINE) == ["test", "lint", "types"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in ("test", "lint", "types"))
    used = [step["uses"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) for name in used)


def test_github_builds_the_image_and_starts_what_compose_describes():
    steps = [step["run"] for step in WORKFLOW["jobs"]["image"]["steps"] if "run" in step]
    assert steps[0] == (HERE / "Dockerfile").read_text().splitlines()[0].removeprefix("# ")
    assert any("up --detach" in step and "kill --signal KILL app1" in step for step in steps)
    filled = set(re.findall(r"s\|\^(\w+)=", steps[-1]))
    assert filled == {"POSTGRES_PASSWORD", "APP_ENCRYPTION_KEYS"}
    for step in steps:
        for words in re.findall(r"python -m core (.+)", step):
            parser().parse_args(shlex.split(words))


def test_render_starts_one_app_and_a_worker_with_settings_that_exist():
    app, worker = RENDER["services"]
    assert (app["type"], worker["type"]) == ("web", "worker")
    assert "numInstances" not in app  # a second one would need sticky sessions
    assert app["healthCheckPath"] in {getattr(route, "path", None) for route in ROUTES}
    given = {one["key"]: one for one in app["envVars"] if "key" in one}
    assert given["PORT"]["value"] == said("EXPOSE")[0]
    assert worker["envVars"] == app["envVars"]
    grouped = {one["key"] for one in RENDER["envVarGroups"][0]["envVars"]}
    assert (set(given) | grouped) - {"PORT", "FORWARDED_ALLOW_IPS"} <= SETTINGS
    assert given["DATABASE_URL"]["fromDatabase"]["name"] == RENDER["databases"][0]["name"]
    program, *words = shlex.split(worker["dockerCommand"])
    assert (program, words[:2]) == ("python", ["-m", "core"])
    parser().parse_args(words[2:])


def test_citus_gets_every_table_by_store_or_whole_and_no_key_points_from_whole_to_split():
    text = (HERE / "deploy" / "citus.sql").read_text().replace('"', "")
    whole = re.findall(r"create_reference_table\('(\w+)'\)", text)
    split = re.findall(r"create_distributed_table\('(\w+)', 'shop_id'", text)
    tables = Model.metadata.tables
    assert sorted([*whole, *split]) == sorted(tables)
    assert all("shop_id" in tables[name].primary_key.columns for name in split)
    for name in tables:
        for key in tables[name].foreign_key_constraints:
            target = key.referred_table.name
            assert target in whole or (name in split and "shop_id" in {column.name for column in key.columns}), name


def test_the_readme_names_files_for_deployment_that_exist():
    named = set(re.findall(r"\bdeploy/[\w@./-]+\w", (HERE / "README.md").read_text())) - {"deploy/compose.env"}
    assert named >= {"deploy/nginx/shoptally.conf", "deploy/citus.sql", "deploy/compose.env.example"}
    assert [name for name in named if not (HERE / name).exists()] == []


def test_plain_secrets_of_streamlit_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What Community Cloud stores; Streamlit reads it before it loads the program."""
    file = tmp_path / "secrets.toml"
    file.write_text('APP_URL = "https://numbers.example"\nDEMO = "0"\n[auth]\nclient_id = "x"\n')
    monkeypatch.setattr(Secrets, "_maybe_install_file_watchers", lambda _: None)
    monkeypatch.setenv("APP_URL", "")  # both are put back
    monkeypatch.delenv("DEMO")
    before = streamlit_config.get_option("secrets.files")
    streamlit_config.set_option("secrets.files", [str(file)])
    try:
        assert Secrets().load_if_toml_exists()
    finally:
        streamlit_config.set_option("secrets.files", before)
    settings = read_settings(os.environ)
    assert (settings.app_url, settings.demo) == ("https://numbers.example", False)


# Figure of README's table: the same in the benchmarks.
FIGURES = {
    "51 ms on SQLite": ("3.16", "47.91"), "52 ms on PostgreSQL": ("4.27", "47.85"),
    "268 s on SQLite": ("267.6",), "327 s on PostgreSQL": ("326.9",), "91 MB of memory on SQLite": ("91",),
    "100 s on SQLite, 95 s on PostgreSQL; 91 MB on SQLite": ("99.8", "94.8", "91"),
    "551 a second": ("551",), "624 a second": ("624",),
    "225 answers a second by one client, p95 8 ms": ("225", "7.9"), "144 and 16 ms": ("144", "15.7"),
}  # fmt: skip


def test_the_readmes_capacity_rests_on_figures_of_the_benchmarks():
    readme = (HERE / "README.md").read_text().split("## Scale")[1].split("\n## ")[0]
    measured = set((HERE / "benchmarks" / "README.md").read_text().split())
    assert [told for told in FIGURES if told not in readme] == []
    assert [figure for figures in FIGURES.values() for figure in figures if figure not in measured] == []
    assert len(re.findall(r"^\| (?!What|---)", readme, re.MULTILINE)) == 6
