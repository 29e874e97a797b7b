using Delora.Core;

namespace Delora.Autograd;

/// <summary>
/// Records the operations that are made while it is open and plays them backward. A tape is a <see cref="TensorScope"/> of its own: closing it frees
/// every intermediate tensor.
/// <code>
/// using var tape = new Tape();
/// Tensor loss = model.Forward(x).CrossEntropy(labels);
/// tape.Backward(loss);                                  // parameter.Gradient is filled
/// </code>
/// Without an open tape operations compute and record nothing: inference needs no switch.
/// </summary>
/// <remarks>
/// <para>The current tape follows the flow of execution: operations after an <c>await</c>, and in tasks started while the tape is open, are recorded
/// on it, whatever thread runs them. Recording is serialized; two flows that record at once are safe, but the order of their operations, and with it the
/// rounding of sums of gradients, is not fixed. A flow that goes on after its tape was closed gets an <see cref="ObjectDisposedException"/> rather than
/// results without gradients. A tape is not open across a <c>yield return</c> (<see cref="TensorScope"/>).</para>
/// <para>Tapes nest; operations are recorded on the innermost. A tensor recorded on one tape is refused by another
/// (<see cref="GradientException"/>): its gradient would be lost. <c>Functions.Detach</c> says that this is meant.</para>
/// </remarks>
public sealed class Tape : IDisposable
{
    private static readonly AsyncLocal<Tape?> s_current = new();

    private readonly Lock _lock = new();
    private readonly List<Function> _functions = [];
    private readonly TensorScope _scope;
    private readonly Tape? _outer;
    private readonly Recorded _recorded;
    private readonly bool _paused;
    private bool _closed, _spent;

    /// <summary>Opens a tape for the current flow of execution.</summary>
    public Tape(string name = "tape") : this(name, paused: false) { }

    private Tape(string name, bool paused)
    {
        _outer = s_current.Value;
        _paused = paused;
        _recorded = new Recorded(this);
        _scope = new TensorScope(name);
        s_current.Value = this;
    }

    /// <summary>The tape that operations of this flow are recorded on; null where nothing is recorded.</summary>
    /// <exception cref="ObjectDisposedException">The tape of this flow was closed while the flow went on.</exception>
    public static Tape? Current
    {
        get
        {
            Tape? tape = s_current.Value;
            if (tape is { _closed: true })
                throw new ObjectDisposedException(tape._scope.Name, $"The tape '{tape._scope.Name}' was closed while a task that was started under it goes on: its gradients would be lost.");
            return tape is { _paused: false } ? tape : null;
        }
    }

    /// <summary>Operations recorded so far.</summary>
    public int Count
    {
        get { lock (_lock) return _functions.Count; }
    }

    /// <summary>
    /// Stops recording until the result is disposed, for instance to evaluate in the middle of a step. Tensors made meanwhile are freed with it.
    /// </summary>
    public static IDisposable Pause() => new Tape("pause", paused: true);

    /// <summary>
    /// Adds the derivative of <paramref name="root"/> with respect to every parameter that it was computed from to <see cref="Parameter.Gradient"/>.
    /// Intermediate tensors are freed as the pass leaves them behind; only the root can still be read afterwards. Gradients add up over
    /// passes: zero them between two steps (<see cref="Parameter.ZeroGradient"/>, or the optimizer's <c>ZeroGradients</c>). Where a pass
    /// fails, some parameters have been given their share of it and others not: zero the gradients before going on.
    /// </summary>
    /// <param name="root">A result recorded on this tape.</param>
    /// <param name="gradient">∂L/∂root, of the root's shape; it stays the caller's. May be null for a root of one element: 1.</param>
    /// <param name="retain">Keeps the intermediates, so that another backward pass can follow.</param>
    /// <exception cref="GradientException">The root was not recorded on this tape, has several elements and no gradient was given, or the tape was spent by an
    /// earlier pass.</exception>
    public void Backward(Tensor root, Tensor? gradient = null, bool retain = false) => Backward(root, gradient, retain, null);

    /// <summary>Makes a tensor one that operations of this tape take for its own result; <see cref="BackwardTo"/> gives its gradient.</summary>
    internal void AddSource(Tensor source) => source.GradientState = _recorded;

    /// <summary>The same, and the gradient that arrived at a source, which the caller owns; null where none did.</summary>
    internal Tensor? BackwardTo(Tensor source, Tensor root, Tensor gradient) => Backward(root, gradient, retain: false, source);

    private Tensor? Backward(Tensor root, Tensor? gradient, bool retain, Tensor? source)
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        if (root.GradientState is not Recorded recorded || recorded.Tape != this)
            throw new GradientException($"Backward: '{root.Name}' {root.Shape} was not recorded on this tape; does it depend on any parameter that requires a gradient?");
        if (gradient is null && root.ElementCount != 1)
            throw new GradientException($"Backward: '{root.Name}' {root.Shape} has {root.ElementCount} elements; the gradient to start from must be given.");
        if (gradient is not null) Check.SameShape("Backward", root, gradient);
        lock (_lock)
        {
            if (_spent) throw new GradientException("Backward: the tape was spent by an earlier backward pass; the earlier one must say retain: true.");
            _spent = !retain;
        }

        var flow = new GradientFlow();
        using IDisposable pause = Pause();
        try
        {
            Tensor start = Tensor.Empty(root.Shape, root.DType, root.Device, "gradient of the root");
            if (gradient is null) start.CopyFrom<double>([1.0]);
            else start.CopyFrom(gradient);
            flow.Start(root, start);
            for (int i = _functions.Count - 1; i >= 0; i--)
            {
                Function function = _functions[i];
                if (flow.Reached(function)) flow.Run(function);
                flow.Release(function);
                if (retain) continue;
                // Nothing earlier on the tape can have saved what this function made.
                function.ReleaseSaved();
                foreach (Tensor output in function.Outputs)
                    if (output != root && output.Scope == _scope) output.Dispose();
            }
            return source is not null && flow.TryGet(source, out _) ? flow.Take(source).Own() : null;
        }
        finally
        {
            flow.ReleaseAll();
            if (!retain) _functions.Clear();
        }
    }

    /// <summary>Lets a tensor made under the tape outlive it; the caller, or the enclosing scope, disposes it.</summary>
    /// <returns>The same tensor.</returns>
    public Tensor Keep(Tensor tensor) => _scope.Keep(tensor);

    /// <summary>Whether closing the tape would free the tensor.</summary>
    internal bool Owns(Tensor tensor) => tensor.Scope == _scope;

    /// <summary>Frees every tensor made under the tape that was not kept.</summary>
    /// <exception cref="InvalidOperationException">A scope or tape opened inside this one is still open.</exception>
    public void Dispose()
    {
        if (_closed) return;
        _closed = true;
        try
        {
            _scope.Dispose();
        }
        catch
        {
            // It refuses while a scope opened inside is open: then the tape stays open as well.
            _closed = false;
            throw;
        }
        _functions.Clear();
        if (s_current.Value == this) s_current.Value = _outer;
    }

    /// <summary>
    /// The tape to record an operation on: the current one where any of its inputs needs a gradient, else null. Functions call it before they
    /// make their <see cref="Function"/>.
    /// </summary>
    /// <exception cref="GradientException">An input was recorded on another tape.</exception>
    public static Tape? For(params ReadOnlySpan<Tensor?> inputs)
    {
        Tape? tape = Current;
        if (tape is null) return null;
        bool needed = false;
        foreach (Tensor? input in inputs)
        {
            if (input?.GradientState is null) continue;
            needed = true;
            if (input.GradientState is Recorded recorded && recorded.Tape != tape)
                throw new GradientException($"'{input.Name}' {input.Shape} was recorded on another tape; its gradient would be lost. Detach it where that is meant.");
        }
        return needed ? tape : null;
    }

    /// <summary>Records an operation with its results.</summary>
    public void Record(Function function, params ReadOnlySpan<Tensor> outputs)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            if (_spent) throw new GradientException("The tape was spent by a backward pass; open a new one for the next step.");
            function.Outputs = outputs.ToArray();
            foreach (Tensor output in outputs) output.GradientState = _recorded;
            _functions.Add(function);
        }
    }
}
