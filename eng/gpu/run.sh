#!/usr/bin/env bash
# Checks Delora's kernels on this machine's GPU and measures them; needs its driver and nothing else.
#
#   ./run.sh [--device cuda|opencl] [--rehearse] [--out FOLDER]
#
# The parts, in this order, with the seconds that each may take at most (0 leaves it out):
#   warpgroups  products by warpgroups, on a card that has them                         DELORA_WARPGROUPS_S=40
#   ops         every op's benchmarks against the float64 reference                     DELORA_OPS_S=90
#   tests       op tests, golden cases of PEFT                                          DELORA_TESTS_S=120
#   benchmarks  Delora's rows of the comparison                                         DELORA_BENCHMARKS_S=110
#   peers       the same rows by PyTorch and PEFT, where python3 has them               DELORA_PEERS_S=110
#   curve       losses of 200 steps; then PEFT from the same start                      DELORA_CURVE_S=60, twice
#   again       after a fault, the test classes that failed, each in a process of its own   DELORA_AGAIN_S=60
#   memcheck, racecheck   op tests under compute-sanitizer, where it is there           DELORA_SANITIZER_S=50, twice
# All together end within DELORA_TOTAL_S=465 seconds. FOLDER gets compare-gpu.json, a line of JSON for each row as it is known, and the logs.
# --rehearse takes tiny sizes: a processor's OpenCL driver can compute them.
#
# Exit code: 0 nothing failed; 1 something failed, or a check of results was cut off; 2 wrong arguments; 3 there is no such device.
set -u
here=$(cd "$(dirname "$0")" && pwd)
device=cuda out=$PWD/delora-gpu rehearse=()
while [ $# -gt 0 ]; do
    case $1 in
        --device) device=${2:?a device}; shift 2 ;;
        --out) out=${2:?a folder}; shift 2 ;;
        --rehearse) rehearse=(--rehearse); shift ;;
        *) sed -n '2,22s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
kind=${device%%:*}
bench=$here/bin/Delora.Bench tests=$here/bin/Delora.Tests
export DELORA_TEST_DEVICES=reference,$kind DELORA_MODELS_DIR=$here/models DOTNET_CLI_UI_LANGUAGE=en PYTHONUNBUFFERED=1
export DOTNET_EnableDiagnostics=0
deadline=$(($(date +%s) + ${DELORA_TOTAL_S:-465}))

if ! mkdir -p "$out" 2>/dev/null || [ ! -w "$out" ]; then
    out=$(mktemp -d) || exit 1
    echo "Nothing can be written here: results are in $out"
fi
out=$(cd "$out" && pwd)
# Folders that were not there before: they go at the end, whatever it is.
made=()
trap '[ ${#made[@]} -eq 0 ] || rm -rf "${made[@]}"' EXIT
make_folder() {
    [ -d "$1" ] || { mkdir "$1" && made+=("$1"); }
}
[ -w "${TMPDIR:-/tmp}" ] || { make_folder "$out/.tmp" && export TMPDIR=$out/.tmp; }
# What the driver has assembled is kept here from part to part, also where there is no home to write to.
[ "${CUDA_CACHE_PATH:-}" ] || { make_folder "$out/.jit" && export CUDA_CACHE_DISABLE=0 CUDA_CACHE_PATH=$out/.jit CUDA_CACHE_MAXSIZE=1073741824; }
found=$("$bench" compare gpu device --device "$device" 2>&1)
code=$?
if [ "$code" -ne 0 ]; then
    echo "$found"
    [ "$code" -eq 3 ] && exit 3
    echo "The program does not run here (exit code $code): it needs glibc 2.27 or later, libgcc and libstdc++."
    exit 1
fi
# .NET's hashes are libssl's, and end the process where there is none.
[ -n "$(ldconfig -p 2>/dev/null | grep -m1 'libssl\.so' || ls /usr/lib*/libssl.so* /usr/lib/*/libssl.so* 2>/dev/null)" ] \
    || echo "libssl was not found: recorded training steps need it (package openssl or libssl3)."
rm -f "$out"/*.jsonl "$out"/*.log
{ echo "$found"; timeout 20 nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader 2>/dev/null; uname -sr; } | tee "$out/machine.txt"

# How the last part ended: its exit code, or none where it was left out.
failed=0 last=none
note() { # PART STATUS SECONDS
    printf '{"part":"%s","status":"%s","seconds":%d}\n' "$1" "$2" "$3" >>"$out/parts.jsonl"
    printf -- '-- %s: %s (%d s)\n' "$1" "$2" "$3"
}
# part NAME SECONDS check|figures COMMAND …: a check that is cut off has not passed; figures that were had are good.
part() {
    local name=$1 limit=$2 what=$3 start left code=0
    shift 3
    start=$(date +%s)
    left=$((deadline - start - 5))
    [ "$limit" -le "$left" ] || limit=$left
    if [ "$limit" -le 0 ]; then
        last=none
        note "$name" "left out" 0
        return
    fi
    printf '\n== %s, %d s at most\n' "$name" "$limit"
    timeout -k 5 "$limit" "$@" 2>&1 | tee "$out/$name.log"
    code=${PIPESTATUS[0]}
    last=$code
    case $code in
        0) note "$name" passed $(($(date +%s) - start)) ;;
        124 | 137)
            note "$name" "cut off" $(($(date +%s) - start))
            [ "$what" = figures ] || failed=1
            ;;
        *)
            note "$name" "failed with $code" $(($(date +%s) - start))
            failed=1
            ;;
    esac
}

test=("$tests" --no-ansi --progress off --show-test-results failed)
without=()
if [ "$kind" = cuda ]; then
    # First, and by itself: texts that never ran on a card may also hang it. What comes after must not use them then, nor hide it where they go wrong.
    part warpgroups "${DELORA_WARPGROUPS_S:-40}" check "${test[@]}" --filter-trait "Device=$kind" --filter-class '*WarpgroupProductTests'
    [ "$last" = 0 ] || without=(--filter-not-class '*WarpgroupProductTests')
    case $last in
        0) export DELORA_WARPGROUPS=${DELORA_WARPGROUPS:-strict} ;;
        none) echo "Products by warpgroups were not tested; DELORA_WARPGROUPS is ${DELORA_WARPGROUPS:-try}." ;;
        *)
            export DELORA_WARPGROUPS=off
            echo "Products by warpgroups are left out of everything that follows."
            ;;
    esac
fi
part ops "${DELORA_OPS_S:-90}" check "$bench" validate "$device"
part tests "${DELORA_TESTS_S:-120}" check "${test[@]}" --filter-trait "Device=$kind" --filter-trait Category=Golden "${without[@]}"
part benchmarks "${DELORA_BENCHMARKS_S:-110}" figures "$bench" compare gpu --device "$device" "${rehearse[@]}" --to "$out/delora.jsonl"
"$bench" compare gpu plan "${rehearse[@]}" >"$out/plan.jsonl"
python=
if [ "$kind" != cuda ]; then
    note peers "left out: the peers run on CUDA alone" 0
elif ! python3 -c 'import torch, transformers, peft, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    note peers "left out: this python3 has no PyTorch with CUDA, transformers and peft" 0
else
    python=python3
    part peers "${DELORA_PEERS_S:-110}" figures python3 "$here/peers/compare.py" "$out/plan.jsonl" "$out/peers.jsonl"
fi
part curve "${DELORA_CURVE_S:-60}" figures "$bench" compare gpu curve "$out/curve" --device "$device" "${rehearse[@]}"
[ -z "$python" ] || part curve-peer "${DELORA_CURVE_S:-60}" figures python3 "$here/peers/curve.py" "$out/curve"
rm -rf "$out/curve/base" "$out/curve/adapter"

# After the first fault of a kernel every test of the process fails: which ones do by themselves?
if grep -Eq 'CUDA_ERROR_(ILLEGAL_|MISALIGNED_|LAUNCH_|INVALID_ADDRESS|INVALID_PC|HARDWARE_|ASSERT)' "$out/tests.log" 2>/dev/null; then
    again=$(($(date +%s) + ${DELORA_AGAIN_S:-60}))
    for class in $(sed -nE 's/^ *failed (Delora[A-Za-z0-9_.]*)\.[A-Za-z0-9_]+.*$/\1/p' "$out/tests.log" | sort -u); do
        [ "$(date +%s)" -lt "$again" ] || break
        part "again-${class##*.}" 20 check "${test[@]}" --filter-trait "Device=$kind" --filter-class "$class"
    done
fi

sanitizer=$(command -v compute-sanitizer || { [ -x /usr/local/cuda/bin/compute-sanitizer ] && echo /usr/local/cuda/bin/compute-sanitizer; })
if [ "$kind" != cuda ] || [ -z "$sanitizer" ]; then
    note memcheck "left out: compute-sanitizer was not found, or the device is not CUDA" 0
else
    # It slows kernels down many times: what was checked until it was cut off is in its log.
    for tool in memcheck racecheck; do
        classes=()
        [ "$tool" = memcheck ] || classes=(--filter-class '*GpuTiledProductTests' '*CudaProductTests' '*AttentionTests' '*AttentionTextTests' '*SoftmaxTests' '*LayerNormTests' '*LinearCrossEntropyTests')
        part "$tool" "${DELORA_SANITIZER_S:-50}" figures "$sanitizer" --tool "$tool" --report-api-errors no --error-exitcode 77 \
            "${test[@]}" --filter-trait "Device=$kind" "${classes[@]}" "${without[@]}"
        if grep -Eq '^=+ (Invalid|Misaligned|Error: Race|Error: Potential|Barrier)' "$out/$tool.log" 2>/dev/null; then
            echo "$tool found errors: $out/$tool.log"
            failed=1
        fi
    done
fi

printf '\n== ratios\n'
"$bench" compare gpu join "$out" || failed=1
printf '\n'
sed -E 's/^.*"part":"([^"]*)","status":"([^"]*)","seconds":([0-9]*).*$/\1: \2 (\3 s)/' "$out/parts.jsonl"
[ "$failed" -eq 0 ] && echo "nothing failed" || echo "something failed"
exit "$failed"
