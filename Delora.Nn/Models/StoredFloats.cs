using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>Tensors in the type that a file keeps them in.</summary>
internal static class StoredFloats
{
    /// <summary>
    /// The tensors to write, one at a time: as they are for float32 (the writer rounds float64), rounded to the nearest for bfloat16 and float16. The
    /// rounded ones belong to the scope that is open.
    /// </summary>
    /// <exception cref="DTypeException">Another type.</exception>
    /// <exception cref="NonFiniteException">A finite number is infinite in the type.</exception>
    internal static IEnumerable<KeyValuePair<string, Tensor>> Of(IEnumerable<KeyValuePair<string, Tensor>> tensors, DType storeAs)
    {
        if (storeAs is not (DType.Float32 or DType.BFloat16 or DType.Float16))
            throw new DTypeException($"Tensors are stored as float32, bfloat16 or float16, not as {storeAs.Name}.");
        return storeAs == DType.Float32
            ? tensors
            : tensors.Select(pair => KeyValuePair.Create(pair.Key, pair.Value.DType.IsFloatingPoint ? Rounded(pair.Key, pair.Value, storeAs) : pair.Value));
    }

    private static Tensor Rounded(string name, Tensor tensor, DType storeAs)
    {
        const int Piece = 1 << 20;
        Tensor rounded = Tensor.Empty(tensor.Shape, storeAs, tensor.Device, name);
        CastKernel.Forward(tensor, rounded);
        // In pieces: a table of embeddings need not be there three more times.
        for (long done = 0; done < tensor.ElementCount; done += Piece)
        {
            Shape part = [(int)Math.Min(Piece, tensor.ElementCount - done)];
            using Tensor given = tensor.View(part, done), kept = rounded.View(part, done), wide = Tensor.Empty(part, tensor.DType, tensor.Device, name);
            CastKernel.Forward(kept, wide);
            foreach ((double value, double stored) in given.ToArray<double>().Zip(wide.ToArray<double>()))
                if (double.IsFinite(value) && !double.IsFinite(stored))
                    throw new NonFiniteException($"'{name}' holds {value:G6}, which {storeAs.Name} cannot hold.");
        }
        return rounded;
    }
}
