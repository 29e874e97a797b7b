using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class SiluTests() : ActivationTests("Silu")
{
    protected override (float X, float Y)[] KnownValues =>
        [(0, 0), (-0f, 0), (1, 0.7310586f), (-1, -0.2689414f), (100, 100), (-100, 0)];

    protected override void ForwardKernel(Tensor x, Tensor y) => SiluKernel.Forward(x, y);

    protected override void BackwardKernel(Tensor saved, Tensor dy, Tensor dx) => SiluKernel.Backward(saved, dy, dx);

    protected override Tensor Function(Tensor x) => x.Silu();
}
