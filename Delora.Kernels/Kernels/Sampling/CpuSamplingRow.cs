using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The thresholds of one row for <see cref="CpuSampling"/>. Each search begins with a bound that is known to be low enough and
/// leaves few tokens, and goes on among these.
/// </summary>
internal unsafe struct CpuSamplingRow<TVector> where TVector : unmanaged, ISimd<TVector>
{
    /// <summary>Tokens are put into so many classes, by their id, whose largest elements bound the k-th largest of all.</summary>
    private const int Classes = 2048;

    private readonly float _max;
    private readonly float* _values, _weights;
    private float* _x;
    private long _count;

    /// <summary>All tokens of a row whose largest logit is <paramref name="max"/>.</summary>
    internal CpuSamplingRow(float* x, long count, float max, float* scratch)
    {
        (_max, _count, Bound) = (max, count, -float.MaxValue);
        _x = x;
        _values = scratch;
        _weights = scratch + count;
    }

    /// <summary>Kept are the tokens with at least this logit.</summary>
    internal float Bound { get; private set; }

    /// <summary>Floats of working memory for a row of so many tokens.</summary>
    internal static long ScratchLength(long columns) => 2 * columns;

    /// <summary>Keeps the k largest of what there is; 0 &lt; k.</summary>
    internal void KeepTopK(int k)
    {
        if (k <= Classes && _count >= 4 * Classes)
        {
            // The k classes with the largest elements have k elements that are not below the k-th largest of these.
            new Span<float>(_x, Classes).CopyTo(new Span<float>(_weights, Classes));
            for (long i = Classes; i < _count; i += Classes)
                CpuRow.Map<Larger, TVector>(default, _x + i, _weights, _weights, Math.Min(Classes, _count - i));
            Narrow(SamplingMath.Search(new Counted(_weights, Classes), k, Bound, _max));
        }
        Narrow(SamplingMath.Search(new Counted(_x, _count), k, Bound, _max));
    }

    /// <summary>Keeps the fewest of the largest whose probability among what there is reaches p; 0 &lt; p &lt; 1.</summary>
    internal void KeepTopP(double p, double temperature)
    {
        float inverse = SamplingMath.Inverse(temperature);
        double total = CpuReduce.Sequence<Weight, CpuPlus, TVector>(new(_max, inverse, Bound), _x, _count);
        // Tokens that are less likely than (1 − p)/2n have together less than half of 1 − p: the others reach p.
        double least = _max + temperature * Math.Log((1 - p) * total / (2 * _count));
        Narrow(MathF.Max(Bound, MathF.BitDecrement((float)least)));
        CpuRow.Map<Weight, TVector>(new(_max, inverse, Bound), _x, _weights, _count);
        Bound = SamplingMath.Search(new Weighted(_x, _weights, _count), (float)(p * total), Bound, _max);
    }

    /// <summary>Raises the bound, and gathers what it leaves.</summary>
    private void Narrow(float bound)
    {
        long kept = 0;
        // In place after the first time: what is written was read before.
        for (long i = 0; i < _count; i++)
            if (_x[i] >= bound) _values[kept++] = _x[i];
        (_count, Bound) = (kept, bound);
        _x = _values;
    }

    private readonly struct Counted(float* x, long count) : ISamplingSum
    {
        public float From(float bound) => (float)CpuReduce.Sequence<Kept, CpuPlus, TVector>(new(bound), x, count);
    }

    private readonly struct Weighted(float* x, float* weights, long count) : ISamplingSum
    {
        public float From(float bound) => (float)CpuReduce.Sequence<Kept, CpuPlus, TVector>(new(bound), x, weights, count);
    }

    /// <summary>1, or the weight, of what is at least the bound; 0 below.</summary>
    private readonly struct Kept(float bound) : ICpuUnaryOp, ICpuBinaryOp
    {
        public T Apply<T>(T x) where T : unmanaged, ISimd<T> => Apply(x, T.Set(1f));

        public T Apply<T>(T x, T weight) where T : unmanaged, ISimd<T> => T.Select(T.GreaterThan(T.Set(bound), x), T.Set(0f), weight);
    }

    /// <summary>e^((x − max)/T) where x is at least the bound; 0 below.</summary>
    private readonly struct Weight(float max, float inverse, float bound) : ICpuUnaryOp
    {
        private readonly Kept _kept = new(bound);

        public T Apply<T>(T x) where T : unmanaged, ISimd<T> => _kept.Apply(x, SimdMath.Exp(SamplingMath.Scaled(x, max, inverse)));
    }

    private readonly struct Larger : ICpuBinaryOp
    {
        public T Apply<T>(T a, T b) where T : unmanaged, ISimd<T> => T.Max(a, b);
    }
}
