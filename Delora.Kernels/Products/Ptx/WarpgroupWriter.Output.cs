using Delora.Kernels.Ptx;

namespace Delora.Kernels;

// What becomes of the sums.
internal sealed partial class WarpgroupWriter
{
    // Eights of columns whose numbers from before are on their way at a time: more would fill the registers.
    private const int BlocksAtATime = 8;

    /// <summary>Adds the bias, applies the activation, adds what was before, where they are wanted, and stores the warpgroup's half of the tile.</summary>
    private void WriteOutput()
    {
        using (_w.Scope("Bias, activation, what was before, and the output"))
        {
            B32 warp = (_thread % PtxWriter.WarpgroupThreads / WarpThreads).As("warp");
            B32 row = (_firstRow + _half * (WarpgroupVariant.Rows / 2) + warp * 16 + _lane / 4).As("row");
            B32 column = (_firstColumn + _lane % 4 * 2).As("column");
            AddBias(column);
            // All three matrices lie alike.
            B64 toBefore = _w.Result<B64>("sub.s64", _before, _c).As("to_before"), toKept = _w.Result<B64>("sub.s64", _kept, _c).As("to_kept");
            B64 matrix = (_w.Result<B64>("mul.wide.s32", _m, _n) * _w.Long(_batch)).As("matrix");
            _w.Emit("mad.lo.s64", matrix, matrix, sizeof(float), _c);
            B64 output = matrix.Plus(column, sizeof(float)).As("output");
            B32 pitch = (_n * sizeof(float)).As("pitch");
            for (int half = 0; half < 2; half++)
                using (_w.Scope($"Row {8 * half} of the thread"))
                {
                    B32 at = row + 8 * half;
                    Pred isRow = at < _m;
                    B64 address = output.Plus(at, pitch);
                    if (_variant.Activation != ActivationKind.None)
                    {
                        using (_w.If(!_kept.Is(0L), "keep")) StoreRow(address + toKept, column, isRow, half);
                        for (int block = 0; block < _variant.Columns / 8; block++)
                            foreach (F32 sum in Sums(block, half)) ActivationText.Apply(_w, _variant.Activation, sum);
                    }
                    using (_w.If(!_before.Is(0L), "before"))
                        for (int block = 0; block < _variant.Columns / 8; block += BlocksAtATime) AddBefore(address + toBefore, column, isRow, half, block);
                    StoreRow(address, column, isRow, half);
                }
        }
    }

    /// <summary>Stores the sums of the thread's first or second row.</summary>
    private void StoreRow(B64 address, B32 column, Pred isRow, int half)
    {
        for (int block = 0; block < _variant.Columns / 8; block++)
            Access(column, isRow, block, Sums(block, half), (i, from) => _w.StoreGlobal(address.At(sizeof(float) * (8 * block + i)), from));
    }

    private void AddBias(B32 column)
    {
        using (_w.If(!_bias.Is(0L), "bias"))
        using (_w.Scope("The bias of the thread's columns"))
        {
            B64 address = _bias.Plus(column, sizeof(float));
            for (int block = 0; block < _variant.Columns / 8; block++)
                for (int i = 0; i < 2; i++)
                {
                    F32 bias = _w.Constant(0f).As("bias");
                    int at = 8 * block + i;
                    using (_w.When(column + at < _n)) _w.LoadConstant(address.At(sizeof(float) * at), bias);
                    for (int half = 0; half < 2; half++) Add(Sums(block, half)[i], bias);
                }
        }
    }

    /// <summary>Adds what was before at some blocks of a row.</summary>
    private void AddBefore(B64 address, B32 column, Pred isRow, int half, int firstBlock)
    {
        using (_w.Scope($"What was at columns {8 * firstBlock} and on"))
        {
            F32[] before = _w.New<F32>("before", 2 * BlocksAtATime);
            foreach (F32 number in before) _w.Set(number, 0f);
            for (int block = 0; block < BlocksAtATime; block++)
                Access(column, isRow, firstBlock + block, before[(2 * block)..(2 * block + 2)], (i, to) =>
                    _w.LoadGlobal(address.At(sizeof(float) * (8 * (firstBlock + block) + i)), to));
            for (int block = 0; block < BlocksAtATime; block++)
                for (int i = 0; i < 2; i++) Add(Sums(firstBlock + block, half)[i], before[2 * block + i]);
        }
    }

    private void Add(F32 sum, F32 number) => _w.Emit("add.f32", sum, sum, number);

    /// <summary>The thread's two neighbors in eight columns, of its first or second row.</summary>
    private F32[] Sums(int block, int half) => _sums[(4 * block + 2 * half)..(4 * block + 2 * half + 2)];

    /// <summary>Both of two neighbors at once, or one after the other, where they are in the matrix.</summary>
    private void Access(B32 column, Pred isRow, int block, F32[] pair, Action<int, PtxRegister[]> access)
    {
        for (int i = 0; i < (_variant.PairedOutput ? 1 : 2); i++)
        {
            Pred inside = (column + (8 * block + i) < _n) & isRow;
            using (_w.When(inside)) access(i, _variant.PairedOutput ? pair : [pair[i]]);
        }
    }
}
