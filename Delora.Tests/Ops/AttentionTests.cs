using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class AttentionTests
{
    private static readonly AttentionCase[] s_small =
    [
        new(1, 1, 1, 1, 1, 1), new(2, 3, 3, 2, 1, 5), new(1, 5, 9, 3, 3, 2) { Keys = 7 }, new(1, 6, 6, 2, 2, 4) { Causal = false },
        new(2, 9, 9, 4, 2, 3) { Mask = AttentionMask.Left }, new(2, 10, 10, 1, 1, 3) { Mask = AttentionMask.Right },
        new(2, 2, 8, 2, 1, 17) { Keys = 6, Causal = false, Mask = AttentionMask.Holes },
        new(2, 4, 6, 2, 2, 2) { Mask = AttentionMask.All, Scale = 0.7 }, new(0, 3, 3, 2, 1, 4), new(2, 0, 3, 2, 1, 4),
        new(1, 3, 0, 2, 1, 4) { Causal = false }, new(1, 3, 5, 2, 1, 4) { Keys = 0, Causal = false },
        new(1, 7, 7, 2, 1, 3) { Window = 1 }, new(2, 9, 9, 2, 1, 3) { Window = 3, Mask = AttentionMask.Left },
        new(1, 5, 12, 2, 2, 4) { Window = 4, Keys = 11 }, new(2, 2, 9, 2, 1, 5) { Window = 2, Mask = AttentionMask.Right },
        new(1, 6, 9, 1, 1, 4) { Window = 2, Causal = false }, new(1, 6, 4, 1, 1, 4) { Window = 2, Causal = false },
        new(2, 5, 5, 2, 1, 4) { Window = int.MaxValue, Mask = AttentionMask.Holes },
    ];

    private static readonly AttentionCase[] s_large =
    [
        new(2, 31, 31, 2, 1, 8), new(1, 32, 32, 3, 1, 16), new(1, 33, 33, 2, 2, 31), new(1, 127, 127, 2, 1, 32), new(2, 129, 129, 4, 2, 8),
        new(1, 1025, 1025, 1, 1, 4), new(1, 1, 129, 4, 2, 64), new(2, 3, 300, 3, 1, 33) { Keys = 257, Mask = AttentionMask.Left },
        new(1, 40, 200, 2, 1, 80) { Keys = 150 }, new(1, 31, 1025, 2, 1, 12) { Causal = false, Scale = -0.3 },
        new(2, 129, 129, 2, 1, 5) { Mask = AttentionMask.Left }, new(2, 65, 65, 2, 1, 24) { Mask = AttentionMask.Right },
        new(2, 70, 90, 2, 2, 17) { Causal = false, Mask = AttentionMask.Holes }, new(3, 2, 70, 2, 1, 5) { Mask = AttentionMask.Holes },
        new(2, 33, 40, 2, 1, 64) { Mask = AttentionMask.All }, new(1, 300, 300, 2, 1, 16) { Window = 1 },
        new(2, 200, 260, 4, 2, 8) { Window = 33, Keys = 250 }, new(1, 1025, 1025, 1, 1, 4) { Window = 100 },
        new(1, 1, 300, 4, 2, 64) { Window = 100, Keys = 257 }, new(3, 3, 129, 2, 1, 33) { Window = 64, Mask = AttentionMask.Holes },
        new(2, 129, 129, 2, 1, 5) { Window = 20, Mask = AttentionMask.Left }, new(2, 129, 129, 2, 2, 5) { Window = 40, Mask = AttentionMask.Right },
        new(1, 129, 200, 2, 1, 12) { Window = 31, Causal = false }, new(2, 130, 70, 2, 1, 7) { Window = 9, Causal = false },
    ];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void MatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (AttentionCase of in name == "simulator" ? s_small : [.. s_small, .. s_large])
        {
            OpTesting.MatchesReference(device, of.Forward, 3e-6);
            OpTesting.MatchesReference(device, d => of.Backward(d, true, true, true), 2e-5);
        }
    }

    [Fact]
    public void TheReferenceIsTheFormula()
    {
        foreach (AttentionCase of in s_small)
        {
            using var scope = new TensorScope("formula");
            OpTesting.Close(of.Formula(), of.Forward(Devices.Reference).ToArray<double>(), 1e-13);
        }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void OnlyTheWantedGradientsAreComputed(string name)
    {
        using var scope = new TensorScope("gradients");
        Device device = TestDevices.Get(name);
        var of = new AttentionCase(2, 5, 7, 4, 2, 3) { Mask = AttentionMask.Left };
        double[] all = of.Backward(device, true, true, true).ToArray<double>();
        int queries = 2 * 5 * 4 * 3, keys = 2 * 7 * 2 * 3;
        double[] dq = all[..queries], dk = all[queries..(queries + keys)], dv = all[(queries + keys)..];
        Assert.Equal(dq, of.Backward(device, true, false, false).ToArray<double>());
        Assert.Equal(dk, of.Backward(device, false, true, false).ToArray<double>());
        Assert.Equal(dv, of.Backward(device, false, false, true).ToArray<double>());
        Assert.Equal([.. dq, .. dv], of.Backward(device, true, false, true).ToArray<double>());
        Assert.Empty(of.Backward(device, false, false, false).ToArray<double>());
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void WhoAttendsToNothingGivesZeros(string name)
    {
        using var scope = new TensorScope("nothing");
        Device device = TestDevices.Get(name);
        // The first batch row has no key at all, the queries 0 and 1 of the second see padding only.
        int[] mask = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1];
        foreach (int seq in (int[])[1, 5])
        {
            Tensor query = OpTesting.Floats([2, seq, 2, 3], device, 1), key = OpTesting.Floats([2, 5, 1, 3], device, 2);
            Tensor y = OpTesting.Output(query.Shape, device), z = OpTesting.Output([2, 2, seq], device);
            Tensor dq = OpTesting.Output(query.Shape, device), dk = OpTesting.Output(key.Shape, device);
            Tensor dv = OpTesting.Output(key.Shape, device);
            Tensor padding = Tensor.From(mask, [2, 5], device), dy = OpTesting.Floats(query.Shape, device, 3);
            AttentionKernel.Forward(query, key, key, padding, y, z, new());
            AttentionKernel.Backward(query, key, key, padding, y, z, dy, dq, dk, dv, new());
            int empty = seq * 6 + (seq == 5 ? 12 : 0);
            Assert.All(y.ToArray<double>()[..empty], value => Assert.Equal(0, value));
            Assert.All(dq.ToArray<double>()[..empty], value => Assert.Equal(0, value));
            Assert.All(z.ToArray<double>()[..(2 * seq)], value => Assert.Equal(double.NegativeInfinity, value));
            Assert.All([.. dk.ToArray<double>()[..21], .. dv.ToArray<double>()[..21]], value => Assert.Equal(0, value));
            Assert.All(
                [.. y.ToArray<double>(), .. dq.ToArray<double>(), .. dk.ToArray<double>(), .. dv.ToArray<double>()],
                value => Assert.True(double.IsFinite(value)));
        }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void DecodingStepByStepEqualsTheWhole(string name)
    {
        using var scope = new TensorScope("decoding");
        Device device = TestDevices.Get(name);
        int length = name == "simulator" ? 7 : 70;
        Tensor query = OpTesting.Floats([1, length, 4, 8], device, 1, 2), key = OpTesting.Floats([1, length, 2, 8], device, 2, 2);
        Tensor value = OpTesting.Floats([1, length, 2, 8], device, 3);
        foreach (int? window in (int?[])[null, length / 2]) DecodeStepByStep(query, key, value, window);
    }

    private static void DecodeStepByStep(Tensor query, Tensor key, Tensor value, int? window)
    {
        int length = query.Shape[1];
        double[] whole = query.Attention(key, value, window: window).ToArray<double>(), q = query.ToArray<double>();
        double[] k = key.ToArray<double>(), v = value.ToArray<double>();
        // A prompt of three, then one at a time; the rest of the cache is NaN.
        for (int done = 0; done < length;)
        {
            int count = done == 0 ? 3 : 1;
            double[] nan = [.. Enumerable.Repeat(double.NaN, (length + 2 - done - count) * 16)];
            Tensor part = Tensor.From(q[(done * 32)..((done + count) * 32)], [1, count, 4, 8], query.Device);
            done += count;
            Tensor keys = Tensor.From([.. k[..(done * 16)], .. nan], [1, length + 2, 2, 8], query.Device);
            Tensor values = Tensor.From([.. v[..(done * 16)], .. nan], [1, length + 2, 2, 8], query.Device);
            double[] y = part.Attention(keys, values, keys: done, window: window).ToArray<double>();
            OpTesting.Close(whole[((done - count) * 32)..(done * 32)], y, 2e-6);
        }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void PaddingChangesNothingForTheOthers(string name)
    {
        using var scope = new TensorScope("padding");
        Device device = TestDevices.Get(name);
        const int Length = 5, Padding = 3;
        Tensor alone = OpTesting.Floats([1, Length, 2, 4], device, 1);
        double[] tokens = alone.ToArray<double>(), other = OpTesting.Numbers(Padding * 8, 2, 5);
        double[] expected = alone.Attention(alone, alone).ToArray<double>();
        Tensor left = Tensor.From([.. other, .. tokens], [1, Length + Padding, 2, 4], device);
        Tensor right = Tensor.From([.. tokens, .. other], [1, Length + Padding, 2, 4], device);
        double[] onTheRight = left.Attention(left, left, Tensor.From([0, 0, 0, 1, 1, 1, 1, 1], [1, 8], device)).ToArray<double>();
        OpTesting.Close(expected, onTheRight[(Padding * 8)..], 2e-6);
        foreach (bool causal in (bool[])[true, false])
        {
            Tensor mask = Tensor.From([1, 1, 1, 1, 1, 0, 0, 0], [1, 8], device);
            double[] result = right.Attention(right, right, mask, causal).ToArray<double>();
            OpTesting.Close(alone.Attention(alone, alone, causal: causal).ToArray<double>(), result[..(Length * 8)], 2e-6);
        }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void LargeScoresDoNotOverflow(string name)
    {
        using var scope = new TensorScope("large");
        Device device = TestDevices.Get(name);
        foreach (int seq in (int[])[2, 6])
        {
            // The scores are ±1e4 and more; the largest takes it all.
            Tensor query = OpTesting.Floats([1, seq, 1, 4], device, 1, 200), key = OpTesting.Floats([1, 6, 1, 4], device, 2, 200);
            Tensor value = OpTesting.Floats([1, 6, 1, 4], device, 3);
            double[] y = query.Attention(key, value).ToArray<double>(), v = value.ToArray<double>();
            double[] q = query.ToArray<double>(), k = key.ToArray<double>();
            for (int t = 0; t < seq; t++)
            {
                int best = Enumerable.Range(0, 7 - seq + t).MaxBy(j => Enumerable.Range(0, 4).Sum(c => q[t * 4 + c] * k[j * 4 + c]));
                OpTesting.Close(v[(best * 4)..(best * 4 + 4)], y[(t * 4)..(t * 4 + 4)], 1e-6);
            }
        }
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads()
    {
        // Enough heads for a head at a time, and so few that three threads share out blocks; decoding.
        foreach (AttentionCase of in (AttentionCase[])
        [
            new(3, 100, 100, 4, 2, 8) { Mask = AttentionMask.Holes }, new(1, 150, 170, 3, 1, 17) { Keys = 160 },
            new(1, 150, 150, 3, 1, 8) { Window = 21, Mask = AttentionMask.Left }, new(4, 150, 150, 4, 2, 8) { Window = 70 },
            new(1, 70, 70, 2, 1, 32) { Mask = AttentionMask.Left }, new(1, 70, 200, 1, 1, 5) { Causal = false }, new(2, 2, 90, 6, 3, 16),
        ])
        {
            OpTesting.IndependentOfThreads(of.Forward);
            OpTesting.IndependentOfThreads(d => of.Backward(d, true, true, true));
        }
    }

    [Fact]
    public void MemoryGrowsWithTheLengthAlone()
    {
        using var cpu = new CpuDevice(1);
        using (new TensorScope("memory"))
        {
            const int Length = 2048;
            _ = new AttentionCase(1, Length, Length, 1, 1, 2).Backward(cpu, true, true, true);
            Assert.InRange(cpu.Memory.Statistics.PeakBytesInUse, 1, Length * Length);
        }
    }

    [Fact]
    public void TheWidestVectorsMatchTheReferenceEvenInSoftware()
    {
        using var cpu = new CpuDevice(2, SimdLevel.Vector512);
        foreach (AttentionCase of in (AttentionCase[])[new(1, 33, 33, 2, 1, 16), new(1, 40, 40, 2, 1, 29), new(1, 2, 30, 2, 1, 32)])
        {
            OpTesting.MatchesReference(cpu, of.Forward, 3e-6);
            OpTesting.MatchesReference(cpu, d => of.Backward(d, true, true, true), 2e-5);
        }
    }

    [Theory]
    [InlineData(true, 4, true)]
    [InlineData(true, 6, false)]
    [InlineData(false, 6, true)]
    [InlineData(false, 3, false)]
    public void GradientsMatchNumericalDifferentiation(bool causal, int keys, bool masked)
    {
        Device device = Devices.Reference;
        using Parameter query = OpTesting.Parameter("query", [2, 3, 4, 2], device, 1);
        using Parameter key = OpTesting.Parameter("key", [2, 6, 2, 2], device, 2);
        using Parameter value = OpTesting.Parameter("value", [2, 6, 2, 2], device, 3);
        // In the first batch row the first queries of a causal attention see nothing, in the second nobody does.
        using Tensor? mask = masked ? Tensor.From([0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0], [2, 6], device) : null;
        GradientCheck.Numerical(() => query.Value.Attention(key, value, mask, causal, keys, 0.9), [query, key, value]);
        value.RequiresGradient = false;
        GradientCheck.Numerical(() => query.Value.Attention(key, value, mask, causal, keys), [query, key]);
        // Three gradients meet in one tensor.
        using Parameter x = OpTesting.Parameter("x", [1, 3, 2, 2], device, 4);
        GradientCheck.Numerical(() => x.Value.Attention(x, x, causal: causal), [x]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        Device device = TestDevices.Get(name);
        using Parameter query = OpTesting.Parameter("query", [2, 6, 4, 5], device, 1);
        using Parameter key = OpTesting.Parameter("key", [2, 9, 2, 5], device, 2);
        using Parameter value = OpTesting.Parameter("value", [2, 9, 2, 5], device, 3);
        foreach (bool causal in (bool[])[true, false])
            GradientCheck.Directional(() => query.Value.Attention(key, value, causal: causal, keys: 8), [query, key, value]);
    }

    [Theory]
    [InlineData(true, 2)]
    [InlineData(true, 1)]
    [InlineData(false, 3)]
    public void GradientsWithAWindowMatchNumericalDifferentiation(bool causal, int window)
    {
        Device device = Devices.Reference;
        using Parameter query = OpTesting.Parameter("query", [2, 4, 4, 2], device, 1);
        using Parameter key = OpTesting.Parameter("key", [2, 6, 2, 2], device, 2);
        using Parameter value = OpTesting.Parameter("value", [2, 6, 2, 2], device, 3);
        using Tensor mask = Tensor.From([1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0], [2, 6], device);
        GradientCheck.Numerical(
            () => query.Value.Attention(key, value, mask, causal, keys: 5, window: window), [query, key, value]);
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void AWindowOfOneSeesTheOwnKeyAndAWideOneEverything(string name)
    {
        using var scope = new TensorScope("window");
        Device device = TestDevices.Get(name);
        foreach (int seq in (int[])[2, 9])
        {
            Tensor query = OpTesting.Floats([1, seq, 2, 4], device, 1), key = OpTesting.Floats([1, 9, 2, 4], device, 2);
            Tensor value = OpTesting.Floats([1, 9, 2, 4], device, 3);
            // The weight of the only key is 1.
            double[] own = value.ToArray<double>()[^(seq * 8)..];
            OpTesting.Close(own, query.Attention(key, value, window: 1).ToArray<double>(), 1e-6);
            double[] all = query.Attention(key, value).ToArray<double>();
            Assert.Equal(all, query.Attention(key, value, window: 9).ToArray<double>());
            Assert.Equal(all, query.Attention(key, value, window: int.MaxValue).ToArray<double>());
            Assert.NotEqual(all, query.Attention(key, value, window: 8).ToArray<double>());
        }
    }

    [Fact]
    public void RefusesWhatDoesNotFit()
    {
        using TensorScope scope = new("refused");
        Tensor query = Zeros([2, 3, 4, 5]), key = Zeros([2, 6, 2, 5]);
        Assert.Contains("[2, 6, 3, 5]", Refused(query, Zeros([2, 6, 3, 5])));
        Assert.Contains("1 ≠ 2", Refused(Zeros([1, 3, 4, 5]), key));
        Assert.Contains("4 ≠ 5", Refused(Zeros([2, 3, 4, 4]), key));
        Assert.Contains("room for 6", Refused(query, key, keys: 7));
        Assert.Contains("-1 keys", Refused(query, key, keys: -1));
        Assert.Contains("2 < 3", Refused(query, key, keys: 2));
        foreach (int window in (int[])[0, -1])
            Assert.Contains($"a window of {window} keys", Assert.Throws<ShapeException>(() => query.Attention(key, key, window: window)).Message);
        Assert.Contains("must have 4 dimensions", Refused(Zeros([3, 4, 5]), key));
        Assert.Contains("[2, 6]", Refused(query, key, Tensor.From(new int[6], [6], Devices.Cpu)));
        Assert.Contains("without dimensions", Refused(Zeros([2, 3, 4, 0]), Zeros([2, 6, 2, 0])));
        Assert.Contains("multiple", Refused(Zeros([2, 3, 0, 5]), key));
        Assert.Throws<ShapeException>(() => query.Attention(key, Zeros([2, 6, 1, 5])));
        Assert.Throws<DTypeException>(() => query.Attention(key, key, Zeros([2, 6])));
        Assert.Throws<NonFiniteException>(() => query.Attention(key, key, scale: double.NaN));
        Assert.Throws<DeviceException>(() => query.Attention(key, key, Tensor.From(new int[12], [2, 6], Devices.Reference)));
        Assert.Throws<ArgumentException>(() =>
            AttentionKernel.Forward(query, key, key, null, query, Zeros([2, 4, 3]), new()));
        Assert.Throws<ArgumentException>(() => AttentionKernel.Backward(
            query, key, key, null, Zeros(query.Shape), Zeros([2, 4, 3]), Zeros(query.Shape), null, key, null, new()));
        query.Attention(key, key, causal: false, keys: 2);

        static Tensor Zeros(Shape shape) => Tensor.Zeros(shape, DType.Float32, Devices.Cpu);

        static string Refused(Tensor query, Tensor key, Tensor? mask = null, int? keys = null) =>
            Assert.Throws<ShapeException>(() => query.Attention(key, key, mask, keys: keys)).Message;
    }
}
