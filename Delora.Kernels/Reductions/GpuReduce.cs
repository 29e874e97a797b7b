using System.Numerics;
using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>How a reduction joins two values on a GPU: associative, with a neutral element.</summary>
internal interface IGpuCombine
{
    /// <summary>The neutral element: the result over nothing.</summary>
    static abstract float Identity();

    static abstract float Combine(float a, float b);
}

/// <summary>a + b; 0 over nothing.</summary>
internal readonly struct GpuPlus : IGpuCombine
{
    public static float Identity() => 0f;

    public static float Combine(float a, float b) => a + b;
}

/// <summary>max(a, b), NaN where one is NaN; −∞ over nothing.</summary>
internal readonly struct GpuMaximum : IGpuCombine
{
    public static float Identity() => float.NegativeInfinity;

    // Neither comparison holds where one is NaN; the sum is then NaN too.
    public static float Combine(float a, float b) => a >= b ? a : a < b ? b : a + b;
}

/// <summary>f(x) = x: the map of a plain sum or maximum.</summary>
internal readonly struct GpuIdentity : IGpuUnaryOp
{
    public static float Apply(float x, float parameter) => x;
}

/// <summary>f(x) = x²: the map of a squared norm.</summary>
internal readonly struct GpuSquare : IGpuUnaryOp
{
    public static float Apply(float x, float parameter) => x * x;
}

/// <summary>f(a, b) = a·b: the map of an inner product.</summary>
internal readonly struct GpuProduct : IGpuBinaryOp
{
    public static float Apply(float a, float b, float parameter) => a * b;
}

/// <summary>
/// The reductions of GPU devices: each thread combines a strided part, the group joins them in a tree in shared memory. No atomics: the
/// order is fixed by the lengths and the group size, so a device gives the same bits every time.
/// </summary>
internal static class GpuReduce
{
    private const int MaxGroupSize = 256;
    private const int MaxGroups = 1024;

    /// <summary>Whether a number of the device says that nothing is to be done: it is there, and is not 0; NaN is not.</summary>
    internal static bool IsClosed(ArrayView<float> gate) => gate.Length > 0 && !(gate[0] == 0f);

    /// <summary>Threads of a reducing group: the largest power of two, up to 256, that the device takes (the simulator: 16).</summary>
    internal static int GroupSize(GpuDevice gpu) =>
        1 << BitOperations.Log2((uint)Math.Min(MaxGroupSize, gpu.MaxThreadsPerGroup));

    /// <summary>
    /// A launch of <paramref name="groups"/> reducing groups with <paramref name="perThread"/> floats a thread in shared memory.
    /// </summary>
    internal static KernelConfig Config(GpuDevice gpu, long groups, int perThread = 1)
    {
        int size = GroupSize(gpu);
        // ILGPU refuses shared memory for a kernel that does not use it.
        if (perThread == 0) return new KernelConfig(checked((int)groups), size);
        return new KernelConfig(checked((int)groups), size, SharedMemoryConfig.RequestDynamic<float>(size * perThread));
    }

    /// <summary>
    /// In a kernel: the combination of every thread's <paramref name="value"/>, for all threads of the group. <paramref name="shared"/>
    /// holds a float per thread and may be used again at once; the group size is a power of two, and all threads call.
    /// </summary>
    internal static float Group<TCombine>(ArrayView<float> shared, float value) where TCombine : struct, IGpuCombine
    {
        int thread = ILGPU.Group.IdxX;
        shared[thread] = value;
        ILGPU.Group.Barrier();
        for (int half = ILGPU.Group.DimX / 2; half > 0; half /= 2)
        {
            if (thread < half) shared[thread] = TCombine.Combine(shared[thread], shared[thread + half]);
            ILGPU.Group.Barrier();
        }
        float result = shared[0];
        ILGPU.Group.Barrier();
        return result;
    }

    /// <summary>In a kernel: e^x as the CPU computes it; a GPU's own instruction is less exact.</summary>
    internal static float Exp(float x) => SimdMath.Exp(new GpuValue(x)).Value;

    /// <summary>y[0] = scale · (the combination of f(x) over all elements).</summary>
    internal static void All<TMap, TCombine>(
        GpuDevice gpu, ArrayView<float> x, ArrayView<float> y, float scale = 1, float parameter = 0)
        where TMap : struct, IGpuUnaryOp where TCombine : struct, IGpuCombine
    {
        int groups = Groups(gpu, x.Length);
        using Tensor partials = Tensor.Empty([Math.Max(1, groups)], DType.Float32, gpu, "reduction partials");
        ArrayView<float> view = gpu.View<float>(partials).SubView(0, groups);
        gpu.LaunchGroups(UnaryPartials<TMap, TCombine>, Config(gpu, groups), x, view, parameter);
        Rows<GpuIdentity, TCombine>(gpu, view, 1, groups, y, scale);
    }

    /// <summary>y[0] = scale · (the combination of f(a, b) over all pairs of elements).</summary>
    internal static void All<TMap, TCombine>(
        GpuDevice gpu, ArrayView<float> a, ArrayView<float> b, ArrayView<float> y, float scale = 1, float parameter = 0)
        where TMap : struct, IGpuBinaryOp where TCombine : struct, IGpuCombine
    {
        int groups = Groups(gpu, a.Length);
        using Tensor partials = Tensor.Empty([Math.Max(1, groups)], DType.Float32, gpu, "reduction partials");
        ArrayView<float> view = gpu.View<float>(partials).SubView(0, groups);
        gpu.LaunchGroups(BinaryPartials<TMap, TCombine>, Config(gpu, groups), a, b, view, parameter);
        Rows<GpuIdentity, TCombine>(gpu, view, 1, groups, y, scale);
    }

    /// <summary>y[i] = scale · (the combination of f(x[i, j]) over j), a group per row.</summary>
    internal static void Rows<TMap, TCombine>(
        GpuDevice gpu, ArrayView<float> x, long rows, long columns, ArrayView<float> y, float scale = 1, float parameter = 0)
        where TMap : struct, IGpuUnaryOp where TCombine : struct, IGpuCombine =>
        gpu.LaunchGroups(UnaryRows<TMap, TCombine>, Config(gpu, rows), x, columns, y, scale, parameter);

    /// <summary>y[i] = scale · (the combination of f(a[i, j], b[i, j]) over j), a group per row.</summary>
    internal static void Rows<TMap, TCombine>(
        GpuDevice gpu, ArrayView<float> a, ArrayView<float> b, long rows, long columns, ArrayView<float> y,
        float scale = 1, float parameter = 0)
        where TMap : struct, IGpuBinaryOp where TCombine : struct, IGpuCombine =>
        gpu.LaunchGroups(BinaryRows<TMap, TCombine>, Config(gpu, rows), a, b, columns, y, scale, parameter);

    private static int Groups(GpuDevice gpu, long count)
    {
        long perGroup = 4L * GroupSize(gpu);
        return (int)Math.Min(MaxGroups, (count + perGroup - 1) / perGroup);
    }

    private static void UnaryPartials<TMap, TCombine>(ArrayView<float> x, ArrayView<float> partials, float parameter)
        where TMap : struct, IGpuUnaryOp where TCombine : struct, IGpuCombine
    {
        float total = TCombine.Identity();
        long stride = (long)ILGPU.Group.DimX * Grid.DimX;
        for (long i = (long)Grid.IdxX * ILGPU.Group.DimX + ILGPU.Group.IdxX; i < x.Length; i += stride)
            total = TCombine.Combine(total, TMap.Apply(x[i], parameter));
        total = Group<TCombine>(SharedMemory.GetDynamic<float>(), total);
        if (ILGPU.Group.IdxX == 0) partials[Grid.IdxX] = total;
    }

    private static void BinaryPartials<TMap, TCombine>(ArrayView<float> a, ArrayView<float> b, ArrayView<float> partials, float parameter)
        where TMap : struct, IGpuBinaryOp where TCombine : struct, IGpuCombine
    {
        float total = TCombine.Identity();
        long stride = (long)ILGPU.Group.DimX * Grid.DimX;
        for (long i = (long)Grid.IdxX * ILGPU.Group.DimX + ILGPU.Group.IdxX; i < a.Length; i += stride)
            total = TCombine.Combine(total, TMap.Apply(a[i], b[i], parameter));
        total = Group<TCombine>(SharedMemory.GetDynamic<float>(), total);
        if (ILGPU.Group.IdxX == 0) partials[Grid.IdxX] = total;
    }

    private static void UnaryRows<TMap, TCombine>(ArrayView<float> x, long columns, ArrayView<float> y, float scale, float parameter)
        where TMap : struct, IGpuUnaryOp where TCombine : struct, IGpuCombine
    {
        float total = TCombine.Identity();
        long start = Grid.IdxX * columns;
        for (long j = ILGPU.Group.IdxX; j < columns; j += ILGPU.Group.DimX)
            total = TCombine.Combine(total, TMap.Apply(x[start + j], parameter));
        total = Group<TCombine>(SharedMemory.GetDynamic<float>(), total);
        if (ILGPU.Group.IdxX == 0) y[Grid.IdxX] = total * scale;
    }

    private static void BinaryRows<TMap, TCombine>(
        ArrayView<float> a, ArrayView<float> b, long columns, ArrayView<float> y, float scale, float parameter)
        where TMap : struct, IGpuBinaryOp where TCombine : struct, IGpuCombine
    {
        float total = TCombine.Identity();
        long start = Grid.IdxX * columns;
        for (long j = ILGPU.Group.IdxX; j < columns; j += ILGPU.Group.DimX)
            total = TCombine.Combine(total, TMap.Apply(a[start + j], b[start + j], parameter));
        total = Group<TCombine>(SharedMemory.GetDynamic<float>(), total);
        if (ILGPU.Group.IdxX == 0) y[Grid.IdxX] = total * scale;
    }
}
