using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Runs every kernel as plain loops in float64 on one thread: slow, and the specification that the other devices are compared with. Numerical
/// differentiation is trusted here.
/// </summary>
public sealed class ReferenceDevice : HostDevice
{
    /// <summary>A reference device with an allocator of its own.</summary>
    public ReferenceDevice() : base(Description) { }

    internal const string Description = "reference (float64)";

    /// <inheritdoc/>
    public override DType FloatType => DType.Float64;

    /// <inheritdoc/>
    protected override void DisposeDevice()
    {
        // It holds nothing but memory.
    }
}
