using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

/// <summary>
/// What the tests of reductions, softmax and embeddings share: numbers, and the comparison of a device with the reference device.
/// </summary>
internal static class OpTesting
{
    internal static double[] Numbers(long count, int seed, double scale = 1)
    {
        var random = new Random(seed);
        var numbers = new double[count];
        // Rounded to float32, so that every device starts from the same numbers.
        for (int i = 0; i < numbers.Length; i++) numbers[i] = (float)((random.NextDouble() * 2 - 1) * scale);
        return numbers;
    }

    internal static int[] Ids(int count, int bound, int seed)
    {
        var random = new Random(seed);
        var ids = new int[count];
        for (int i = 0; i < count; i++) ids[i] = random.Next(bound);
        return ids;
    }

    internal static Tensor Floats(Shape shape, Device device, int seed, double scale = 1) =>
        Tensor.From(Numbers(shape.ElementCount, seed, scale), shape, device, "test data");

    internal static Tensor Output(Shape shape, Device device)
    {
        device.Memory.PoisonNewAllocations = true;
        return Tensor.Empty(shape, device.FloatType, device, "test output");
    }

    internal static Parameter Parameter(string name, Shape shape, Device device, int seed, double scale = 1) =>
        new(name, Floats(shape, device, seed, scale));

    /// <summary>What <paramref name="compute"/> returns on the device and on the reference device must agree.</summary>
    internal static void MatchesReference(Device device, Func<Device, Tensor> compute, double tolerance = 1e-5)
    {
        double[] expected, actual;
        using (new TensorScope("reference")) expected = compute(Devices.Reference).ToArray<double>();
        using (new TensorScope("device")) actual = compute(device).ToArray<double>();
        Close(expected, actual, tolerance);
    }

    internal static void Close(double[] expected, double[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            // Written so that NaN fails.
            Assert.True(Math.Abs(expected[i] - actual[i]) <= tolerance * Math.Max(1, Math.Abs(expected[i])),
                $"element {i} of {expected.Length}: expected {expected[i]}, got {actual[i]}");
    }

    /// <summary>The same bits from one thread and from three, at every vector width.</summary>
    internal static void IndependentOfThreads(Func<Device, Tensor> compute)
    {
        foreach (SimdLevel level in Simd.Available)
        {
            float[][] results = new float[2][];
            for (int i = 0; i < 2; i++)
            {
                using var cpu = new CpuDevice(i == 0 ? 1 : 3, level);
                cpu.Memory.PoisonNewAllocations = true;
                using var scope = new TensorScope("threads");
                results[i] = compute(cpu).ToArray<float>();
            }
            // As integers: NaN would be equal to NaN, and 0 to −0.
            Assert.DoesNotContain(results[0], float.IsNaN);
            Assert.Equal(results[0].Select(BitConverter.SingleToInt32Bits), results[1].Select(BitConverter.SingleToInt32Bits));
        }
    }
}
