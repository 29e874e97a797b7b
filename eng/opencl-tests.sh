#!/usr/bin/env bash
# Runs the tests with an OpenCL device on a machine without a GPU: PoCL 6 from Debian 13, in a root folder of its own (older PoCLs lack the
# generic address space that ILGPU's OpenCL needs). Wants Linux, root, debootstrap and the .NET SDK.
#
#   eng/opencl-tests.sh ROOT [OPTIONS OF THE TEST PROGRAM]
#   eng/opencl-tests.sh ~/pocl --filter-class '*GpuTiledProductTests'
#
# ROOT is made at the first run (some 800 MB). DEBIAN_MIRROR names a mirror other than debootstrap's own.
set -euo pipefail

if [ $# -lt 1 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
root=$(realpath -m "$1")
shift
repository=$(cd "$(dirname "$0")/.." && pwd)
sdk=$(dirname "$(readlink -f "$(command -v dotnet)")")

if [ ! -e "$root/.pocl-ready" ]; then
    debootstrap --variant=minbase --include=ca-certificates,pocl-opencl-icd,ocl-icd-libopencl1 trixie "$root" ${DEBIAN_MIRROR:-}
    mkdir -p "$root/dotnet" "$root/delora"
    touch "$root/.pocl-ready"
fi

dotnet build "$repository" -c Release -nologo -v q
# The mounts live in a namespace of their own and vanish with it.
exec unshare --mount bash -euo pipefail -c '
    root=$1 sdk=$2 repository=$3
    shift 3
    for folder in proc sys dev; do mount --rbind "/$folder" "$root/$folder"; done
    mount --bind "$sdk" "$root/dotnet"
    mount --bind "$repository" "$root/delora"
    # The default method of PoCL 6.0 compiles the same source of the product with a masked branch sometimes rightly, sometimes wrongly.
    export POCL_WORK_GROUP_METHOD=${POCL_WORK_GROUP_METHOD:-loops}
    exec chroot "$root" /dotnet/dotnet exec /delora/Delora.Tests/bin/Release/net10.0/Delora.Tests.dll "$@"
' bash "$root" "$sdk" "$repository" "$@"
