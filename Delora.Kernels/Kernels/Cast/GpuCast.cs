using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="CastKernel"/>. ILGPU has no bfloat16 and half arithmetic is not portable: bits in
/// ushort.</summary>
internal static class GpuCast
{
    internal interface ICodec
    {
        static abstract float Read(ushort bits);

        static abstract ushort Write(float value);
    }

    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y)
    {
        switch (x.DType, y.DType)
        {
            case (DType.Float32, DType.BFloat16): Narrow<BFloat16Codec>(gpu, x, Bits(gpu, y)); break;
            case (DType.Float32, DType.Float16): Narrow<Float16Codec>(gpu, x, Bits(gpu, y)); break;
            case (DType.BFloat16, DType.Float32): Widen<BFloat16Codec>(gpu, Bits(gpu, x), y); break;
            case (DType.Float16, DType.Float32): Widen<Float16Codec>(gpu, Bits(gpu, x), y); break;
            case (DType.BFloat16, DType.Float16): Convert<BFloat16Codec, Float16Codec>(gpu, Bits(gpu, x), Bits(gpu, y)); break;
            default: Convert<Float16Codec, BFloat16Codec>(gpu, Bits(gpu, x), Bits(gpu, y)); break;
        }
    }

    private static void Convert<TFrom, TTo>(GpuDevice gpu, ArrayView<ushort> x, ArrayView<ushort> y)
        where TFrom : struct, ICodec where TTo : struct, ICodec => gpu.Launch(ConvertKernel<TFrom, TTo>, x.Length, x, y);

    /// <summary>Numbers of 16 bits by their bits.</summary>
    internal static ArrayView<ushort> Bits(GpuDevice gpu, Tensor tensor) =>
        tensor.DType == DType.BFloat16 ? gpu.View<BFloat16>(tensor).Cast<ushort>() : gpu.View<System.Half>(tensor).Cast<ushort>();

    private static void Narrow<TCodec>(GpuDevice gpu, Tensor x, ArrayView<ushort> y) where TCodec : struct, ICodec =>
        gpu.Launch(NarrowKernel<TCodec>, x.ElementCount, gpu.View<float>(x), y);

    private static void Widen<TCodec>(GpuDevice gpu, ArrayView<ushort> x, Tensor y) where TCodec : struct, ICodec =>
        gpu.Launch(WidenKernel<TCodec>, y.ElementCount, x, gpu.View<float>(y));

    private static void NarrowKernel<TCodec>(Index1D i, ArrayView<float> x, ArrayView<ushort> y) where TCodec : struct, ICodec =>
        y[i] = TCodec.Write(x[i]);

    private static void WidenKernel<TCodec>(Index1D i, ArrayView<ushort> x, ArrayView<float> y) where TCodec : struct, ICodec =>
        y[i] = TCodec.Read(x[i]);

    private static void ConvertKernel<TFrom, TTo>(Index1D i, ArrayView<ushort> x, ArrayView<ushort> y)
        where TFrom : struct, ICodec where TTo : struct, ICodec =>
        y[i] = TTo.Write(TFrom.Read(x[i]));

    internal readonly struct BFloat16Codec : ICodec
    {
        public static float Read(ushort bits) => Interop.IntAsFloat((uint)bits << 16);

        public static ushort Write(float value)
        {
            uint bits = Interop.FloatAsInt(value);
            if ((bits & 0x7FFF_FFFFu) > 0x7F80_0000u) return (ushort)((bits >> 16) | 0x40u);
            return (ushort)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
        }
    }

    internal readonly struct Float16Codec : ICodec
    {
        public static float Read(ushort bits)
        {
            uint sign = ((uint)bits & 0x8000u) << 16, exponent = ((uint)bits >> 10) & 31u, fraction = (uint)bits & 0x3FFu;
            // A denormal is a multiple of 2^-24, exact in float32. Through int: uint to float would go by way of float64.
            if (exponent == 0) return Interop.IntAsFloat(sign | Interop.FloatAsInt((int)fraction * (1f / 16777216f)));
            uint wide = exponent == 31 ? 0xFFu : exponent + 112u;
            return Interop.IntAsFloat(sign | (wide << 23) | (fraction << 13));
        }

        public static ushort Write(float value)
        {
            uint bits = Interop.FloatAsInt(value), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7FFF_FFFFu;
            if (magnitude > 0x7F80_0000u) return (ushort)(sign | 0x7E00u);
            // From 65520 on the nearest is beyond the largest, 65504.
            if (magnitude >= 0x477F_F000u) return (ushort)(sign | 0x7C00u);
            if (magnitude >= 0x3880_0000u) return (ushort)(sign | ((magnitude + 0xFFFu + ((magnitude >> 13) & 1u) - 0x3800_0000u) >> 13));
            // Below 2^-14 a denormal: the number of steps of 2^-24, to nearest, ties to even.
            float steps = Interop.IntAsFloat(magnitude) * 16777216f;
            int whole = (int)steps;
            float rest = steps - whole;
            if (rest > 0.5f || (rest == 0.5f && (whole & 1) != 0)) whole++;
            return (ushort)(sign | (uint)whole);
        }
    }
}
