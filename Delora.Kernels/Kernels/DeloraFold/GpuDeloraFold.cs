using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>
/// The ILGPU implementation of <see cref="DeloraFoldKernel"/>: two launches each way for eight branches at a time. The first takes the sums along rows
/// and columns, with a group for each row of A and for each few columns of B; the second, a thread an element, needs them all.
/// </summary>
internal static class GpuDeloraFold
{
    private const float MinNorm = (float)DeloraScale.MinNorm;

    // Of B a group takes few columns: 32 bytes are what memory hands out at once, and more groups share a long matrix.
    private const int Width = 8;

    internal static void Forward(GpuDevice gpu, ReadOnlySpan<FoldForward> branches)
    {
        for (; branches.Length > GpuPack<Norm>.Most; branches = branches[GpuPack<Norm>.Most..])
            ForwardPack(gpu, branches[..GpuPack<Norm>.Most]);
        if (branches.Length > 0) ForwardPack(gpu, branches);
    }

    internal static void Backward(GpuDevice gpu, ReadOnlySpan<FoldBackward> branches)
    {
        for (; branches.Length > GpuPack<Norm>.Most; branches = branches[GpuPack<Norm>.Most..])
            BackwardPack(gpu, branches[..GpuPack<Norm>.Most]);
        if (branches.Length > 0) BackwardPack(gpu, branches);
    }

    private static void ForwardPack(GpuDevice gpu, ReadOnlySpan<FoldForward> branches)
    {
        int group = GpuReduce.GroupSize(gpu);
        var norms = new Norm[branches.Length];
        var folds = new FoldB[branches.Length];
        long[] groups = new long[branches.Length], elements = new long[branches.Length];
        for (int i = 0; i < branches.Length; i++)
        {
            FoldForward own = branches[i];
            int rank = own.A.Shape[0], columns = own.A.Shape[1], width = GpuDot.Width(rank, group, Width);
            ArrayView<float> a = gpu.View<float>(own.A), b = gpu.View<float>(own.B), s = gpu.View<float>(own.Scales);
            norms[i] = new Norm
            {
                A = a,
                B = b,
                W = gpu.View<float>(own.W),
                S = s,
                Folded = own.FoldedA is null ? s.SubView(0, 0) : gpu.View<float>(own.FoldedA).SubView((long)own.Offset * columns, a.Length),
                Rank = rank,
                Columns = columns,
                Rows = own.B.Shape[0],
                Width = width,
            };
            folds[i] = new FoldB
            {
                B = b,
                Lambda = gpu.View<float>(own.Lambda),
                S = s,
                Folded = View(gpu, own.FoldedB, s),
                Stride = own.FoldedB?.Shape[1] ?? 0,
                Offset = own.Offset,
                Rank = rank,
                Sign = own.Negative ? -1f : 1f,
            };
            groups[i] = (long)rank + (rank + width - 1) / width;
            elements[i] = own.FoldedB is null ? rank : Math.Max(rank, own.B.ElementCount);
        }
        GpuPack<Norm> pack = GpuPack<Norm>.Of(norms, groups, out long total);
        if (gpu.HasFloat64) Norms<Float64Sum>(gpu, pack, total);
        else Norms<Float32PairSum>(gpu, pack, total);
        GpuPack<FoldB> packB = GpuPack<FoldB>.Of(folds, elements, out total);
        gpu.Launch(FoldBKernel, total, packB, folds[0].S);
    }

    private static void BackwardPack(GpuDevice gpu, ReadOnlySpan<FoldBackward> branches)
    {
        int group = GpuReduce.GroupSize(gpu), ranks = 0;
        foreach (FoldBackward own in branches) ranks = checked(ranks + own.A.Shape[0]);
        using Tensor temporary = Tensor.Empty([ranks], DType.Float32, gpu, "DeloraFold.ds");
        var dots = new List<Norm>();
        var groups = new List<long>();
        var gradients = new Gradient[branches.Length];
        var elements = new long[branches.Length];
        int first = 0;
        for (int i = 0; i < branches.Length; i++)
        {
            FoldBackward own = branches[i];
            int rank = own.A.Shape[0], columns = own.A.Shape[1], width = GpuDot.Width(rank, group, Width);
            ArrayView<float> a = gpu.View<float>(own.A), b = gpu.View<float>(own.B), s = gpu.View<float>(own.Scales);
            ArrayView<float> none = s.SubView(0, 0), ds = own.DFoldedB is null ? none : gpu.View<float>(temporary).SubView(first, rank);
            first += rank;
            if (own.DFoldedB is not null)
            {
                dots.Add(new Norm
                {
                    A = none,
                    B = b,
                    W = gpu.View<float>(own.DFoldedB),
                    S = ds,
                    Folded = none,
                    Rank = rank,
                    Columns = own.DFoldedB.Shape[1],
                    Offset = own.Offset,
                    Rows = own.B.Shape[0],
                    Width = width,
                });
                groups.Add((rank + width - 1) / width);
            }
            gradients[i] = new Gradient
            {
                A = a,
                B = b,
                W = gpu.View<float>(own.W),
                S = s,
                Ds = ds,
                FoldedA = own.DFoldedA is null ? none : gpu.View<float>(own.DFoldedA).SubView((long)own.Offset * columns, a.Length),
                FoldedB = View(gpu, own.DFoldedB, s),
                DA = View(gpu, own.DA, s),
                DB = View(gpu, own.DB, s),
                DLambda = View(gpu, own.DLambda, s),
                Rank = rank,
                Columns = columns,
                Stride = own.DFoldedB?.Shape[1] ?? 0,
                Offset = own.Offset,
                Sums = (int)own.Sums,
                Sign = own.Negative ? -1f : 1f,
            };
            elements[i] = (own.DA?.ElementCount ?? 0) + (own.DB?.ElementCount ?? 0) + (own.DLambda?.ElementCount ?? 0);
        }
        long total;
        if (dots.Count > 0)
        {
            GpuPack<Norm> pack = GpuPack<Norm>.Of(dots.ToArray(), groups.ToArray(), out total);
            if (gpu.HasFloat64) Dots<Float64Sum>(gpu, pack, total);
            else Dots<Float32PairSum>(gpu, pack, total);
        }
        GpuPack<Gradient> packed = GpuPack<Gradient>.Of(gradients, elements, out total);
        gpu.Launch(GradientKernel, total, packed, gradients[0].S);
    }

    internal static void Norms<TSum>(GpuDevice gpu, in GpuPack<Norm> pack, long groups) where TSum : unmanaged, IGpuSum<TSum> =>
        gpu.LaunchGroups(NormsKernel<TSum>, new KernelConfig(checked((int)groups), GpuReduce.GroupSize(gpu)), pack, pack.P0.S);

    internal static void Dots<TSum>(GpuDevice gpu, in GpuPack<Norm> pack, long groups) where TSum : unmanaged, IGpuSum<TSum> =>
        gpu.LaunchGroups(DotsKernel<TSum>, new KernelConfig(checked((int)groups), GpuReduce.GroupSize(gpu)), pack, pack.P0.S);

    /// <summary>A kernel has no null views: in place of a tensor that is missing it gets an empty one.</summary>
    private static ArrayView<float> View(GpuDevice gpu, Tensor? tensor, ArrayView<float> any) =>
        tensor is null ? any.SubView(0, 0) : gpu.View<float>(tensor);

    /// <summary>
    /// Of each branch a group a row of A: its norm, and A'; then a group for each few columns of B: their norms. <paramref name="any"/> is not used;
    /// kernels are known by their views.
    /// </summary>
    private static void NormsKernel<TSum>(GpuPack<Norm> pack, ArrayView<float> any) where TSum : unmanaged, IGpuSum<TSum>
    {
        Norm own = GpuPack<Norm>.PieceOf(pack, Grid.IdxX);
        int index = Grid.IdxX - GpuPack<Norm>.StartOf(pack, Grid.IdxX);
        bool isRow = index < own.Rank, writes;
        int target;
        TSum sum = default;
        if (isRow)
        {
            long start = (long)index * own.Columns;
            for (int j = Group.IdxX; j < own.Columns; j += Group.DimX)
            {
                float value = own.A[start + j];
                sum = TSum.AddProduct(sum, value, value);
                if (own.Folded.Length > 0) own.Folded[start + j] = value * own.W[j];
            }
            target = index;
            writes = Group.IdxX == 0;
        }
        else
        {
            int column = (index - own.Rank) * own.Width + Group.IdxX % own.Width;
            if (column < own.Rank) sum = GpuDot.ColumnPart<TSum>(own.B, own.Rank, own.B, own.Rank, column, own.Rows, own.Width);
            target = own.Rank + column;
            writes = Group.IdxX < own.Width && column < own.Rank;
        }
        sum = GpuDot.AddUp(sum, isRow ? 1 : own.Width);
        if (writes) own.S[target] = TSum.SquareRoot(sum);
    }

    /// <summary>ds of each branch: S_i = Σ_k B[k, i] W[k, Offset + i], where W is the gradient of B'.</summary>
    private static void DotsKernel<TSum>(GpuPack<Norm> pack, ArrayView<float> any) where TSum : unmanaged, IGpuSum<TSum>
    {
        Norm own = GpuPack<Norm>.PieceOf(pack, Grid.IdxX);
        int index = Grid.IdxX - GpuPack<Norm>.StartOf(pack, Grid.IdxX), column = index * own.Width + Group.IdxX % own.Width;
        TSum sum = default;
        if (column < own.Rank)
            sum = GpuDot.ColumnPart<TSum>(own.B, own.Rank, own.W.SubView(own.Rows == 0 ? 0 : own.Offset), own.Columns, column, own.Rows, own.Width);
        sum = GpuDot.AddUp(sum, own.Width);
        if (Group.IdxX < own.Width && column < own.Rank) own.S[column] = TSum.Value(sum);
    }

    /// <summary>s and B', a thread an element of B; the first row's threads write s. Each computes its scale anew, from the same two norms.</summary>
    private static void FoldBKernel(Index1D i, GpuPack<FoldB> pack, ArrayView<float> any)
    {
        FoldB own = GpuPack<FoldB>.PieceOf(pack, i);
        int at = i - GpuPack<FoldB>.StartOf(pack, i), row = at / own.Rank, column = at - row * own.Rank;
        float scale = DeloraScale.Scale(own.Sign * own.Lambda[0], (float)own.Rank, own.S[column], own.S[own.Rank + column], MinNorm);
        if (row == 0) own.S[2 * own.Rank + column] = scale;
        if (own.Folded.Length > 0) own.Folded[(long)row * own.Stride + own.Offset + column] = own.B[at] * scale;
    }

    /// <summary>Of each branch dA, dB and dλ one after the other, as far as they are wanted.</summary>
    private static void GradientKernel(Index1D i, GpuPack<Gradient> pack, ArrayView<float> any)
    {
        Gradient own = GpuPack<Gradient>.PieceOf(pack, i);
        int at = i - GpuPack<Gradient>.StartOf(pack, i), lengthA = own.DA.IntLength, lengthB = own.DB.IntLength;
        if (at < lengthA)
        {
            int row = at / own.Columns;
            float direct = own.FoldedA.Length == 0 ? 0f : own.W[at - row * own.Columns] * own.FoldedA[at];
            float value = direct - DeloraScale.ThroughNorm(Given(own.Ds, row), own.S[2 * own.Rank + row], own.S[row], MinNorm) * own.A[at];
            Put(own.DA, at, value, own.Sums & (int)FoldSums.A);
        }
        else if (at < lengthA + lengthB)
        {
            int element = at - lengthA, row = element / own.Rank, column = element - row * own.Rank;
            float scale = own.S[2 * own.Rank + column];
            float direct = own.FoldedB.Length == 0 ? 0f : scale * own.FoldedB[(long)row * own.Stride + own.Offset + column];
            float value = direct - DeloraScale.ThroughNorm(Given(own.Ds, column), scale, own.S[own.Rank + column], MinNorm) * own.B[element];
            Put(own.DB, element, value, own.Sums & (int)FoldSums.B);
        }
        else
        {
            Put(own.DLambda, 0, Lambda(own.Ds, own.S, own.Rank, own.Sign), own.Sums & (int)FoldSums.Lambda);
        }
    }

    private static float Lambda(ArrayView<float> ds, ArrayView<float> s, int rank, float sign)
    {
        float sum = 0, lost = 0; // Kahan: the terms of different ranks cancel
        for (int k = 0; k < rank; k++)
        {
            float term = Given(ds, k) * DeloraScale.Scale(sign, (float)rank, s[k], s[rank + k], MinNorm) - lost;
            float next = sum + term;
            lost = next - sum - term;
            sum = next;
        }
        return sum;
    }

    private static float Given(ArrayView<float> ds, int index) => ds.Length == 0 ? 0f : ds[index];

    private static void Put(ArrayView<float> gradient, int at, float value, int adds) =>
        gradient[at] = adds == 0 ? value : gradient[at] + value;

    /// <summary>What the sums of one branch are made of.</summary>
    internal struct Norm
    {
        internal ArrayView<float> A, B, W, S, Folded;
        internal int Rank, Columns, Rows, Width, Offset;
    }

    /// <summary>What B' of one branch is made of.</summary>
    internal struct FoldB
    {
        internal ArrayView<float> B, Lambda, S, Folded;
        internal int Stride, Offset, Rank;
        internal float Sign;
    }

    /// <summary>What the gradients of one branch are made of.</summary>
    internal struct Gradient
    {
        internal ArrayView<float> A, B, W, S, Ds, FoldedA, FoldedB, DA, DB, DLambda;
        internal int Rank, Columns, Stride, Offset, Sums;
        internal float Sign;
    }
}
