#!/usr/bin/env bash
# Makes a bundle that checks and measures Delora on a machine with a GPU: linux-x64, its driver and nothing else. Wants the .NET SDK and xz.
#
#   eng/gpu-bundle.sh [OUT]        OUT is artifacts/delora-gpu.tar.xz where nothing is given
#
# There: tar xf delora-gpu.tar.xz && delora-gpu/run.sh
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
out=$(realpath -m "${1:-$repository/artifacts/delora-gpu.tar.xz}")
limit=$((45 * 1000 * 1000))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/delora-gpu

# Tests, benchmarks and the command share one folder and one runtime. Compiled ahead, because a borrowed machine's minutes are few; not trimmed:
# ILGPU emits code at run time.
dotnet publish "$repository/Delora.Tests" -c Release -r linux-x64 --self-contained -nologo -v q \
    -p:PublishReadyToRun=true -p:SatelliteResourceLanguages=en -p:DebugType=none -o "$bundle/bin"
# What BenchmarkDotNet compiles, traces and disassembles with (the bundle times without it), debuggers' libraries, documentation.
rm -rf "$bundle"/bin/{*.xml,amd64,libcapstone.so,libmscordbi.so,libmscordaccore.so,libcoreclrtraceptprovider.so,createdump} \
    "$bundle"/bin/{Microsoft.CodeAnalysis*.dll,Microsoft.Diagnostics.Tracing.TraceEvent.dll,Microsoft.Diagnostics.Runtime.dll,Iced.dll,Gee.External.Capstone.dll}
mkdir "$bundle/models"
models=${DELORA_MODELS_DIR:-$repository/../shared/models}
[ ! -d "$models" ] || cp -r "$models/." "$bundle/models"
cp -r "$repository/Delora.Bench/peers" "$bundle/peers"
rm -rf "$bundle/peers/__pycache__"
cp "$repository/eng/gpu/run.sh" "$bundle/run.sh"
chmod +x "$bundle/run.sh"

mkdir -p "$(dirname "$out")"
tar -C "$work" --sort=name --owner=0 --group=0 --mtime=@0 -c delora-gpu | xz -T0 --x86 --lzma2=preset=9,dict=128MiB >"$out"
bytes=$(stat -c %s "$out")
echo "$out: $bytes bytes, $(sha256sum "$out" | cut -d' ' -f1)"
[ "$bytes" -le "$limit" ] || { echo "larger than $limit bytes" >&2; exit 1; }
