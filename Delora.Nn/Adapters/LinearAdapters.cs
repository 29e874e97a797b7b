using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// The adapters of one linear layer or embedding, by name. Those that are active add up: their A' and B' are concatenated along the rank, so that any number of
/// them is still one product. Merged into the weight they cost nothing; unmerging restores the base weight bit by bit.
/// </summary>
public sealed partial class LinearAdapters : IDisposable
{
    private readonly IAdaptedLayer _layer;
    private readonly Dictionary<string, LinearAdapter> _adapters = [];
    private string[] _active = [];
    private BaseWeight? _base;

    internal LinearAdapters(IAdaptedLayer layer) => _layer = layer;

    /// <summary>Names of all adapters.</summary>
    public IEnumerable<string> Names => _adapters.Keys;

    /// <summary>Names of the active ones, in order.</summary>
    public IReadOnlyList<string> Active => _active;

    /// <summary>Whether active adapters act. False computes the base layer, as PEFT's <c>disable_adapter</c>.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Names of the adapters that are merged into the weight; empty where none is.</summary>
    public IReadOnlyList<string> Merged { get; private set; } = [];

    /// <summary>The weight before merging, also where the layer that shares it holds it; null where nothing is merged.</summary>
    private BaseWeight? Before => _base ?? _layer.Partner?.Adapters._base;

    /// <summary>Whether the merged weight was asked to be kept in float32.</summary>
    internal bool KeepsFloat32 { get; private set; }

    /// <summary>The adapter of that name.</summary>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public LinearAdapter this[string name] => _adapters[name];

    /// <summary>Whether the layer has an adapter of that name.</summary>
    public bool Contains(string name) => _adapters.ContainsKey(name);

    /// <summary>Adds an adapter, which the layer takes over, without activating it. The layer is frozen from now on.</summary>
    /// <exception cref="ArgumentException">There is one of that name, or the adapter is one for another kind of layer.</exception>
    /// <exception cref="ShapeException">The adapter does not fit the layer.</exception>
    /// <exception cref="InvalidOperationException">The layer is trained as a whole (<c>modules_to_save</c>).</exception>
    public void Add(string name, LinearAdapter adapter)
    {
        if (_layer.KeepsParameters)
            throw new InvalidOperationException("The layer is trained as a whole by modules_to_save; it takes no adapter.");
        if (adapter.In != _layer.In || adapter.Out != _layer.Out)
            throw new ShapeException($"adapter '{name}': ΔW [{adapter.Out}, {adapter.In}] does not fit the weight [{_layer.Out}, {_layer.In}]");
        if (adapter.OnEmbedding != (_layer.Kind == ModuleKind.Embedding))
            throw new ArgumentException($"adapter '{name}': made for {(adapter.OnEmbedding ? "an embedding" : "a linear layer")}, put on the other.", nameof(adapter));
        if (!_adapters.TryAdd(name, adapter)) throw new ArgumentException($"The layer has an adapter '{name}' already.", nameof(name));
        _layer.Prepare();
    }

    /// <summary>Refuses a rank whose factors would be larger than an array can be.</summary>
    /// <exception cref="DeloraFormatException">It is that large.</exception>
    internal void RequireSize(AdapterConfig config, AdapterTarget target)
    {
        // The residual initialization computes with twice the rank.
        long rank = config is DeloraConfig { ResidualInitialization: true } ? 2L * target.Rank : target.Rank, side = Math.Max(_layer.In, _layer.Out);
        if (rank * side > Array.MaxLength)
            throw config.Wrong(
                target.Rank == config.R ? "r" : "rank_pattern",
                $"{target.Rank} is too large for '{target.Name}': its factors may have up to {Array.MaxLength / side} rows of {side} numbers.");
    }

    /// <summary>
    /// Chooses which adapters act, in order, each once; those that are not there are passed over, because not every layer has every
    /// adapter.
    /// </summary>
    public void Activate(params IEnumerable<string> names) => _active = [.. names.Where(_adapters.ContainsKey).Distinct()];

    /// <summary>Removes an adapter and frees it.</summary>
    /// <exception cref="InvalidOperationException">It is merged.</exception>
    public void Delete(string name)
    {
        if (Merged.Contains(name)) throw new InvalidOperationException($"The adapter '{name}' is merged; unmerge it first.");
        if (!_adapters.Remove(name, out LinearAdapter? adapter)) return;
        _active = [.. _active.Where(active => active != name)];
        adapter.Dispose();
    }

    /// <summary>
    /// The column norms w [in] of the base weight, also while adapters are merged: of the weight that was given, before its storage rounded it. A new tensor.
    /// </summary>
    public Tensor BaseColumnNorms()
    {
        return _layer.ColumnNorms(Before, "delora_w_norm");
    }

    /// <summary>
    /// Adds ΔW of the given adapters to the weight: W ← W + Σ ΔW; those that are merged already are passed over. The base weight is kept for
    /// <see cref="Unmerge"/>. A weight that two layers share (tied embeddings) changes for both, although the adapters left the other as it was.
    /// </summary>
    /// <exception cref="InvalidOperationException">Adapters are merged into the layer that has the same weight.</exception>
    /// <exception cref="QuantizedWeightException">The weight is quantized.</exception>
    /// <exception cref="NonFiniteException">The merged weight would hold NaN or infinity; nothing was changed.</exception>
    public void Merge(params IEnumerable<string> names) => Merge(names, safe: true);

    /// <inheritdoc cref="Merge(IEnumerable{string})"/>
    /// <param name="names">The adapters; those that the layer lacks are passed over.</param>
    /// <param name="safe">Whether a weight that would hold NaN or infinity is refused.</param>
    /// <param name="dequantize">
    /// Keeps the merged weight in float32. Otherwise it is kept as the base is: rounded where that has 16 bits, as PEFT does; refused where it is quantized.
    /// </param>
    public void Merge(IEnumerable<string> names, bool safe, bool dequantize = false)
    {
        string[] wanted = [.. names.Where(_adapters.ContainsKey).Except(Merged)];
        if (wanted.Length == 0) return;
        if (_layer.Partner is { Adapters.Merged: { Count: > 0 } others })
            throw new InvalidOperationException(
                $"{string.Join(", ", wanted)} cannot be merged: the weight is another layer's as well, into which {string.Join(", ", others)} is merged.");
        using Tensor merged = Sum(wanted, safe, dequantize);
        bool keepsFloat32 = StaysFloat32(dequantize);
        BaseWeight before = _layer.Exchange(merged, keepsFloat32);
        if (_base is null) _base = before;
        else before.Dispose();
        KeepsFloat32 = keepsFloat32;
        Merged = [.. Merged, .. wanted];
    }

    /// <summary>Whether one of these adapters is on the layer, or one that is merged, and the layer shares its weight with another.</summary>
    internal bool CanBeParted(IEnumerable<string> names) =>
        _layer.Partner is { Adapters.Merged.Count: 0 } && (Merged.Count > 0 || names.Any(_adapters.ContainsKey));

    /// <summary>Whether the weight, merged as asked, is kept in float32.</summary>
    internal bool StaysFloat32(bool dequantize) => dequantize || (Merged.Count > 0 && KeepsFloat32);

    /// <summary>
    /// The weight with ΔW of the given adapters and of those that are merged already, a new tensor, to part it from the layer that shares it: nothing is
    /// changed yet.
    /// </summary>
    /// <inheritdoc cref="Merge(IEnumerable{string}, bool, bool)" path="/param"/>
    /// <exception cref="QuantizedWeightException">The weight is quantized.</exception>
    /// <exception cref="NonFiniteException">It would hold NaN or infinity, or what is beyond its storage's range.</exception>
    internal Tensor CopyMerged(IEnumerable<string> names, bool safe, bool dequantize)
    {
        bool keepsFloat32 = StaysFloat32(dequantize);
        Tensor merged = Sum([.. names.Where(_adapters.ContainsKey).Except(Merged)], safe, keepsFloat32);
        try
        {
            // A storage refuses what is beyond its range: here, where nothing is changed yet, not when it is put in place.
            if (!keepsFloat32 && _layer.Kind != ModuleKind.Embedding && _layer.Storage != FrozenStorage.Float32)
                FrozenWeight.Create(merged, _layer.Storage).Dispose();
            return merged;
        }
        catch
        {
            merged.Dispose();
            throw;
        }
    }

    private Tensor Sum(string[] wanted, bool safe, bool dequantize)
    {
        if (_layer.Storage.IsQuantized && !dequantize)
            throw new QuantizedWeightException(
                $"{string.Join(", ", wanted)} cannot be merged into a weight [{_layer.Out}, {_layer.In}] that is kept as {_layer.Storage.Name}: "
                + "quantized again, much of ΔW would be lost. Merge with dequantize, which keeps the merged weight in float32, or into the model as it was before.");
        using IDisposable pause = Tape.Pause();
        // From the base again: 16 bits are rounded once, and the same names give the same bits.
        Tensor merged = _base?.CopyOwn("merged weight") ?? _layer.CopyOwn("merged weight");
        try
        {
            foreach (string name in Merged.Concat(wanted))
            {
                (Tensor a, Tensor b) = _adapters[name].Fold();
                _layer.AddDelta(a, b, merged);
            }
            if (safe) RefuseNonFinite(merged, wanted);
            // The pause would free it.
            return merged.Own();
        }
        catch
        {
            merged.Dispose();
            throw;
        }
    }

    private static void RefuseNonFinite(Tensor merged, string[] wanted)
    {
        using Tensor count = Tensor.Empty([1], DType.Int32, merged.Device, "non-finite elements");
        NonFiniteKernel.Forward(count, merged);
        if (count.ToArray<int>()[0] is var bad and > 0)
            throw new NonFiniteException($"Merging {string.Join(", ", wanted)} into a weight {merged.Shape} would give {bad} elements that are NaN or infinite.");
    }

    /// <summary>A copy of the base weight as files have it, also while adapters are merged.</summary>
    internal Tensor CopyBase()
    {
        if (Before is not { } before) return _layer.WeightState.Read();
        using Tensor own = before.CopyOwn("base weight");
        return _layer.CopyAsStored(own);
    }

    /// <summary>Restores the base weight, bit by bit.</summary>
    public void Unmerge()
    {
        if (_base is null) return;
        _layer.Restore(_base);
        _base = null;
        Merged = [];
    }

    /// <summary>Frees all adapters.</summary>
    public void Dispose()
    {
        foreach (LinearAdapter adapter in _adapters.Values) adapter.Dispose();
        _adapters.Clear();
        _active = [];
        _base?.Dispose();
        _base = null;
        Merged = [];
    }

    /// <summary>Whether the layer computes with its frozen weight alone, which may have adapters merged into it.</summary>
    /// <exception cref="InvalidOperationException">Adapters are merged, and should not act.</exception>
    /// <exception cref="GradientException">Adapters are merged that should be trained.</exception>
    internal bool AreIdle()
    {
        if (Enabled && AdapterRows.For(this) is { } rows) return AreIdle(rows);
        if (Merged.Count == 0) return !Enabled || _active.Length == 0;
        if (!Enabled) throw new InvalidOperationException("The adapters are merged into the weight; unmerge them before computing without them.");
        if (Tape.Current is not null && Merged.Any(name => _adapters[name].Parameters.Any(entry => entry.Parameter.RequiresGradient)))
            throw new GradientException(
                $"{string.Join(", ", Merged)} is merged into the weight: no gradient would reach it. Unmerge it, or compute without a tape.");
        return true;
    }

    /// <summary>The adapters that add a branch to whole batches as things are: active, enabled, not merged, and no rows of their own were chosen.</summary>
    internal IEnumerable<LinearAdapter> ActingNow() =>
        Enabled && Merged.Count == 0 && AdapterRows.For(this) is null ? _active.Select(name => _adapters[name]) : [];

    internal Tensor Forward(Tensor x, FrozenWeight weight, Tensor? bias, ActivationKind activation, Tensor? residual)
    {
        if (AreIdle()) return x.FrozenLinear(weight, bias, activation, residual);
        if (AdapterRows.For(this) is { } choice) return Forward(x, weight, bias, choice, activation, residual);

        (Tensor? foldedA, Tensor? foldedB, List<(LinearAdapter Adapter, DropoutMask Mask)> masked) = FoldActive(x.ElementCount);
        // One product makes all of z, and what comes behind it; of several, each makes a part.
        if (foldedA is not null && masked.Count == 0) return x.LowRankLinear(weight, bias, foldedA, foldedB!, null, activation, residual);
        if (foldedA is null && masked is [var (alone, itsMask)])
        {
            (Tensor a, Tensor b) = alone.Fold(_layer.IsTraining);
            return x.LowRankLinear(weight, bias, a, b, itsMask, activation, residual);
        }
        Tensor? y = null;
        if (foldedA is not null) y = x.LowRankLinear(weight, bias, foldedA, foldedB!);
        foreach ((LinearAdapter adapter, DropoutMask mask) in masked)
        {
            (Tensor a, Tensor b) = adapter.Fold(_layer.IsTraining);
            if (y is null)
            {
                y = x.LowRankLinear(weight, bias, a, b, mask);
                continue;
            }
            Tensor rows = x.Dropout(mask.Probability, mask.Stream).Reshape([checked((int)x.Shape.Rows), x.Shape.Columns]);
            y = y.Add(rows.MatMul(a, MatMulLayout.NT).MatMul(b, MatMulLayout.NT).Reshape(y.Shape));
        }
        return End(y!, activation, residual);
    }

    /// <summary>f(z) + residual, where no product made it.</summary>
    private static Tensor End(Tensor z, ActivationKind activation, Tensor? residual)
    {
        Tensor y = HiddenActivation.Apply(activation, z);
        return residual is null ? y : y.Add(residual);
    }

    /// <summary>
    /// Adapters without a mask side by side, so that they share one product; a masked one sees another input and gets a product of its own.
    /// </summary>
    /// <param name="elements">Elements of the input: so many random numbers a mask takes.</param>
    private (Tensor? A, Tensor? B, List<(LinearAdapter Adapter, DropoutMask Mask)> Masked) FoldActive(long elements)
    {
        Tensor? foldedA = null, foldedB = null;
        List<(LinearAdapter Adapter, DropoutMask Mask)> masked = [];
        foreach (string name in _active)
        {
            LinearAdapter adapter = _adapters[name];
            if (adapter.NextMask(elements, _layer.IsTraining) is { } mask)
            {
                masked.Add((adapter, mask));
                continue;
            }
            (Tensor a, Tensor b) = adapter.Fold(_layer.IsTraining);
            foldedA = foldedA is null ? a : Functions.Concat(0, foldedA, a);
            foldedB = foldedB is null ? b : Functions.Concat(1, foldedB, b);
        }
        return (foldedA, foldedB, masked);
    }
}
