using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class GeluTanhTests() : ActivationTests("GeluTanh")
{
    protected override (float X, float Y)[] KnownValues =>
        [(0, 0), (-0f, 0), (1, 0.841192f), (-1, -0.158808f), (30, 30), (-30, 0)];

    protected override void ForwardKernel(Tensor x, Tensor y) => GeluTanhKernel.Forward(x, y);

    protected override void BackwardKernel(Tensor saved, Tensor dy, Tensor dx) => GeluTanhKernel.Backward(saved, dy, dx);

    protected override Tensor Function(Tensor x) => x.GeluTanh();
}
