"""What the page on deploying lets people copy: units, manifest and variables that hold."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from brokers.queues import Queue
from settings.loader import InvalidSettings, load
from settings.schema import WorkerSettings
from tests.unit.docs.pages import page
from tests.unit.docs.test_commands import unknown_word
from tests.unit.docs.test_monitoring import NAME, told_names

PAGE = page("docs/deploy.md")
KUBERNETES = "1.37"
UNIT = re.compile(r"```ini\n# (/etc/systemd/system/[\w@.-]+)[^\n]*\n(.*?)```", re.DOTALL)
VARIABLE = re.compile(r"\bCLUBSYNC_[A-Z]+(?:__[A-Z0-9_]+)?\b")


def units() -> dict[str, str]:
    return {Path(path).name: text for path, text in UNIT.findall(PAGE)}


def manifests() -> list[dict[str, Any]]:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return [document for block in blocks for document in yaml.safe_load_all(block)]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in manifests() if one["kind"] == kind}


def containers() -> Iterator[dict[str, Any]]:
    for one in [*of_kind("Job").values(), *of_kind("Deployment").values()]:
        yield from one["spec"]["template"]["spec"]["containers"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    program = tmp_path / ".venv" / "bin" / "clubsync"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    files = []
    for name, text in units().items():
        files.append(tmp_path / name.replace("@.", "@web."))
        files[-1].write_text(text.replace("/opt/clubsync", str(tmp_path)))
    assert len(files) == 2
    command = ["systemd-analyze", "verify", "--man=no", *map(str, files)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_units_start_the_lines_of_the_procfile() -> None:
    service, migrate = units()["clubsync@.service"], units()["clubsync-migrate.service"]
    instances = re.findall(r"clubsync@(\w+)", PAGE[: PAGE.index(service)])
    started = [*instances, *re.findall(r"^ExecStart=\S+ (\w+)$", migrate, re.MULTILINE)]
    assert sorted(started) == sorted(re.findall(r"exec clubsync (\w+)", page("Procfile")))
    patience_s = int(re.findall(r"^TimeoutStopSec=(\d+)$", service, re.MULTILINE)[0])
    assert patience_s > WorkerSettings().grace_s + 5


def test_kubernetes_takes_the_manifest() -> None:
    built_in = [one for one in manifests() if one["kind"] not in {"ScaledObject", "TriggerAuthentication"}]
    assert [one["kind"] for one in built_in] == ["Job", "Deployment", "Service", "Deployment", "Deployment"]
    for one in built_in:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_the_manifest_runs_the_lines_of_the_procfile() -> None:
    commands = [container["command"] for container in containers()]
    assert sorted(command[1] for command in commands) == sorted(
        re.findall(r"exec clubsync (\w+)", page("Procfile"))
    )
    assert [command for command in commands if unknown_word(command)] == []


def test_probes_and_service_meet_the_port_and_the_paths_of_web() -> None:
    (web,) = (container for container in containers() if container["name"] == "web")
    ports = {port["containerPort"] for port in web["ports"]}
    assert {int(one["value"]) for one in web["env"] if one["name"] == "PORT"} == ports
    asked = {web[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert asked == {"/health/live", "/health/ready"}
    service = of_kind("Service")["clubsync-web"]["spec"]
    assert {port["targetPort"] for port in service["ports"]} == ports
    pod = of_kind("Deployment")["clubsync-web"]["spec"]["template"]
    assert service["selector"] == pod["metadata"]["labels"]


def test_a_pod_has_longer_to_end_than_its_worker_takes() -> None:
    pod = of_kind("Deployment")["clubsync-worker"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > WorkerSettings().grace_s + 5


def test_the_scaler_asks_for_metrics_and_queues_that_exist_and_scales_the_workers() -> None:
    (scaler,) = of_kind("ScaledObject").values()
    assert scaler["spec"]["scaleTargetRef"]["name"] in of_kind("Deployment")
    assert "replicas" not in of_kind("Deployment")["clubsync-worker"]["spec"]
    assert 0 < scaler["spec"]["minReplicaCount"] < scaler["spec"]["maxReplicaCount"]
    for trigger in scaler["spec"]["triggers"]:
        query = trigger["metadata"]["query"]
        named = set(NAME.findall(query))
        assert named
        assert named <= told_names()
        queues = {name for one in re.findall(r'queue[=!]~?"([^"]+)"', query) for name in one.split("|")}
        assert queues
        assert queues <= {queue.value for queue in Queue}
        assert float(trigger["metadata"]["threshold"]) > 0


@pytest.mark.parametrize("name", ["docs/deploy.md", "README.md", "docs/runbook.md"])
def test_every_variable_that_a_page_names_is_a_setting(name: str) -> None:
    named = set(VARIABLE.findall(page(name)))
    assert named
    with pytest.raises(InvalidSettings) as refused:
        load(dict.fromkeys([*named, "CLUBSYNC_NO__SUCH"], "x"))
    unknown = [
        line.partition(":")[0] for line in str(refused.value).splitlines() if "unknown setting" in line
    ]
    assert unknown == ["CLUBSYNC_NO__SUCH"]
