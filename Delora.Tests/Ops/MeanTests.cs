using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class MeanTests : ReductionTests
{
    protected override bool ReducesNothing => false;

    protected override void Forward(Tensor x, Tensor y) => MeanKernel.Forward(x, y);

    protected override void Backward(Tensor dy, Tensor dx) => MeanKernel.Backward(dy, dx);

    protected override void ForwardRows(Tensor x, Tensor y) => MeanKernel.ForwardRows(x, y);

    protected override void BackwardRows(Tensor dy, Tensor dx) => MeanKernel.BackwardRows(dy, dx);

    protected override Tensor Function(Tensor x) => x.Mean();

    protected override Tensor FunctionOfRows(Tensor x) => x.MeanRows();

    [Fact]
    public void AMeanOverNothingIsRefused()
    {
        // A refused op leaves its output to the scope.
        using var scope = new TensorScope();
        Tensor nothing = OpTesting.Floats([0], Devices.Cpu, 1), rows = OpTesting.Floats([2, 0], Devices.Cpu, 1);
        Assert.Throws<ShapeException>(() => nothing.Mean());
        Assert.Throws<ShapeException>(() => rows.MeanRows());
    }
}
