using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>
/// How many rows a mean is over. It only changes values: recorded work (<see cref="GpuGraph"/>) reads 1/count from the device's memory, and the host counts
/// again before each replay.
/// </summary>
internal readonly struct CountedRows
{
    private readonly Func<int>? _again;

    private CountedRows(int count, Func<int>? again) => (Count, _again) = (count, again);

    /// <summary>Their number now.</summary>
    internal int Count { get; }

    /// <summary>Those of the labels that are not ignored.</summary>
    internal static CountedRows Of(Tensor labels, int count, int ignoreIndex) =>
        new(count, labels.KnownStorage is null ? null : () => labels.Known.Length - labels.Known.Count(ignoreIndex));

    /// <summary>1/count, rounded once, as a kernel takes it.</summary>
    /// <param name="gpu">The device.</param>
    /// <param name="any">Any view of the device.</param>
    internal GpuFed<float> Share(GpuDevice gpu, ArrayView<float> any)
    {
        int now = Count;
        Func<int>? again = _again;
        if (again is null) GpuGraph.Current(gpu)?.Waits("it takes a mean over rows that the host does not count");
        return again is null ? new((float)(1.0 / now), any) : new(gpu, () => (float)(1.0 / again()), any);
    }
}
