using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class CastTests
{
    private static readonly DType[] s_narrow = [DType.BFloat16, DType.Float16];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Every_16_bit_value_widens_exactly(string device)
    {
        Device on = TestDevices.Get(device);
        ushort[] all = [.. Enumerable.Range(0, 65536).Where(i => device != "simulator" || i % 13 == 0).Select(i => (ushort)i)];
        float[] brain = Cast<BFloat16, float>(on, [.. all.Select(BFloat16.FromBits)], DType.BFloat16, DType.Float32);
        Assert.Equal(all.Select(bits => (float)BFloat16.FromBits(bits)), brain);
        float[] half = Cast<Half, float>(on, [.. all.Select(BitConverter.UInt16BitsToHalf)], DType.Float16, DType.Float32);
        Assert.Equal(all.Select(bits => (float)BitConverter.UInt16BitsToHalf(bits)), half);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Rounds_to_nearest_even(string device)
    {
        Device on = TestDevices.Get(device);
        // Every exponent and sign, with fractions at, just below and just above the ties of both types.
        uint[] fractions = [0, 1, 0x0FFF, 0x1000, 0x1001, 0x3000, 0x7FFF, 0x8000, 0x8001, 0x18000, 0x7F_FFFF, 0x7F_F000];
        float[] x = [.. from high in Enumerable.Range(0, 512)
                        from fraction in fractions
                        where device != "simulator" || high % 5 == 0 || high is > 96 and < 120
                        select BitConverter.UInt32BitsToSingle(((uint)high << 23) | fraction)];
        Assert.Equal(x.Select(value => (BFloat16)value), Cast<float, BFloat16>(on, x, DType.Float32, DType.BFloat16));
        Assert.Equal(x.Select(value => (Half)value), Cast<float, Half>(on, x, DType.Float32, DType.Float16));
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Between_the_16_bit_types(string device)
    {
        Device on = TestDevices.Get(device);
        ushort[] bits = [.. Enumerable.Range(0, 65536).Where(i => i % (device == "simulator" ? 97 : 3) == 0).Select(i => (ushort)i)];
        BFloat16[] brain = [.. bits.Select(BFloat16.FromBits)];
        Assert.Equal(brain.Select(value => (Half)(float)value), Cast<BFloat16, Half>(on, brain, DType.BFloat16, DType.Float16));
        Half[] half = [.. bits.Select(BitConverter.UInt16BitsToHalf)];
        Assert.Equal(half.Select(value => (BFloat16)(float)value), Cast<Half, BFloat16>(on, half, DType.Float16, DType.BFloat16));
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Odd_sizes_agree_with_the_reference(string device)
    {
        foreach (int n in ElementwiseCheck.Sizes(device))
            foreach (DType narrow in s_narrow)
            {
                float[] values = ElementwiseCheck.Values(n, 1);
                Assert.Equal(ThereAndBack(Devices.Reference, values, narrow), ThereAndBack(TestDevices.Get(device), values, narrow));
            }
    }

    [Fact]
    public void The_reference_rounds_a_float64_once()
    {
        // Rounded to float32 first these would become ties and go to the even neighbor, downwards.
        double[] x = [1 + Math.ScaleB(1, -8) + Math.ScaleB(1, -40), 1 + Math.ScaleB(1, -11) + Math.ScaleB(1, -40), 1e300, -1e300,
            double.NaN];
        double[] brain = ThereAndBack(Devices.Reference, x, DType.BFloat16), half = ThereAndBack(Devices.Reference, x, DType.Float16);
        Assert.Equal(1 + Math.ScaleB(1, -7), brain[0]);
        Assert.Equal(1 + Math.ScaleB(1, -10), half[1]);
        Assert.Equal([double.PositiveInfinity, double.NegativeInfinity, double.NaN], brain[2..]);
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void The_gradient_passes_unchanged(string device)
    {
        Device on = TestDevices.Get(device);
        using var p = new Parameter("p", Tensor.From([1.001f, 2.002f], [2], on));
        foreach (DType narrow in s_narrow)
        {
            using (var tape = new Tape())
            {
                Tensor y = p.Value.Cast(narrow).Cast(on.FloatType);
                tape.Backward(y, Tensor.From([0.1f, 0.2f], [2], on));
                Assert.Equal([0.1f, 0.2f], p.Gradient!.ToArray<float>());
            }
            p.ZeroGradient();
            using (var tape = new Tape())
            {
                Tensor y = p.Value.Cast(narrow);
                using Tensor wide = Tensor.From([0.5f, 2f], [2], on), dy = Tensor.Empty([2], narrow, on);
                CastKernel.Forward(wide, dy);
                tape.Backward(y, dy);
                Assert.Equal([0.5f, 2f], p.Gradient!.ToArray<float>());
            }
            p.ZeroGradient();
        }
    }

    [Fact]
    public void Other_types_are_refused()
    {
        using Tensor ids = Tensor.From([1, 2], [2], Devices.Cpu), y = Tensor.Zeros([2], DType.Float32, Devices.Cpu);
        Assert.Contains("from int32 to float32; on CPU", Assert.Throws<DTypeException>(() => CastKernel.Forward(ids, y)).Message);
    }

    private static TTo[] Cast<TFrom, TTo>(Device on, TFrom[] values, DType from, DType to) where TFrom : unmanaged where TTo : unmanaged
    {
        using Tensor x = Tensor.From<TFrom>(values, [values.Length], from, on), y = Tensor.Empty([values.Length], to, on);
        CastKernel.Forward(x, y);
        return y.ToArray<TTo>();
    }

    private static double[] ThereAndBack<T>(Device on, T[] values, DType narrow) where T : unmanaged
    {
        using Tensor x = Tensor.From(values, [values.Length], on), y = Tensor.Empty([values.Length], narrow, on);
        CastKernel.Forward(x, y);
        CastKernel.Forward(y, x);
        return x.ToArray<double>();
    }
}
