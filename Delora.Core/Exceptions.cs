namespace Delora.Core;

/// <summary>The base of every error that Delora raises about its inputs, files and devices.</summary>
public class DeloraException : Exception
{
    /// <summary>An error with a message.</summary>
    public DeloraException(string message) : base(message) { }

    /// <summary>An error with a message and its cause.</summary>
    public DeloraException(string message, Exception? inner) : base(message, inner) { }
}

/// <summary>Shapes that do not fit an operation; the message shows all of them.</summary>
public sealed class ShapeException(string message) : DeloraException(message);

/// <summary>An element type that an operation does not take.</summary>
public sealed class DTypeException(string message) : DeloraException(message);

/// <summary>A device that is not there, or tensors that lie on different devices.</summary>
public sealed class DeviceException(string message, Exception? inner = null) : DeloraException(message, inner);

/// <summary>
/// Integers that an operation cannot use: an id outside its table, a label that is no class, offsets that go down, labels that are all masked.
/// </summary>
public sealed class IndexException(string message) : DeloraException(message);

/// <summary>NaN or infinity where a finite number is required.</summary>
public sealed class NonFiniteException(string message) : DeloraException(message);

/// <summary>A gradient that cannot be computed or would be lost.</summary>
public sealed class GradientException(string message) : DeloraException(message);

/// <summary>A device could not give the memory that was asked for. The next, smaller request works.</summary>
public sealed class DeviceMemoryException(string message, long requestedBytes, long inUseBytes, Exception? inner = null)
    : DeloraException(message, inner)
{
    /// <summary>Bytes asked for.</summary>
    public long RequestedBytes { get; } = requestedBytes;

    /// <summary>Bytes in use by live tensors when the request failed.</summary>
    public long InUseBytes { get; } = inUseBytes;
}

/// <summary>A file or a configuration that is not what it should be: names the file, the field and the reason.</summary>
public sealed class DeloraFormatException : DeloraException
{
    /// <summary>An error about <paramref name="field"/> of <paramref name="file"/>.</summary>
    /// <param name="file">Path of the file, or the name of the configuration.</param>
    /// <param name="field">The field, tensor or place inside it; null where the whole file is meant.</param>
    /// <param name="reason">What is wrong, and what was expected.</param>
    /// <param name="inner">The cause, where there is one.</param>
    public DeloraFormatException(string file, string? field, string reason, Exception? inner = null)
        : base(field is null ? $"{file}: {reason}" : $"{file}: {field}: {reason}", inner)
    {
        File = file;
        Field = field;
        Reason = reason;
    }

    /// <summary>Path of the file, or the name of the configuration.</summary>
    public string File { get; }

    /// <summary>The field, tensor or place inside the file; null where the whole file is meant.</summary>
    public string? Field { get; }

    /// <summary>What is wrong.</summary>
    public string Reason { get; }
}
