"""The loss curve of PEFT from the start that Delora wrote, on the same tokens.

    Delora.Bench compare gpu curve FOLDER
    python3 curve.py FOLDER

Trains twice: with the base model in bfloat16, as Delora, and in float32. How far the two lie apart is what the precision alone changes.
"""

import json
import os
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

import models


def losses(folder, plan, dtype):
    base = AutoModelForCausalLM.from_pretrained(os.path.join(folder, "base"), **{models.DTYPE_ARGUMENT: dtype}).to(models.DEVICE)
    model = PeftModel.from_pretrained(base, os.path.join(folder, "adapter"), is_trainable=True).to(models.DEVICE)
    training = models.Training(model, False, plan["lr"], plan["weight_decay"])
    found = []
    for tokens in plan["tokens"]:
        # One token more than positions: Delora's inputs are all but the last, its targets all but the first.
        ids = torch.tensor(tokens, device=models.DEVICE).view(plan["batch"], plan["length"])
        # The model drops the last position's score, so that each row has length − 1 targets, as Delora's has.
        found.append(training.step(ids, ids))
    return [float(loss) for loss in found]


def main(folder):
    torch.backends.cuda.matmul.allow_tf32 = False
    with open(os.path.join(folder, "batches.json"), encoding="utf-8") as file:
        plan = json.load(file)
    for name, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        curve = losses(folder, plan, dtype)
        with open(os.path.join(folder, f"peer-{name}.json"), "w", encoding="utf-8") as file:
            json.dump(curve, file)
        print(f"PEFT, {name}: loss {curve[0]:.4f} → {curve[-1]:.4f} in {len(curve)} steps", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
