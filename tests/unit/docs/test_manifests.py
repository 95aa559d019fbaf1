"""What runs Shopfloor in containers is sound, and says of its programs what the code says of them."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from orchestrator.courier import CONTROL_QUEUE, VERIFY_QUEUE, host_queue
from tests.unit.docs.pages import ROOT, coded, rows
from workers import celeryconfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BASE = ROOT / "k8s"
_WORKLOADS = ("Deployment", "StatefulSet")
_NOT_OURS = {"GIT_CONFIG_GLOBAL", "REDIS_PASSWORD"}
_HOST_GRACE = 15.0  # what `up` gives a host worker


def _documents() -> list[dict[str, Any]]:
    return [
        document
        for path in sorted(BASE.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text("utf-8"))
        if document["kind"] != "Kustomization"
    ]


def _workloads() -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in _documents() if each["kind"] in _WORKLOADS}


def _pod(workload: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = workload["spec"]["template"]["spec"]
    return pod


def _compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    return read


def _commands() -> Iterator[tuple[str, list[str], Mapping[str, str]]]:
    """Each of our programs: where it is started, its words, its environment."""
    for name, workload in _workloads().items():
        container = _pod(workload)["containers"][0]
        if name != "shopfloor-redis":
            yield name, container["args"], {each["name"]: each.get("value", "") for each in container["env"]}
    for name, service in _compose()["services"].items():
        if name != "redis":
            yield f"compose {name}", service["command"], service["environment"]


COMMANDS = list(_commands())


def test_the_base_lists_each_of_its_files() -> None:
    base = yaml.safe_load((BASE / "kustomization.yaml").read_text("utf-8"))
    files = {path.name for path in BASE.glob("*.yaml")} - {"kustomization.yaml"}
    assert sorted(base["resources"]) == sorted(files)


def test_every_object_has_a_name_of_ours() -> None:
    for each in _documents():
        assert each["apiVersion"]
        assert each["metadata"]["name"].startswith("shopfloor-")
    kinds = {name: each["kind"] for name, each in _workloads().items()}
    assert kinds == {coded(row[0]): row[1] for row in rows("docs/operations.md", "Kubernetes")}


@pytest.mark.parametrize("name", sorted(_workloads()))
def test_a_pod_has_no_rights_that_it_does_not_need(name: str) -> None:
    pod = _pod(_workloads()[name])
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", sorted(_workloads()))
def test_what_is_mounted_is_there(name: str) -> None:
    workload = _workloads()[name]
    there = {each["name"] for each in _pod(workload).get("volumes", [])}
    there |= {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])}
    mounted = {each["name"] for box in _pod(workload)["containers"] for each in box["volumeMounts"]}
    assert mounted == there


def test_a_worker_has_longer_to_end_than_it_takes() -> None:
    needed = max(celeryconfig.worker_soft_shutdown_timeout, _HOST_GRACE)
    assert _pod(_workloads()["shopfloor-worker"])["terminationGracePeriodSeconds"] > needed
    grace = _compose()["services"]["worker"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > needed


@pytest.mark.parametrize(("name", "words", "environment"), COMMANDS, ids=[each[0] for each in COMMANDS])
def test_a_program_is_started_as_the_code_wants_it(name: str, words: list[str], environment: Mapping[str, str]) -> None:
    modules = [words[words.index("-m") + 1]]
    modules += [word.removeprefix("--app=") for word in words if word.startswith("--app=")]
    assert all(find_spec(module) for module in modules)
    known = {coded(row[0]) for row in rows("docs/configuration.md", "Variables")} | _NOT_OURS
    assert set(environment) <= known
    assert "SHOPFLOOR_REDIS_URL" in environment
    queues = [word.removeprefix("--queues=") for word in words if word.startswith("--queues=")]
    if name.endswith("control"):
        assert queues == [CONTROL_QUEUE]
    elif name.endswith("worker"):
        host = environment["SHOPFLOOR_HOST"] or "$(SHOPFLOOR_HOST)"
        assert queues == [f"{host_queue(host)},{VERIFY_QUEUE}"]
        assert f"--concurrency={int(environment['SHOPFLOOR_SLOTS']) + 1}" in words
    else:
        assert queues == []


def test_the_image_holds_all_that_it_is_built_of() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "docker" / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    let_in = (ROOT / "docker" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()
        assert f"!{name}" in let_in


def test_compose_asks_for_volumes_that_it_declares() -> None:
    compose = _compose()
    used = {each.split(":")[0] for service in compose["services"].values() for each in service.get("volumes", [])}
    assert used == set(compose["volumes"])
