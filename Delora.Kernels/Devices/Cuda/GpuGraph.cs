using System.Runtime.InteropServices;
using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>
/// Work of a CUDA device that is made once and then run again in one call, with other numbers in its inputs: <see cref="Rehearse"/>,
/// <see cref="TryRecord"/>, and <see cref="TryReplay"/> as often as wanted. Its temporaries come from a <see cref="BlockPool"/>; every other tensor that
/// it touches stays where it is as long as the graph lives.
/// </summary>
/// <remarks>
/// <para>What the host does in the work is done when it is recorded, never again. So that nothing gets lost in silence, work that depends on the host
/// is refused: it may not wait for the device, and what it uploads must be the same in the rehearsal and in the recording, unless it is
/// <see cref="Derived">derived</see> from integers that the host knows, or <see cref="Fed{T}">fed</see>: then the host is asked again before each replay.
/// Checks of such integers are repeated as well (<see cref="Require"/>). All of it reaches the device in one copy, which nobody waits for.</para>
/// <para>Random numbers move on: a mask is recorded relative to where the generator stood when the work began, and each replay takes as many numbers as
/// the recording did.</para>
/// </remarks>
internal sealed unsafe partial class GpuGraph : IDisposable
{
    [ThreadStatic]
    private static GpuGraph? t_current;

    // The first bytes of the inputs: where the generator stands.
    private const int RandomBytes = 32;

    // Of each piece of the inputs.
    private const int Alignment = 32;

    // Copies on their way: while one is made, the next is written beside it.
    private const int Slots = 2;

    private readonly GpuDevice _gpu;
    private readonly IPtxDriver _driver;
    private readonly BlockPool _pool;
    private readonly Generator? _generator;
    private readonly HashSet<MemoryBlock> _pinned = [], _pooled = [];
    private readonly List<(int Length, byte[] Hash)> _rehearsed = [];
    private readonly List<Func<bool>> _guards = [];
    private bool _isRecording;
    private int _inputBytes = RandomBytes, _recordedBytes, _uploads, _masks;
    private ulong _randomStart, _randomCount;
    private readonly IPtxEvent?[] _staged = new IPtxEvent?[Slots];
    private Tensor? _inputs;
    private ArrayView<byte> _inputBlock;
    private byte[] _values = [];
    private nint _staging;
    private int _slot;
    private IPtxGraph? _graph;

    /// <summary>A graph that is still to be made.</summary>
    /// <param name="gpu">A CUDA device.</param>
    /// <param name="pool">Where its temporaries come from; one for all graphs that run in turn.</param>
    /// <param name="generator">Where the work takes random numbers from; null where it takes none.</param>
    internal GpuGraph(GpuDevice gpu, BlockPool pool, Generator? generator)
    {
        (_gpu, _pool, _generator) = (gpu, pool, generator);
        _driver = gpu.Driver ?? throw new DeviceException($"{gpu.Name} records no work: graphs are for CUDA cards");
    }

    /// <summary>Why the work cannot be recorded; null as long as nothing stands against it.</summary>
    internal string? Obstacle { get; private set; }

    /// <summary>Whether it can be replayed.</summary>
    internal bool IsRecorded => _graph is not null;

    /// <summary>Whether the last replay was refused because the host asked for other work.</summary>
    internal bool IsForOtherWork { get; private set; }

    /// <summary>The work of this thread that is being rehearsed or recorded on a device; null where there is none.</summary>
    internal static GpuGraph? Current(GpuDevice gpu) => t_current is { } graph && graph._gpu == gpu ? graph : null;

    /// <summary>The recording of this thread on a device; null where there is none.</summary>
    internal static GpuGraph? Recording(GpuDevice gpu) => Current(gpu) is { _isRecording: true } graph ? graph : null;

    /// <summary>Does something that is no part of the work that this thread rehearses: it may wait for the device, and is not done again.</summary>
    /// <exception cref="DeviceException">The work is being recorded.</exception>
    internal static void Aside(string what, Action other)
    {
        GpuGraph? current = t_current;
        if (current is { _isRecording: true }) throw current.Refuse(what);
        t_current = null;
        try
        {
            other();
        }
        finally
        {
            t_current = current;
        }
    }

    /// <summary>Does the work once as ever, and takes note of what recording it needs.</summary>
    internal void Rehearse(Action work)
    {
        _rehearsed.Clear();
        (_inputBytes, Obstacle) = (RandomBytes, null);
        t_current = this;
        try
        {
            work();
        }
        finally
        {
            t_current = null;
        }
    }

    /// <summary>
    /// Does the work once more, this time to be recorded: nothing of it has run when this returns, <see cref="TryReplay"/> runs it.
    /// </summary>
    /// <returns>False where it cannot be recorded, for the reason in <see cref="Obstacle"/>: then it is as if it had not been tried.</returns>
    internal bool TryRecord(Action work)
    {
        if (Obstacle is not null) return false;
        GeneratorState before = _generator?.State ?? default;
        try
        {
            // Not of the pool, where the next recording would write.
            using (BlockPool.Pause()) _inputs = Tensor.Empty([_inputBytes], DType.UInt8, _gpu, "inputs of a recording").Own();
            _inputBlock = _gpu.Bytes(_inputs);
            _values = new byte[_inputBytes];
            _staging = _driver.AllocateHost(checked(Slots * (long)_inputBytes));
            for (int i = 0; i < Slots; i++) _staged[i] = _driver.CreateEvent();
            (_inputBytes, _uploads, _masks, _randomStart) = (RandomBytes, 0, 0, before.Offset);
            _gpu.Exclusively(() => Record(work));
            _recordedBytes = _inputBytes;
            if (_uploads != _rehearsed.Count) throw Refuse($"it uploads {_uploads} times, and did so {_rehearsed.Count} times before");
            _randomCount = _generator is null ? 0 : unchecked(_generator.State.Offset - before.Offset);
            if (_randomCount > 0 && _masks == 0) throw Refuse("a kernel takes random numbers that would be the same in each replay");
            return true;
        }
        catch (Exception error)
        {
            Obstacle ??= error.Message;
            Dispose();
            return false;
        }
        finally
        {
            if (_generator is not null) _generator.State = before;
        }
    }

    /// <summary>Runs what was recorded, with what is in its inputs now.</summary>
    /// <returns>
    /// False where the inputs ask for other work than what was recorded, or where a tensor that it knows is gone
    /// (<see cref="IsStale"/>): then nothing has run.
    /// </returns>
    internal bool TryReplay()
    {
        ObjectDisposedException.ThrowIf(_graph is null, this);
        IsForOtherWork = false;
        if (IsStale) return false;
        foreach (Func<bool> guard in _guards)
        {
            if (guard()) continue;
            IsForOtherWork = true;
            return false;
        }
        if (_generator is not null)
        {
            MemoryMarshal.Write(_values, _generator.State.Offset);
            _generator.Next(checked((long)_randomCount));
        }
        IPtxEvent staged = _staged[_slot]!;
        nint values = _staging + _slot * _values.Length;
        _slot = (_slot + 1) % Slots;
        _gpu.Guarded("replaying a recording", () =>
        {
            // The copy of the replay before the last one: it has been made, unless the host is two replays ahead of the card.
            if (!staged.HasPassed) staged.Wait();
            _values.AsSpan(0, _recordedBytes).CopyTo(new Span<byte>((byte*)values, _recordedBytes));
            _gpu.Exclusively(() =>
            {
                _driver.CopyFromHost(values, _inputBlock.LoadEffectiveAddressAsPtr(), _recordedBytes);
                staged.Record();
                _graph.Replay();
            });
        });
        _gpu.HasLaunched("one of a recording");
        return true;
    }

    /// <summary>Whether a tensor that the recording knows has been disposed.</summary>
    internal bool IsStale => _pinned.Any(_gpu.Memory.IsAbandoned);

    /// <summary>
    /// Frees what it holds; tensors that it knew may go. Throws nothing: after a fault of the device the error that tells of it is on its way.
    /// </summary>
    public void Dispose()
    {
        if (!_gpu.IsDisposed && _inputs is not null)
        {
            try
            {
                // The stream may still be working on it.
                _gpu.Synchronize();
            }
            catch (DeviceException)
            {
                // Nothing runs after a fault.
            }
            _graph?.Dispose();
            foreach (IPtxEvent? staged in _staged) staged?.Dispose();
            if (_staging != 0) _driver.FreeHost(_staging);
        }
        _inputs?.Dispose();
        Array.Clear(_staged);
        (_graph, _staging, _inputs, _inputBlock, _values) = (null, 0, null, default, []);
        foreach (MemoryBlock block in _pinned.Concat(_pooled)) _gpu.Memory.Unpin(block);
        _pinned.Clear();
        _pooled.Clear();
        _guards.Clear();
    }

    private void Record(Action work)
    {
        Exception? failure = null;
        _driver.BeginCapture();
        (t_current, _isRecording) = (this, true);
        try
        {
            work();
        }
        catch (Exception error)
        {
            failure = error;
        }
        finally
        {
            (t_current, _isRecording) = (null, false);
        }
        try
        {
            _graph = _driver.EndCapture();
        }
        catch (DeviceException error)
        {
            failure ??= error;
        }
        if (failure is not null) throw new DeviceException(failure.Message, failure);
    }
}
