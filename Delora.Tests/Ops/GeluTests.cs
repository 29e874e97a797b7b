using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class GeluTests() : ActivationTests("Gelu")
{
    protected override (float X, float Y)[] KnownValues =>
        [(0, 0), (-0f, 0), (1, 0.84134475f), (-1, -0.15865525f), (30, 30), (-30, 0)];

    protected override void ForwardKernel(Tensor x, Tensor y) => GeluKernel.Forward(x, y);

    protected override void BackwardKernel(Tensor saved, Tensor dy, Tensor dx) => GeluKernel.Backward(saved, dy, dx);

    protected override Tensor Function(Tensor x) => x.Gelu();
}
