using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Single-precision matrix product on the CPU: operands packed into panels, a register tile of C in the innermost loop, tiles of C taken
/// dynamically by a <see cref="WorkerTeam"/>. The order in which an element's K terms are summed depends on the shape and the
/// <see cref="SimdLevel"/> alone, so the bits do not depend on the number of threads or on which of them took a tile.
/// </summary>
/// <remarks>
/// Blocking as in Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008), and BLIS: blocks of K of at most 384,
/// of M of at most 144 (twice that over weights that are stored in panels), of N of about 768.
/// </remarks>
public static unsafe class Gemm
{
    internal const int MaxBlockOfK = 384;

    /// <summary>Bytes of workspace that <see cref="Run(WorkerTeam, SimdLevel, in GemmProblem, void*)"/> needs for this product.</summary>
    /// <param name="problem">The product; its pointers are not followed.</param>
    /// <param name="level">Vector width.</param>
    /// <param name="teamSize"><see cref="WorkerTeam.Size"/>.</param>
    /// <exception cref="ArgumentException">A combination that the product does not support.</exception>
    /// <exception cref="OverflowException">The workspace does not fit in a <see cref="long"/>.</exception>
    public static long WorkspaceBytes(in GemmProblem problem, SimdLevel level, int teamSize) => level switch
    {
        SimdLevel.Vector512 => GemmDriver<MicroKernel512>.WorkspaceBytes(problem, level, teamSize),
        SimdLevel.Vector256 => GemmDriver<MicroKernel256>.WorkspaceBytes(problem, level, teamSize),
        _ => GemmDriver<MicroKernel128>.WorkspaceBytes(problem, level, teamSize),
    };

    /// <summary>Computes the product.</summary>
    /// <param name="team">Threads.</param>
    /// <param name="level">Vector width; one that <see cref="Simd.Best"/> covers.</param>
    /// <param name="problem">The product.</param>
    /// <param name="workspace">At least <see cref="WorkspaceBytes"/> bytes, aligned to 64. Its content does not matter.</param>
    /// <exception cref="ArgumentException">A combination that the product does not support.</exception>
    public static void Run(WorkerTeam team, SimdLevel level, in GemmProblem problem, void* workspace)
    {
        switch (level)
        {
            case SimdLevel.Vector512: GemmDriver<MicroKernel512>.Run(team, level, problem, (float*)workspace); break;
            case SimdLevel.Vector256: GemmDriver<MicroKernel256>.Run(team, level, problem, (float*)workspace); break;
            default: GemmDriver<MicroKernel128>.Run(team, level, problem, (float*)workspace); break;
        }
    }

    /// <summary>Computes the product on a device, with a workspace from its allocator.</summary>
    /// <param name="cpu">Threads, vector width and memory.</param>
    /// <param name="problem">The product.</param>
    internal static void Run(CpuDevice cpu, in GemmProblem problem)
    {
        using HostScratch workspace = new(cpu, WorkspaceBytes(problem, cpu.Simd, cpu.Team.Size), "matrix product");
        Run(cpu.Team, cpu.Simd, problem, workspace.Pointer);
    }

    /// <summary>Steps of K between two visits to C: whole blocks of nearly equal size.</summary>
    internal static int BlockOfK(int k)
    {
        int blocks = Math.Max(1, (k + MaxBlockOfK - 1) / MaxBlockOfK);
        return Math.Max(4, (int)RoundUp((k + blocks - 1) / blocks, 4));
    }

    internal static long RoundUp(long value, long multiple) => (value + multiple - 1) / multiple * multiple;

    internal static void Check(in GemmProblem p, SimdLevel level)
    {
        if (p.M < 0 || p.N < 0 || p.K < 0 || p.Batch < 0 || p.Rank < 0)
            throw new ArgumentException($"Gemm: negative size in M {p.M}, N {p.N}, K {p.K}, batch {p.Batch}, rank {p.Rank}.");
        if (p.Packed.Data != null && (p.Packed.K != p.K || p.Packed.N != p.N || p.Packed.Level != level))
        {
            throw new ArgumentException(
                $"Gemm: the packed operand is [{p.Packed.K}, {p.Packed.N}] for {p.Packed.Level}, "
                + $"the product wants [{p.K}, {p.N}] for {level}.");
        }
        if (p.Stored.Data != null && (p.Packed.Data != null || p.Batch > 1 || p.Stored.K != p.K || p.Stored.N != p.N || p.Stored.Level != level))
        {
            throw new ArgumentException(
                $"Gemm: the stored operand is [{p.Stored.K}, {p.Stored.N}] for {p.Stored.Level} and one product without another packed operand, "
                + $"the product wants [{p.K}, {p.N}] for {level}, batch {p.Batch}.");
        }
        if (p.Accumulate && p.Finish != null)
            throw new ArgumentException("Gemm: what is made of a complete C has no place where C is accumulated.");
        if (p.Batch > 1 && (p.Rank > 0 || p.FilterTarget != GemmFilterTarget.None))
            throw new ArgumentException("Gemm: a batch takes neither a low-rank branch nor a filter.");
        if (p.FilterTarget != GemmFilterTarget.None && p.Filter == null)
            throw new ArgumentException("Gemm: a filter target without a filter.");
        if (p.FilterTarget == GemmFilterTarget.Right && (p.HasPanels || p.Rank > 0 || p.BCol != 1))
            throw new ArgumentException("Gemm: only a row-major right operand, not packed and without a low-rank branch, can be filtered.");
        if (p.FilterTarget == GemmFilterTarget.LowRank && p.Rank == 0)
            throw new ArgumentException("Gemm: a filter on a low-rank branch that is not there.");
    }
}
