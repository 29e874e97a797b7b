using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

// Kernels in explicit groups.
public sealed partial class GpuDevice
{
    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1>(
        Action<T1> kernel, KernelConfig config, T1 a1)
        where T1 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1>>(kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }

    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1, T2>(
        Action<T1, T2> kernel, KernelConfig config, T1 a1, T2 a2)
        where T1 : struct where T2 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1, T2>>(kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1, a2);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }

    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1, T2, T3>(
        Action<T1, T2, T3> kernel, KernelConfig config, T1 a1, T2 a2, T3 a3)
        where T1 : struct where T2 : struct where T3 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1, T2, T3>>(kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1, a2, a3);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }

    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1, T2, T3, T4>(
        Action<T1, T2, T3, T4> kernel, KernelConfig config, T1 a1, T2 a2, T3 a3, T4 a4)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4>>(kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1, a2, a3, a4);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }

    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1, T2, T3, T4, T5>(
        Action<T1, T2, T3, T4, T5> kernel, KernelConfig config, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4, T5>>(kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1, a2, a3, a4, a5);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }

    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1, T2, T3, T4, T5, T6>(
        Action<T1, T2, T3, T4, T5, T6> kernel, KernelConfig config, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4, T5, T6>>(kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1, a2, a3, a4, a5, a6);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }

    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1, T2, T3, T4, T5, T6, T7>(
        Action<T1, T2, T3, T4, T5, T6, T7> kernel, KernelConfig config, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct where T7 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4, T5, T6, T7>>(kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1, a2, a3, a4, a5, a6, a7);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }

    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1, T2, T3, T4, T5, T6, T7, T8>(
        Action<T1, T2, T3, T4, T5, T6, T7, T8> kernel, KernelConfig config, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7, T8 a8)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct where T7 : struct
        where T8 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4, T5, T6, T7, T8>>(kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1, a2, a3, a4, a5, a6, a7, a8);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }

    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1, T2, T3, T4, T5, T6, T7, T8, T9>(
        Action<T1, T2, T3, T4, T5, T6, T7, T8, T9> kernel, KernelConfig config, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7, T8 a8,
        T9 a9)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct where T7 : struct
        where T8 : struct where T9 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4, T5, T6, T7, T8, T9>>(kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1, a2, a3, a4, a5, a6, a7, a8, a9);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }

    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1, T2, T3, T4, T5, T6, T7, T8, T9, T10>(
        Action<T1, T2, T3, T4, T5, T6, T7, T8, T9, T10> kernel, KernelConfig config, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7,
        T8 a8, T9 a9, T10 a10)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct where T7 : struct
        where T8 : struct where T9 : struct where T10 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10>>(kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }

    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11>(
        Action<T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11> kernel, KernelConfig config, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7,
        T8 a8, T9 a9, T10 a10, T11 a11)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct where T7 : struct
        where T8 : struct where T9 : struct where T10 : struct where T11 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11>>(kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }

    /// <summary>Runs <paramref name="kernel"/> in the groups that <paramref name="config"/> says.</summary>
    internal void LaunchGroups<T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12>(
        Action<T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12> kernel, KernelConfig config, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6,
        T7 a7, T8 a8, T9 a9, T10 a10, T11 a11, T12 a12)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct where T7 : struct
        where T8 : struct where T9 : struct where T10 : struct where T11 : struct where T12 : struct
    {
        if (IsNothing(config.Size)) return;
        var launcher = Launcher<Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12>>(
            kernel.Method, true);
        try
        {
            lock (_lock) launcher(_stream, config, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Method, Describe(config), error);
        }
        Remember(kernel.Method);
    }
}
