using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class DropoutTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void The_mask_is_the_same_on_every_device(string device)
    {
        // Offsets at every place within a Philox block, across the border of 32 bits of its counter, and across the end of the sequence.
        ulong[] offsets = [0, 1, 2, 3, (1ul << 34) - 5, ulong.MaxValue - 6];
        foreach (int n in ElementwiseCheck.Sizes(device))
            foreach (ulong offset in offsets)
            {
                var mask = new DropoutMask(0.3f, new RandomStream(0x1234_5678_9ABC_DEF0, offset));
                float[] x = ElementwiseCheck.Values(n, 1);
                Device on = TestDevices.Get(device);
                using Tensor input = Tensor.From(x, [n], on), y = Tensor.Empty([n], on.FloatType, on);
                DropoutKernel.Forward(input, mask, y);
                // To the last bit: float32 products are rounded in one way only.
                Assert.Equal(x.Select((value, i) => value * mask.Factor(i)), y.ToArray<float>());
            }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void An_element_whose_number_is_p_is_kept(string device)
    {
        const int n = 67;
        var stream = new RandomStream(9, 2);
        Device on = TestDevices.Get(device);
        using Tensor x = Tensor.From(Enumerable.Repeat(1f, n).ToArray(), [n], on), y = Tensor.Empty([n], on.FloatType, on);
        // Before the first block of random numbers, in vectors of every width, and behind the last.
        foreach (int i in (int[])[0, 2, 11, 30, 47, 66])
        {
            float p = stream.Uniform(i);
            DropoutKernel.Forward(x, new DropoutMask(p, stream), y);
            Assert.Equal(1 / (1 - p), y.ToArray<float>()[i], 1e-6f / (1 - p));
        }
    }

    [Fact]
    public void The_reference_has_the_same_mask()
    {
        var mask = new DropoutMask(0.3f, new RandomStream(5, 7));
        using Tensor x = Tensor.From(ElementwiseCheck.Values(1025, 1), [1025], Devices.Reference);
        using Tensor y = Tensor.Empty([1025], DType.Float64, Devices.Reference);
        DropoutKernel.Forward(x, mask, y);
        double[] from = x.ToArray<double>();
        ElementwiseCheck.AssertClose([.. from.Select((value, i) => value * mask.Factor(i))], y.ToArray<double>(), 1e-6, "reference");
    }

    [Theory, InlineData(0f), InlineData(0.1f), InlineData(0.9f)]
    public void The_share_of_zeros_is_p_and_the_mean_stays(float p)
    {
        const int n = 200_000;
        var ones = new float[n];
        Array.Fill(ones, 1f);
        using Tensor x = Tensor.From(ones, [n], Devices.Cpu), y = Tensor.Empty([n], DType.Float32, Devices.Cpu);
        DropoutKernel.Forward(x, new DropoutMask(p, new RandomStream(3, 0)), y);
        float[] result = y.ToArray<float>();
        double deviation = Math.Sqrt(p * (1 - p) / n);
        Assert.Equal(p, result.Count(value => value == 0) / (double)n, 5 * deviation + 1e-12);
        Assert.Equal(1, result.Average(value => (double)value), 5 * deviation / (1 - p) + 1e-6);
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device) => ElementwiseCheck.Gradients(device, x => x.Dropout(0.4f, new RandomStream(11, 3)), 3, 5);

    [Theory, InlineData(1f), InlineData(-0.1f), InlineData(float.NaN)]
    public void The_probability_is_checked(float p)
    {
        using Tensor x = Tensor.Zeros([2], DType.Float32, Devices.Cpu);
        Assert.Throws<ArgumentOutOfRangeException>(() => x.Dropout(p, new RandomStream(1, 0)));
    }
}
