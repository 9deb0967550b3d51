"""What Docker is told to run a pod of the manifests as the kubelet would: pods.py FOLDER WORKLOAD.

Prints the options of `docker run`, one a line, with the pod's settings, rights and volumes. A
Secret is the volume of its name behind the prefix given by PODS, a claim likewise; an emptyDir is
memory.
"""

import os
import sys
from pathlib import Path
from typing import Any

import yaml

folder, wanted = sys.argv[1:]
prefix = os.environ["PODS"]
objects = [
    each
    for path in sorted(Path(folder).glob("*.yaml"))
    for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    if "metadata" in each
]


def by_name(kind: str, name: str) -> dict[str, Any]:
    """Return an object of the manifests."""
    return next(
        each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name
    )


workload = next(
    each
    for each in objects
    if each["metadata"]["name"] == wanted
    and each["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob")
)
spec = workload["spec"].get("jobTemplate", workload)["spec"]
pod = spec["template"]["spec"]
(container,) = pod["containers"]
user = pod["securityContext"]
options = [
    "--user",
    f"{user['runAsUser']}:{user['runAsGroup']}",
    "--group-add",
    str(user["fsGroup"]),
]
own = container["securityContext"]
options += ["--read-only"] * own["readOnlyRootFilesystem"]
options += [f"--cap-drop={each}" for each in own["capabilities"]["drop"]]
options += ["--security-opt=no-new-privileges:true"] * (not own["allowPrivilegeEscalation"])
options.append(f"--memory={container['resources']['limits']['memory'].replace('Mi', 'm')}")
for source in container["envFrom"]:
    reference = source["configMapRef"]
    if not reference.get("optional"):
        for name, text in by_name("ConfigMap", reference["name"])["data"].items():
            options.append(f"--env={name}={text}")
volumes = {each["name"]: each for each in pod["volumes"]}
claims = {each["metadata"]["name"] for each in spec.get("volumeClaimTemplates", [])}
for mount in container["volumeMounts"]:
    name, path = mount["name"], mount["mountPath"]
    volume = volumes.get(name, {})
    if "secret" in volume:
        options.append(f"--volume={prefix}-{volume['secret']['secretName']}:{path}:ro")
    elif "configMap" in volume:
        options.append(f"--volume={prefix}-{volume['configMap']['name']}:{path}:ro")
    elif "emptyDir" in volume:
        options.append(f"--tmpfs={path}:uid=0,gid={user['fsGroup']},mode=2770,size=64m")
    elif "persistentVolumeClaim" in volume:
        options.append(f"--volume={prefix}-{volume['persistentVolumeClaim']['claimName']}:{path}")
    else:
        assert name in claims, name
        options.append(f"--volume={prefix}-{name}-{wanted}-0:{path}")
print("\n".join(options))
print("--entrypoint=" + container["command"][0])
