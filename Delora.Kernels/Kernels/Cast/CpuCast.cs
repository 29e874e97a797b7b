using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Delora.Core;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="CastKernel"/>: everything goes through float32, which holds both 16-bit types
/// exactly.</summary>
internal static unsafe class CpuCast
{
    private const long Grain = 16 * 1024;
    private const int Piece = 512;

    internal static void Forward(CpuDevice cpu, Tensor x, Tensor y)
    {
        var body = new Body { X = Start(x), Y = Start(y), From = x.DType, To = y.DType };
        cpu.Team.For(x.ElementCount, Grain, ref body);
    }

    private static byte* Start(Tensor tensor) => tensor.DType switch
    {
        DType.Float32 => (byte*)tensor.Pointer<float>(),
        DType.BFloat16 => (byte*)tensor.Pointer<BFloat16>(),
        _ => (byte*)tensor.Pointer<Half>(),
    };

    /// <summary>Rounds <paramref name="count"/> values to bfloat16, as <see cref="BFloat16"/> does.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Narrow(float* source, ushort* destination, int count)
    {
        int i = 0;
        for (; i + 16 <= count; i += 16)
            Vector256.Narrow(Round(Vector256.Load((uint*)source + i)), Round(Vector256.Load((uint*)source + i + 8))).Store(destination + i);
        for (; i < count; i++) destination[i] = ((BFloat16)source[i]).Bits;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Round(Vector256<uint> bits)
    {
        Vector256<uint> upper = bits >> 16;
        Vector256<uint> nearest = (bits + Vector256.Create(0x7FFFu) + (upper & Vector256<uint>.One)) >> 16;
        Vector256<uint> isNaN = ~Vector256.Equals(bits.AsSingle(), bits.AsSingle()).AsUInt32();
        return Vector256.ConditionalSelect(isNaN, upper | Vector256.Create(0x40u), nearest);
    }

    private struct Body : IRangeBody
    {
        public byte* X, Y;
        public DType From, To;

        public readonly void Run(long start, long end, long chunk)
        {
            float* buffer = stackalloc float[Piece];
            for (long i = start; i < end; i += Piece)
            {
                int count = (int)Math.Min(Piece, end - i);
                float* values = From == DType.Float32 ? (float*)X + i : To == DType.Float32 ? (float*)Y + i : buffer;
                if (From == DType.BFloat16)
                    FloatBytes.Widen(new ReadOnlySpan<BFloat16>((BFloat16*)X + i, count), new Span<float>(values, count));
                else if (From == DType.Float16)
                    TensorPrimitives.ConvertToSingle(new ReadOnlySpan<Half>((Half*)X + i, count), new Span<float>(values, count));
                if (To == DType.BFloat16) Narrow(values, (ushort*)Y + i, count);
                else if (To == DType.Float16)
                    TensorPrimitives.ConvertToHalf(new ReadOnlySpan<float>(values, count), new Span<Half>((Half*)Y + i, count));
            }
        }
    }
}
