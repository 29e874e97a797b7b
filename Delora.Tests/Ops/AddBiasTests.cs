using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class AddBiasTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Forward_and_backward(string device)
    {
        (int, int)[] shapes = device == "simulator"
            ? [(0, 3), (3, 0), (1, 1), (5, 7), (2, 33)]
            : [(0, 3), (3, 0), (1, 1), (31, 33), (129, 127), (33, 1025), (1025, 31)];
        foreach ((int rows, int columns) in shapes)
        {
            float[] x = ElementwiseCheck.Values(rows * columns, 1), b = ElementwiseCheck.Values(columns, 2);
            double[][] expected = Run(Devices.Reference), actual = Run(TestDevices.Get(device));
            for (int i = 0; i < expected.Length; i++)
                ElementwiseCheck.AssertClose(expected[i], actual[i], 1e-6, $"[{rows}, {columns}], result {i}");

            double[][] Run(Device on)
            {
                using Tensor input = Tensor.From(x, [rows, columns], on), bias = Tensor.From(b, [columns], on);
                using Tensor y = Tensor.Empty([rows, columns], on.FloatType, on), sums = Tensor.Empty([columns], on.FloatType, on);
                AddBiasKernel.Forward(input, bias, y);
                AddBiasKernel.Backward(input, sums);
                AddBiasKernel.Backward(input, bias, accumulate: true);
                return [y.ToArray<double>(), sums.ToArray<double>(), bias.ToArray<double>()];
            }
        }
    }

    [Theory, MemberData(nameof(TestDevices.CpuNames), MemberType = typeof(TestDevices))]
    public void Many_rows_keep_their_digits(string device) => OpTesting.MatchesReference(TestDevices.Get(device), Sums, 1e-6);

    [Fact]
    public void The_bits_do_not_depend_on_threads() => OpTesting.IndependentOfThreads(Sums);

    private static Tensor Sums(Device device)
    {
        Tensor sums = OpTesting.Output([131], device);
        AddBiasKernel.Backward(OpTesting.Floats([5003, 131], device, 3), sums);
        return sums;
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device)
    {
        ElementwiseCheck.Gradients(device, p => p[0].Value.AddBias(p[1]), [2, 3, 5], [5]);
        ElementwiseCheck.Gradients(device, p => p[0].Value.AddBias(p[1]).AddBias(p[1]), [4, 3], [3]);
    }

    [Fact]
    public void The_bias_must_fit()
    {
        using Tensor x = Tensor.Zeros([2, 3], DType.Float32, Devices.Cpu), b = Tensor.Zeros([2], DType.Float32, Devices.Cpu);
        var error = Assert.Throws<ShapeException>(() => AddBiasKernel.Forward(x, b, x));
        Assert.Equal("AddBias: the bias does not fit the last dimension: [2, 3] + [2]", error.Message);
    }
}
