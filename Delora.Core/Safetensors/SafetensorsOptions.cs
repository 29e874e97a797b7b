using System.Diagnostics;

namespace Delora.Core;

/// <summary>What a <see cref="SafetensorsFile"/> does about values that are not finite.</summary>
public sealed record SafetensorsOptions
{
    /// <summary>NaN or infinity in a tensor that is read: an error (true) or a warning (false).</summary>
    public bool Strict { get; init; }

    /// <summary>Takes the warnings; <see cref="Trace.TraceWarning(string)"/> where nothing is given.</summary>
    public Action<string> Warn { get; init; } = message => Trace.TraceWarning(message);
}
