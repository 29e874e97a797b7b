using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// A frozen weight W [out, in] of any storage as panels: [blocks of in][panels of Nr rows of W][steps of the block][Nr codes], the layout of a
/// <see cref="PackedMatrix"/> of Wᵀ, which it is where the storage is float32. As a right operand of <see cref="Gemm"/> it stands for Wᵀ or, transposed,
/// for W: panels are widened, and turned, while they are read. Scales: for each row of the panels, or [panels][blocks of 64 of in][Nr].
/// A view: the caller owns the memory.
/// </summary>
internal readonly unsafe partial struct StoredPanels
{
    public StoredPanels(byte* data, float* scales, FrozenStorage storage, int @out, int @in, SimdLevel level, bool transposed = false)
    {
        Data = data;
        Scales = scales;
        (Storage, Out, In, Level, Transposed) = (storage, @out, @in, level, transposed);
    }

    /// <summary>The codes; null in a default value.</summary>
    public byte* Data { get; }

    /// <summary>The scales; null where the storage has none.</summary>
    public float* Scales { get; }

    public FrozenStorage Storage { get; }

    /// <summary>Rows of W.</summary>
    public int Out { get; }

    /// <summary>Columns of W.</summary>
    public int In { get; }

    public SimdLevel Level { get; }

    /// <summary>Whether the operand is W [out, in] instead of Wᵀ [in, out].</summary>
    public bool Transposed { get; }

    /// <summary>Inner dimension of the product.</summary>
    public int K => Transposed ? Out : In;

    /// <summary>Columns of the product.</summary>
    public int N => Transposed ? In : Out;

    /// <summary>The same panels as the operand of the other direction.</summary>
    public StoredPanels Turned() => new(Data, Scales, Storage, Out, In, Level, !Transposed);

    /// <summary>Bits of a number.</summary>
    public static int BitsOf(FrozenStorage storage) => storage switch
    {
        FrozenStorage.Float32 => Float32Codec.Bits,
        FrozenStorage.BFloat16 => BFloat16Codec.Bits,
        FrozenStorage.Float16 => Float16Codec.Bits,
        FrozenStorage.Int8 => Int8Codec.Bits,
        FrozenStorage.Nf4 => Nf4Codec.Bits,
        _ => throw new ArgumentOutOfRangeException(nameof(storage), storage, "no storage that panels have"),
    };

    /// <summary>Bytes of one step of all panels.</summary>
    public static long StepBytes(int @out, FrozenStorage storage, SimdLevel level) => checked(PackedMatrix.Padded(@out, level) * BitsOf(storage) / 8);

    /// <summary>Numbers of a row that share a scale; 0 where there are none.</summary>
    public static int BlockOf(FrozenStorage storage, int @in) => storage switch
    {
        FrozenStorage.Int8 => Int8Codec.Block(@in),
        FrozenStorage.Nf4 => Nf4Codec.Block(@in),
        _ => 0,
    };

    /// <summary>Scales of a row.</summary>
    public static int ScalesOf(FrozenStorage storage, int @in) =>
        BlockOf(storage, @in) is var block and > 0 ? (int)Gemm.RoundUp(@in, block) / block : 0;

    /// <summary>Fills the panels.</summary>
    /// <param name="cpu">Threads.</param>
    /// <param name="rows">W, row by row without gaps.</param>
    /// <param name="name">The weight's name, for messages.</param>
    /// <returns>How far the codes are from the numbers.</returns>
    /// <exception cref="NonFiniteException">Numbers cannot be kept.</exception>
    public WeightError Pack(CpuDevice cpu, float* rows, string name)
    {
        if (Storage == FrozenStorage.Float32)
        {
            PackedMatrix.Pack(cpu.Team, Level, rows, 1, In, In, Out, (float*)Data);
            return default;
        }
        using HostScratch scratch = new(cpu, checked((long)Out * sizeof(RowError)), "errors of rows");
        Span<RowError> errors = scratch.Span<RowError>(Out);
        errors.Clear();
        PackBody body = new() { Panels = this, Rows = rows, Errors = (RowError*)scratch.Pointer };
        cpu.Team.For(Out, PackedMatrix.PanelWidth(Level), ref body);
        WeightError error = default;
        long refused = 0;
        foreach (RowError row in errors)
        {
            error += new WeightError(row.SquaredError, row.SquaredNorm, row.Largest);
            refused += row.Refused;
        }
        WeightRows.RefuseLoss(refused, [Out, In], name, Storage);
        return error;
    }

    /// <summary>Copies the numbers to memory without gaps, row by row.</summary>
    public void Unpack(WorkerTeam team, float* rows)
    {
        UnpackBody body = new() { Panels = this, Rows = rows };
        team.For(Out, PackedMatrix.PanelWidth(Level), ref body);
    }

    /// <summary>Copies row <paramref name="row"/> of W, In floats.</summary>
    public void CopyRow(int row, float* destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Out);
        switch (Storage)
        {
            case FrozenStorage.Float32: CopyRow<Float32Codec>(row, destination); break;
            case FrozenStorage.BFloat16: CopyRow<BFloat16Codec>(row, destination); break;
            case FrozenStorage.Float16: CopyRow<Float16Codec>(row, destination); break;
            case FrozenStorage.Int8: CopyRow<Int8Codec>(row, destination); break;
            default: CopyRow<Nf4Codec>(row, destination); break;
        }
    }

    private void CopyRow<TCodec>(int row, float* destination) where TCodec : struct, IWeightCodec
    {
        int nr = PackedMatrix.PanelWidth(Level), kc = Gemm.BlockOfK(In);
        for (int k0 = 0; k0 < In; k0 += kc)
        {
            int kb = Math.Min(kc, In - k0);
            WeightRows.Decode<TCodec>(destination, 1, In, k0, kb, RowScales(row), ScaleStride, Place(row, nr, k0, kb));
        }
    }

    private void EncodeRow<TCodec>(int row, float* source, ref RowError error) where TCodec : struct, IWeightCodec
    {
        int nr = PackedMatrix.PanelWidth(Level), kc = Gemm.BlockOfK(In);
        WeightRows.SetScales<TCodec>(source, In, RowScales(row), ScaleStride);
        for (int k0 = 0; k0 < In; k0 += kc)
        {
            int kb = Math.Min(kc, In - k0);
            WeightRows.Encode<TCodec>(source, In, k0, kb, RowScales(row), ScaleStride, Place(row, nr, k0, kb), ref error);
        }
    }

    private CodePlace Place(int row, int nr, int k0, int kb) => new()
    {
        At = Codes(row / nr, nr, k0, kb, 0),
        Stride = nr * BitsOf(Storage) / 8,
        First = row % nr,
        Count = nr,
    };

    /// <summary>The codes of a panel from a step of a block on.</summary>
    private byte* Codes(int panel, int nr, int k0, int kb, int step)
    {
        long number = PackedMatrix.Padded(Out, Level) * k0 + (long)panel * nr * kb + (long)step * nr;
        return Data + number * BitsOf(Storage) / 8;
    }

    private nint ScaleStride => Storage == FrozenStorage.Nf4 ? PackedMatrix.PanelWidth(Level) : 0;

    private float* RowScales(int row)
    {
        int nr = PackedMatrix.PanelWidth(Level);
        return Scales == null ? null : PanelScales(row / nr, nr) + row % nr;
    }

    private float* PanelScales(int panel, int nr) => Scales == null ? null : Scales + (long)panel * nr * ScalesOf(Storage, In);

    private struct PackBody : IRangeBody
    {
        public StoredPanels Panels;
        public float* Rows;
        public RowError* Errors;

        public readonly void Run(long start, long end, long chunk)
        {
            // Whole panels: two lanes may share a byte. The last one is padded with codes of zero bits.
            int nr = PackedMatrix.PanelWidth(Panels.Level), kc = Gemm.BlockOfK(Panels.In);
            for (int row = (int)start; row < (int)end; row++)
            {
                if (row % nr == 0) Clear(row / nr, nr, kc);
                float* source = Rows + (long)row * Panels.In;
                switch (Panels.Storage)
                {
                    case FrozenStorage.BFloat16: Panels.EncodeRow<BFloat16Codec>(row, source, ref Errors[row]); break;
                    case FrozenStorage.Float16: Panels.EncodeRow<Float16Codec>(row, source, ref Errors[row]); break;
                    case FrozenStorage.Int8: Panels.EncodeRow<Int8Codec>(row, source, ref Errors[row]); break;
                    default: Panels.EncodeRow<Nf4Codec>(row, source, ref Errors[row]); break;
                }
            }
        }

        private readonly void Clear(int panel, int nr, int kc)
        {
            for (int k0 = 0; k0 < Panels.In; k0 += kc)
            {
                int kb = Math.Min(kc, Panels.In - k0);
                new Span<byte>(Panels.Codes(panel, nr, k0, kb, 0), nr * kb * BitsOf(Panels.Storage) / 8).Clear();
            }
            if (Panels.Scales != null) new Span<float>(Panels.PanelScales(panel, nr), nr * ScalesOf(Panels.Storage, Panels.In)).Clear();
        }
    }

    private struct UnpackBody : IRangeBody
    {
        public StoredPanels Panels;
        public float* Rows;

        public readonly void Run(long start, long end, long chunk)
        {
            for (int row = (int)start; row < (int)end; row++) Panels.CopyRow(row, Rows + (long)row * Panels.In);
        }
    }
}
