using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The SIMD implementation of <see cref="SamplingKernel"/>: the thresholds of the rows in parallel, then the draws, in parallel over rows
/// and parts of the vocabulary.
/// </summary>
internal static unsafe class CpuSampling
{
    /// <summary>Tokens of one task.</summary>
    private const int PartLength = 8 * 1024;

    internal static void Draw(CpuDevice cpu, Tensor logits, Tensor ids, SamplingOptions options, RandomStream stream)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Draw<V16>(cpu, logits, ids, options, stream); break;
            case SimdLevel.Vector256: Draw<V8>(cpu, logits, ids, options, stream); break;
            default: Draw<V4>(cpu, logits, ids, options, stream); break;
        }
    }

    private static void Draw<TVector>(CpuDevice cpu, Tensor logits, Tensor ids, SamplingOptions options, RandomStream stream)
        where TVector : unmanaged, ISimd<TVector>
    {
        int rows = logits.Shape[0], columns = logits.Shape.Columns, parts = WorkerTeam.ChunkCount(columns, PartLength);
        using var bounds = new HostScratch(cpu, (long)rows * sizeof(float), "Sampling.thresholds");
        if (options.TopK > 0 || options.TopP < 1) Thresholds<TVector>(cpu, logits, ids, options, bounds.Floats);
        else new Span<float>(bounds.Floats, rows).Fill(-float.MaxValue);
        using var partials = new HostScratch(cpu, (long)rows * parts * sizeof(SamplingCandidate), "Sampling.partials");
        var best = (SamplingCandidate*)partials.Pointer;
        var body = new DrawBody<TVector>
        {
            X = logits.Pointer<float>(),
            Largest = ids.Pointer<int>(),
            Bounds = bounds.Floats,
            Best = best,
            Columns = columns,
            Parts = parts,
            Inverse = SamplingMath.Inverse(options.Temperature),
            Stream = stream,
        };
        cpu.Team.For((long)rows * parts, 1, ref body);
        Span<int> to = ids.Span<int>();
        for (int row = 0; row < rows; row++, best += parts)
        {
            for (int part = 1; part < parts; part++)
                if (best[part].Score > best[0].Score) best[0] = best[part];
            to[row] = best[0].Id;
        }
    }

    private static void Thresholds<TVector>(CpuDevice cpu, Tensor logits, Tensor largest, SamplingOptions options, float* bounds)
        where TVector : unmanaged, ISimd<TVector>
    {
        int rows = logits.Shape[0], columns = logits.Shape.Columns;
        bool own = rows <= cpu.Team.Size;
        using var scratch = new HostScratch(
            cpu, Math.Min(rows, cpu.Team.Size) * CpuSamplingRow<TVector>.ScratchLength(columns) * sizeof(float), "Sampling.candidates");
        var body = new ThresholdBody<TVector>
        {
            X = logits.Pointer<float>(),
            Largest = largest.Pointer<int>(),
            Bounds = bounds,
            Scratch = scratch.Floats,
            ScratchOfRow = own,
            Columns = columns,
            Options = options,
        };
        cpu.Team.ForWorkers(rows, 1, ref body);
    }

    private struct ThresholdBody<TVector> : IWorkerRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* X, Bounds, Scratch;
        public int* Largest;
        public bool ScratchOfRow;
        public int Columns;
        public SamplingOptions Options;

        public readonly void Run(long start, long end, long chunk, int worker)
        {
            for (long i = start; i < end; i++)
            {
                float* x = X + i * Columns;
                long place = ScratchOfRow ? i : worker;
                var row = new CpuSamplingRow<TVector>(
                    x, Columns, x[Largest[i]], Scratch + place * CpuSamplingRow<TVector>.ScratchLength(Columns));
                if (Options.TopK > 0 && Options.TopK < Columns) row.KeepTopK(Options.TopK);
                if (Options.TopP < 1) row.KeepTopP(Options.TopP, Options.Temperature);
                Bounds[i] = row.Bound;
            }
        }
    }

    private struct DrawBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* X, Bounds;
        public int* Largest;
        public SamplingCandidate* Best;
        public long Columns, Parts;
        public float Inverse;
        public RandomStream Stream;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
            {
                (long row, long part) = Math.DivRem(i, Parts);
                float* x = X + row * Columns;
                long first = part * PartLength, count = Math.Min(PartLength, Columns - first);
                var draw = new CpuSamplingDraw<TVector>(x[Largest[row]], Bounds[row], Inverse, Largest[row]);
                Best[i] = draw.Best(x, first, count, Stream.Seed, unchecked(Stream.Offset + (ulong)(row * Columns + first)));
            }
        }
    }
}
