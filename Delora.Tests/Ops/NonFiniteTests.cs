using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class NonFiniteTests
{
    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void EveryNaNAndInfinityIsCountedAndNothingElse(string name)
    {
        Device device = TestDevices.Get(name);
        Assert.Equal(0, Count(device));
        foreach (int n in (int[])[0, 1, 31, 32, 33, 127, 129, 1025, 40_001])
        {
            if (name == "simulator" && n > 1100) continue;
            var values = new float[n];
            float[] finite = [0, -0f, 1, float.MaxValue, float.MinValue, float.Epsilon, -1e-40f];
            for (int i = 0; i < n; i++) values[i] = finite[i % finite.Length];
            Assert.Equal(0, Count(device, values));
            int expected = 0;
            for (int i = n - 1; i >= 0; i -= 5)
                values[i] = (expected++ % 3) switch { 0 => float.NaN, 1 => float.PositiveInfinity, _ => float.NegativeInfinity };
            Assert.Equal(expected, Count(device, values));
            Assert.Equal(2 * expected + 1, Count(device, values, [1, float.NaN], [], values));
        }
    }

    [Theory, MemberData(nameof(TestDevices.CpuNames), MemberType = typeof(TestDevices))]
    public void NoLaneRunsFull(string name) => Assert.Equal(300_003, Count(TestDevices.Get(name), [.. Enumerable.Repeat(float.NaN,
        300_003)]));

    [Fact]
    public void TheCountIsAnInt32()
    {
        using var scope = new TensorScope();
        Assert.Throws<DTypeException>(() => NonFiniteKernel.Forward(OpTesting.Output([1], Devices.Reference)));
    }

    private static int Count(Device device, params float[][] lists)
    {
        using var scope = new TensorScope();
        Tensor count = Tensor.Empty([1], DType.Int32, device);
        NonFiniteKernel.Forward(count, [.. lists.Select(values => Tensor.From(values, [values.Length], device))]);
        return count.ToArray<int>()[0];
    }
}
