using Delora.Core;
using Delora.Kernels;
using Delora.Kernels.Ptx;
using Delora.Tests.Ops;

namespace Delora.Tests.Products;

/// <summary>
/// The products of CUDA cards against sums in float64 of the same operands, rounded as the product rounds them: what is left to differ is the
/// float32 of its sums.
/// </summary>
public sealed class CudaProductTests
{
    private const string PlainFloat = "Float32";

    public static TheoryData<string, string> Types => TestDevices.CudaNames.With([PlainFloat, .. Enum.GetNames<MmaType>()]);

    [Theory, MemberData(nameof(Types))]
    public void EveryLayoutWithBranchBiasSumAndSplit(string device, string type)
    {
        foreach (MatMulLayout layout in Enum.GetValues<MatMulLayout>())
            for (int options = 0; options < 16; options++)
            {
                // A transposed left operand has no branch: no product of the library asks for it.
                int rank = (options & 1) == 0 ? 0 : layout == MatMulLayout.TN ? 0 : 5;
                Verify(new(device, type, layout, new(1, 33, 35, 70), DType.Float32, DType.BFloat16, ProductPlan.Small)
                {
                    Rank = rank,
                    HasBias = (options & 2) != 0,
                    Accumulate = (options & 4) != 0,
                    Splits = (options & 8) != 0 ? 2 : 1,
                });
            }
    }

    [Theory, MemberData(nameof(Types))]
    public void EveryTypeOfOperands(string device, string type)
    {
        DType[] storages = [DType.Float32, DType.BFloat16, DType.Float16];
        foreach (MatMulLayout layout in Enum.GetValues<MatMulLayout>())
            foreach (DType left in storages)
                foreach (DType right in storages)
                    // Widths of 16 bytes, and the narrowest.
                    foreach (MatMulSize size in new MatMulSize[] { new(1, 16, 24, 72), new(1, 9, 7, 11) })
                        Verify(new(device, type, layout, size, left, right, ProductPlan.Small));
    }

    [Theory, MemberData(nameof(Types))]
    public void OddSizesAndBatches(string device, string type)
    {
        MatMulSize[] sizes =
        [
            new(1, 1, 1, 1), new(1, 0, 5, 3), new(1, 5, 0, 3), new(1, 5, 3, 0), new(0, 5, 3, 2), new(3, 17, 5, 9), new(2, 31, 66, 34), new(1, 65, 129, 7),
            new(1, 127, 2, 33), new(2, 64, 64, 64),
        ];
        foreach (MatMulLayout layout in Enum.GetValues<MatMulLayout>())
            foreach (MatMulSize size in sizes) Verify(new(device, type, layout, size, DType.BFloat16, DType.Float32, ProductPlan.Small) { HasBias = true });
    }

    [Theory, MemberData(nameof(Types))]
    public void LargeTiles(string device, string type)
    {
        foreach (MatMulLayout layout in Enum.GetValues<MatMulLayout>())
        {
            // Both operands past the registers, one of them, none; more tiles than stages; a rank of more than a tile.
            Verify(new(device, type, layout, new(1, 129, 258, 200), DType.BFloat16, DType.BFloat16, ProductPlan.Large));
            int rank = layout == MatMulLayout.TN ? 0 : 36;
            Verify(new(device, type, layout, new(1, 72, 264, 136), DType.Float32, DType.BFloat16, ProductPlan.Large) { Rank = rank });
            Verify(new(device, type, layout, new(1, 257, 130, 40), DType.Float32, DType.Float32, ProductPlan.Middle) { HasBias = true, Accumulate = true });
            Verify(new(device, type, layout, new(1, 255, 127, 33), DType.Float32, DType.Float32, ProductPlan.Middle) { Rank = rank / 12 });
        }
    }

    /// <summary>Codes of a quantized weight, widened on their way: both directions, rows that end within a block, within a group of codes, and between tiles.</summary>
    [Theory, MemberData(nameof(Types))]
    public void QuantizedWeights(string device, string type)
    {
        foreach (FrozenStorage storage in new[] { FrozenStorage.Int8, FrozenStorage.Nf4 })
            foreach (MatMulLayout layout in new[] { MatMulLayout.NT, MatMulLayout.NN })
            {
                for (int options = 0; options < 8; options++)
                    Verify(new(device, type, layout, new(1, 7, 67, 70), DType.Float32, DType.UInt8, ProductPlan.Small)
                    {
                        Storage = storage,
                        Rank = (options & 1) == 0 ? 0 : 5,
                        HasBias = (options & 2) != 0,
                        Accumulate = (options & 2) != 0,
                        Splits = (options & 4) != 0 ? 2 : 1,
                    });
                foreach (MatMulSize size in new MatMulSize[]
                         { new(1, 1, 1, 1), new(1, 5, 3, 0), new(1, 0, 5, 3), new(1, 5, 0, 3), new(1, 9, 7, 11), new(1, 3, 129, 257), new(1, 64, 64, 128) })
                    Verify(new(device, type, layout, size, DType.BFloat16, DType.UInt8, ProductPlan.Small) { Storage = storage, HasBias = true });
                // float16 differs in one instruction from bfloat16.
                if (type == nameof(MmaType.Float16)) continue;
                Verify(new(device, type, layout, new(1, 20, 258, 136), DType.BFloat16, DType.UInt8, ProductPlan.Large) { Storage = storage });
                Verify(new(device, type, layout, new(1, 72, 126, 75), DType.Float32, DType.UInt8, ProductPlan.Middle) { Storage = storage, Rank = 36 });
            }
    }

    /// <summary>A dropout mask on the left operand of h = x̃ A'ᵀ and on the right one of dA' = vᵀ x̃, wherever it begins in its blocks of four.</summary>
    [Theory, MemberData(nameof(Types))]
    public void MaskedOperands(string device, string type)
    {
        foreach (ProductMask side in new[] { ProductMask.Left, ProductMask.Right })
            foreach (MatMulSize size in new MatMulSize[] { new(1, 33, 5, 72), new(1, 7, 66, 35), new(1, 5, 3, 0), new(1, 1, 1, 1), new(1, 65, 9, 130) })
                for (uint offset = 8; offset < 12; offset++)
                    Verify(new(device, type, side == ProductMask.Left ? MatMulLayout.NT : MatMulLayout.TN, size, DType.Float32, DType.Float32, ProductPlan.Small)
                    {
                        Mask = (side, new DropoutMask(0.4f, new RandomStream(0x9_1234_5678, offset))),
                        Splits = offset == 8 ? 2 : 1,
                    });
    }

    [Fact]
    public void ThePlanFillsTheCardAndCoversTheInnerDimension()
    {
        const int Processors = 132;
        foreach (MatMulSize size in new MatMulSize[]
                 {
                     new(1, 8192, 8192, 8192), new(1, 4096, 2048, 2048), new(1, 8, 2048, 65536), new(1, 2048, 8, 4096), new(1, 1, 2048, 2048),
                     new(7, 100, 90, 1), new(1, 1, 1, 0),
                 })
            foreach (bool allowsLarge in new[] { false, true })
            {
                ProductPlan plan = ProductPlan.Choose(size, MmaType.BFloat16, allowsLarge, Processors);
                int depthTiles = (size.K + 31) / 32;
                Assert.True(allowsLarge || plan.Tile != ProductPlan.Large);
                Assert.InRange((long)plan.Splits * plan.TilesOfSplit, depthTiles, depthTiles + (long)plan.TilesOfSplit);
                Assert.True(plan.Splits == 1 || (plan.Splits - 1) * plan.TilesOfSplit < depthTiles);
            }
        Assert.Equal(new(ProductPlan.Large, 1, 256), ProductPlan.Choose(new(1, 8192, 8192, 8192), MmaType.BFloat16, true, Processors));
        // Few tiles of the output, thousands of tokens: the gradient of A.
        ProductPlan narrow = ProductPlan.Choose(new(1, 8, 2048, 8192), MmaType.BFloat16, true, Processors);
        Assert.Equal(ProductPlan.Small, narrow.Tile);
        Assert.InRange(narrow.Splits * 32, Processors / 2, 2 * Processors);
        Assert.Equal(new(ProductPlan.FloatLarge, 1, 512), ProductPlan.Choose(new(1, 8192, 8192, 8192), null, true, Processors));
    }

    private static void Verify(Case what)
    {
        (int batch, int m, int n, int k) = what.Size;
        var gpu = (GpuDevice)TestDevices.Get(what.Device);
        bool leftByRow = what.Layout != MatMulLayout.TN, rightByRow = what.Layout != MatMulLayout.NT;
        Matrix a = new(batch, leftByRow ? m : k, leftByRow ? k : m, what.Left, 1);
        Matrix b = new(batch, rightByRow ? k : n, rightByRow ? n : k, what.Storage is null ? what.Right : DType.Float32, 2, what.Storage);
        Matrix before = new(batch, m, n, DType.Float32, 3), bias = new(1, 1, n, DType.Float32, 4);
        Matrix branchA = new(1, m, what.Rank, DType.Float32, 5), branchB = new(1, rightByRow ? what.Rank : n, rightByRow ? n : what.Rank, DType.Float32, 6);
        float[] actual;
        using (Tensor left = a.On(gpu), right = b.On(gpu), offset = bias.On(gpu), down = branchA.On(gpu), up = branchB.On(gpu))
        using (Tensor c = what.Accumulate ? before.On(gpu) : Tensor.Empty([batch, m, n], DType.Float32, gpu))
        {
            using GpuFrozenWeight? weight = what.Storage is { } storage ? Weight(right, storage) : null;
            var product = new CudaProduct(
                what.Type, what.Layout, what.Size, left, weight?.Operand ?? right, c, what.HasBias ? offset : null, what.Accumulate,
                what.Rank == 0 ? null : new ProductBranch(down, up, what.Rank), weight?.OperandScales, what.Mask);
            int depth = what.Type is { } type ? new MmaTile(type, 64, true).Depth : FloatTile.Steps, tiles = (k + depth - 1) / depth;
            int ofSplit = Math.Max(1, (tiles + what.Splits - 1) / what.Splits);
            ProductTile tile = what.Type is not null ? what.Tile : what.Tile == ProductPlan.Small ? ProductPlan.FloatSmall : ProductPlan.FloatLarge;
            product.Run(gpu, new ProductPlan(tile, Math.Max(1, (tiles + ofSplit - 1) / ofSplit), ofSplit));
            actual = c.ToArray<float>();
        }
        if (what.Mask is { } on) (on.On == ProductMask.Left ? a : b).Drop(on.Mask);
        for (int q = 0; q < batch; q++)
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++)
                {
                    double sum = what.HasBias ? bias.Values[j] : 0, size = Math.Abs(sum);
                    if (what.Accumulate) Add(before.Values[(q * m + i) * n + j], 1);
                    for (int p = 0; p < k; p++) Add(Round(leftByRow ? a[q, i, p] : a[q, p, i]), Round(rightByRow ? b[q, p, j] : b[q, j, p]));
                    for (int p = 0; p < what.Rank; p++) Add(Round(branchA[0, i, p]), Round(rightByRow ? branchB[0, p, j] : branchB[0, j, p]));
                    float result = actual[(q * m + i) * n + j];
                    // Each addition may lose a unit of float32's last place: tensor cores cut off where ordinary units round.
                    Assert.True(
                        Math.Abs(result - sum) <= (k + what.Rank + 4) * Math.ScaleB(size, -23), $"{what}: element [{q}, {i}, {j}] is {result}, not {sum}");

                    void Add(double x, double y)
                    {
                        sum += x * y;
                        size += Math.Abs(x * y);
                    }
                }

        double Round(float value) => what.Type switch
        {
            MmaType.BFloat16 => Stored(value, DType.BFloat16),
            MmaType.Float16 => Stored(value, DType.Float16),
            null => value,
            _ => BitConverter.Int32BitsToSingle((BitConverter.SingleToInt32Bits(value) + 0x1000) & ~0x1FFF),
        };
    }

    private static GpuFrozenWeight Weight(Tensor matrix, FrozenStorage storage)
    {
        using Tensor weight = matrix.View([matrix.Shape[1], matrix.Shape[2]], 0);
        return (GpuFrozenWeight)FrozenWeight.Create(weight, storage);
    }

    private static float Stored(float value, DType type) => type switch
    {
        DType.BFloat16 => (float)(BFloat16)value,
        DType.Float16 => (float)(Half)value,
        _ => value,
    };

    /// <summary>One product.</summary>
    private sealed record Case(string Device, string TypeName, MatMulLayout Layout, MatMulSize Size, DType Left, DType Right, ProductTile Tile)
    {
        internal MmaType? Type => TypeName == PlainFloat ? null : Enum.Parse<MmaType>(TypeName);

        internal int Rank { get; init; }

        internal bool HasBias { get; init; }

        internal bool Accumulate { get; init; }

        internal int Splits { get; init; } = 1;

        internal (ProductMask On, DropoutMask Mask)? Mask { get; init; }

        /// <summary>The storage of the right operand, where it is a quantized weight.</summary>
        internal FrozenStorage? Storage { get; init; }
    }

    /// <summary>Matrices of random numbers that their storage type, or a quantized storage, has.</summary>
    private sealed class Matrix
    {
        private readonly int _batch, _rows, _columns;
        private readonly DType _type;
        private readonly float[] _given;

        internal Matrix(int batch, int rows, int columns, DType type, ulong seed, FrozenStorage? storage = null)
        {
            (_batch, _rows, _columns, _type) = (batch, rows, columns, type);
            Values = new float[batch * rows * columns];
            new Generator(seed).FillUniform(Values, -1, 1);
            for (int i = 0; i < Values.Length; i++) Values[i] = Stored(Values[i], type);
            _given = Values;
            if (storage is { } kept) Values = PlainStorage.Of(Values, columns, kept);
        }

        internal float[] Values { get; }

        internal float this[int batch, int row, int column] => Values[(batch * _rows + row) * _columns + column];

        internal void Drop(DropoutMask mask)
        {
            for (int i = 0; i < Values.Length; i++) Values[i] *= mask.Factor(i);
        }

        internal Tensor On(GpuDevice gpu)
        {
            Shape shape = [_batch, _rows, _columns];
            if (_type == DType.Float32) return Tensor.From(_given, shape, gpu);
            if (_type == DType.Float16) return Tensor.From(Values.Select(value => (Half)value).ToArray(), shape, gpu);
            return Tensor.From(Values.Select(value => (BFloat16)value).ToArray(), shape, gpu);
        }
    }
}
