using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class FrozenLinearTests
{
    private static readonly (int Rows, int In, int Out)[] s_sizes =
        [(0, 3, 4), (1, 1, 1), (3, 31, 33), (33, 32, 31), (2, 129, 8), (31, 8, 127), (4, 0, 3), (4, 3, 0), (1, 1025, 2)];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void MatchesTheReferenceInBothDirections(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int rows, int inputs, int outputs) in s_sizes)
            foreach (bool extra in new[] { false, true })
            {
                Tensor[] y = new Tensor[2], dx = new Tensor[2];
                for (int d = 0; d < 2; d++)
                {
                    Device on = d == 0 ? Devices.Reference : device;
                    using Tensor x = LinearAssert.Operand(1, [rows, inputs], on), w = LinearAssert.Operand(2, [outputs, inputs], on);
                    using Tensor bias = LinearAssert.Operand(3, [outputs], on), dy = LinearAssert.Operand(4, [rows, outputs], on);
                    using FrozenWeight weight = FrozenWeight.Create(w);
                    y[d] = Tensor.Empty([rows, outputs], on.FloatType, on, "y");
                    dx[d] = Tensor.Empty([rows, inputs], on.FloatType, on, "dx");
                    if (extra) dx[d].CopyFrom<float>(LinearAssert.Numbers(5, dx[d].ElementCount));
                    FrozenLinearKernel.Forward(x, weight, extra ? bias : null, y[d]);
                    FrozenLinearKernel.Backward(dy, weight, dx[d], accumulate: extra);
                }
                LinearAssert.Close(y[0], y[1], inputs, $"y of [{rows}, {inputs}, {outputs}]");
                LinearAssert.Close(dx[0], dx[1], outputs, $"dx of [{rows}, {inputs}, {outputs}]");
                foreach (Tensor tensor in y.Concat(dx)) tensor.Dispose();
            }
    }

    [Fact]
    public void GradientsMatchNumericalDifferentiation()
    {
        Device device = Devices.Reference;
        using Tensor w = LinearAssert.Operand(1, [5, 4], device);
        using FrozenWeight weight = FrozenWeight.Create(w);
        using Parameter x = new("x", LinearAssert.Operand(2, [2, 3, 4], device)), bias = new("bias", LinearAssert.Operand(3, [5], device));
        GradientCheck.Numerical(() => x.Value.FrozenLinear(weight, bias), [x, bias]);
        GradientCheck.Numerical(() => x.Value.FrozenLinear(weight), [x]);
    }

    [Fact]
    public void RefusesAWeightOfAnotherShapeOrDevice()
    {
        using TensorScope scope = new("what a refused call has allocated");
        using Tensor w = Tensor.Zeros([5, 4], DType.Float32, Devices.Cpu), x = Tensor.Zeros([2, 3], DType.Float32, Devices.Cpu, "x");
        using FrozenWeight weight = FrozenWeight.Create(w);
        Assert.Contains("(3 ≠ 4)", Assert.Throws<ShapeException>(() => x.FrozenLinear(weight)).Message);
        using Tensor elsewhere = Tensor.Zeros([2, 4], DType.Float64, Devices.Reference, "x");
        Assert.Throws<DeviceException>(() => elsewhere.FrozenLinear(weight));
    }
}
