#!/usr/bin/env bash
# Builds the peers' virtual environment in DIR (1.8 GB): anomalib, MONAI, timm, and EfficientNet-Lite0's weights.
#   benchmarks/peers/setup.sh DIR
# Packages come from wherever pip is configured to look; nothing is downloaded later, when a peer runs.
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "usage: $0 DIR" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
venv=$1

python3 -m venv "$venv"
"$venv/bin/pip" install --quiet torch==2.13.0
# Its dependencies would bring a second torch; on a CPU build it imports through shims/torchvision_on_cpu.py.
"$venv/bin/pip" install --quiet --no-deps torchvision==0.28.0
"$venv/bin/pip" install --quiet --constraint "$here/constraints.txt" --requirement "$here/requirements.txt"

site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp "$here"/shims/*.py "$site/"
echo 'import torchvision_on_cpu' >"$site/torchvision_on_cpu.pth"
# Peers read images, augment and write with the functions of the checkout that this file lies in.
(cd "$here/../../src" && pwd) >"$site/flawtrace.pth"

"$venv/bin/python" -c 'import anomalib, monai, timm, flawtrace.method.material; print("peers ready: anomalib", anomalib.__version__)'
