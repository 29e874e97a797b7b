using System.Runtime.InteropServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>A loaded kernel: an entry and the parameters that its text declares.</summary>
internal sealed class PtxKernel
{
    // Launches write their parameters on the stack; PTX allows 4 KiB.
    internal const int MaxParameterBytes = 4096;

    private readonly IPtxFunction _function;
    private readonly PtxSignature _signature;

    internal PtxKernel(string name, IPtxFunction function, PtxSignature signature)
    {
        Name = name;
        _function = function;
        _signature = signature;
    }

    /// <summary>What errors call it.</summary>
    internal string Name { get; }

    /// <summary>What the assembler made of it.</summary>
    internal PtxFunctionInfo Info => _function.Info;

    /// <summary>Starts the entry over the indices [0, count).</summary>
    internal void Launch<TArguments>(PtxLaunch launch, int count, ref TArguments arguments) where TArguments : struct
    {
        KernelArguments<TArguments> writer = KernelArguments<TArguments>.AfterCount;
        Span<byte> parameters = stackalloc byte[Length(writer, 1)];
        MemoryMarshal.Write(parameters, count);
        writer.Write(ref arguments, parameters);
        _function.Launch(launch, parameters);
    }

    /// <summary>Starts the entry in groups.</summary>
    internal void Launch<TArguments>(PtxLaunch launch, ref TArguments arguments) where TArguments : struct
    {
        KernelArguments<TArguments> writer = KernelArguments<TArguments>.Plain;
        Span<byte> parameters = stackalloc byte[Length(writer, 0)];
        writer.Write(ref arguments, parameters);
        _function.Launch(launch, parameters);
    }

    private int Length<TArguments>(KernelArguments<TArguments> writer, int before) where TArguments : struct
    {
        IReadOnlyList<PtxParameter> given = writer.Parameters, declared = _signature.Parameters;
        bool fits = declared.Count == given.Count + before && (before == 0 || declared[0] == new PtxParameter(sizeof(int), sizeof(int)));
        for (int i = 0; fits && i < given.Count; i++) fits = given[i] == declared[i + before];
        if (!fits)
            throw new DeviceException(
                $"the entry {_signature.Entry} takes parameters of {PtxSignature.Describe(declared)} bytes; the launch has "
                + $"{(before == 0 ? "" : "a count and ")}{PtxSignature.Describe(given)}");
        return writer.ByteLength <= MaxParameterBytes
            ? writer.ByteLength : throw new DeviceException($"the launch has {writer.ByteLength} bytes of parameters; {MaxParameterBytes} are allowed");
    }
}
