#!/usr/bin/env bash
# Everything that a GPU can tell about this project, in under eight minutes: benchmarks/gpu.sh [OPTION]...
# It needs nbeval in the Python that is active (PYTHON=... names another). The table goes to gpu.md, or to $OUT/gpu.md.
set -euo pipefail
cd "$(dirname "$0")/.."
exec timeout 480 "${PYTHON:-python3}" benchmarks/gpu.py --output "${OUT:-.}/gpu.md" "$@"
