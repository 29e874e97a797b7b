using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class SigmoidTests() : ActivationTests("Sigmoid")
{
    protected override (float X, float Y)[] KnownValues =>
        [(0, 0.5f), (1, 0.7310586f), (-1, 0.2689414f), (100, 1), (float.NegativeInfinity, 0), (float.PositiveInfinity, 1)];

    protected override void ForwardKernel(Tensor x, Tensor y) => SigmoidKernel.Forward(x, y);

    protected override void BackwardKernel(Tensor saved, Tensor dy, Tensor dx) => SigmoidKernel.Backward(saved, dy, dx);

    protected override Tensor Function(Tensor x) => x.Sigmoid();

    protected override float Saved(float x) => 1 / (1 + MathF.Exp(-x));
}
