using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="LinearCrossEntropyKernel"/>: each row of a block in three passes, with one e^x.</summary>
internal static unsafe class CpuLinearCrossEntropy
{
    internal static void Rows(CpuDevice cpu, Tensor logits, Tensor labels, Tensor losses, double? scale, int ignoreIndex)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Rows<V16>(cpu, logits, labels, losses, scale, ignoreIndex); break;
            case SimdLevel.Vector256: Rows<V8>(cpu, logits, labels, losses, scale, ignoreIndex); break;
            default: Rows<V4>(cpu, logits, labels, losses, scale, ignoreIndex); break;
        }
    }

    internal static void Backward(CpuDevice cpu, Tensor dloss, Tensor saved, Tensor gradient, bool accumulate)
    {
        float factor = *dloss.Pointer<float>();
        if (accumulate) CpuMap.Binary(cpu, new AddScaled(factor), gradient, saved, gradient);
        else CpuScale.Forward(cpu, saved, factor, gradient);
    }

    private readonly struct AddScaled(float factor) : ICpuBinaryOp
    {
        public TVector Apply<TVector>(TVector a, TVector b) where TVector : unmanaged, ISimd<TVector> =>
            TVector.MultiplyAdd(b, TVector.Set(factor), a);
    }

    private static void Rows<TVector>(CpuDevice cpu, Tensor logits, Tensor labels, Tensor losses, double? scale, int ignoreIndex)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new RowsBody<TVector>
        {
            Logits = logits.Pointer<float>(),
            Labels = labels.Pointer<int>(),
            Losses = losses.Pointer<float>(),
            Columns = logits.Shape.Columns,
            IgnoreIndex = ignoreIndex,
            WantsGradient = scale is not null,
            Scale = (float)(scale ?? 0),
        };
        cpu.Team.For(labels.ElementCount, CpuReduce.RowGrain(logits.Shape.Columns), ref body);
    }

    private struct RowsBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* Logits, Losses;
        public int* Labels;
        public long Columns;
        public int IgnoreIndex;
        public bool WantsGradient;
        public float Scale;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long row = start; row < end; row++)
            {
                float* x = Logits + row * Columns;
                int label = Labels[row];
                if (label == IgnoreIndex)
                {
                    Losses[row] = 0;
                    if (WantsGradient) new Span<float>(x, (int)Columns).Clear();
                    continue;
                }
                float max = (float)CpuReduce.Sequence<CpuIdentity, CpuMaximum, TVector>(new(), x, Columns), own = x[label];
                double sum;
                if (WantsGradient)
                {
                    sum = CpuRow.MapSum<CpuShiftedExp, TVector>(new(max, 1), x, x, Columns);
                    CpuRow.Map<CpuScaled, TVector>(new((float)(Scale / sum)), x, x, Columns);
                    x[label] -= Scale;
                }
                else
                {
                    sum = CpuReduce.Sequence<CpuShiftedExp, CpuPlus, TVector>(new(max, 1), x, Columns);
                }
                Losses[row] = (float)(max - (double)own + Math.Log(sum));
            }
        }
    }
}
