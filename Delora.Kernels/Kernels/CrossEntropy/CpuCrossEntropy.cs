using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="CrossEntropyKernel"/>: rows in parallel.</summary>
internal static unsafe class CpuCrossEntropy
{
    internal static void Forward(CpuDevice cpu, Tensor logits, Tensor labels, Tensor losses, Tensor logSumExp, int ignoreIndex)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Forward<V16>(cpu, logits, labels, losses, logSumExp, ignoreIndex); break;
            case SimdLevel.Vector256: Forward<V8>(cpu, logits, labels, losses, logSumExp, ignoreIndex); break;
            default: Forward<V4>(cpu, logits, labels, losses, logSumExp, ignoreIndex); break;
        }
    }

    internal static void Backward(
        CpuDevice cpu, Tensor logits, Tensor labels, Tensor logSumExp, Tensor dloss, Tensor dlogits, int stride, float scale,
        int ignoreIndex)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Backward<V16>(cpu, logits, labels, logSumExp, dloss, dlogits, stride, scale, ignoreIndex); break;
            case SimdLevel.Vector256: Backward<V8>(cpu, logits, labels, logSumExp, dloss, dlogits, stride, scale, ignoreIndex); break;
            default: Backward<V4>(cpu, logits, labels, logSumExp, dloss, dlogits, stride, scale, ignoreIndex); break;
        }
    }

    private static void Forward<TVector>(CpuDevice cpu, Tensor logits, Tensor labels, Tensor losses, Tensor logSumExp, int ignoreIndex)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new ForwardBody<TVector>
        {
            Logits = logits.Pointer<float>(),
            Labels = labels.Pointer<int>(),
            Losses = losses.Pointer<float>(),
            LogSumExp = logSumExp.Pointer<float>(),
            Columns = logits.Shape.Columns,
            IgnoreIndex = ignoreIndex,
        };
        cpu.Team.For(labels.ElementCount, CpuReduce.RowGrain(logits.Shape.Columns), ref body);
    }

    private static void Backward<TVector>(
        CpuDevice cpu, Tensor logits, Tensor labels, Tensor logSumExp, Tensor dloss, Tensor dlogits, int stride, float scale,
        int ignoreIndex)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new BackwardBody<TVector>
        {
            Logits = logits.Pointer<float>(),
            Labels = labels.Pointer<int>(),
            LogSumExp = logSumExp.Pointer<float>(),
            Dloss = dloss.Pointer<float>(),
            Dlogits = dlogits.Pointer<float>(),
            Columns = logits.Shape.Columns,
            Stride = stride,
            IgnoreIndex = ignoreIndex,
            Scale = scale,
        };
        cpu.Team.For(labels.ElementCount, CpuReduce.RowGrain(logits.Shape.Columns), ref body);
    }

    private struct ForwardBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* Logits, Losses, LogSumExp;
        public int* Labels;
        public long Columns;
        public int IgnoreIndex;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long row = start; row < end; row++)
            {
                Losses[row] = LogSumExp[row] = 0;
                if (Labels[row] == IgnoreIndex) continue;
                float* x = Logits + row * Columns;
                float max = (float)CpuReduce.Sequence<CpuIdentity, CpuMaximum, TVector>(new(), x, Columns);
                double sum = CpuReduce.Sequence<CpuShiftedExp, CpuPlus, TVector>(new(max, 1), x, Columns);
                double z = max + Math.Log(sum);
                LogSumExp[row] = (float)z;
                Losses[row] = (float)(z - x[Labels[row]]);
            }
        }
    }

    private struct BackwardBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* Logits, LogSumExp, Dloss, Dlogits;
        public int* Labels;
        public long Columns;
        public int Stride, IgnoreIndex;
        public float Scale;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long row = start; row < end; row++)
            {
                float* dx = Dlogits + row * Columns;
                int label = Labels[row];
                if (label == IgnoreIndex)
                {
                    new Span<float>(dx, (int)Columns).Clear();
                    continue;
                }
                float g = Dloss[row * Stride] * Scale;
                CpuRow.Map<CpuShiftedExp, TVector>(new(LogSumExp[row], g), Logits + row * Columns, dx, Columns);
                if ((ulong)label < (ulong)Columns) dx[label] -= g;
            }
        }
    }
}
