using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Copies of a quantized weight: a tile's codes and their scales are loaded into registers, and become numbers of the product's type on their way to shared memory
/// (code · scale in float32, rounded once as a float32 operand would be), so that the weight is nowhere in more bits. A chunk's codes share a scale: they are
/// neighbors in a row of W, whichever way it is multiplied.
/// </summary>
internal sealed class CodeCopy : StagedCopy
{
    // The bits of 2^23.
    private const int TwoTo23 = 0x4B000000;

    // For a shuffle: the highest lane is 15 of a half, and the bits of a lane's number that stay are the uppermost.
    private const int InHalves = 16 << 8 | 31;

    private readonly B64 _scales;
    private readonly F32[] _factors;
    private B64[] _from = [];
    private B32? _pitch, _depth;
    private F32? _level;

    internal CodeCopy(PtxWriter w, ProductOperand operand, OperandTile tile, B64 scales) : base(w, operand, tile)
    {
        _scales = scales;
        _factors = w.New<F32>("scale", Count);
    }

    private bool HasBlocks => Operand.Codes == FrozenStorage.Nf4;

    internal override void Begin(B32 thread, B64 matrix, B32 lineCount, B32 depthCount, B32 firstLine, B32 firstDepth)
    {
        base.Begin(thread, matrix, lineCount, depthCount, firstLine, firstDepth);
        B32 columns = Tile.ByDepth ? depthCount : lineCount;
        B32? bytesOfRow = HasBlocks ? ((columns + (Nf4Codec.BlockSize - 1)) / Nf4Codec.BlockSize * sizeof(float)).As("scale_pitch") : null;
        if (HasBlocks) _level = Level(thread);
        if (Tile.ByDepth)
        {
            _from = [.. Enumerable.Range(0, Count).Select(i => _scales.Plus(Line(i), bytesOfRow ?? (PtxOperand)sizeof(float)).As($"scale_from{i}"))];
            if (HasBlocks) _depth = (firstDepth + FirstDepth).As("depth");
            else LoadForever(depthCount > 0);
            return;
        }
        B64 row = _scales.Plus(firstDepth + FirstDepth, bytesOfRow ?? (PtxOperand)sizeof(float));
        _from = [(HasBlocks ? row.Plus(FirstLine / Nf4Codec.BlockSize, sizeof(float)) : row).As("scale_from")];
        _pitch = bytesOfRow;
    }

    private protected override void LoadScale(int chunk, B32? depthLeft)
    {
        if (Tile.ByDepth && !HasBlocks) return;
        PtxAddress from = Tile.ByDepth ? _from[chunk].Plus(_depth! / Nf4Codec.BlockSize, sizeof(float)).At()
            : _pitch is null ? _from[0].At(chunk * RowStep * sizeof(float))
            : (chunk == 0 ? _from[0] : _from[0].Plus(_pitch, chunk * RowStep)).At();
        if (depthLeft is null)
        {
            W.LoadConstant(from, _factors[chunk]);
            return;
        }
        // Codes of zeros that were not loaded are not all zero, but what is multiplied by that is.
        Pred inside = IsInside(chunk, 0, depthLeft);
        W.Set(_factors[chunk], 0f);
        using (W.When(inside)) W.LoadConstant(from, _factors[chunk]);
    }

    private protected override PtxRegister[] Converted(PtxRegister[] numbers, int chunk)
    {
        B32[] words = numbers as B32[] ?? [.. numbers.Select(half => W.Result<B32>("cvt.u32.u16", half))];
        IEnumerable<F32> codes = words.SelectMany(word => HasBlocks ? Levels(word, Tile.ChunkNumbers / words.Length) : WholeNumbersOf(word));
        return Tile.Rounded(W, [.. codes.Select(code => code * _factors[chunk])]);
    }

    private protected override void Advance()
    {
        base.Advance();
        if (_depth is not null) W.Increase(_depth, Tile.Depth);
        else if (_pitch is not null) W.Emit("mad.wide.s32", _from[0], _pitch, Tile.Depth, _from[0]);
        else if (!Tile.ByDepth) W.Increase(_from[0], Tile.Depth * sizeof(float));
    }

    /// <summary>The scales of rows that are lines: the same at each step.</summary>
    private void LoadForever(Pred hasScales)
    {
        for (int i = 0; i < Count; i++)
        {
            W.Set(_factors[i], 0f);
            using (W.When(hasScales)) W.LoadConstant(_from[i].At(), _factors[i]);
        }
    }

    /// <summary>The level of the code that is the thread's number modulo 16: lanes look levels up in each other's registers.</summary>
    private F32 Level(B32 thread)
    {
        F32 level = W.Constant(Nf4Codec.Levels[0]).As("level");
        B32 code = thread & (Nf4Codec.Levels.Length - 1);
        for (int i = 1; i < Nf4Codec.Levels.Length; i++)
            using (W.When(code.Is(i))) W.Set(level, Nf4Codec.Levels[i]);
        return level;
    }

    /// <summary>The levels of codes of 4 bits, the first in the low bits. Each half of a warp has all of them, so that the bits above the code do not matter.</summary>
    private IEnumerable<F32> Levels(B32 word, int count) => Enumerable.Range(0, count).Select(i => W.Result<F32>(
        "shfl.sync.idx.b32", _level!, i == 0 ? word : word >> (i * Nf4PairCodec.Bits), InHalves, "0xffffffff"));

    /// <summary>Signed codes of 8 bits as float32, without conversions, which a multiprocessor makes a quarter as many of.</summary>
    private IEnumerable<F32> WholeNumbersOf(B32 word)
    {
        // From −128 … 127 to 0 … 255, which are the last bits of 2^23 + that.
        B32 above = word ^ unchecked((int)0x80808080);
        return Enumerable.Range(0, sizeof(int)).Select(i =>
            W.Result<F32>("sub.f32", W.AsFloat(W.Result<B32>("prmt.b32", above, TwoTo23, 0x7440 | i)), (1 << 23) + 128f));
    }
}
