"""The peers' side of Delora's comparison on a GPU: PyTorch, and PEFT for adapters.

    Delora.Bench compare gpu plan > plan.jsonl
    python3 compare.py plan.jsonl peers.jsonl [SECONDS]

Reads the rows that Delora's side computes, one JSON object a line, and writes what it measured of each, as soon as it is known.
"""

import gc
import json
import sys

import torch

import models
import ops
import timing

# tf32 is a way to multiply float32 tensors.
TYPES = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def sides(case):
    """The peers of a row: their names, and what makes a run of each."""
    kind, part, sizes, dtype = case["kind"], case["pass"], case["sizes"], TYPES[case["type"]]
    if kind == "copy":
        return [("PyTorch", lambda: ops.copy(sizes, dtype))]
    if kind == "product":
        return [("PyTorch", lambda: ops.matmul(part)(sizes, dtype))]
    if kind == "op":
        return [("PyTorch", lambda: ops.OPS[part](sizes, dtype))]
    if kind == "layer":
        return [("PEFT", lambda: models.layer(part == "DeLoRA", sizes, dtype))]
    if kind == "quantized layer":
        return []  # PEFT's DeLoRA takes Linear alone.
    if kind == "step" and sizes[8]:
        return [("PEFT", lambda: models.step(sizes, dtype, False)), ("PEFT under bf16 autocast", lambda: models.step(sizes, dtype, True))]
    if kind == "step":
        # Weights that are trained stay float32: bfloat16 is the autocast's.
        autocast = dtype == torch.bfloat16
        return [("PyTorch under bf16 autocast" if autocast else "PyTorch", lambda: models.step(sizes, torch.float32, autocast))]
    if kind == "eager step":
        return []  # Delora's own step without a graph, beside its step with one.
    raise ValueError(f"no case of kind '{kind}'")


def measure(case, make, seconds):
    # PyTorch's own default, said aloud: float32 products in float32.
    torch.backends.cuda.matmul.allow_tf32 = case["type"] == "tf32"
    run = make()
    run()
    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    is_step = case["kind"] == "step"
    result = {"ms": timing.median(run, 4 * seconds if is_step else seconds)}
    if is_step:
        result["peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
        result["rate"], result["unit"] = case["sizes"][0] * case["sizes"][1] / result["ms"] * 1e3, "tokens/s"
    return result


def main(plan, target, seconds):
    torch.backends.cudnn.allow_tf32 = False
    print(f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}", flush=True)
    with open(plan, encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines if line.strip()]
    with open(target, "w", encoding="utf-8") as results:
        for case in cases:
            for side, make in sides(case):
                row = {"name": case["name"], "shape": case["shape"], "side": side, "ms": 0.0}
                try:
                    row.update(measure(case, make, seconds))
                except Exception as error:  # A row that a version of a library cannot compute says so; the others are still measured.
                    row["error"] = f"{type(error).__name__}: {error}"
                results.write(json.dumps(row, ensure_ascii=False) + "\n")
                results.flush()
                print(f"{row['name']:44} {row['shape']:26}{row['ms']:11.3f} ms  {side}{'  failed: ' + row['error'] if 'error' in row else ''}", flush=True)
                gc.collect()
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 1.0)
