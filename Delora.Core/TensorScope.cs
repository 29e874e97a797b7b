namespace Delora.Core;

/// <summary>
/// Owns the tensors that are made while it is open and frees them when it closes: whoever opens the scope frees the memory.
/// <code>
/// using (var scope = new TensorScope("evaluation"))
/// {
///     Tensor logits = model.Forward(ids);   // freed, with all intermediates, at the closing brace
///     best = scope.Keep(logits.Argmax());   // survives: belongs to the enclosing scope, or to the caller where there is none
/// }
/// </code>
/// The current scope follows the flow of execution: it is seen across <c>await</c> and in tasks started while it is open. Scopes nest; an
/// outer scope closed before an inner one is an error.
/// </summary>
/// <remarks>
/// Between two <c>yield return</c>, not across one: an iterator runs in the flow of whoever consumes it. What an asynchronous method opens is not seen by
/// its caller. The same holds for everything that follows the flow: tapes, pauses, rows of adapters.
/// </remarks>
public sealed class TensorScope : IDisposable
{
    private static readonly AsyncLocal<TensorScope?> s_current = new();

    private readonly Lock _lock = new();
    private readonly List<Tensor> _tensors = [];
    private readonly TensorScope? _outer;
    private bool _closed;

    /// <summary>Opens a scope inside the current one.</summary>
    public TensorScope(string name = "scope")
    {
        Name = name;
        _outer = s_current.Value;
        s_current.Value = this;
    }

    /// <summary>The innermost open scope of this flow of execution.</summary>
    public static TensorScope? Current
    {
        get
        {
            TensorScope? scope = s_current.Value;
            // A flow that outlived the scope it was started in falls back to the scope around it.
            while (scope is { _closed: true }) scope = scope._outer;
            return scope;
        }
    }

    /// <summary>What the scope is for; appears in messages.</summary>
    public string Name { get; }

    /// <summary>Tensors that the scope would free now.</summary>
    public int Count
    {
        get { lock (_lock) return _tensors.Count; }
    }

    /// <summary>Hands a tensor of this scope to the enclosing scope, or to the caller where there is none.</summary>
    /// <returns>The same tensor.</returns>
    /// <exception cref="InvalidOperationException">The tensor does not belong to this scope.</exception>
    public Tensor Keep(Tensor tensor)
    {
        if (tensor.Scope != this) throw new InvalidOperationException($"Scope '{Name}' does not own the tensor '{tensor.Name}' {tensor.Shape}.");
        Remove(tensor);
        for (TensorScope? outer = _outer; outer is not null; outer = outer._outer)
            if (outer.TryAdd(tensor)) break;
        return tensor;
    }

    /// <summary>Frees the tensors made in this scope and returns to the enclosing one.</summary>
    /// <exception cref="InvalidOperationException">A scope opened inside this one is still open.</exception>
    public void Dispose()
    {
        if (_closed) return;
        for (TensorScope? inner = s_current.Value; inner is not null && inner != this; inner = inner._outer)
            if (!inner._closed && inner.IsInside(this))
                throw new InvalidOperationException($"Scope '{Name}' is closed while '{inner.Name}', opened inside it, is still open.");
        Tensor[] tensors;
        lock (_lock)
        {
            _closed = true;
            tensors = [.. _tensors];
            _tensors.Clear();
        }
        if (s_current.Value == this) s_current.Value = _outer;
        for (int i = tensors.Length - 1; i >= 0; i--)
        {
            tensors[i].Scope = null;
            tensors[i].Dispose();
        }
    }

    /// <summary>Hands a new tensor to the innermost open scope, where there is one.</summary>
    internal static void AddToCurrent(Tensor tensor)
    {
        // Another thread may close a scope between a look at it and the call: then it belongs to the one around it.
        for (TensorScope? scope = s_current.Value; scope is not null; scope = scope._outer)
            if (scope.TryAdd(tensor)) return;
    }

    internal void Add(Tensor tensor) => ObjectDisposedException.ThrowIf(!TryAdd(tensor), this);

    private bool TryAdd(Tensor tensor)
    {
        lock (_lock)
        {
            if (_closed) return false;
            tensor.Scope = this;
            tensor.ScopeSlot = _tensors.Count;
            _tensors.Add(tensor);
            return true;
        }
    }

    internal void Remove(Tensor tensor)
    {
        lock (_lock)
        {
            // A scope that is being closed has let go of its tensors already; it disposes them itself.
            if (_closed || tensor.Scope != this) return;
            Tensor last = _tensors[^1];
            _tensors[tensor.ScopeSlot] = last;
            last.ScopeSlot = tensor.ScopeSlot;
            _tensors.RemoveAt(_tensors.Count - 1);
            tensor.Scope = null;
        }
    }

    private bool IsInside(TensorScope other)
    {
        for (TensorScope? scope = _outer; scope is not null; scope = scope._outer)
            if (scope == other) return true;
        return false;
    }
}
