using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// A' and B' of many adapters, folded together under a tape for one forward pass. They belong to the flow of execution, and to operations of that
/// tape alone: under another (a checkpointed layer, a pause) an adapter folds by itself.
/// </summary>
internal sealed class FoldedAdapters : IDisposable
{
    private static readonly AsyncLocal<FoldedAdapters?> s_current = new();

    private readonly Tape _tape;
    private readonly FoldedAdapters? _outer;
    private Dictionary<DeloraAdapter, (Tensor A, Tensor B)>? _folded;

    /// <summary>Folds the adapters, each once, under the current tape.</summary>
    internal FoldedAdapters(Tape tape, IEnumerable<DeloraAdapter> adapters)
    {
        DeloraAdapter[] all = [.. adapters.Distinct()];
        (Tensor A, Tensor B)[] folded = Functions.DeloraFoldAll(Array.ConvertAll(all, adapter => adapter.Branches()));
        _folded = all.Zip(folded).ToDictionary(pair => pair.First, pair => pair.Second);
        (_tape, _outer) = (tape, s_current.Value);
        s_current.Value = this;
    }

    /// <summary>What was folded of an adapter for operations made now; null where it has to fold by itself.</summary>
    internal static (Tensor A, Tensor B)? Of(DeloraAdapter adapter)
    {
        for (FoldedAdapters? folds = s_current.Value; folds is not null; folds = folds._outer)
            if (Volatile.Read(ref folds._folded) is { } folded && folds._tape == Tape.Current && folded.TryGetValue(adapter, out (Tensor, Tensor) pair))
                return pair;
        return null;
    }

    /// <summary>From now on adapters fold by themselves. What was folded stays the tape's.</summary>
    public void Dispose()
    {
        Volatile.Write(ref _folded, null);
        if (s_current.Value == this) s_current.Value = _outer;
    }
}
