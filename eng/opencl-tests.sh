#!/usr/bin/env bash
# Runs the tests with an OpenCL device on a machine without a GPU: PoCL 6 from Debian 13, in a root folder of its own (older PoCLs lack the
# generic address space that ILGPU's OpenCL needs). Wants Linux on x86-64, root, wget and the .NET SDK; debootstrap is fetched where it is not there.
#
#   eng/opencl-tests.sh ROOT [OPTIONS OF THE TEST PROGRAM]
#   eng/opencl-tests.sh ~/pocl --filter-class '*GpuTiledProductTests'
#   eng/opencl-tests.sh ~/pocl --filter-trait Device=opencl        what the device computes, and nothing else
#   eng/opencl-tests.sh ~/pocl --only-root                         makes the root and runs nothing
#
# ROOT is made at the first run (some 800 MB, about a minute). DEBIAN_MIRROR names a mirror other than Debian's own. Exit code 4, with the reason: the
# root can't be made here.
set -euo pipefail

if [ $# -lt 1 ]; then
    sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
root=$(realpath -m "$1")
shift
repository=$(cd "$(dirname "$0")/.." && pwd)

refuse() {
    echo "no root for PoCL: $*" >&2
    exit 4
}

if [ ! -e "$root/.pocl-ready" ]; then
    [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || refuse "this is $(uname -s) on $(uname -m)"
    [ "$(id -u)" -eq 0 ] || refuse "it takes root"
    command -v wget >/dev/null || refuse "there is no wget, which debootstrap needs"
    unshare --mount true 2>/dev/null || refuse "mounts of one's own are not allowed here"
    program=debootstrap
    if ! command -v debootstrap >/dev/null; then
        tool=$(mktemp -d)
        trap 'rm -rf "$tool"' EXIT
        "$repository/eng/debian-package.sh" "$tool" main debootstrap || refuse "there is no debootstrap"
        program=$tool/usr/sbin/debootstrap
        export DEBOOTSTRAP_DIR=$tool/usr/share/debootstrap
    fi
    "$program" --variant=minbase --include=ca-certificates,pocl-opencl-icd,ocl-icd-libopencl1 trixie "$root" \
        "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" || refuse "debootstrap failed"
    mkdir -p "$root/dotnet" "$root/delora"
    touch "$root/.pocl-ready"
fi
[ "${1:-}" != --only-root ] || exit 0

sdk=$(dirname "$(readlink -f "$(command -v dotnet)")")
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
