using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Copies of an operand that is rounded or widened on its way, or whose rows are aligned to 2 bytes: a tile is loaded into registers, and stored to
/// shared memory a step later, when it has arrived.
/// </summary>
internal class StagedCopy : OperandCopy
{
    private readonly PtxRegister[][] _numbers;
    private readonly int _registersOfPiece;

    internal StagedCopy(PtxWriter w, ProductOperand operand, OperandTile tile) : base(w, operand, tile)
    {
        int register = Width == 2 ? 2 : 4;
        _registersOfPiece = Width / register;
        _numbers = [.. Enumerable.Range(0, Count).Select(chunk => Registers($"raw{chunk}_", ChunkBytes / register))];
    }

    /// <summary>Starts loading the next tile, of which <paramref name="depthLeft"/> steps are left.</summary>
    internal void Load(B32 depthLeft)
    {
        using (W.Scope("The next tile into registers; at the edges what lies outside is zero"))
        {
            B64[] from = Addresses();
            Pred whole = depthLeft >= Tile.Depth;
            if (LinesInside is not null) whole &= LinesInside;
            PtxLabel edge = W.Label("edge"), end = W.Label("after_edge");
            W.Branch(edge, !whole);
            for (int i = 0; i < Count; i++)
            {
                for (int piece = 0; piece < Pieces; piece++) W.LoadConstant(from[i].At(piece * Width), Piece(i, piece));
                LoadScale(i, null);
            }
            W.Branch(end);
            W.Place(edge);
            for (int i = 0; i < Count; i++)
            {
                for (int piece = 0; piece < Pieces; piece++)
                {
                    Pred inside = IsInside(i, piece, depthLeft);
                    foreach (PtxRegister number in Piece(i, piece)) W.Set(number, number is F32 ? (PtxOperand)0f : 0);
                    using (W.When(inside)) W.LoadConstant(from[i].At(piece * Width), Piece(i, piece));
                }
                LoadScale(i, depthLeft);
            }
            W.Place(end);
            Advance();
        }
    }

    /// <summary>Stores what was loaded, in the product's type, to the tile that begins at <paramref name="to"/> in shared memory.</summary>
    internal void Store(B32 to)
    {
        using (W.Scope("The tile that has arrived, in the product's type, to shared memory"))
        {
            PtxAddress[] places = Places(to);
            for (int i = 0; i < Count; i++) Tile.Store(W, places[i], Converted(_numbers[i], i));
        }
    }

    /// <summary>Loads what a chunk's numbers are multiplied by, where there is such a thing.</summary>
    /// <param name="chunk">The chunk.</param>
    /// <param name="depthLeft">Steps that are left; null where all of the tile is in the operand.</param>
    private protected virtual void LoadScale(int chunk, B32? depthLeft)
    {
    }

    /// <summary>The four registers of a chunk in the product's type.</summary>
    /// <param name="numbers">The registers that it was loaded to.</param>
    /// <param name="chunk">The chunk.</param>
    private protected virtual PtxRegister[] Converted(PtxRegister[] numbers, int chunk)
    {
        if (Operand.Type == DType.Float32) return Tile.Rounded(W, (F32[])numbers);
        B32[] pairs = numbers as B32[] ?? [.. numbers.Chunk(2).Select(pair => W.Result<B32>("mov.b32", PtxOperand.Vector(pair)))];
        return Operand.Type == Tile.StoredType ? pairs : Tile.Rounded(W, [.. pairs.SelectMany(Widened)]);
    }

    private PtxRegister[] Registers(string name, int count) =>
        Operand.Type == DType.Float32 ? W.New<F32>(name, count) : Width == 2 ? W.New<B16>(name, count) : W.New<B32>(name, count);

    private PtxRegister[] Piece(int chunk, int piece) => _numbers[chunk][(piece * _registersOfPiece)..((piece + 1) * _registersOfPiece)];

    /// <summary>Two 16-bit numbers as float32, which has them all.</summary>
    private F32[] Widened(B32 pair)
    {
        if (Operand.Type == DType.BFloat16) return [W.AsFloat(pair << 16), W.AsFloat(pair & unchecked((int)0xFFFF0000))];
        B16 low = W.New<B16>("low"), high = W.New<B16>("high");
        W.Emit("mov.b32", PtxOperand.Vector(low, high), pair);
        return [W.Result<F32>("cvt.f32.f16", low), W.Result<F32>("cvt.f32.f16", high)];
    }
}
