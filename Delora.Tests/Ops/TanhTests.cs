using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class TanhTests() : ActivationTests("Tanh")
{
    protected override (float X, float Y)[] KnownValues =>
        [(0, 0), (1, 0.7615942f), (-1, -0.7615942f), (30, 1), (float.NegativeInfinity, -1), (float.PositiveInfinity, 1)];

    protected override void ForwardKernel(Tensor x, Tensor y) => TanhKernel.Forward(x, y);

    protected override void BackwardKernel(Tensor saved, Tensor dy, Tensor dx) => TanhKernel.Backward(saved, dy, dx);

    protected override Tensor Function(Tensor x) => x.Tanh();

    protected override float Saved(float x) => MathF.Tanh(x);
}
