using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

// What recorded work gets from the host, and what it must not ask for.
internal sealed unsafe partial class GpuGraph
{
    /// <summary>
    /// A view of the offset that masks of this thread's work are recorded relative to, and that offset; an empty view and 0 outside of a recording.
    /// </summary>
    /// <exception cref="DeviceException">The recording takes its random numbers from another generator.</exception>
    internal static (ArrayView<ulong> Start, ulong Offset) RandomStart(GpuDevice gpu, RandomStream stream, ArrayView<ulong> none)
    {
        if (Recording(gpu) is not { } graph) return (none, 0);
        if (graph._generator is not { } generator || generator.State.Seed != stream.Seed)
            throw graph.Refuse("it takes random numbers from another generator than the one that it was given");
        graph._masks++;
        return (graph._inputBlock.SubView(0, sizeof(ulong)).Cast<ulong>(), graph._randomStart);
    }

    /// <summary>Remembers a block that the work reads or writes.</summary>
    internal void Touch(MemoryBlock block)
    {
        if (_isRecording && (block.Pool == _pool ? _pooled : _pinned).Add(block)) _gpu.Memory.Pin(block);
    }

    /// <summary>A condition on integers that the host knows, which must hold again before each replay.</summary>
    internal void Require(Func<bool> condition)
    {
        if (_isRecording) _guards.Add(condition);
    }

    /// <summary>The work needs something of the host that a recording cannot have.</summary>
    internal DeviceException Refuse(string reason)
    {
        Obstacle ??= reason;
        return new DeviceException($"{_gpu.Name}: the work cannot be recorded: {reason}");
    }

    /// <summary>The work waits for the device, which a rehearsal may and a recording may not.</summary>
    /// <exception cref="DeviceException">This is a recording.</exception>
    internal void Waits(string what)
    {
        DeviceException refusal = Refuse(what);
        if (_isRecording) throw refusal;
    }

    /// <summary>An upload of the work. In a recording it is made from the graph's inputs.</summary>
    /// <returns>Whether that was it, else the caller uploads.</returns>
    internal bool Upload(ReadOnlySpan<byte> source, ArrayView<byte> destination)
    {
        byte[] hash = SHA256.HashData(source);
        if (!_isRecording)
        {
            Note(source.Length, hash);
            return false;
        }
        int at = Take(source.Length, hash);
        CopyInput(at, destination);
        source.CopyTo(_values.AsSpan(at));
        return true;
    }

    /// <summary>
    /// Numbers on a device that come from a batch, or follow from what the host knows of it: in recorded work they are computed again before each replay.
    /// </summary>
    /// <param name="compute">Computes them; from integers that nobody knows it may read. Of float32 it gives the bits.</param>
    /// <param name="shape">Their shape; where there are more or less, a replay is refused.</param>
    /// <param name="device">Where.</param>
    /// <param name="name">What for.</param>
    /// <param name="dtype">int32, or float32 where the device computes in it.</param>
    internal static Tensor Derived(Func<int[]> compute, Shape shape, Device device, string name, DType dtype = DType.Int32)
    {
        if (device is not GpuDevice gpu || Current(gpu) is not { } graph)
            return dtype == DType.Int32
                ? Tensor.FromIndices(compute(), shape, device, name)
                : Tensor.From(MemoryMarshal.Cast<int, float>(compute()), shape, device, name);
        Tensor tensor = Tensor.Empty(shape, dtype, device, name);
        try
        {
            graph.Derive(tensor, compute);
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <summary>What a kernel of recorded work reads in place of an argument that changes from one replay to the next.</summary>
    /// <typeparam name="T">The argument; its size divides <see cref="Alignment"/>, because ILGPU counts a view's place in whole elements.</typeparam>
    /// <param name="gpu">The device.</param>
    /// <param name="current">Gives it, before each replay.</param>
    /// <param name="none">An empty view.</param>
    /// <returns>A view of one element; an empty one outside of a recording.</returns>
    internal static ArrayView<T> Fed<T>(GpuDevice gpu, Func<T> current, ArrayView<T> none) where T : unmanaged
    {
        if (Current(gpu) is not { } graph) return none;
        int length = sizeof(T);
        if (Alignment % length != 0) throw new InvalidOperationException($"{typeof(T).Name} has {length} bytes, which do not divide {Alignment}.");
        if (!graph._isRecording)
        {
            graph.Note(length, []);
            return none;
        }
        int at = graph.Take(length, null);
        graph._guards.Add(() =>
        {
            MemoryMarshal.Write(graph._values.AsSpan(at), current());
            return true;
        });
        return graph._inputBlock.SubView(at, length).Cast<T>();
    }

    private void Derive(Tensor destination, Func<int[]> compute)
    {
        int length = checked((int)destination.ByteLength);
        if (!_isRecording)
        {
            // The values go the usual way, in pieces perhaps; they are not compared.
            (int noted, int bytes) = (_rehearsed.Count, _inputBytes);
            if (destination.DType == DType.Int32) destination.SetIndices(compute());
            else destination.CopyFrom<float>(MemoryMarshal.Cast<int, float>(compute()));
            _rehearsed.RemoveRange(noted, _rehearsed.Count - noted);
            _inputBytes = bytes;
            Note(length, []);
            return;
        }
        int at = Take(length, null);
        CopyInput(at, _gpu.Bytes(destination));
        // A copy: it is overwritten by the next batch.
        int[] known = [.. compute()];
        destination.Remember(known);
        if (!Write()) throw Refuse($"'{destination.Name}' {destination.Shape} is given {known.Length} numbers");
        _guards.Add(Write);

        bool Write()
        {
            int[] values = compute();
            if (values.Length * (long)sizeof(int) != length) return false;
            // In place: the checks of these integers look here.
            values.CopyTo(known, 0);
            MemoryMarshal.AsBytes(values.AsSpan()).CopyTo(_values.AsSpan(at, length));
            return true;
        }
    }

    private void Note(int length, byte[] hash)
    {
        _rehearsed.Add((length, hash));
        _inputBytes = checked(_inputBytes + Padded(length));
    }

    /// <summary>The place of the next piece of the inputs.</summary>
    private int Take(int length, byte[]? hash)
    {
        bool asBefore = _uploads < _rehearsed.Count && _rehearsed[_uploads].Length == length
            && (hash is null || _rehearsed[_uploads].Hash.AsSpan().SequenceEqual(hash));
        if (!asBefore) throw Refuse($"its upload number {_uploads + 1} is not what it was before: it depends on the batch");
        _uploads++;
        int at = _inputBytes;
        _inputBytes = checked(_inputBytes + Padded(length));
        return at;
    }

    private void CopyInput(int at, ArrayView<byte> destination)
    {
        if (destination.Length > 0)
            _driver.Copy(_inputBlock.SubView(at, destination.Length).LoadEffectiveAddressAsPtr(), destination.LoadEffectiveAddressAsPtr(), destination.Length);
    }

    private static int Padded(int length) => checked(length + Alignment - 1) / Alignment * Alignment;
}
