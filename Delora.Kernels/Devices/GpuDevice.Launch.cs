using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

// Kernels that run once per index.
public sealed partial class GpuDevice
{
    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1>(
        Action<Index1D, T1> kernel, long count, T1 a1)
        where T1 : struct =>
        Run(kernel.Method, count, ValueTuple.Create(a1), static (
            Action<AcceleratorStream, Index1D, T1> run, AcceleratorStream stream, Index1D indices, ValueTuple<T1> a) =>
            run(stream, indices, a.Item1));

    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1, T2>(
        Action<Index1D, T1, T2> kernel, long count, T1 a1, T2 a2)
        where T1 : struct where T2 : struct =>
        Run(kernel.Method, count, (a1, a2), static (
            Action<AcceleratorStream, Index1D, T1, T2> run, AcceleratorStream stream, Index1D indices, (T1, T2) a) =>
            run(stream, indices, a.Item1, a.Item2));

    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1, T2, T3>(
        Action<Index1D, T1, T2, T3> kernel, long count, T1 a1, T2 a2, T3 a3)
        where T1 : struct where T2 : struct where T3 : struct =>
        Run(kernel.Method, count, (a1, a2, a3), static (
            Action<AcceleratorStream, Index1D, T1, T2, T3> run, AcceleratorStream stream, Index1D indices, (T1, T2, T3) a) =>
            run(stream, indices, a.Item1, a.Item2, a.Item3));

    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1, T2, T3, T4>(
        Action<Index1D, T1, T2, T3, T4> kernel, long count, T1 a1, T2 a2, T3 a3, T4 a4)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct =>
        Run(kernel.Method, count, (a1, a2, a3, a4), static (
            Action<AcceleratorStream, Index1D, T1, T2, T3, T4> run, AcceleratorStream stream, Index1D indices, (T1, T2, T3, T4) a) =>
            run(stream, indices, a.Item1, a.Item2, a.Item3, a.Item4));

    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1, T2, T3, T4, T5>(
        Action<Index1D, T1, T2, T3, T4, T5> kernel, long count, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct =>
        Run(kernel.Method, count, (a1, a2, a3, a4, a5), static (
            Action<AcceleratorStream, Index1D, T1, T2, T3, T4, T5> run, AcceleratorStream stream, Index1D indices, (T1, T2, T3, T4, T5) a) =>
            run(stream, indices, a.Item1, a.Item2, a.Item3, a.Item4, a.Item5));

    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1, T2, T3, T4, T5, T6>(
        Action<Index1D, T1, T2, T3, T4, T5, T6> kernel, long count, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct =>
        Run(kernel.Method, count, (a1, a2, a3, a4, a5, a6), static (
            Action<AcceleratorStream, Index1D, T1, T2, T3, T4, T5, T6> run, AcceleratorStream stream, Index1D indices, (T1, T2, T3, T4, T5, T6) a) =>
            run(stream, indices, a.Item1, a.Item2, a.Item3, a.Item4, a.Item5, a.Item6));

    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1, T2, T3, T4, T5, T6, T7>(
        Action<Index1D, T1, T2, T3, T4, T5, T6, T7> kernel, long count, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct
        where T7 : struct =>
        Run(kernel.Method, count, (a1, a2, a3, a4, a5, a6, a7), static (
            Action<AcceleratorStream, Index1D, T1, T2, T3, T4, T5, T6, T7> run, AcceleratorStream stream, Index1D indices, (T1, T2, T3, T4, T5, T6,
                T7) a) =>
            run(stream, indices, a.Item1, a.Item2, a.Item3, a.Item4, a.Item5, a.Item6, a.Item7));

    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1, T2, T3, T4, T5, T6, T7, T8>(
        Action<Index1D, T1, T2, T3, T4, T5, T6, T7, T8> kernel, long count, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7, T8 a8)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct
        where T7 : struct where T8 : struct =>
        Run(kernel.Method, count, (a1, a2, a3, a4, a5, a6, a7, a8), static (
            Action<AcceleratorStream, Index1D, T1, T2, T3, T4, T5, T6, T7, T8> run, AcceleratorStream stream, Index1D indices, (T1, T2, T3, T4, T5,
                T6, T7, T8) a) =>
            run(stream, indices, a.Item1, a.Item2, a.Item3, a.Item4, a.Item5, a.Item6, a.Item7, a.Item8));

    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1, T2, T3, T4, T5, T6, T7, T8, T9>(
        Action<Index1D, T1, T2, T3, T4, T5, T6, T7, T8, T9> kernel, long count, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7, T8 a8, T9 a9)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct
        where T7 : struct where T8 : struct where T9 : struct =>
        Run(kernel.Method, count, (a1, a2, a3, a4, a5, a6, a7, a8, a9), static (
            Action<AcceleratorStream, Index1D, T1, T2, T3, T4, T5, T6, T7, T8, T9> run, AcceleratorStream stream, Index1D indices, (T1, T2, T3, T4,
                T5, T6, T7, T8, T9) a) =>
            run(stream, indices, a.Item1, a.Item2, a.Item3, a.Item4, a.Item5, a.Item6, a.Item7, a.Item8, a.Item9));

    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1, T2, T3, T4, T5, T6, T7, T8, T9, T10>(
        Action<Index1D, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10> kernel, long count, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7, T8 a8, T9 a9,
            T10 a10)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct
        where T7 : struct where T8 : struct where T9 : struct where T10 : struct =>
        Run(kernel.Method, count, (a1, a2, a3, a4, a5, a6, a7, a8, a9, a10), static (
            Action<AcceleratorStream, Index1D, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10> run, AcceleratorStream stream, Index1D indices, (T1, T2, T3,
                T4, T5, T6, T7, T8, T9, T10) a) =>
            run(stream, indices, a.Item1, a.Item2, a.Item3, a.Item4, a.Item5, a.Item6, a.Item7, a.Item8, a.Item9, a.Item10));

    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11>(
        Action<Index1D, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11> kernel, long count, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7, T8 a8,
            T9 a9, T10 a10, T11 a11)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct
        where T7 : struct where T8 : struct where T9 : struct where T10 : struct where T11 : struct =>
        Run(kernel.Method, count, (a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11), static (
            Action<AcceleratorStream, Index1D, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11> run, AcceleratorStream stream, Index1D indices, (T1, T2,
                T3, T4, T5, T6, T7, T8, T9, T10, T11) a) =>
            run(stream, indices, a.Item1, a.Item2, a.Item3, a.Item4, a.Item5, a.Item6, a.Item7, a.Item8, a.Item9, a.Item10, a.Item11));

    /// <summary>Runs <paramref name="kernel"/> once per index in [0, <paramref name="count"/>).</summary>
    internal void Launch<T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12>(
        Action<Index1D, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12> kernel, long count, T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7, T8 a8,
            T9 a9, T10 a10, T11 a11, T12 a12)
        where T1 : struct where T2 : struct where T3 : struct where T4 : struct where T5 : struct where T6 : struct
        where T7 : struct where T8 : struct where T9 : struct where T10 : struct where T11 : struct where T12 : struct =>
        Run(kernel.Method, count, (a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12), static (
            Action<AcceleratorStream, Index1D, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12> run, AcceleratorStream stream, Index1D indices, (T1,
                T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12) a) =>
            run(stream, indices, a.Item1, a.Item2, a.Item3, a.Item4, a.Item5, a.Item6, a.Item7, a.Item8, a.Item9, a.Item10, a.Item11, a.Item12));
}
