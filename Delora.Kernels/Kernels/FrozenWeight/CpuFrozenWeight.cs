using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The CPU's frozen weight: packed panels for y = x Wᵀ, made at once, and for dx = g W, made when a backward pass first asks, so that
/// inference does not pay for them.
/// </summary>
internal sealed unsafe class CpuFrozenWeight : FrozenWeight
{
    private readonly Lock _lock = new();
    private readonly Tensor _forward;
    private volatile Tensor? _backward;

    internal CpuFrozenWeight(Tensor weight) : base(weight.Device, weight.Shape[0], weight.Shape[1])
    {
        _forward = Panels(In, Out);
        PackForward(weight);
    }

    /// <inheritdoc/>
    public override long ByteLength => _forward.ByteLength + (_backward?.ByteLength ?? 0);

    /// <summary>Wᵀ [in, out] as the right operand of y = x Wᵀ.</summary>
    internal PackedMatrix Forward => PackedMatrix.View(_forward.Pointer<float>(), In, Out, Cpu.Simd);

    /// <summary>W [out, in] as the right operand of dx = g W.</summary>
    internal PackedMatrix Backward
    {
        get
        {
            if (_backward is null)
                lock (_lock)
                    _backward ??= PackBackward();
            return PackedMatrix.View(_backward.Pointer<float>(), Out, In, Cpu.Simd);
        }
    }

    private CpuDevice Cpu => (CpuDevice)Device;

    /// <inheritdoc/>
    public override Tensor ToTensor(string name = "weight")
    {
        Tensor weight = Tensor.Empty([Out, In], DType.Float32, Device, name);
        Forward.Unpack(Cpu.Team, weight.Pointer<float>(), 1, In);
        return weight;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _forward.Dispose();
        _backward?.Dispose();
    }

    private protected override void ReplaceCore(Tensor weight)
    {
        lock (_lock)
        {
            PackForward(weight);
            if (_backward is { } panels) Pack(weight.Pointer<float>(), panels);
        }
    }

    private protected override void RowsCore(Tensor ids, Tensor y)
    {
        var body = new RowsBody { Source = Forward, Ids = ids.Pointer<int>(), Y = y.Pointer<float>() };
        Cpu.Team.For(ids.ElementCount, CpuReduce.RowGrain(In), ref body);
    }

    private void PackForward(Tensor weight) =>
        PackedMatrix.Pack(Cpu.Team, Cpu.Simd, weight.Pointer<float>(), 1, In, In, Out, _forward.Pointer<float>());

    private Tensor PackBackward()
    {
        using HostScratch rows = new(Cpu, checked((long)Out * In * sizeof(float)), "frozen weight");
        Forward.Unpack(Cpu.Team, rows.Floats, 1, In);
        Tensor panels = Panels(Out, In);
        Pack(rows.Floats, panels);
        return panels;
    }

    private void Pack(float* rows, Tensor panels) => PackedMatrix.Pack(Cpu.Team, Cpu.Simd, rows, In, 1, Out, In, panels.Pointer<float>());

    private Tensor Panels(int k, int n) =>
        Tensor.Empty([k, checked((int)PackedMatrix.Padded(n, Cpu.Simd))], DType.Float32, Device, nameof(FrozenWeight)).Own();

    private struct RowsBody : IRangeBody
    {
        public PackedMatrix Source;
        public int* Ids;
        public float* Y;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++) Source.CopyColumn(Ids[i], Y + i * Source.K);
        }
    }
}
