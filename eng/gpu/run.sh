#!/usr/bin/env bash
# Checks Delora's kernels on this machine's GPU and measures them; needs its driver and nothing else.
#
#   ./run.sh [--device cuda|opencl] [--rehearse] [--out FOLDER]
#
# The parts, in this order, with the seconds that each may take at most (0 leaves it out):
#   ops         every op's benchmarks against the float64 reference                     DELORA_OPS_S=90
#   tests       op tests, golden cases of PEFT                                          DELORA_TESTS_S=120
#   benchmarks  Delora's rows of the comparison                                         DELORA_BENCHMARKS_S=110
#   peers       the same rows by PyTorch and PEFT, where python3 has them               DELORA_PEERS_S=110
#   curve       losses of 200 steps; then PEFT from the same start                      DELORA_CURVE_S=60, twice
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
        *) sed -n '2,20s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
kind=${device%%:*}
bench=$here/bin/Delora.Bench tests=$here/bin/Delora.Tests
export DELORA_TEST_DEVICES=reference,$kind DELORA_MODELS_DIR=$here/models DOTNET_CLI_UI_LANGUAGE=en PYTHONUNBUFFERED=1
deadline=$(($(date +%s) + ${DELORA_TOTAL_S:-465}))

if ! found=$("$bench" compare gpu device --device "$device" 2>&1); then
    echo "$found"
    exit 3
fi
mkdir -p "$out" || exit 1
rm -f "$out"/*.jsonl "$out"/*.log
{ echo "$found"; nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader 2>/dev/null; uname -sr; } | tee "$out/machine.txt"

failed=0
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
        note "$name" "left out" 0
        return
    fi
    printf '\n== %s, %d s at most\n' "$name" "$limit"
    timeout -k 5 "$limit" "$@" 2>&1 | tee "$out/$name.log"
    code=${PIPESTATUS[0]}
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

part ops "${DELORA_OPS_S:-90}" check "$bench" validate "$device"
part tests "${DELORA_TESTS_S:-120}" check "$tests" --no-ansi --progress off --show-test-results failed \
    --filter-trait "Device=$kind" --filter-trait Category=Golden
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

sanitizer=$(command -v compute-sanitizer || { [ -x /usr/local/cuda/bin/compute-sanitizer ] && echo /usr/local/cuda/bin/compute-sanitizer; })
if [ "$kind" != cuda ] || [ -z "$sanitizer" ]; then
    note memcheck "left out: compute-sanitizer was not found, or the device is not CUDA" 0
else
    # It slows kernels down many times: what was checked until it was cut off is in its log.
    for tool in memcheck racecheck; do
        classes=()
        [ "$tool" = memcheck ] || classes=(--filter-class '*GpuTiledProductTests' '*CudaProductTests' '*AttentionTests' '*AttentionTextTests' '*SoftmaxTests' '*LayerNormTests' '*LinearCrossEntropyTests')
        part "$tool" "${DELORA_SANITIZER_S:-50}" figures "$sanitizer" --tool "$tool" --report-api-errors no --error-exitcode 77 \
            "$tests" --no-ansi --progress off --show-test-results failed --filter-trait "Device=$kind" "${classes[@]}"
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
