using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="GlobalNormKernel"/>.</summary>
internal static unsafe class CpuGlobalNorm
{
    private const long Grain = 16 * 1024;

    internal static void Forward(CpuDevice cpu, ReadOnlySpan<Tensor> tensors, Tensor norm)
    {
        double sum = 0;
        foreach (Tensor tensor in tensors)
        {
            int chunks = WorkerTeam.ChunkCount(tensor.ElementCount, Grain);
            using var partials = new HostScratch(cpu, (long)chunks * sizeof(double), "GlobalNorm.partials");
            var body = new Body { X = tensor.Pointer<float>(), Partials = partials.Doubles };
            cpu.Team.For(tensor.ElementCount, Grain, ref body);
            for (int i = 0; i < chunks; i++) sum += partials.Doubles[i];
        }
        *norm.Pointer<float>() = (float)Math.Sqrt(sum);
    }

    private struct Body : IRangeBody
    {
        public float* X;
        public double* Partials;

        public readonly void Run(long start, long end, long chunk) => Partials[chunk] = CpuDot.Row(X + start, X + start, end - start);
    }
}
