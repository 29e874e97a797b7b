using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class ColumnNormTests : NormTests
{
    protected override int Axis => 1;

    protected override int[] Large => [333, 1000];

    protected override int[] Long => [1 << 20, 3];

    protected override void Forward(Tensor a, Tensor norm) => ColumnNormKernel.Forward(a, norm);

    protected override void Backward(Tensor a, Tensor norm, Tensor dNorm, Tensor dA) => ColumnNormKernel.Backward(a, norm, dNorm, dA);

    protected override Tensor Function(Tensor a) => a.ColumnNorm();
}
