"""Example manifests say what they should, as far as that can be told without the systems that read them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "docs/cluster"


@pytest.fixture
def documents() -> dict[str, dict[str, Any]]:
    """By kind."""
    return {found["kind"]: found for found in yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text())}


def test_the_cluster_is_closed_and_asks_for_a_token(documents: dict[str, dict[str, Any]]) -> None:
    cluster, policy = documents["RayCluster"], documents["NetworkPolicy"]
    assert cluster["apiVersion"] == "ray.io/v1"
    assert cluster["spec"]["authOptions"] == {"mode": "token"}
    label = {"ray.io/cluster": cluster["metadata"]["name"]}
    assert policy["spec"]["podSelector"]["matchLabels"] == label
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert {"podSelector": {"matchLabels": label}} in policy["spec"]["ingress"][0]["from"]
    assert "namespaceSelector" not in str(policy), "nobody from another namespace comes in"


def test_every_pod_sees_the_same_files_and_has_limits(documents: dict[str, dict[str, Any]]) -> None:
    spec = documents["RayCluster"]["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        (container,), (volume,) = pod["containers"], pod["volumes"]
        assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"]]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert container["volumeMounts"][0]["mountPath"] == "/data"
    for group in spec["workerGroupSpecs"]:
        assert 1 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_the_version_of_ray_is_the_one_that_is_asked_for(documents: dict[str, dict[str, Any]]) -> None:
    asked = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    lowest = re.search(r"ray\[data,tune\]>=(\d+\.\d+)", asked)
    assert lowest is not None
    assert documents["RayCluster"]["spec"]["rayVersion"].startswith(f"{lowest[1]}.")


def test_the_slurm_script_is_bash_and_ends_its_token() -> None:
    script = FOLDER / "slurm.sh"
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    assert re.search(r"^#SBATCH --nodes=\d+$", text, re.MULTILINE)
    assert "RAY_AUTH_MODE=token" in text
    assert "trap 'rm -f \"$RAY_AUTH_TOKEN_PATH\"' EXIT" in text
    assert "ray stop" not in text, "it would end every Ray on the node"
