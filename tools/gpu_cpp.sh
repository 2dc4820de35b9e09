#!/usr/bin/env bash
# Run the C++ runtime on a GPU machine: its own tests, then beside Python (gpu_cpp.py). About two minutes.
#
#     tools/gpu_cpp.sh pack PACK               here: build for sm_90 and gather what travels, 25 MB
#     tools/gpu_cpp.sh run PACK OUT PHOTOS...  there: PHOTOS are folders; ANNOTATIONS, CALIB and MORE may be set
#
# Packing needs TENSORRT_INCLUDE (headers of TensorRT 11.1), TENSORRT_LIBS (TensorRT-RTX's libraries), NVJPEG_ROOT, and
# MODELS, a folder with femto.onnx and femto.fp8.onnx. Running needs TensorRT-RTX in SITE (/tmp/site).
set -euo pipefail
cd "$(dirname "$0")/.."

pack() {
    local pack=$1 build=${BUILD:-cpp/build/rtx}
    cmake -S cpp -B "$build" -G Ninja -DDETRT_TENSORRT=rtx -DTENSORRT_INCLUDE="$TENSORRT_INCLUDE" \
        -DTENSORRT_LIBS="$TENSORRT_LIBS" -DCMAKE_CUDA_ARCHITECTURES=90 -DDETRT_NVJPEG=ON -DNVJPEG_ROOT="$NVJPEG_ROOT"
    cmake --build "$build"
    mkdir -p "$pack"
    install --strip "$build"/detrt-run "$build"/tests/test-engine "$build"/tests/test-detector "$pack"
    cp "$NVJPEG_ROOT"/lib/libnvjpeg.so.* "$MODELS"/femto.onnx "$MODELS"/femto.fp8.onnx "$pack"
    du -sh "$pack"
}

run() {
    local pack=$1 out=$2 site=${SITE:-/tmp/site}
    shift 2
    export PYTHONPATH=$site:$PWD/src PYTHONUNBUFFERED=1 PYTHONWARNINGS=ignore DETRT_CACHE=/tmp/cache
    export LD_LIBRARY_PATH=$site/tensorrt_rtx_libs:$PWD/$pack:${LD_LIBRARY_PATH:-}
    "$pack"/test-engine && timeout 60 "$pack"/test-detector
    # shellcheck disable=SC2086 # MORE is several words
    timeout 300 python3 tools/gpu_cpp.py --program "$pack"/detrt-run --model "$pack"/femto.onnx --fp8 "$pack"/femto.fp8.onnx \
        --photos "$@" --annotations "${ANNOTATIONS:-$1/instances.json}" ${CALIB:+--calib "$CALIB"} --out "$out" ${MORE:-}
}

"$@"
