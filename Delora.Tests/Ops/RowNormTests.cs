using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class RowNormTests : NormTests
{
    protected override int Axis => 0;

    protected override int[] Large => [200, 333];

    protected override int[] Long => [1, 1 << 22];

    protected override void Forward(Tensor a, Tensor norm) => RowNormKernel.Forward(a, norm);

    protected override void Backward(Tensor a, Tensor norm, Tensor dNorm, Tensor dA) => RowNormKernel.Backward(a, norm, dNorm, dA);

    protected override Tensor Function(Tensor a) => a.RowNorm();
}
