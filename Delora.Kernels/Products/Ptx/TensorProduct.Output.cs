using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

// What becomes of the sums.
internal sealed partial class TensorProduct
{
    /// <summary>Adds bias and c, where they are wanted, and stores the warp's part of c.</summary>
    private void WriteOutput(B32 split)
    {
        using (_w.Scope("Bias, what c was, and the output"))
        {
            B32 row = (_firstRow + _warpRow + (_lane >> 2)).As("c_row");
            B32 column = (_firstColumn + _warpColumn + ((_lane & 3) << 1)).As("c_column");
            MoveToBatch(_c, _m, _n, DType.Float32);
            B64 output = _w.New<B64>("output");
            _w.Emit("mad.lo.s64", output, _splitBytes, _w.Long(split), _c);
            AddBias(column);
            Pred accumulates = _accumulate > 0;
            ForEachPair(output, row, column, (address, sums, inside) =>
            {
                F32[] before = _w.New<F32>("before", 2);
                foreach (F32 number in before) _w.Set(number, 0f);
                Access([.. inside.Select(guard => guard & accumulates)], before, (i, to) => _w.LoadGlobal(address + sizeof(float) * i, to));
                for (int i = 0; i < 2; i++) _w.Emit("add.f32", sums[i], sums[i], before[i]);
            }, (address, sums, inside) => Access(inside, sums, (i, from) => _w.StoreGlobal(address + sizeof(float) * i, from)));
        }
    }

    private void AddBias(B32 column)
    {
        using (_w.If(!_bias.Is(0L), "bias"))
        using (_w.Scope("The bias of the thread's columns"))
        {
            B64 address = _bias.Plus(column, sizeof(float));
            for (int block = 0; block < ColumnBlocks; block++)
                for (int i = 0; i < 2; i++)
                {
                    F32 bias = _w.New<F32>("bias");
                    _w.Set(bias, 0f);
                    using (_w.When(column + (8 * block + i) < _n)) _w.LoadConstant(address.At(sizeof(float) * (8 * block + i)), bias);
                    for (int rowBlock = 0; rowBlock < RowBlocks; rowBlock++)
                        for (int half = 0; half < 2; half++)
                        {
                            F32 sum = _sums[rowBlock * ColumnBlocks + block][2 * half + i];
                            _w.Emit("add.f32", sum, sum, bias);
                        }
                }
        }
    }

    /// <summary>
    /// Row by row, what is to be done first and then with every pair of neighbors of the thread: its address, its sums, and whether each of the two (or both) is in c.
    /// A row's loads are on their way together; the next row's wait for this one's stores, or they would fill the registers.
    /// </summary>
    private void ForEachPair(B64 output, B32 row, B32 column, params Action<PtxAddress, F32[], Pred[]>[] steps)
    {
        Pred[][] columns = [.. Enumerable.Range(0, ColumnBlocks).Select(block =>
            Enumerable.Range(0, _variant.PairedOutput ? 1 : 2).Select(i => column + (8 * block + i) < _n).ToArray())];
        B64 first = output.Plus(column, sizeof(float));
        B32 pitch = _n * sizeof(float);
        for (int own = 0; own < 2 * RowBlocks; own++)
            using (_w.Scope($"Row {8 * own} of the thread"))
            {
                B32 at = row + 8 * own;
                Pred isRow = at < _m;
                B64 address = first.Plus(at, pitch);
                foreach (Action<PtxAddress, F32[], Pred[]> step in steps)
                    for (int block = 0; block < ColumnBlocks; block++)
                        step(
                            address.At(sizeof(float) * 8 * block), _sums[own / 2 * ColumnBlocks + block][(own % 2 * 2)..(own % 2 * 2 + 2)],
                            [.. columns[block].Select(inside => inside & isRow)]);
            }
    }

    /// <summary>Both of two neighbors at once, or one after the other, where they are in c.</summary>
    private void Access(Pred[] inside, F32[] pair, Action<int, PtxRegister[]> access)
    {
        for (int i = 0; i < inside.Length; i++)
            using (_w.When(inside[i])) access(i, _variant.PairedOutput ? pair : [pair[i]]);
    }
}
