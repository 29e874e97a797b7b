using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Products;

/// <summary>Every tile, layout and mask of the GPU product against the reference device.</summary>
public sealed class GpuTiledProductTests
{
    private static readonly DropoutMask s_mask = new(0.4f, new RandomStream(7, 123));

    public static TheoryData<string> Gpus => TestDevices.GpuNames;

    [Theory, MemberData(nameof(Gpus))]
    public void EveryTileInEveryLayout(string name)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        foreach (MatMulSize size in Sizes(gpu))
        {
            Tiles<LayoutNN>(gpu, size, MatMulLayout.NN);
            Tiles<LayoutNT>(gpu, size, MatMulLayout.NT);
            Tiles<LayoutTN>(gpu, size, MatMulLayout.TN);
        }
    }

    [Theory, MemberData(nameof(Gpus))]
    public void LowRankLinearForwardAndBackward(string name)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        foreach ((int rows, int @in, int @out, int rank) in new[]
                 { (5, 19, 33, 3), (33, 17, 7, 1), (1, 1, 1, 1), (3, 5, 6, 0), (0, 4, 5, 2), (17, 9, 31, 18) })
            foreach (DropoutMask? mask in new DropoutMask?[] { null, s_mask })
            {
                float[][] there = LowRank(gpu, rows, @in, @out, rank, mask);
                float[][] reference = LowRank(Devices.Reference, rows, @in, @out, rank, mask);
                for (int t = 0; t < there.Length; t++)
                    Close(reference[t], there[t], $"output {t} at [{rows}, {@in}, {@out}], rank {rank}, {mask}");
            }
    }

    private static float[][] LowRank(Device device, int rows, int @in, int @out, int rank, DropoutMask? mask)
    {
        using Tensor x = Values([rows, @in], 1, device), w = Values([@out, @in], 2, device), bias = Values([@out], 3, device);
        using Tensor a = Values([rank, @in], 4, device), b = Values([@out, rank], 5, device), g = Values([rows, @out], 6, device);
        using Tensor h = Tensor.Empty([rows, rank], device.FloatType, device), y = Tensor.Empty([rows, @out], device.FloatType, device);
        using Tensor da = Tensor.Empty(a.Shape, device.FloatType, device), db = Tensor.Empty(b.Shape, device.FloatType, device);
        using Tensor dx = Tensor.Empty(x.Shape, device.FloatType, device), sum = Values([rows, @in], 7, device);
        using FrozenWeight weight = FrozenWeight.Create(w);
        LowRankLinearKernel.Forward(x, weight, bias, a, b, h, y, mask);
        LowRankLinearKernel.Backward(x, weight, a, b, h, g, dx, da, db, mask);
        LowRankLinearKernel.Backward(x, weight, a, b, h, g, sum, null, null, mask, accumulateDx: true);
        return [.. new[] { h, y, da, db, dx, sum }.Select(tensor => tensor.ToArray<float>())];
    }

    private static void Tiles<TLayout>(GpuDevice gpu, MatMulSize size, MatMulLayout layout) where TLayout : struct, IGpuLayout
    {
        Tile<SmallTile, TLayout>(gpu, size, layout);
        if (gpu.MaxThreadsPerGroup < 256) return;
        Tile<TallTile, TLayout>(gpu, size, layout);
        Tile<WideTile, TLayout>(gpu, size, layout);
        Tile<SquareTile, TLayout>(gpu, size, layout);
    }

    private static void Tile<TTile, TLayout>(GpuDevice gpu, MatMulSize size, MatMulLayout layout)
        where TTile : struct, IGpuTile where TLayout : struct, IGpuLayout
    {
        foreach (bool accumulate in new[] { false, true })
        {
            float[] expected = Product(Devices.Reference, (a, b, c, bias) => MatMulKernel.Forward(a, b, c, layout, bias, accumulate));
            float[] actual = Product(gpu, (a, b, c, bias) => GpuTiledProduct.Launch<TTile, TLayout, NoMask, PlainRight, NoActivation>(
                gpu, size, 0, new GpuTiledProduct.Operands(gpu, a, b, c, bias: bias, before: accumulate ? c : null), default));
            Close(expected, actual, $"{typeof(TTile).Name} {layout} {size} accumulate {accumulate}");

            float[] Product(Device device, Action<Tensor, Tensor, Tensor, Tensor?> product)
            {
                (int batch, int m, int n, int k) = size;
                using Tensor a = Values(layout == MatMulLayout.TN ? [batch, k, m] : [batch, m, k], 1, device);
                using Tensor b = Values(layout == MatMulLayout.NT ? [batch, n, k] : [batch, k, n], 2, device);
                using Tensor c = accumulate ? Values([batch, m, n], 3, device) : Tensor.Empty([batch, m, n], device.FloatType, device);
                using Tensor? bias = accumulate ? null : Values([n], 4, device);
                product(a, b, c, bias);
                return c.ToArray<float>();
            }
        }
    }

    private static IEnumerable<MatMulSize> Sizes(GpuDevice gpu)
    {
        yield return new(1, 1, 1, 1);
        yield return new(1, 0, 5, 3);
        yield return new(1, 5, 0, 3);
        yield return new(1, 5, 3, 0);
        yield return new(0, 5, 3, 2);
        yield return new(3, 17, 5, 9);
        yield return new(2, 31, 33, 7);
        yield return new(1, 3, 35, 16);
        if (gpu.Kind == DeviceKind.Simulator) yield break;
        yield return new(1, 127, 129, 65);
        yield return new(2, 64, 128, 31);
        yield return new(1, 1025, 15, 33);
        yield return new(1, 15, 1025, 33);
    }

    private static Tensor Values(Shape shape, ulong seed, Device device)
    {
        var values = new float[shape.ElementCount];
        new Generator(seed).FillUniform(values, -1, 1);
        return Tensor.From(values, shape, device);
    }

    private static void Close(float[] expected, float[] actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.True(
                Math.Abs(expected[i] - actual[i]) <= 1e-5 * (1 + Math.Abs(expected[i])),
                $"{what}: element {i} is {actual[i]}, not {expected[i]}");
    }
}
