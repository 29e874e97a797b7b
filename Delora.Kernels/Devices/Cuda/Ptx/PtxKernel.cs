using System.Buffers.Binary;
using Delora.Core;

namespace Delora.Kernels.Ptx;

/// <summary>A kernel's PTX text and what a launch of it needs to know.</summary>
/// <param name="Entry">The name of its entry.</param>
/// <param name="Text">The whole text.</param>
/// <param name="Threads">Threads of a group.</param>
/// <param name="SharedBytes">Bytes of dynamic shared memory of a group.</param>
/// <param name="Parameters">What it takes, in order.</param>
internal sealed record PtxKernel(string Entry, string Text, int Threads, int SharedBytes, IReadOnlyList<PtxParameter> Parameters)
{
    /// <summary>Bytes of all parameters, each at the next multiple of its alignment.</summary>
    internal int ParameterBytes => Parameters.Aggregate(0, (end, parameter) => Aligned(end, parameter.Alignment) + parameter.ByteLength);

    /// <summary>The launch of so many groups.</summary>
    internal PtxLaunch Launch(int gridX, int gridY = 1, int gridZ = 1, int clusterX = 1) =>
        new(gridX, gridY, gridZ, Threads, 1, 1, SharedBytes, clusterX);

    internal static int Aligned(int offset, int alignment) => checked(offset + alignment - 1) / alignment * alignment;
}

/// <summary>The values of a kernel's parameters, in order and each checked against the declaration.</summary>
internal sealed class PtxArguments(PtxKernel kernel)
{
    private readonly byte[] _bytes = new byte[kernel.ParameterBytes];
    private int _next;
    private int _end;

    /// <summary>All parameters, as <see cref="IPtxFunction.Launch"/> takes them.</summary>
    /// <exception cref="DeviceException">One is missing.</exception>
    internal ReadOnlySpan<byte> Bytes =>
        _next == kernel.Parameters.Count
            ? _bytes
            : throw new DeviceException($"{kernel.Entry}: {_next} parameters were given, {kernel.Parameters.Count} are declared");

    /// <summary>The next parameter, an address or a long number.</summary>
    internal PtxArguments Add(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(Next(sizeof(long)), value);
        return this;
    }

    /// <summary>The next parameter, an address.</summary>
    internal PtxArguments Add(nint value) => Add((long)value);

    /// <summary>The next parameter, a number.</summary>
    internal PtxArguments Add(int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(Next(sizeof(int)), value);
        return this;
    }

    /// <summary>The next parameter, a float.</summary>
    internal PtxArguments Add(float value)
    {
        BinaryPrimitives.WriteSingleLittleEndian(Next(sizeof(float)), value);
        return this;
    }

    /// <summary>The next parameter, bytes such as a tensor map.</summary>
    internal PtxArguments Add(ReadOnlySpan<byte> value)
    {
        value.CopyTo(Next(value.Length));
        return this;
    }

    private Span<byte> Next(int byteLength)
    {
        if (_next == kernel.Parameters.Count) throw new DeviceException($"{kernel.Entry}: more parameters than the {_next} that are declared");
        PtxParameter parameter = kernel.Parameters[_next++];
        if (parameter.ByteLength != byteLength)
            throw new DeviceException($"{kernel.Entry}: the parameter {parameter.Name} has {parameter.ByteLength} bytes, {byteLength} were given");
        int start = PtxKernel.Aligned(_end, parameter.Alignment);
        _end = start + byteLength;
        return _bytes.AsSpan(start, byteLength);
    }
}
