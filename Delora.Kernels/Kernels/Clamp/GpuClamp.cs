using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="ClampKernel"/>: a thread an element, eight tensors a launch.</summary>
internal static class GpuClamp
{
    internal static void Forward(GpuDevice gpu, IReadOnlyList<Tensor> tensors, Func<IReadOnlyList<ClampRange>> current, Tensor? gate)
    {
        for (int first = 0; first < tensors.Count; first += GpuPack<Piece>.Most)
        {
            var pieces = new Piece[Math.Min(GpuPack<Piece>.Most, tensors.Count - first)];
            var counts = new long[pieces.Length];
            for (int i = 0; i < pieces.Length; i++)
            {
                int number = first + i;
                ArrayView<float> x = gpu.View<float>(tensors[number]);
                pieces[i] = new Piece { X = x, Range = new GpuFed<Range>(gpu, () => Of(current()[number]), x) };
                counts[i] = x.Length;
            }
            GpuPack<Piece> pack = GpuPack<Piece>.Of(pieces, counts, out long total);
            gpu.Launch(Kernel, total, pack, gate is null ? pieces[0].X.SubView(0, 0) : gpu.View<float>(gate));
        }
    }

    private static Range Of(ClampRange range) => new() { Min = (float)range.Min, Max = (float)range.Max };

    private static void Kernel(Index1D i, GpuPack<Piece> pack, ArrayView<float> gate)
    {
        if (GpuReduce.IsClosed(gate)) return;
        Piece own = GpuPack<Piece>.PieceOf(pack, i);
        int at = i - GpuPack<Piece>.StartOf(pack, i);
        Range range = own.Range.Here();
        own.X[at] = ClampKernel.Clamp(own.X[at], range.Min, range.Max);
    }

    internal struct Piece
    {
        internal ArrayView<float> X;
        internal GpuFed<Range> Range;
    }

    internal struct Range
    {
        internal float Min, Max;
    }
}
