using Delora.Core;

namespace Delora.Kernels;

/// <summary>A second layout from the first.</summary>
internal readonly unsafe partial struct StoredPanels
{
    /// <summary>
    /// Writes this operand, which is read in the other direction than it is kept, as panels that are kept as they are read. Without scales: the numbers of a
    /// block would not lie together.
    /// </summary>
    /// <param name="cpu">Threads.</param>
    /// <param name="target">Panels of the same storage, of the transposed weight.</param>
    public void CopyTo(CpuDevice cpu, StoredPanels target)
    {
        switch (Level)
        {
            case SimdLevel.Vector512: CopyTo<MicroKernel512>(cpu, target); break;
            case SimdLevel.Vector256: CopyTo<MicroKernel256>(cpu, target); break;
            default: CopyTo<MicroKernel128>(cpu, target); break;
        }
    }

    private void CopyTo<TKernel>(CpuDevice cpu, StoredPanels target) where TKernel : struct, IMicroKernel
    {
        int nr = TKernel.Nr, floats = nr * Gemm.BlockOfK(K) + TileFloats;
        using HostScratch scratch = new(cpu, checked((long)floats * sizeof(float) * cpu.Team.Size), "panels of the other direction");
        CopyBody<TKernel> body = new() { Source = this, Target = target, Scratch = scratch.Floats, Floats = floats };
        cpu.Team.ForWorkers((N + nr - 1) / nr, 1, ref body);
    }

    private struct CopyBody<TKernel> : IWorkerRangeBody where TKernel : struct, IMicroKernel
    {
        public StoredPanels Source;
        public StoredPanels Target;
        public float* Scratch;
        public int Floats;

        public readonly void Run(long start, long end, long chunk, int worker)
        {
            int nr = TKernel.Nr, kc = Gemm.BlockOfK(Source.K);
            float* numbers = Scratch + (nint)worker * Floats, tile = numbers + Floats - TileFloats;
            for (int panel = (int)start; panel < (int)end; panel++)
                for (int k0 = 0; k0 < Source.K; k0 += kc)
                {
                    int steps = Math.Min(kc, Source.K - k0);
                    byte* codes = Target.Codes(panel, nr, k0, steps, 0);
                    Source.ReadPanels<TKernel>(k0, steps, panel * nr, nr, numbers, tile);
                    switch (Source.Storage)
                    {
                        case FrozenStorage.Float32: Write<Float32Codec>(numbers, codes, steps * nr); break;
                        case FrozenStorage.BFloat16: Write<BFloat16Codec>(numbers, codes, steps * nr); break;
                        default: Write<Float16Codec>(numbers, codes, steps * nr); break;
                    }
                }
        }

        private static void Write<TCodec>(float* numbers, byte* codes, int count) where TCodec : struct, IWeightCodec
        {
            for (int i = 0; i < count; i++) TCodec.Put(codes, i, count, TCodec.Encode(numbers[i], 1));
        }
    }
}
