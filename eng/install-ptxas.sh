#!/usr/bin/env bash
# Puts NVIDIA's assembler 12.4, with cuobjdump and nvdisasm, into a folder: from Debian 13's package nvidia-cuda-toolkit, the first of Debian's that
# knows sm_90a. Nothing is installed in the system.
#
#   eng/install-ptxas.sh FOLDER
#
# The last line printed is the assembler's path. Exit code 4, with the reason: it can't be had here. DEBIAN_MIRROR names a mirror.
set -euo pipefail
folder=$(realpath -m "${1:?a folder}")
if [ ! -x "$folder/ptxas" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    "$(dirname "$0")/debian-package.sh" "$work" non-free nvidia-cuda-toolkit '*/bin/ptxas' '*/bin/cuobjdump' '*/bin/nvdisasm'
    mkdir -p "$folder"
    find "$work" -type f -path '*/bin/*' -exec mv -t "$folder" {} +
fi
if ! "$folder/ptxas" --version >/dev/null; then
    echo "ptxas does not run here" >&2
    exit 4
fi
echo "$folder/ptxas"
