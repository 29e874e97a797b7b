using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// What norms over the last dimension share on the CPU: y = x̂∘w + b, and with g = dy∘w the way back
/// dx = inverse·(g − mean(g) − x̂·mean(g∘x̂)), without mean(g) where the norm has no mean, and dw = Σ dy∘x̂ over the rows.
/// </summary>
internal static unsafe class CpuNormalization
{
    internal static void Backward(
        CpuDevice cpu, CpuNormRows rows, Tensor x, Tensor weight, Tensor dy, Tensor? dx, Tensor? dweight, bool accumulate,
        bool accumulateWeight)
    {
        // First, because dx may be dy.
        if (dweight is not null) WeightGradient(cpu, rows, x, dy, dweight, accumulateWeight);
        if (dx is null) return;
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: InputGradient<V16>(cpu, rows, x, weight, dy, dx, accumulate); break;
            case SimdLevel.Vector256: InputGradient<V8>(cpu, rows, x, weight, dy, dx, accumulate); break;
            default: InputGradient<V4>(cpu, rows, x, weight, dy, dx, accumulate); break;
        }
    }

    /// <summary>y = x̂∘w + b in one row; b may be null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Write<TVector>(CpuNormRow row, float* x, float* weight, float* bias, float* y, long columns)
        where TVector : unmanaged, ISimd<TVector>
    {
        long j = 0;
        for (; j + TVector.Count <= columns; j += TVector.Count)
            Step<TVector>(row, x + j, weight + j, bias == null ? null : bias + j, y + j);
        for (; j < columns; j++) Step<V1>(row, x + j, weight + j, bias == null ? null : bias + j, y + j);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Step<T>(CpuNormRow row, float* x, float* weight, float* bias, float* y) where T : unmanaged, ISimd<T>
        {
            T normalized = row.Apply(T.Load(x));
            T.Store(bias == null ? normalized * T.Load(weight) : T.MultiplyAdd(normalized, T.Load(weight), T.Load(bias)), y);
        }
    }

    private static void WeightGradient(CpuDevice cpu, CpuNormRows rows, Tensor x, Tensor dy, Tensor dweight, bool accumulate)
    {
        int columns = x.Shape.Columns;
        using var sums = new HostScratch(cpu, checked(columns * (long)sizeof(double)), "gradient of a norm's weight");
        CpuDot.Columns<CpuNormRows, CpuNormRows.Affine>(
            cpu, rows, x.Pointer<float>(), columns, dy.Pointer<float>(), columns, x.Shape.Rows, columns, sums.Doubles);
        float* to = dweight.Pointer<float>();
        for (int j = 0; j < columns; j++) to[j] = (float)(accumulate ? to[j] + sums.Doubles[j] : sums.Doubles[j]);
    }

    private static void InputGradient<TVector>(
        CpuDevice cpu, CpuNormRows rows, Tensor x, Tensor weight, Tensor dy, Tensor dx, bool accumulate)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new Body<TVector>
        {
            Rows = rows,
            X = x.Pointer<float>(),
            Weight = weight.Pointer<float>(),
            Dy = dy.Pointer<float>(),
            Dx = dx.Pointer<float>(),
            Columns = x.Shape.Columns,
            Accumulate = accumulate,
        };
        cpu.Team.For(x.Shape.Rows, CpuReduce.RowGrain(x.Shape.Columns), ref body);
    }

    /// <summary>Σ g and Σ g∘x̂ over a row: blocks in float32, joined in float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static (double Sum, double Dot) Sums<TVector>(CpuNormRow row, float* x, float* weight, float* dy, long columns)
        where TVector : unmanaged, ISimd<TVector>
    {
        double sum = 0, dot = 0;
        long j = 0, last = columns - columns % TVector.Count;
        while (j < last)
        {
            long end = Math.Min(j + CpuReduce.BlockLength, last);
            TVector s0 = TVector.Set(0), s1 = s0, d0 = s0, d1 = s0;
            for (; j + 2 * TVector.Count <= end; j += 2 * TVector.Count)
            {
                Add(row, x + j, weight + j, dy + j, ref s0, ref d0);
                Add(row, x + j + TVector.Count, weight + j + TVector.Count, dy + j + TVector.Count, ref s1, ref d1);
            }
            for (; j < end; j += TVector.Count) Add(row, x + j, weight + j, dy + j, ref s0, ref d0);
            sum += TVector.Sum(s0 + s1);
            dot += TVector.Sum(d0 + d1);
        }
        for (; j < columns; j++)
        {
            V1 s = default, d = default;
            Add(row, x + j, weight + j, dy + j, ref s, ref d);
            sum += s.Value;
            dot += d.Value;
        }
        return (sum, dot);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<T>(CpuNormRow row, float* x, float* weight, float* dy, ref T sum, ref T dot) where T : unmanaged, ISimd<T>
    {
        T g = T.Load(dy) * T.Load(weight);
        sum += g;
        dot = T.MultiplyAdd(g, row.Apply(T.Load(x)), dot);
    }

    private struct Body<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public CpuNormRows Rows;
        public float* X, Weight, Dy, Dx;
        public long Columns;
        public bool Accumulate;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            long columns = Columns;
            for (long i = start; i < end; i++)
            {
                CpuNormRow row = Rows[i];
                float* x = X + i * columns, dy = Dy + i * columns, dx = Dx + i * columns;
                (double sum, double dot) = Sums<TVector>(row, x, Weight, dy, columns);
                float mean = Rows.IsCentered ? (float)(sum / columns) : 0, slope = (float)(-dot / columns);
                long j = 0;
                for (; j + TVector.Count <= columns; j += TVector.Count)
                    Step<TVector>(row, mean, slope, x + j, Weight + j, dy + j, dx + j, Accumulate);
                for (; j < columns; j++) Step<V1>(row, mean, slope, x + j, Weight + j, dy + j, dx + j, Accumulate);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Step<T>(CpuNormRow row, float mean, float slope, float* x, float* weight, float* dy, float* dx, bool accumulate)
            where T : unmanaged, ISimd<T>
        {
            T g = T.Load(dy) * T.Load(weight);
            T gradient = T.MultiplyAdd(row.Apply(T.Load(x)), T.Set(slope), g - T.Set(mean));
            T.Store(accumulate ? T.MultiplyAdd(gradient, T.Set(row.Inverse), T.Load(dx)) : gradient * T.Set(row.Inverse), dx);
        }
    }
}
