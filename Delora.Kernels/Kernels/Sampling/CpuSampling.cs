using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The SIMD implementation of <see cref="SamplingKernel"/>: the thresholds of the rows in parallel, then the draws, in parallel over rows and parts
/// of the vocabulary.
/// </summary>
internal static unsafe class CpuSampling
{
    /// <summary>Tokens that are drawn from at a time.</summary>
    private const int PartLength = 8 * 1024;

    internal static void Draw(CpuDevice cpu, Tensor logits, Tensor ids, SamplingOptions options, RandomStream stream)
    {
        int rows = logits.Shape[0], columns = logits.Shape.Columns, parts = WorkerTeam.ChunkCount(columns, PartLength);
        using var bounds = new HostScratch(cpu, (long)rows * sizeof(float), "Sampling.thresholds");
        if (options.TopK > 0 || options.TopP < 1) Thresholds(cpu, logits, ids, options, bounds.Floats);
        else new Span<float>(bounds.Floats, rows).Fill(-float.MaxValue);
        using var partials = new HostScratch(cpu, (long)rows * parts * sizeof(Candidate), "Sampling.partials");
        var body = new DrawBody
        {
            X = logits.Pointer<float>(),
            Largest = ids.Pointer<int>(),
            Bounds = bounds.Floats,
            Partials = (Candidate*)partials.Pointer,
            Columns = columns,
            Parts = parts,
            Inverse = SamplingMath.Inverse(options.Temperature),
            Stream = stream,
        };
        cpu.Team.For((long)rows * parts, 1, ref body);
        Span<int> to = ids.Span<int>();
        for (int row = 0; row < rows; row++)
        {
            Candidate best = body.Partials[(long)row * parts];
            for (int part = 1; part < parts; part++)
            {
                Candidate other = body.Partials[(long)row * parts + part];
                if (other.Score > best.Score) best = other;
            }
            to[row] = best.Id;
        }
    }

    private static void Thresholds(CpuDevice cpu, Tensor logits, Tensor largest, SamplingOptions options, float* bounds)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Thresholds<V16>(cpu, logits, largest, options, bounds); break;
            case SimdLevel.Vector256: Thresholds<V8>(cpu, logits, largest, options, bounds); break;
            default: Thresholds<V4>(cpu, logits, largest, options, bounds); break;
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

    private struct Candidate
    {
        public float Score;
        public int Id;
    }

    // 256-bit vectors at every level, as the random numbers come.
    private struct DrawBody : IRangeBody
    {
        public float* X, Bounds;
        public int* Largest;
        public Candidate* Partials;
        public long Columns, Parts;
        public float Inverse;
        public RandomStream Stream;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
            {
                (long row, long part) = Math.DivRem(i, Parts);
                Partials[i] = Draw(row, part * PartLength, Math.Min(Columns, (part + 1) * PartLength));
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly Candidate Draw(long row, long first, long end)
        {
            float* padded = stackalloc float[PhiloxVector.Count], scores = stackalloc float[PhiloxVector.Count];
            float* x = X + row * Columns;
            float max = x[Largest[row]], bound = Bounds[row];
            var best = new Candidate { Score = float.NegativeInfinity, Id = Largest[row] };
            ulong element = unchecked(Stream.Offset + (ulong)(row * Columns + first));
            // From the border of a Philox block.
            long j = first - (long)(element & 3);
            for (ulong block = element >> 2; j < end; j += PhiloxVector.Count, block += PhiloxVector.Count / 4)
            {
                float* from = x + j;
                if (j < first || j + PhiloxVector.Count > end)
                {
                    for (int lane = 0; lane < PhiloxVector.Count; lane++)
                        padded[lane] = j + lane >= first && j + lane < end ? x[j + lane] : float.NegativeInfinity;
                    from = padded;
                }
                V8 lower = V8.Load(from), upper = V8.Load(from + V8.Count);
                if (!Vector256.GreaterThanOrEqualAny(Vector256.Max(lower.Value, upper.Value), Vector256.Create(bound))) continue;
                (Vector256<uint> lowerWords, Vector256<uint> upperWords) = PhiloxVector.Words(Stream.Seed, block);
                V8.Store(SamplingMath.Scaled(lower, max, Inverse) + SamplingMath.Gumbel(new V8(lowerWords.AsSingle())), scores);
                V8.Store(SamplingMath.Scaled(upper, max, Inverse) + SamplingMath.Gumbel(new V8(upperWords.AsSingle())), scores + V8.Count);
                for (int lane = 0; lane < PhiloxVector.Count; lane++)
                    if (scores[lane] > best.Score && from[lane] >= bound)
                        best = new Candidate { Score = scores[lane], Id = (int)(j + lane) };
            }
            return best;
        }
    }
}
