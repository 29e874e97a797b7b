using System.Numerics;
using System.Runtime.CompilerServices;

namespace Delora.Tests.Ptx;

/// <summary>A function of one number's bits; the loops over lanes are written once for each number of operands.</summary>
internal interface IUnaryLane
{
    static abstract ulong Apply(ulong a);
}

/// <summary>A function of two.</summary>
internal interface IBinaryLane
{
    static abstract ulong Apply(ulong a, ulong b);
}

/// <summary>A function of three.</summary>
internal interface ITernaryLane
{
    static abstract ulong Apply(ulong a, ulong b, ulong c);
}

/// <summary>Numbers and their bits in a register, the rest of which is zero.</summary>
internal static class Bits
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T To<T>(ulong bits) where T : unmanaged => Unsafe.As<ulong, T>(ref bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static unsafe ulong Of<T>(T value) where T : unmanaged => sizeof(T) switch
    {
        1 => Unsafe.BitCast<T, byte>(value),
        2 => Unsafe.BitCast<T, ushort>(value),
        4 => Unsafe.BitCast<T, uint>(value),
        _ => Unsafe.BitCast<T, ulong>(value),
    };

    internal static float Single(ulong bits) => BitConverter.UInt32BitsToSingle((uint)bits);

    internal static ulong Of(float value) => BitConverter.SingleToUInt32Bits(value);

    internal static double Double(ulong bits) => BitConverter.UInt64BitsToDouble(bits);

    internal static ulong Of(double value) => BitConverter.DoubleToUInt64Bits(value);
}

internal sealed unsafe class UnaryOp<T>(int target, int a) : PtxPlainOp where T : struct, IUnaryLane
{
    internal override void Run(PtxWarp warp, uint mask)
    {
        ulong* x = warp.Read(a, mask), y = warp.Write(target, mask);
        if (mask == uint.MaxValue)
            for (int lane = 0; lane < 32; lane++) y[lane] = T.Apply(x[lane]);
        else
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                y[lane] = T.Apply(x[lane]);
            }
    }
}

internal sealed unsafe class BinaryOp<T>(int target, int a, int b) : PtxPlainOp where T : struct, IBinaryLane
{
    internal override void Run(PtxWarp warp, uint mask)
    {
        ulong* x = warp.Read(a, mask), y = warp.Read(b, mask), z = warp.Write(target, mask);
        if (mask == uint.MaxValue)
            for (int lane = 0; lane < 32; lane++) z[lane] = T.Apply(x[lane], y[lane]);
        else
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                z[lane] = T.Apply(x[lane], y[lane]);
            }
    }
}

internal sealed unsafe class TernaryOp<T>(int target, int a, int b, int c) : PtxPlainOp where T : struct, ITernaryLane
{
    internal override void Run(PtxWarp warp, uint mask)
    {
        ulong* x = warp.Read(a, mask), y = warp.Read(b, mask), z = warp.Read(c, mask), w = warp.Write(target, mask);
        if (mask == uint.MaxValue)
            for (int lane = 0; lane < 32; lane++) w[lane] = T.Apply(x[lane], y[lane], z[lane]);
        else
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                w[lane] = T.Apply(x[lane], y[lane], z[lane]);
            }
    }
}

/// <summary>A function that is slow anyway, so that a call for each lane costs little.</summary>
internal sealed unsafe class FunctionOp(int target, int a, int b, Func<ulong, ulong, ulong> function) : PtxPlainOp
{
    internal FunctionOp(int target, int a, Func<ulong, ulong> function) : this(target, a, a, (x, _) => function(x)) { }

    internal override void Run(PtxWarp warp, uint mask)
    {
        ulong* x = warp.Read(a, mask), y = warp.Read(b, mask), z = warp.Write(target, mask);
        for (; mask != 0; mask &= mask - 1)
        {
            int lane = BitOperations.TrailingZeroCount(mask);
            z[lane] = function(x[lane], y[lane]);
        }
    }
}
