#!/bin/sh
# Holds the manifests against Kubernetes' own schemas, unknown fields refused, and builds what `kubectl apply --kustomize` would send.
#
# From the top of the source: deploy/rehearse/manifests.sh [VERSION]. With kubectl and a cluster that it reaches, the cluster is asked too:
# it judges everything and keeps nothing (a dry run on the server).
set -eu
version=${1:-1.37.0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$version"
for file in deploy/kubernetes/*.yaml; do
    test "$(basename "$file")" = kustomization.yaml || "$work/tools/bin/kubernetes-validate" --strict "$file"
done
if command -v kubectl > /dev/null; then
    kubectl kustomize deploy/kubernetes > "$work/built.yaml"
    "$work/tools/bin/kubernetes-validate" --strict "$work/built.yaml"
    if kubectl cluster-info > /dev/null 2>&1; then
        kubectl apply --dry-run=server --filename deploy/kubernetes/namespace.yaml
        for file in "$work/built.yaml" deploy/kubernetes/migrate.yaml deploy/kubernetes/signer-init.yaml deploy/kubernetes/backup.yaml; do
            kubectl apply --dry-run=server --filename "$file"
        done
    fi
fi
