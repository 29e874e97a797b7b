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
        return (graph._inputs!.View.BaseView.SubView(0, sizeof(ulong)).Cast<ulong>(), graph._randomStart);
    }

    /// <summary>Remembers a block that the work reads or writes.</summary>
    internal void Touch(MemoryBlock block)
    {
        if (_isRecording && block.Pool != _pool && _pinned.Add(block)) _gpu.Memory.Pin(block);
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
            _rehearsed.Add((source.Length, hash));
            _inputBytes = checked(_inputBytes + Padded(source.Length));
            return false;
        }
        Take(source.Length, destination, hash);
        source.CopyTo(new Span<byte>((byte*)_staging + _inputBytes - Padded(source.Length), source.Length));
        return true;
    }

    /// <summary>Integers on a device that follow from others which the host knows: in recorded work they are computed again before each replay.</summary>
    /// <param name="compute">Computes them; from integers that nobody knows it may read.</param>
    /// <param name="count">How many; where there are others, a replay is refused.</param>
    /// <param name="device">Where.</param>
    /// <param name="name">What for.</param>
    internal static Tensor Derived(Func<int[]> compute, int count, Device device, string name)
    {
        if (device is not GpuDevice gpu || Current(gpu) is not { } graph) return Tensor.FromIndices(compute(), [count], device, name);
        Tensor tensor = Tensor.Empty([count], DType.Int32, device, name);
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

    private void Derive(Tensor destination, Func<int[]> compute)
    {
        int length = checked((int)destination.ByteLength);
        if (!_isRecording)
        {
            // The values go the usual way; they are not compared.
            destination.SetIndices(compute());
            _rehearsed[^1] = (length, []);
            return;
        }
        Take(length, _gpu.Bytes(destination), null);
        int at = _inputBytes - Padded(length);
        int[] known = compute();
        destination.Remember(known);
        Write();
        _guards.Add(Write);

        bool Write()
        {
            int[] values = compute();
            if (values.Length * sizeof(int) != length) return false;
            // In place: the checks of these integers look here.
            values.CopyTo(known, 0);
            MemoryMarshal.AsBytes(values.AsSpan()).CopyTo(new Span<byte>((byte*)_staging + at, length));
            return true;
        }
    }

    private void Take(int length, ArrayView<byte> destination, byte[]? hash)
    {
        bool asBefore = _uploads < _rehearsed.Count && _rehearsed[_uploads].Length == length
            && (hash is null || _rehearsed[_uploads].Hash.AsSpan().SequenceEqual(hash));
        if (!asBefore) throw Refuse($"its upload number {_uploads + 1} is not what it was before: it depends on the batch");
        _uploads++;
        _driver.Copy(_inputs!.View.BaseView.SubView(_inputBytes, length).LoadEffectiveAddressAsPtr(), destination.LoadEffectiveAddressAsPtr(), length);
        _inputBytes = checked(_inputBytes + Padded(length));
    }

    private static int Padded(int length) => checked(length + Alignment - 1) / Alignment * Alignment;
}
