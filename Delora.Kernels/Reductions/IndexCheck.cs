using System.Globalization;
using System.Runtime.CompilerServices;
using Delora.Core;
using ILGPU;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Delora.Kernels;

/// <summary>
/// The check of ids and labels before a kernel uses them as addresses. Integers that the host knows (<see cref="Tensor.FromIndices"/>) are checked there.
/// Others that lie on a GPU are checked by it, and the answer is waited for: one short wait per call is the price of an error instead of a wrong read.
/// </summary>
internal static class IndexCheck
{
    /// <summary>Checks that each index is in [0, <paramref name="bound"/>), or equal to <paramref name="ignored"/>.</summary>
    /// <param name="op">Who asks.</param>
    /// <param name="indices">int32, any shape.</param>
    /// <param name="bound">What all must be below.</param>
    /// <param name="ignored">What is allowed besides.</param>
    /// <param name="launches">
    /// Of how many are not ignored, what the caller's launches depend on: recorded work is not replayed where it differs. Null: the number itself.
    /// </param>
    /// <param name="name">What errors call them.</param>
    /// <returns>How many are not ignored.</returns>
    /// <exception cref="DTypeException">The indices are not int32.</exception>
    /// <exception cref="IndexException">One is out of range; the message names the first.</exception>
    internal static int Count(
        string op, Tensor indices, int bound, int? ignored = null, Func<int, int>? launches = null,
        [CallerArgumentExpression(nameof(indices))] string name = "")
    {
        Check.HasDType(op, indices, DType.Int32, name);
        (int used, int firstBad) = indices.Device is not GpuDevice gpu ? OnHost(indices.Span<int>(), bound, ignored)
            : indices.KnownStorage is null ? OnGpu(gpu, indices, bound, ignored) : Known(gpu, indices, bound, ignored, launches);
        if (firstBad == int.MaxValue) return used;
        using Tensor one = indices.View([1], firstBad);
        string except = ignored is { } value ? string.Create(CultureInfo.InvariantCulture, $" (or {value}, ignored)") : "";
        throw new IndexException(string.Create(CultureInfo.InvariantCulture,
            $"{op}: element {firstBad} of {name} {indices.Shape} is {one.ToArray<int>()[0]}; "
            + $"it must be at least 0 and below {bound}{except}"));
    }

    private static (int Used, int FirstBad) Known(GpuDevice gpu, Tensor indices, int bound, int? ignored, Func<int, int>? launches)
    {
        (int used, int firstBad) = OnHost(indices.Known, bound, ignored);
        GpuGraph.Current(gpu)?.Require(() =>
        {
            if (indices.KnownStorage is null) return false;
            (int now, int bad) = OnHost(indices.Known, bound, ignored);
            return bad == int.MaxValue && (launches is null ? now == used : launches(now) == launches(used));
        });
        return (used, firstBad);
    }

    private static (int Used, int FirstBad) OnHost(ReadOnlySpan<int> values, int bound, int? ignored)
    {
        if (values.Length > 0 && ignored is null && TensorPrimitives.Min<int>(values) >= 0 && TensorPrimitives.Max<int>(values) < bound)
            return (values.Length, int.MaxValue);
        int used = 0;
        for (int i = 0; i < values.Length; i++)
        {
            if ((uint)values[i] < (uint)bound && values[i] != ignored) used++;
            else if (values[i] != ignored) return (used, i);
        }
        return (used, int.MaxValue);
    }

    private static (int Used, int FirstBad) OnGpu(GpuDevice gpu, Tensor indices, int bound, int? ignored)
    {
        using Tensor result = Tensor.From([0, int.MaxValue], [2], gpu, "index check");
        // Nothing runs there, and ids that the host gave lie in its memory.
        if (gpu.IsPlanning) return OnHost(indices.Span<int>(), bound, ignored);
        gpu.Launch(CheckKernel, indices.ElementCount, gpu.View<int>(indices), gpu.View<int>(result), bound, ignored ?? 0,
            ignored is null ? 0 : 1);
        int[] values = result.ToArray<int>();
        return (values[0], values[1]);
    }

    // Integer atomics: sums and minima of integers do not depend on the order.
    private static void CheckKernel(Index1D i, ArrayView<int> indices, ArrayView<int> result, int bound, int ignored, int hasIgnored)
    {
        int value = indices[i];
        if (hasIgnored != 0 && value == ignored) return;
        if (value >= 0 && value < bound) Atomic.Add(ref result[0], 1);
        else Atomic.Min(ref result[1], i.X);
    }
}
