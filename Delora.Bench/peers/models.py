"""Layers and training steps with transformers and PEFT, eager, as a user of them writes it."""

import torch
import transformers
from peft import DeloraConfig, get_peft_model
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

DEVICE = "cuda"
# Given when a model is made: a later .to(dtype) would round the frequencies of the rotary positions, too.
DTYPE_ARGUMENT = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
LAMBDA, LEARNING_RATE, WEIGHT_DECAY = 15, 1e-3, 0.01


class OneLayer(torch.nn.Module):
    def __init__(self, width, dtype):
        super().__init__()
        self.linear = torch.nn.Linear(width, width, device=DEVICE, dtype=dtype)

    def forward(self, x):
        return self.linear(x)


def layer(adapted, sizes, dtype):
    """A frozen linear layer, alone or under DeLoRA: forward, and backward with the gradients of x and of the adapter. Sizes are tokens, width, rank."""
    tokens, width, rank = sizes
    model = OneLayer(width, dtype).requires_grad_(False)
    if adapted:
        # A random B, so that nothing is zero.
        model = get_peft_model(model, DeloraConfig(r=rank, delora_lambda=LAMBDA, target_modules=["linear"], init_weights=False))
    x = torch.randn(tokens, width, device=DEVICE).to(dtype).requires_grad_()
    dy = torch.randn(tokens, width, device=DEVICE).to(dtype)
    wanted = [x, *(p for p in model.parameters() if p.requires_grad)]
    return lambda: torch.autograd.grad(model(x), wanted, dy)


def fresh(config, dtype):
    with torch.device(DEVICE):
        return AutoModelForCausalLM.from_config(config, **{DTYPE_ARGUMENT: dtype})


def llama(sizes, dtype):
    batch, length, layers, width, intermediate, heads, shared, vocabulary, rank = sizes
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=intermediate, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=shared, max_position_embeddings=length, rms_norm_eps=1e-5, tie_word_embeddings=True, use_cache=False)
    return get_peft_model(fresh(config, dtype), DeloraConfig(r=rank, delora_lambda=LAMBDA, target_modules="all-linear"))


def gpt(sizes, dtype):
    """All weights are trained."""
    batch, length, layers, width, intermediate, heads, _, vocabulary, _ = sizes
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=length, n_embd=width, n_layer=layers, n_head=heads, n_inner=intermediate, activation_function="gelu",
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False, bos_token_id=0, eos_token_id=0)
    return fresh(config, dtype)


class Training:
    """A model, its optimizer and a step."""

    def __init__(self, model, autocast, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY):
        self.model = model.train()
        self.autocast = autocast
        trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=weight_decay, fused=True)

    def step(self, ids, labels):
        """The loss, on the device: nobody waits for it. The model shifts the labels: position t is compared with label t + 1."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.autocast):
            loss = self.model(input_ids=ids, labels=labels).loss
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def step(sizes, dtype, autocast):
    """A training step. Sizes are batch, length, layers, width, intermediate, heads, heads of keys and values, vocabulary, rank."""
    batch, length, vocabulary, rank = sizes[0], sizes[1], sizes[7], sizes[8]
    training = Training((llama if rank else gpt)(sizes, dtype), autocast)
    ids = torch.randint(vocabulary, (batch, length), device=DEVICE)
    return lambda: training.step(ids, ids)
