using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// The trial of a kind of product by warpgroups (<see cref="GpuDevice.PassesTrial"/>): one of small whole numbers, whose sums float32 holds exactly in any
/// order, against the host's sums. One group makes two tiles that reach beyond the matrix, and its ring of stages begins again in each.
/// </summary>
internal static class WarpgroupTrial
{
    private const int Rows = 72, EdgeColumns = 8, EdgeDepth = 8;

    // Exact in bfloat16 and float16; a sum stays below 2¹⁷.
    private const int MostNumber = 8;

    /// <summary>Whether products like this one are right on this card.</summary>
    /// <exception cref="DeviceException">They are not, and <see cref="GpuDevice.Warpgroups"/> is strict; or the card is lost.</exception>
    internal static bool Passes(GpuDevice gpu, CudaProduct product, WarpgroupPlan plan)
    {
        var kind = new Kind(WarpgroupProduct.Variant(gpu, product, plan), product.Branch?.Rank ?? 0);
        return gpu.PassesTrial(kind, gpu.Warpgroups, () =>
        {
            // The trial's product is a plain one: here the driver sees the text that is to be relied on.
            WarpgroupProduct.Load(gpu, kind.Variant);
            return Difference(gpu, kind.Variant, kind.Rank);
        });
    }

    /// <summary>What is wrong with the result; null for nothing.</summary>
    private static string? Difference(GpuDevice gpu, WarpgroupVariant kind, int rank)
    {
        int columns = kind.Columns + EdgeColumns, depth = (kind.Stages + 1) * WarpgroupVariant.Depth + EdgeDepth;
        sbyte[] a = Numbers(Rows * depth, 1), b = Numbers(columns * depth, 2), down = Numbers(Rows * rank, 3), up = Numbers(columns * rank, 4);
        DType stored = kind.Type == MmaType.BFloat16 ? DType.BFloat16 : DType.Float16;
        float[] c;
        using (Tensor left = Place(a, Rows, depth, kind.LeftByDepth, stored), right = Place(b, columns, depth, kind.RightByDepth, stored))
        using (Tensor branchLeft = Place(down, Rows, rank, kind.LeftByDepth, DType.Float32))
        using (Tensor branchRight = Place(up, columns, rank, kind.RightByDepth, DType.Float32))
        using (Tensor output = Tensor.From(Enumerable.Repeat(float.NaN, Rows * columns).ToArray(), [Rows, columns], gpu))
        {
            ProductBranch? branch = rank == 0 ? null : new ProductBranch(branchLeft, branchRight, rank);
            WarpgroupProduct.Run(
                gpu, new CudaProduct(kind.Type, kind.Layout, new(1, Rows, columns, depth), left, right, output, Branch: branch), new(kind.Columns, 1));
            gpu.WaitPatiently();
            c = output.ToArray<float>();
        }
        for (int i = 0; i < Rows; i++)
            for (int j = 0; j < columns; j++)
            {
                int sum = Dot(a.AsSpan(i * depth, depth), b.AsSpan(j * depth, depth))
                    + Dot(down.AsSpan(i * rank, rank), up.AsSpan(j * rank, rank));
                if (c[i * columns + j] != sum) return $"element ({i}, {j}) of a product of whole numbers is {c[i * columns + j]}, not {sum}";
            }
        return null;

        // Lines times steps of the inner dimension, in the order of the layout.
        Tensor Place(sbyte[] numbers, int lines, int steps, bool byDepth, DType type)
        {
            var values = new float[numbers.Length];
            for (int line = 0; line < lines; line++)
                for (int step = 0; step < steps; step++) values[byDepth ? line * steps + step : step * lines + line] = numbers[line * steps + step];
            Shape shape = byDepth ? [lines, steps] : [steps, lines];
            return type switch
            {
                DType.BFloat16 => Tensor.From(Array.ConvertAll(values, value => (BFloat16)value), shape, gpu),
                DType.Float16 => Tensor.From(Array.ConvertAll(values, value => (Half)value), shape, gpu),
                _ => Tensor.From(values, shape, gpu),
            };
        }
    }

    private static int Dot(ReadOnlySpan<sbyte> a, ReadOnlySpan<sbyte> b)
    {
        int sum = 0;
        for (int i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }

    private static sbyte[] Numbers(int count, ulong seed)
    {
        var numbers = new float[count];
        new Generator(seed).FillUniform(numbers, -MostNumber, MostNumber);
        return Array.ConvertAll(numbers, number => (sbyte)MathF.Round(number));
    }

    /// <summary>What decides how operands are copied and read, and the text.</summary>
    private sealed record Kind(WarpgroupVariant Variant, int Rank)
    {
        public override string ToString() =>
            $"the product by warpgroups ({ProductVariant.Word(Variant.Type)}, {Variant.Layout}, tiles of {WarpgroupVariant.Rows} × {Variant.Columns}"
            + $"{(Rank == 0 ? "" : $", a branch of {Rank}")}{(Variant.PairedOutput ? "" : ", stored one by one")}"
            + $"{(Variant.Activation == ActivationKind.None ? "" : $", {Variant.Activation}")})";
    }
}
