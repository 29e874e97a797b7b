namespace Delora.Nn;

// Many computations at once, or one change alone.
public abstract partial class PretrainedModel
{
    // Computations under way on this thread, of any model: a lease never leaves its thread.
    [ThreadStatic]
    private static int s_held;

    // A Monitor, because whoever changes the model waits in it for those that compute, and may call further methods that do so too.
    private readonly object _gate = new();
    private int _running, _waiting, _changing;
    private bool _disposed;

    /// <summary>How often anything of the model may have changed: adapters, what is merged, whether they act.</summary>
    internal long Changes { get; private set; }

    /// <summary>
    /// Waits until the computations under way have ended, and lets nobody begin before the result is disposed, on the same thread. Computations that
    /// come meanwhile queue behind it, so that it is not passed over for ever under load. Calls nest.
    /// </summary>
    internal IDisposable WaitUntilAlone()
    {
        Monitor.Enter(_gate);
        try
        {
            _waiting++;
            try
            {
                while (_running > 0) Monitor.Wait(_gate);
            }
            finally
            {
                _waiting--;
            }
            Changes++;
            _changing++;
            return new Exclusion(this);
        }
        catch
        {
            Monitor.PulseAll(_gate);
            Monitor.Exit(_gate);
            throw;
        }
    }

    /// <summary>Begins a computation; whoever changes the model waits for its end.</summary>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    internal Lease Enter() => Begin(evenDisposed: false);

    /// <summary>As <see cref="Enter"/>, to read names and counts, also of a model that was disposed.</summary>
    internal Lease Look() => Begin(evenDisposed: true);

    private Lease Begin(bool evenDisposed)
    {
        lock (_gate)
        {
            // Behind those that wait to change the model; but a part of a computation, or of a change, must not wait for the end of the whole.
            while (_waiting > 0 && s_held == 0 && _changing == 0) Monitor.Wait(_gate);
            ObjectDisposedException.ThrowIf(_disposed && !evenDisposed, this);
            _running++;
            s_held++;
        }
        return new Lease(this);
    }

    internal readonly ref struct Lease(PretrainedModel model)
    {
        public void Dispose()
        {
            lock (model._gate)
            {
                s_held--;
                if (--model._running == 0) Monitor.PulseAll(model._gate);
            }
        }
    }

    private sealed class Exclusion(PretrainedModel model) : IDisposable
    {
        public void Dispose()
        {
            model._changing--;
            Monitor.PulseAll(model._gate);
            Monitor.Exit(model._gate);
        }
    }
}
