using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Delora.Core;

/// <summary>
/// The checks that every op makes once, at its front. A message starts with the op and shows all shapes:
/// <c>MatMul: inner dimensions differ: a [8, 16] · b [32, 4] (16 ≠ 32)</c>.
/// </summary>
public static class Check
{
    /// <summary>Whether a setting is ≥ 0 and finite as float32, in which it is computed with.</summary>
    internal static bool IsFactor(double value) => value >= 0 && float.IsFinite((float)value);

    /// <summary>Both tensors have the same shape.</summary>
    /// <exception cref="ShapeException">They differ.</exception>
    public static void SameShape(string op, Tensor a, Tensor b, [CallerArgumentExpression(nameof(a))] string aName = "", [CallerArgumentExpression(nameof(b))] string bName = "")
    {
        if (a.Shape != b.Shape) throw new ShapeException($"{op}: shapes differ: {aName} {a.Shape}, {bName} {b.Shape}");
    }

    /// <summary>The tensor has exactly this shape.</summary>
    /// <exception cref="ShapeException">It has another.</exception>
    public static void HasShape(string op, Tensor a, Shape expected, [CallerArgumentExpression(nameof(a))] string aName = "")
    {
        if (a.Shape != expected) throw new ShapeException($"{op}: {aName} must be {expected}, is {a.Shape}");
    }

    /// <summary>The tensor has this many dimensions.</summary>
    /// <exception cref="ShapeException">It has another number.</exception>
    public static void HasRank(string op, Tensor a, int rank, [CallerArgumentExpression(nameof(a))] string aName = "")
    {
        if (a.Shape.Rank != rank) throw new ShapeException($"{op}: {aName} must have {rank} dimensions, is {a.Shape}");
    }

    /// <summary>A condition on shapes.</summary>
    /// <exception cref="ShapeException">It does not hold.</exception>
    public static void Shapes([DoesNotReturnIf(false)] bool condition,
        [InterpolatedStringHandlerArgument(nameof(condition))] ref ShapeMessage message)
    {
        if (!condition) throw new ShapeException(message.ToStringAndClear());
    }

    /// <summary>The tensor has this element type.</summary>
    /// <exception cref="DTypeException">It has another.</exception>
    public static void HasDType(string op, Tensor a, DType dtype, [CallerArgumentExpression(nameof(a))] string aName = "")
    {
        if (a.DType != dtype) throw new DTypeException($"{op}: {aName} {a.Shape} must be {dtype.Name}, is {a.DType.Name}");
    }

    /// <summary>The output has no memory in common with the inputs, which are read while it is written. Null is left out.</summary>
    /// <exception cref="ArgumentException">It has.</exception>
    public static void Apart(string op, Tensor output, params ReadOnlySpan<Tensor?> inputs)
    {
        foreach (Tensor? input in inputs)
            if (input is not null && output.Overlaps(input))
                throw new ArgumentException(
                    $"{op}: the output '{output.Name}' {output.Shape} shares memory with the input '{input.Name}' {input.Shape}");
    }

    /// <summary>The output is one of the inputs, element by element, or has no memory in common with them. Null is left out.</summary>
    /// <exception cref="ArgumentException">It overlaps one at another place: elements would be overwritten before they are read.</exception>
    public static void SameOrApart(string op, Tensor output, params ReadOnlySpan<Tensor?> inputs)
    {
        foreach (Tensor? input in inputs)
            if (input is not null && (input.Offset != output.Offset || input.ElementCount != output.ElementCount)) Apart(op, output, input);
    }

    /// <summary>The tensors lie on one device and have its floating-point type. Null entries are left out.</summary>
    /// <returns>The device.</returns>
    /// <exception cref="DeviceException">They lie on different devices.</exception>
    /// <exception cref="DTypeException">One has another element type.</exception>
    public static Device Floats(string op, params ReadOnlySpan<Tensor?> tensors)
    {
        Device device = OneDevice(op, tensors);
        foreach (Tensor? tensor in tensors)
            if (tensor is not null && tensor.DType != device.FloatType)
                throw new DTypeException($"{op}: '{tensor.Name}' {tensor.Shape} is {tensor.DType.Name}; {device.Name} computes in {device.FloatType.Name}");
        return device;
    }

    /// <summary>The tensors lie on one device. Null entries are left out.</summary>
    /// <returns>The device.</returns>
    /// <exception cref="DeviceException">They lie on different devices.</exception>
    public static Device OneDevice(string op, params ReadOnlySpan<Tensor?> tensors)
    {
        Tensor? first = null;
        foreach (Tensor? tensor in tensors)
        {
            if (tensor is null) continue;
            tensor.ThrowIfDisposed();
            first ??= tensor;
            if (tensor.Device != first.Device)
                throw new DeviceException($"{op}: '{first.Name}' {first.Shape} lies on {first.Device.Name}, '{tensor.Name}' {tensor.Shape} on {tensor.Device.Name}");
        }
        if (first is null) throw new ArgumentException($"{op}: no tensor was given");
        ObjectDisposedException.ThrowIf(first.Device.IsDisposed, first.Device);
        return first.Device;
    }
}

/// <summary>A message that is put together only when its check fails.</summary>
[InterpolatedStringHandler]
public ref struct ShapeMessage
{
    private DefaultInterpolatedStringHandler _inner;
    private readonly bool _enabled;

    /// <summary>Starts a message where <paramref name="condition"/> is false.</summary>
    public ShapeMessage(int literalLength, int formattedCount, bool condition, out bool enabled)
    {
        _enabled = enabled = !condition;
        if (enabled) _inner = new DefaultInterpolatedStringHandler(literalLength, formattedCount, System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>Appends text.</summary>
    public void AppendLiteral(string value) => _inner.AppendLiteral(value);

    /// <summary>Appends a value.</summary>
    public void AppendFormatted<T>(T value) => _inner.AppendFormatted(value);

    internal string ToStringAndClear() => _enabled ? _inner.ToStringAndClear() : "";
}
