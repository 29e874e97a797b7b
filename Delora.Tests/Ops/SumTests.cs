using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class SumTests : ReductionTests
{
    protected override bool ReducesNothing => true;

    protected override void Forward(Tensor x, Tensor y) => SumKernel.Forward(x, y);

    protected override void Backward(Tensor dy, Tensor dx) => SumKernel.Backward(dy, dx);

    protected override void ForwardRows(Tensor x, Tensor y) => SumKernel.ForwardRows(x, y);

    protected override void BackwardRows(Tensor dy, Tensor dx) => SumKernel.BackwardRows(dy, dx);

    protected override Tensor Function(Tensor x) => x.Sum();

    protected override Tensor FunctionOfRows(Tensor x) => x.SumRows();

    [Fact]
    public void RefusesAScalarPerRowAndWrongShapes()
    {
        using Tensor scalar = OpTesting.Floats([], Devices.Cpu, 1), vector = OpTesting.Floats([3], Devices.Cpu, 1);
        using Tensor y = OpTesting.Output([], Devices.Cpu);
        Assert.Throws<ShapeException>(() => SumKernel.ForwardRows(scalar, y));
        Assert.Throws<ShapeException>(() => SumKernel.Forward(vector, vector));
    }
}
