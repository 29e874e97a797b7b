using System.Runtime.Intrinsics.X86;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class FrozenStorageTests
{
    private static readonly (int Out, int In)[] s_shapes = [(1, 1), (3, 64), (31, 33), (33, 129), (2, 1025), (70, 65), (65, 1), (40, 772)];

    public static TheoryData<string, FrozenStorage> DevicesAndStorages => TestDevices.AllNames.With(PlainStorage.All);

    public static TheoryData<SimdLevel, FrozenStorage> LevelsAndStorages
    {
        get
        {
            TheoryData<SimdLevel, FrozenStorage> data = [];
            foreach (SimdLevel level in Enum.GetValues<SimdLevel>().Where(level => level <= Simd.Best || Avx2.IsSupported && Fma.IsSupported))
                foreach (FrozenStorage storage in PlainStorage.All) data.Add(level, storage);
            return data;
        }
    }

    [Theory, MemberData(nameof(DevicesAndStorages))]
    public void KeepsWhatThePlainRuleSays(string name, FrozenStorage storage)
    {
        Device device = TestDevices.Get(name);
        foreach ((int outputs, int inputs) in s_shapes)
        {
            float[] numbers = Numbers(outputs, inputs), expected = PlainStorage.Of(numbers, inputs, storage);
            using Tensor w = Tensor.From(numbers, [outputs, inputs], device);
            // Made of other numbers first: nothing of them is left.
            using Tensor others = LinearAssert.Operand(7, [outputs, inputs], device);
            using FrozenWeight weight = FrozenWeight.Create(others, storage);
            weight.Replace(w);
            using Tensor back = weight.ToTensor();
            Assert.Equal(storage, weight.Storage);
            Assert.Equal(expected, back.ToArray<float>());

            double squares = expected.Zip(numbers, (kept, given) => Math.Pow((double)kept - given, 2)).Sum(), norm = numbers.Sum(x => (double)x * x);
            Assert.Equal(Math.Sqrt(squares / norm), weight.Error.Relative, 1e-9);
            Assert.Equal(expected.Zip(numbers, (kept, given) => Math.Abs((double)kept - given)).Max(), weight.Error.Largest);

            using Tensor norms = weight.ColumnNorms(), original = Tensor.Empty([inputs], device.FloatType, device);
            ColumnNormKernel.Forward(w, original);
            Assert.Equal(original.ToArray<double>(), norms.ToArray<double>());

            int[] numbersOfRows = [outputs - 1, 0, outputs / 2];
            using Tensor ids = Tensor.From(numbersOfRows, [3], device), rows = Tensor.Empty([3, inputs], device.FloatType, device);
            weight.Rows(ids, rows);
            Assert.Equal(numbersOfRows.SelectMany(row => expected.Skip(row * inputs).Take(inputs)), rows.ToArray<float>());
        }
    }

    /// <summary>One row, few, and more than a register tile; every pair of directions.</summary>
    [Theory, MemberData(nameof(LevelsAndStorages))]
    public void ProductsMatchPlainLoopsInBothDirections(SimdLevel level, FrozenStorage storage)
    {
        CpuDevice cpu = TestDevices.Cpu(2, level);
        foreach ((int outputs, int inputs) in s_shapes)
        {
            using Tensor w = Tensor.From(Numbers(outputs, inputs), [outputs, inputs], cpu);
            using FrozenWeight weight = FrozenWeight.Create(w, storage);
            using Tensor kept = weight.ToTensor();
            foreach (int rows in (int[])[.. Enumerable.Range(1, 17), 33, 150, 301])
            {
                if (rows > 33 && outputs * inputs > 4096 && rows != 150) continue;
                using Tensor x = LinearAssert.Operand(1, [rows, inputs], cpu), dy = LinearAssert.Operand(2, [rows, outputs], cpu);
                using Tensor y = Tensor.Empty([rows, outputs], DType.Float32, cpu), dx = Tensor.Empty([rows, inputs], DType.Float32, cpu);
                FrozenLinearKernel.Forward(x, weight, null, y);
                FrozenLinearKernel.Backward(dy, weight, dx);
                string what = $"[{rows}, {inputs}, {outputs}]";
                Check(x, kept, y, transposed: true, what);
                Check(dy, kept, dx, transposed: false, what);
            }
        }
    }

    [Theory, MemberData(nameof(LevelsAndStorages))]
    public void BitsDoNotDependOnThreadsOrLayouts(SimdLevel level, FrozenStorage storage)
    {
        CpuDevice one = TestDevices.Cpu(1, level), two = TestDevices.Cpu(2, level);
        foreach ((int rows, int outputs, int inputs, int rank) in new[] { (1, 800, 390, 0), (3, 800, 390, 8), (61, 390, 800, 4), (300, 97, 390, 17) })
        {
            List<float[]> results = [.. new[] { one, two }.SelectMany(cpu => Results(cpu, FrozenDirections.One))];
            Assert.Equal(results[0], results[2]);
            Assert.Equal(results[1], results[3]);
            if (storage.IsQuantized) continue;
            float[][] both = Results(two, FrozenDirections.Both);
            Assert.Equal(results[0], both[0]);
            Assert.Equal(results[1], both[1]);

            float[][] Results(CpuDevice cpu, FrozenDirections directions)
            {
                using TensorScope scope = new();
                using FrozenWeight weight = FrozenWeight.Create(
                    Tensor.From(Numbers(outputs, inputs), [outputs, inputs], cpu), storage, directions);
                Tensor x = LinearAssert.Operand(1, [rows, inputs], cpu), dy = LinearAssert.Operand(2, [rows, outputs], cpu);
                Tensor a = LinearAssert.Operand(3, [rank, inputs], cpu), b = LinearAssert.Operand(4, [outputs, rank], cpu);
                Tensor y = Tensor.Empty([rows, outputs], DType.Float32, cpu), dx = Tensor.Empty([rows, inputs], DType.Float32, cpu);
                Tensor h = Tensor.Empty([rows, rank], DType.Float32, cpu);
                LowRankLinearKernel.Forward(x, weight, null, a, b, h, y);
                LowRankLinearKernel.Backward(x, weight, a, b, h, dy, dx, null, null);
                return [y.ToArray<float>(), dx.ToArray<float>()];
            }
        }
    }

    /// <summary>Decoding one token gives the bits that it has among others.</summary>
    [Theory, MemberData(nameof(LevelsAndStorages))]
    public void ARowAloneHasTheBitsThatItHasAmongOthers(SimdLevel level, FrozenStorage storage)
    {
        CpuDevice cpu = TestDevices.Cpu(2, level);
        using Tensor w = Tensor.From(Numbers(129, 790), [129, 790], cpu), x = LinearAssert.Operand(1, [40, 790], cpu);
        using FrozenWeight weight = FrozenWeight.Create(w, storage);
        using Tensor all = Tensor.Empty([40, 129], DType.Float32, cpu), alone = Tensor.Empty([1, 129], DType.Float32, cpu);
        FrozenLinearKernel.Forward(x, weight, null, all);
        using Tensor row = Tensor.From(x.ToArray<float>()[(7 * 790)..(8 * 790)], [1, 790], cpu);
        FrozenLinearKernel.Forward(row, weight, null, alone);
        Assert.Equal(all.ToArray<float>()[(7 * 129)..(8 * 129)], alone.ToArray<float>());
    }

    [Theory, MemberData(nameof(DevicesAndStorages))]
    public void TheLossOverAStoredVocabularyIsThatOfItsNumbers(string name, FrozenStorage storage)
    {
        Device device = TestDevices.Get(name);
        using Tensor w = LinearAssert.Operand(1, [37, 70], device), x = LinearAssert.Operand(2, [5, 70], device);
        using FrozenWeight weight = FrozenWeight.Create(w, storage);
        using Tensor kept = weight.ToTensor(), labels = Tensor.From([3, 0, 36, -100, 5], [5], device);
        using FrozenWeight plain = FrozenWeight.Create(kept);
        using Tensor loss = Tensor.Empty([], device.FloatType, device), dx = Tensor.Empty([5, 70], device.FloatType, device);
        using Tensor wanted = Tensor.Empty([], device.FloatType, device), wantedDx = Tensor.Empty([5, 70], device.FloatType, device);
        LinearCrossEntropyKernel.Forward(x, weight, labels, loss, dx);
        LinearCrossEntropyKernel.Forward(x, plain, labels, wanted, wantedDx);
        Assert.Equal(wanted.ToScalar(), loss.ToScalar());
        Assert.Equal(wantedDx.ToArray<double>(), dx.ToArray<double>());
    }

    /// <summary>Every half there is, infinities and NaN included, in vectors of each width.</summary>
    [Theory, InlineData(SimdLevel.Vector512), InlineData(SimdLevel.Vector256), InlineData(SimdLevel.Vector128)]
    public unsafe void EveryHalfIsWidened(SimdLevel level)
    {
        if (level > Simd.Best && !Avx2.IsSupported) Assert.Skip("the processor has no such vectors");
        ushort[] codes = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];
        float[] found = new float[codes.Length];
        fixed (ushort* from = codes)
        fixed (float* to = found)
            PanelDecoder.Widen(
                FrozenStorage.Float16, level, new PanelPart { Codes = (byte*)from, Steps = 65536 / PackedMatrix.PanelWidth(level), Block = int.MaxValue }, to);
        Assert.Equal(codes.Select(code => (float)BitConverter.UInt16BitsToHalf(code)), found);
        Assert.Equal(float.NegativeZero, found[0x8000]);
        Assert.True(float.IsNegative(found[0x8000]));
    }

    [Fact]
    public void MemoryIsThatOfTheStorage()
    {
        CpuDevice cpu = TestDevices.Cpu(2, Simd.Best);
        using Tensor w = LinearAssert.Operand(1, [256, 1024], cpu), dy = LinearAssert.Operand(2, [3, 256], cpu);
        using Tensor dx = Tensor.Empty([3, 1024], DType.Float32, cpu);
        long numbers = 256 * 1024, norms = 1024 * sizeof(float);
        foreach ((FrozenStorage storage, long bytes) in new[]
        {
            (FrozenStorage.Float32, 4 * numbers), (FrozenStorage.BFloat16, 2 * numbers + norms), (FrozenStorage.Float16, 2 * numbers + norms),
            (FrozenStorage.Int8, numbers + 256 * sizeof(float) + norms), (FrozenStorage.Nf4, numbers / 2 + numbers / 64 * sizeof(float) + norms),
        })
        {
            using FrozenWeight weight = FrozenWeight.Create(w, storage);
            FrozenLinearKernel.Backward(dy, weight, dx);
            Assert.Equal(bytes, weight.ByteLength);
            if (storage.IsQuantized) continue;
            using FrozenWeight both = FrozenWeight.Create(w, storage, FrozenDirections.Both);
            Assert.Equal(bytes, both.ByteLength);
            FrozenLinearKernel.Backward(dy, both, dx);
            Assert.Equal(2 * bytes - (storage == FrozenStorage.Float32 ? 0 : norms), both.ByteLength);
        }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void RefusesWhatAStorageCannotKeep(string name)
    {
        Device device = TestDevices.Get(name);
        long blocks = device.Memory.Statistics.LiveAllocations;
        using (Tensor nan = Tensor.From([1f, float.NaN], [1, 2], device, "w"), large = Tensor.From([1f, 70000f], [1, 2], device, "w"))
        {
            foreach (FrozenStorage storage in (FrozenStorage[])[FrozenStorage.Int8, FrozenStorage.Nf4])
            {
                // Both share the scale, which is NaN.
                Assert.Contains($"'w' [1, 2]: 2 numbers cannot be kept as {storage.Name}",
                    Assert.Throws<NonFiniteException>(() => FrozenWeight.Create(nan, storage)).Message);
                Assert.Throws<ArgumentException>(() => FrozenWeight.Create(large, storage, FrozenDirections.Both));
            }
            Assert.Contains("beyond its range", Assert.Throws<NonFiniteException>(() => FrozenWeight.Create(large, FrozenStorage.Float16)).Message);
            // What a file holds is kept as it is.
            using (FrozenWeight kept = FrozenWeight.Create(nan, FrozenStorage.BFloat16))
            using (Tensor back = kept.ToTensor())
                Assert.Equal([1f, float.NaN], back.ToArray<float>());
            Assert.Contains("file", Assert.Throws<ArgumentException>(() => FrozenWeight.Create(large, FrozenStorage.AsStored)).Message);
        }
        Assert.Equal(blocks, device.Memory.Statistics.LiveAllocations);
    }

    /// <summary>Of different sizes from block to block, with zeros, a block of zeros and a number that rounds to even.</summary>
    private static float[] Numbers(int outputs, int inputs)
    {
        float[] numbers = LinearAssert.Numbers(outputs + inputs, (long)outputs * inputs);
        for (int i = 0; i < numbers.Length; i++) numbers[i] *= MathF.Exp(i / 40 % 7 - 3);
        if (inputs > 130) numbers.AsSpan(inputs + 64, 64).Clear();
        if (inputs > 2) (numbers[0], numbers[1], numbers[2]) = (0, -0f, 1e-7f);
        return numbers;
    }

    private static void Check(Tensor a, Tensor w, Tensor c, bool transposed, string what)
    {
        int rows = c.Shape[0], columns = c.Shape[1], k = a.Shape[1];
        float[] left = a.ToArray<float>(), right = w.ToArray<float>(), found = c.ToArray<float>();
        for (int i = 0; i < rows; i += Math.Max(1, rows / 7))
            for (int j = 0; j < columns; j++)
            {
                double sum = 0, size = 0;
                for (int p = 0; p < k; p++)
                {
                    double product = (double)left[i * k + p] * right[transposed ? j * k + p : p * columns + j];
                    sum += product;
                    size += Math.Abs(product);
                }
                if (!(Math.Abs(sum - found[i * columns + j]) <= 1e-6 * size + 1e-12))
                    Assert.Fail($"{what} {(transposed ? "y" : "dx")}: [{i}, {j}] is {found[i * columns + j]}, plain loops say {sum}");
            }
    }
}
