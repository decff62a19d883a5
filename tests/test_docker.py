"""The images and the compose file: they say the same versions as everything else, and what they name is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCKERFILES = sorted((ROOT / "docker").glob("Dockerfile*"))
COMPOSE = ROOT / "docker" / "compose.yaml"


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def _setting(text: str, name: str) -> str:
    found = re.search(rf"^ARG {name}=(\S+)", text, re.MULTILINE)
    assert found, f"ARG {name} is there"
    return found[1]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_images_have_the_versions_that_the_tests_pass_with(file: Path) -> None:
    text, setup = file.read_text(), (ROOT / "scripts" / "setup.py").read_text()
    assert f'HOROVOD = "horovod=={_setting(text, "HOROVOD")}"' in setup
    built_with = set(re.findall(r"HOROVOD_WITH(?:OUT)?_\w+|CMAKE_POLICY_VERSION_MINIMUM=[\d.]+|-std=gnu\+\+\d+", text))
    for flag in built_with:
        assert flag.split("=")[0] in setup, f"{flag} is how set-up builds Horovod, too"
    assert "-std=gnu++20" in built_with
    installs = re.findall(r"pip install (?:[^&]|&(?!&))*?(?=\n\n|\nRUN|\nCOPY| \\\n    &&|$)", text)
    assert len(installs) == 3
    assert all("-c constraints.txt" in install for install in installs)
    if "cuda" in file.name:
        cuda = _setting(text, "CUDA").rsplit(".", 1)[0]
        assert _pins()["cuda-toolkit"].startswith(f"{cuda}.")
    else:
        assert f'requires-python = ">={_setting(text, "PYTHON")}"' in (ROOT / "pyproject.toml").read_text()
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / name).exists() for name in source.split())
    assert re.findall(r"^USER (\w+)", text, re.MULTILINE)[-1] == "cortigraph", "nothing runs as root"


def test_the_store_is_the_same_version_and_guarded() -> None:
    told = yaml.safe_load(COMPOSE.read_text())
    store = told["services"]["neo4j"]
    lock = (ROOT / "cortigraph" / "graph" / "neo4j.lock").read_text()
    version = re.search(r"org\.neo4j:neo4j:([\d.]+)", lock)
    assert version
    assert store["image"] == f"neo4j:{version[1]}-community"
    assert "CORTIGRAPH_PASSWORD:?" in store["environment"]["NEO4J_AUTH"], "there is no password by default"
    assert all(port.startswith("127.0.0.1:") for port in store["ports"])
    assert store["volumes"] == ["store:/data"]
    assert store["healthcheck"]["test"][0] == "CMD-SHELL"
    for name in ("worker", "cli"):
        service = told["services"][name]
        assert service["depends_on"]["neo4j"]["condition"] == "service_healthy"
        assert service["environment"]["CORTIGRAPH_URI"] == "neo4j://neo4j:7687"
        named = {volume.split(":")[0] for volume in service["volumes"]} & set(told["volumes"])
        assert named == {"memory"}
        assert (ROOT / "docker" / service["build"]["context"]).resolve() == ROOT
    assert set(told["volumes"]) == {"store", "memory"}


def test_docker_itself_takes_the_compose_file() -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("docker compose is not here")
    command = ["docker", "compose", "-f", str(COMPOSE), "--profile", "cli", "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/usr/local/bin:/bin",
                          "CORTIGRAPH_PASSWORD": "only-for-this-test"})  # fmt: skip
    assert done.returncode == 0, done.stderr
