using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

/// <summary>Activations and residuals that products end with: beside the reference device, beside kernels of their own, and on the way back.</summary>
public sealed class EpilogueTests
{
    private static readonly DropoutMask s_mask = new(0.3f, new RandomStream(7, 13));

    private static readonly ActivationKind[] s_kinds = Enum.GetValues<ActivationKind>();

    public static TheoryData<ActivationKind> Kinds => [.. s_kinds];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void EveryActivationMatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (ActivationKind kind in s_kinds)
            for (int form = 0; form < 4; form++) CompareLayers(device, (5, 31, 33, 3), new(kind, form % 2 == 1, form >= 2));
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void OddSizesMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        (int, int, int, int)[] sizes =
            [(0, 3, 4, 1), (1, 1, 1, 1), (2, 129, 8, 2), (33, 32, 31, 8), (4, 0, 3, 2), (4, 3, 0, 2), (1, 1025, 2, 0), (31, 12, 1, 33)];
        for (int i = 0; i < sizes.Length; i++)
        {
            CompareLayers(device, sizes[i], new(s_kinds[1 + i % (s_kinds.Length - 1)], true, i % 2 == 1));
            CompareLayers(device, sizes[i], new(ActivationKind.None, false, true));
        }
        foreach (MatMulLayout layout in Enum.GetValues<MatMulLayout>())
            foreach (MatMulSize size in new MatMulSize[] { new(1, 9, 17, 5), new(3, 7, 5, 9), new(2, 3, 4, 0) })
            {
                Ending ending = new(ActivationKind.Gelu, true, true);
                float[][] expected = Product(Devices.Reference, layout, size, ending), actual = Product(device, layout, size, ending);
                for (int t = 0; t < 2; t++) Close(expected[t], actual[t], $"{layout} {size}, output {t}");
            }
    }

    /// <summary>
    /// Tiles, rows that are few, small right operands read where they lie, either way round, sums over parts of K, batches: all end with the same bits as
    /// kernels of their own, whoever took which tile.
    /// </summary>
    [Theory, MemberData(nameof(TestDevices.CpuNames), MemberType = typeof(TestDevices))]
    public void TheBitsAreThoseOfSeparateKernels(string name)
    {
        Device device = TestDevices.Get(name);
        Ending[] endings =
        [
            new(ActivationKind.Gelu, true, false), new(ActivationKind.None, false, true), new(ActivationKind.Tanh, true, true),
            new(ActivationKind.Silu, false, false),
        ];
        foreach (MatMulLayout layout in Enum.GetValues<MatMulLayout>())
            foreach (MatMulSize size in new MatMulSize[]
                     {
                         new(1, 300, 257, 129), new(1, 129, 8, 2500), new(1, 8, 129, 2500), new(1, 9, 1025, 70), new(3, 65, 33, 40), new(1, 1, 77, 500),
                         new(1, 3, 5, 0),
                     })
                foreach (Ending ending in endings)
                    Same(Product(device, layout, size, ending), Product(device, layout, size, ending, isSeparate: true), $"{layout} {size} {ending}");
        foreach ((int, int, int, int) size in new[] { (150, 400, 300, 8), (40, 50, 1500, 16), (2, 1500, 50, 16), (20, 30, 40, 150) })
            foreach (DropoutMask? dropout in new DropoutMask?[] { null, s_mask })
                foreach (Ending ending in endings)
                    Same(Layers(device, size, ending, dropout), Layers(device, size, ending, dropout, isSeparate: true), $"{size} {ending} {dropout}");
    }

    [Theory, InlineData(FrozenStorage.BFloat16), InlineData(FrozenStorage.Int8), InlineData(FrozenStorage.Nf4)]
    public void StoredWeightsEndAlike(FrozenStorage storage)
    {
        foreach (string name in (string[])["cpu", "simulator"])
        {
            Device device = TestDevices.Get(name);
            int rows = name == "cpu" ? 70 : 3;
            (int, int, int, int) size = (rows, 64, 96, 4);
            Ending ending = new(ActivationKind.GeluTanh, true, false);
            float[][] fused = Layers(device, size, ending, null, storage: storage), separate = Layers(device, size, ending, null, isSeparate: true, storage);
            for (int t = 0; t < fused.Length; t++) Close(separate[t], fused[t], $"{storage} on {name}, output {t}");
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void GradientsMatchNumericalDifferentiation(ActivationKind kind)
    {
        Device device = Devices.Reference;
        using Tensor w = LinearAssert.Operand(1, [4, 4], device);
        using FrozenWeight weight = FrozenWeight.Create(w);
        using Parameter x = new("x", LinearAssert.Operand(2, [2, 3, 4], device)), bias = new("bias", LinearAssert.Operand(3, [4], device));
        using Parameter a = new("a", LinearAssert.Operand(4, [2, 4], device)), b = new("b", LinearAssert.Operand(5, [4, 2], device));
        using Parameter v = new("v", LinearAssert.Operand(6, [4, 4], device)), around = new("around", LinearAssert.Operand(7, [2, 3, 4], device));
        GradientCheck.Numerical(() => x.Value.FrozenLinear(weight, bias, kind), [x, bias]);
        GradientCheck.Numerical(() => x.Value.FrozenLinear(weight, bias, kind, around), [x, bias, around]);
        GradientCheck.Numerical(() => x.Value.LowRankLinear(weight, bias, a, b, s_mask, kind, around), [x, bias, a, b, around]);
        foreach (bool isTransposed in new[] { false, true })
            GradientCheck.Numerical(() => x.Value.Linear(v, bias, kind, around, isTransposed), [x, v, bias, around]);
        // What goes around is the layer's own input, and a result that others use: its gradients add up.
        GradientCheck.Numerical(() => x.Value.Linear(v, null, kind, x), [x, v]);
        GradientCheck.Numerical(() =>
        {
            Tensor y = x.Value.Scale(2), z = y.Linear(v, bias, kind, y);
            return z.FrozenLinear(weight, null, kind, z).Add(y).Add(z);
        }, [x, v, bias]);
        x.RequiresGradient = bias.RequiresGradient = false;
        GradientCheck.Numerical(() => x.Value.FrozenLinear(weight, bias, residual: around), [around]);
        GradientCheck.Numerical(() => x.Value.FrozenLinear(weight, bias, kind, around), [around]);
    }

    [Fact]
    public void WithoutATapeTheResultAloneIsLeft()
    {
        Device device = TestDevices.Cpu(1, Simd.Best);
        using Tensor w = LinearAssert.Operand(1, [16, 8], device), x = LinearAssert.Operand(2, [4, 8], device), around = LinearAssert.Operand(3, [4, 16], device);
        using Tensor a = LinearAssert.Operand(4, [2, 8], device), b = LinearAssert.Operand(5, [16, 2], device);
        using FrozenWeight weight = FrozenWeight.Create(w);
        foreach (ActivationKind kind in s_kinds)
        {
            OneIsLeft(() => x.FrozenLinear(weight, null, kind, around));
            OneIsLeft(() => x.LowRankLinear(weight, null, a, b, null, kind, around));
            OneIsLeft(() => x.Linear(w, null, kind, around));
        }

        void OneIsLeft(Func<Tensor> compute)
        {
            HashSet<long> before = [.. device.Memory.LiveAllocations().Select(record => record.Id)];
            using Tensor y = compute();
            Assert.Single(device.Memory.LiveAllocations(), record => !before.Contains(record.Id));
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsAgreeAlongADirection(string name)
    {
        Device device = TestDevices.Get(name);
        using Tensor w = LinearAssert.Operand(1, [7, 8], device);
        using FrozenWeight weight = FrozenWeight.Create(w);
        using Parameter x = new("x", LinearAssert.Operand(2, [6, 8], device)), around = new("around", LinearAssert.Operand(3, [6, 8], device));
        using Parameter a = new("a", LinearAssert.Operand(4, [3, 8], device)), b = new("b", LinearAssert.Operand(5, [7, 3], device));
        using Parameter v = new("v", LinearAssert.Operand(6, [8, 7], device));
        foreach (ActivationKind kind in s_kinds)
            GradientCheck.Directional(() => x.Value.LowRankLinear(weight, null, a, b, s_mask, kind).Linear(v, residual: around), [x, a, b, v, around]);
    }

    [Fact]
    public void OnlyWhatTheWayBackWantsIsKept()
    {
        Device device = TestDevices.Cpu(1, Simd.Best);
        using Tensor w = LinearAssert.Operand(1, [512, 64], device), plain = LinearAssert.Operand(2, [256, 64], device);
        using FrozenWeight weight = FrozenWeight.Create(w);
        using Parameter x = new("x", LinearAssert.Operand(2, [256, 64], device));
        const long Output = 256 * 512 * sizeof(float);
        Assert.Equal(Output, Kept(() => plain.FrozenLinear(weight, null, ActivationKind.Gelu)));
        Assert.Equal(2 * Output, Kept(() => x.Value.FrozenLinear(weight, null, ActivationKind.Gelu)));
        Assert.Equal(Output, Kept(() => x.Value.FrozenLinear(weight, null, ActivationKind.Relu)));

        long Kept(Action compute)
        {
            long before = device.Memory.Statistics.BytesInUse;
            using var tape = new Tape();
            compute();
            return device.Memory.Statistics.BytesInUse - before;
        }
    }

    [Fact]
    public void RefusesWhatDoesNotGoTogether()
    {
        Device device = Devices.Cpu;
        using Tensor w = LinearAssert.Operand(1, [4, 4], device), x = LinearAssert.Operand(2, [3, 4], device), y = LinearAssert.Operand(3, [3, 4], device);
        using Tensor z = LinearAssert.Operand(4, [3, 4], device), other = LinearAssert.Operand(5, [4, 3], device);
        using FrozenWeight weight = FrozenWeight.Create(w);
        Assert.Contains("no activation", Refused<ArgumentException>(new() { Preactivation = z }));
        Assert.Contains("[4, 3]", Refused<ShapeException>(new() { Residual = other }));
        Assert.Contains("[4, 3]", Refused<ShapeException>(new() { Activation = ActivationKind.Gelu, Preactivation = other }));
        Assert.Contains("shares memory", Refused<ArgumentException>(new() { Residual = y }));
        Assert.Contains("shares memory", Refused<ArgumentException>(new() { Activation = ActivationKind.Gelu, Preactivation = y }));
        Assert.Contains("shares memory", Refused<ArgumentException>(new() { Activation = ActivationKind.Gelu, Preactivation = x }));
        Refused<ArgumentOutOfRangeException>(new() { Activation = (ActivationKind)99 });
        Assert.Contains("adding to c", Assert.Throws<ArgumentException>(
            () => MatMulKernel.Forward(x, w, y, accumulate: true, epilogue: new() { Activation = ActivationKind.Relu })).Message);

        string Refused<TException>(Epilogue epilogue) where TException : Exception =>
            Assert.Throws<TException>(() => FrozenLinearKernel.Forward(x, weight, null, y, epilogue)).Message;
    }

    private static void CompareLayers(Device device, (int, int, int, int) size, Ending ending)
    {
        float[][] expected = Layers(Devices.Reference, size, ending, s_mask), actual = Layers(device, size, ending, s_mask);
        for (int t = 0; t < expected.Length; t++) Close(expected[t], actual[t], $"{size} {ending}, output {t}");
    }

    /// <summary>y and z of a frozen layer and of one with a branch.</summary>
    private static float[][] Layers(
        Device device, (int Rows, int In, int Out, int Rank) size, Ending ending, DropoutMask? dropout, bool isSeparate = false,
        FrozenStorage storage = FrozenStorage.Float32)
    {
        (int rows, int inputs, int outputs, int rank) = size;
        using Tensor w = LinearAssert.Operand(1, [outputs, inputs], device), x = LinearAssert.Operand(2, [rows, inputs], device);
        using Tensor bias = LinearAssert.Operand(3, [outputs], device);
        using Tensor a = LinearAssert.Operand(4, [rank, inputs], device), b = LinearAssert.Operand(5, [outputs, rank], device);
        using Tensor h = Tensor.Empty([rows, rank], device.FloatType, device);
        using FrozenWeight weight = FrozenWeight.Create(w, storage);
        return
        [
            .. ending.Make(device, [rows, outputs], isSeparate, (y, end) => FrozenLinearKernel.Forward(x, weight, bias, y, end)),
            .. ending.Make(device, [rows, outputs], isSeparate, (y, end) => LowRankLinearKernel.Forward(x, weight, bias, a, b, h, y, dropout, end)),
        ];
    }

    private static float[][] Product(Device device, MatMulLayout layout, MatMulSize size, Ending ending, bool isSeparate = false)
    {
        (int batch, int m, int n, int k) = size;
        using Tensor a = LinearAssert.Operand(1, layout == MatMulLayout.TN ? [batch, k, m] : [batch, m, k], device);
        using Tensor b = LinearAssert.Operand(2, layout == MatMulLayout.NT ? [batch, n, k] : [batch, k, n], device);
        using Tensor bias = LinearAssert.Operand(3, [n], device);
        return ending.Make(device, [batch, m, n], isSeparate, (c, end) => MatMulKernel.Forward(a, b, c, layout, bias, epilogue: end));
    }

    private static void Same(float[][] expected, float[][] actual, string what)
    {
        for (int t = 0; t < expected.Length; t++) Assert.True(expected[t].AsSpan().SequenceEqual(actual[t]), $"{what}: output {t} has other bits");
    }

    private static void Close(float[] expected, float[] actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.True(
                Math.Abs(expected[i] - actual[i]) <= 2e-5 * (1 + Math.Abs(expected[i])), $"{what}: element {i} is {actual[i]}, not {expected[i]}");
    }

    /// <summary>What a product ends with.</summary>
    private sealed record Ending(ActivationKind Activation, bool IsKept, bool HasResidual)
    {
        /// <summary>y, and z where it is kept, by the product or by kernels after it.</summary>
        internal float[][] Make(Device device, Shape shape, bool isSeparate, Action<Tensor, Epilogue> product)
        {
            bool keeps = IsKept && Activation != ActivationKind.None;
            using Tensor y = OpTesting.Output(shape, device), around = LinearAssert.Operand(9, shape, device);
            using Tensor? z = keeps ? OpTesting.Output(shape, device) : null;
            if (isSeparate)
            {
                product(z ?? y, default);
                if (Activation != ActivationKind.None) Activation.Forward(z ?? y, y);
                if (HasResidual) AddKernel.Forward(y, around, y);
            }
            else product(y, new Epilogue { Activation = Activation, Preactivation = z, Residual = HasResidual ? around : null });
            return z is null ? [y.ToArray<float>()] : [y.ToArray<float>(), z.ToArray<float>()];
        }
    }
}
