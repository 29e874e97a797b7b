using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The CPU's frozen weight: panels for y = x Wᵀ, which the product dx = g W turns while it reads them; or, where memory does not matter, panels of its own
/// for it, made when a backward pass first asks, so that inference does not pay for them.
/// </summary>
internal sealed unsafe class CpuFrozenWeight : FrozenWeight
{
    private readonly Lock _lock = new();
    private readonly Tensor _codes;
    private readonly Tensor? _scales;
    private volatile Tensor? _backward;

    internal CpuFrozenWeight(Tensor weight, FrozenStorage storage, FrozenDirections directions)
        : base(weight.Device, weight.Shape[0], weight.Shape[1], storage, directions)
    {
        _codes = Codes(Out, In);
        try
        {
            int scales = StoredPanels.ScalesOf(storage, In);
            if (scales > 0)
                _scales = Tensor.Empty(
                    [scales, checked((int)PackedMatrix.Padded(Out, Cpu.Simd))], DType.Float32, Device, nameof(FrozenWeight)).Own();
            SetWeight(weight);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override long ByteLength => base.ByteLength + _codes.ByteLength + (_scales?.ByteLength ?? 0) + (_backward?.ByteLength ?? 0);

    private CpuDevice Cpu => (CpuDevice)Device;

    private StoredPanels Panels => new(Start(_codes), _scales is null ? null : _scales.Pointer<float>(), Storage, Out, In, Cpu.Simd);

    /// <inheritdoc/>
    public override Tensor ToTensor(string name = "weight")
    {
        Tensor weight = Tensor.Empty([Out, In], DType.Float32, Device, name);
        Panels.Unpack(Cpu.Team, weight.Pointer<float>());
        return weight;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        _codes.Dispose();
        _scales?.Dispose();
        _backward?.Dispose();
    }

    /// <summary>Wᵀ [in, out] as the right operand of y = x Wᵀ.</summary>
    internal void SetForward(ref GemmProblem problem) => SetOperand(ref problem, Panels);

    /// <summary>W [out, in] as the right operand of dx = g W.</summary>
    internal void SetBackward(ref GemmProblem problem) =>
        SetOperand(ref problem, Directions == FrozenDirections.One ? Panels.Turned() : BackwardPanels());

    private protected override WeightError WriteCore(Tensor weight)
    {
        lock (_lock)
        {
            WeightError error = Panels.Pack(Cpu, weight.Pointer<float>(), weight.Name);
            if (_backward is { } panels) FillBackward(panels);
            return error;
        }
    }

    private protected override void RowsCore(Tensor ids, Tensor y)
    {
        var body = new RowsBody { Source = Panels, Ids = ids.Pointer<int>(), Y = y.Pointer<float>() };
        Cpu.Team.For(ids.ElementCount, CpuReduce.RowGrain(In), ref body);
    }

    /// <summary>float32 panels lie as the micro-kernel reads them.</summary>
    private static void SetOperand(ref GemmProblem problem, StoredPanels panels)
    {
        if (panels is { Storage: FrozenStorage.Float32, Transposed: false })
            problem.Packed = PackedMatrix.View((float*)panels.Data, panels.K, panels.N, panels.Level);
        else
            problem.Stored = panels;
    }

    private StoredPanels BackwardPanels()
    {
        if (_backward is null)
            lock (_lock)
            {
                if (_backward is null)
                {
                    Tensor panels = Codes(In, Out);
                    try
                    {
                        FillBackward(panels);
                    }
                    catch
                    {
                        panels.Dispose();
                        throw;
                    }
                    _backward = panels;
                }
            }
        return BackwardView(_backward);
    }

    /// <summary>The panels of Wᵀ: rows are columns of W.</summary>
    private StoredPanels BackwardView(Tensor panels) => new(Start(panels), null, Storage, In, Out, Cpu.Simd);

    private void FillBackward(Tensor panels) => Panels.Turned().CopyTo(Cpu, BackwardView(panels));

    /// <summary>Room for the codes of a [rows, steps] matrix.</summary>
    private Tensor Codes(int rows, int steps)
    {
        bool plain = Storage == FrozenStorage.Float32;
        int width = checked((int)(StoredPanels.StepBytes(rows, Storage, Cpu.Simd) / (plain ? sizeof(float) : 1)));
        return Tensor.Empty([steps, width], plain ? DType.Float32 : DType.UInt8, Device, nameof(FrozenWeight)).Own();
    }

    private static byte* Start(Tensor codes) => codes.DType == DType.Float32 ? (byte*)codes.Pointer<float>() : codes.Pointer<byte>();

    private struct RowsBody : IRangeBody
    {
        public StoredPanels Source;
        public int* Ids;
        public float* Y;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++) Source.CopyRow(Ids[i], Y + i * Source.In);
        }
    }
}
