using System.Runtime.InteropServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD CPU path: float32, all cores that the process may use, the widest vectors of the machine.</summary>
public sealed unsafe class CpuDevice : HostDevice
{
    /// <summary>More bytes than these are cleared by all threads.</summary>
    private const long SharedBytes = 1 << 20;

    /// <summary>A CPU device with a worker team and an allocator of its own.</summary>
    /// <param name="threads">Threads, the calling one included; 0 for all processors that the process may use.</param>
    /// <param name="simd">
    /// Vector width; null for the widest of the machine. A wider one than the machine has works in software, slowly.
    /// </param>
    public CpuDevice(int threads = 0, SimdLevel? simd = null) : this(new WorkerTeam(threads), simd ?? Kernels.Simd.Best) { }

    private CpuDevice(WorkerTeam team, SimdLevel simd, bool planning = false) : base(Describe(team.Size, simd), planning)
    {
        Team = team;
        Simd = simd;
    }

    /// <inheritdoc/>
    public override DType FloatType => DType.Float32;

    /// <summary>Vector width of the kernels.</summary>
    public SimdLevel Simd { get; }

    /// <summary>The threads that share every kernel's work.</summary>
    public WorkerTeam Team { get; }

    /// <summary>See <see cref="Devices.Planning"/>.</summary>
    internal static CpuDevice Planning(CpuDevice like) => new(WorkerTeam.Idle(like.Team.Size), like.Simd, planning: true);

    /// <summary>The name of a CPU device.</summary>
    internal static string Describe(int threads, SimdLevel simd) =>
        $"CPU ({threads} {(threads == 1 ? "thread" : "threads")}, {(int)simd}-bit vectors)";

    /// <inheritdoc/>
    protected override void DisposeDevice() => Team.Dispose();

    /// <inheritdoc/>
    protected internal override void FillBytes(MemoryBlock block, long byteOffset, long byteLength, byte value)
    {
        // Only zeros, which are not filled in while the allocator is locked, as poison is: bodies of the team's loops may allocate.
        if (byteLength < SharedBytes || value != 0)
        {
            base.FillBytes(block, byteOffset, byteLength, value);
            return;
        }
        var body = new ClearBody { To = ((HostMemoryBlock)block).Pointer + byteOffset };
        Team.For(byteLength, SharedBytes / 4, ref body);
    }

    private struct ClearBody : IRangeBody
    {
        public byte* To;

        public readonly void Run(long start, long end, long chunk) => NativeMemory.Clear(To + start, (nuint)(end - start));
    }
}
