using ILGPU;

namespace Delora.Kernels;

/// <summary>
/// An argument of a kernel that changes from one run of the same work to the next. In recorded work (<see cref="GpuGraph"/>) the kernel reads it from the
/// device's memory, where the host puts it before each replay; else it is the argument itself.
/// </summary>
internal readonly struct GpuFed<T> where T : unmanaged
{
    private readonly T _value;
    private readonly ArrayView<T> _fed;

    /// <summary>The argument of a launch.</summary>
    /// <param name="gpu">The device.</param>
    /// <param name="current">Gives it: now, and again before each replay.</param>
    /// <param name="any">Any view of the device: a kernel cannot take a view of nothing.</param>
    internal GpuFed(GpuDevice gpu, Func<T> current, ArrayView<float> any)
    {
        _value = current();
        _fed = GpuGraph.Fed(gpu, current, any.SubView(0, 0).Cast<T>());
    }

    /// <summary>The argument of a launch that is the same whenever it runs.</summary>
    internal GpuFed(T value, ArrayView<float> any) => (_value, _fed) = (value, any.SubView(0, 0).Cast<T>());

    /// <summary>The argument as it is now; called once by each thread.</summary>
    internal T Here() => _fed.Length == 0 ? _value : _fed[0];
}
