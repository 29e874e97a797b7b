"""Single operations in PyTorch, with the operands of Delora's benchmarks. Each function of OPS makes a run from the sizes of a row."""

import torch
import torch.nn.functional as F

DEVICE = "cuda"


def random(*shape, dtype=torch.float32, grad=False):
    return torch.randn(*shape, device=DEVICE, dtype=torch.float32).to(dtype).requires_grad_(grad)


def backward(y, inputs, dtype):
    """The backward pass alone: the graph is kept, the gradients are new tensors each time."""
    dy = random(*y.shape, dtype=dtype)
    return lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)


def unary(function):
    def forward_run(sizes, dtype):
        x = random(*sizes, dtype=dtype)
        return lambda: function(x)

    def backward_run(sizes, dtype):
        x = random(*sizes, dtype=dtype, grad=True)
        return backward(function(x), [x], dtype)

    return forward_run, backward_run


def norm(function, weight_gradient):
    """A norm over the last dimension; the weight of a frozen base needs no gradient."""

    def forward_run(sizes, dtype):
        x, w = random(*sizes, dtype=dtype), random(sizes[1], dtype=dtype)
        return lambda: function(x, (sizes[1],), w)

    def backward_run(sizes, dtype):
        x, w = random(*sizes, dtype=dtype, grad=True), random(sizes[1], dtype=dtype, grad=weight_gradient)
        return backward(function(x, (sizes[1],), w), [x, w] if weight_gradient else [x], dtype)

    return forward_run, backward_run


def add(sizes, dtype):
    a, b = random(*sizes, dtype=dtype), random(*sizes, dtype=dtype)
    return lambda: a + b


def swiglu_forward(sizes, dtype):
    a, b = random(*sizes, dtype=dtype), random(*sizes, dtype=dtype)
    return lambda: F.silu(a) * b


def swiglu_backward(sizes, dtype):
    a, b = random(*sizes, dtype=dtype, grad=True), random(*sizes, dtype=dtype, grad=True)
    return backward(F.silu(a) * b, [a, b], dtype)


def softmax(x):
    return F.softmax(x, dim=-1)


def cross_entropy_forward(sizes, dtype):
    logits, labels = random(*sizes, dtype=dtype), torch.randint(sizes[1], (sizes[0],), device=DEVICE)
    return lambda: F.cross_entropy(logits, labels)


def cross_entropy_backward(sizes, dtype):
    logits, labels = random(*sizes, dtype=dtype, grad=True), torch.randint(sizes[1], (sizes[0],), device=DEVICE)
    loss = F.cross_entropy(logits, labels)
    return lambda: torch.autograd.grad(loss, [logits], retain_graph=True)


def adamw(sizes, dtype):
    p = torch.nn.Parameter(random(*sizes, dtype=dtype))
    p.grad = random(*sizes, dtype=dtype)
    optimizer = torch.optim.AdamW([p], lr=1e-3, fused=True)
    return optimizer.step


def matmul(layout):
    """Sizes are tokens, in, out. NT: x Wᵀ; NN: dy W; TN: dyᵀ x."""

    def run(sizes, dtype):
        tokens, inputs, outputs = sizes
        x, w, dy = random(tokens, inputs, dtype=dtype), random(outputs, inputs, dtype=dtype), random(tokens, outputs, dtype=dtype)
        a, b = {"NT": (x, w.t()), "NN": (dy, w), "TN": (dy.t(), x)}[layout]
        return lambda: torch.matmul(a, b)

    return run


def attention(sizes, dtype, grad):
    """Causal. Sizes are batch, queries, keys, heads, heads of keys and values, dim."""
    batch, queries, keys, heads, shared, dim = sizes
    q = random(batch, heads, queries, dim, dtype=dtype, grad=grad)
    k, v = (random(batch, shared, keys, dim, dtype=dtype, grad=grad) for _ in range(2))
    return q, k, v, lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=heads != shared)


def attention_forward(sizes, dtype):
    return attention(sizes, dtype, False)[3]


def attention_backward(sizes, dtype):
    q, k, v, forward = attention(sizes, dtype, True)
    return backward(forward(), [q, k, v], dtype)


def copy(sizes, dtype):
    source, target = random(*sizes, dtype=dtype), torch.empty(*sizes, device=DEVICE, dtype=dtype)
    return lambda: target.copy_(source)


def table():
    """Delora's names, `Op.Method`, to the functions that make a run."""
    ops = {
        "Add.Forward": add,
        "SwiGlu.Forward": swiglu_forward,
        "SwiGlu.Backward": swiglu_backward,
        "CrossEntropy.Forward": cross_entropy_forward,
        "CrossEntropy.Backward": cross_entropy_backward,
        "AdamW.Step": adamw,
        "Attention.Forward": attention_forward,
        "Attention.Backward": attention_backward,
    }
    ops["Gelu.Forward"], ops["Gelu.Backward"] = unary(F.gelu)
    ops["Softmax.Forward"], ops["Softmax.Backward"] = unary(softmax)
    ops["RmsNorm.Forward"], ops["RmsNorm.Backward"] = norm(F.rms_norm, weight_gradient=False)
    ops["LayerNorm.Forward"], ops["LayerNorm.BackwardWithWeight"] = norm(F.layer_norm, weight_gradient=True)
    return ops


OPS = table()
