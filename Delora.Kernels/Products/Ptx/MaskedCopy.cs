using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>Copies of a float32 operand under a dropout mask: numbers are multiplied by their factors before they are rounded.</summary>
internal sealed class MaskedCopy(PtxWriter w, ProductOperand operand, OperandTile tile, MaskText mask) : StagedCopy(w, operand, tile)
{
    private B64 _matrix = null!;

    internal override void Begin(B32 thread, B64 matrix, B32 lineCount, B32 depthCount, B32 firstLine, B32 firstDepth)
    {
        base.Begin(thread, matrix, lineCount, depthCount, firstLine, firstDepth);
        _matrix = matrix;
    }

    private protected override PtxRegister[] Converted(PtxRegister[] numbers, int chunk)
    {
        B64 element = W.Result<B64>("shr.u64", W.Result<B64>("sub.s64", Loaded(chunk), _matrix), 2).As("element");
        var masked = new F32[numbers.Length];
        for (int first = 0; first < numbers.Length; first += MaskText.Together)
        {
            F32[] factors = mask.Factors(first == 0 ? element : element + first);
            for (int i = 0; i < factors.Length; i++) masked[first + i] = (F32)numbers[first + i] * factors[i];
        }
        return base.Converted(masked, chunk);
    }
}
