using System.Numerics;

namespace Delora.Kernels;

/// <summary>
/// One vector of float32 values of any width, so that an elementwise op is written once and runs at 128, 256 and 512 bits and, for the
/// tail of
/// an array, on one value (<see cref="V1"/>) with the same rounding.
/// </summary>
internal unsafe interface ISimd<TSelf> : IAdditionOperators<TSelf, TSelf, TSelf>, ISubtractionOperators<TSelf, TSelf, TSelf>,
    IMultiplyOperators<TSelf, TSelf, TSelf>, IDivisionOperators<TSelf, TSelf, TSelf>, IUnaryNegationOperators<TSelf, TSelf>
    where TSelf : unmanaged, ISimd<TSelf>
{
    /// <summary>Values in a vector.</summary>
    static abstract int Count { get; }

    static abstract TSelf Load(float* source);

    static abstract void Store(TSelf value, float* destination);

    /// <summary>All lanes set to one value.</summary>
    static abstract TSelf Set(float value);

    /// <summary>a·b + c, rounded once where the machine has FMA.</summary>
    static abstract TSelf MultiplyAdd(TSelf a, TSelf b, TSelf c);

    static abstract TSelf Max(TSelf a, TSelf b);

    static abstract TSelf Abs(TSelf a);

    static abstract TSelf Sqrt(TSelf a);

    /// <summary>All bits set in the lanes where a &gt; b (false for NaN).</summary>
    static abstract TSelf GreaterThan(TSelf a, TSelf b);

    /// <summary>Lanes of <paramref name="ifTrue"/> where the mask is set, of <paramref name="ifFalse"/> elsewhere.</summary>
    static abstract TSelf Select(TSelf mask, TSelf ifTrue, TSelf ifFalse);

    /// <summary>The nearest integer, as float; |a| must be below 2^22.</summary>
    static abstract TSelf Round(TSelf a);

    /// <summary>All lanes set to the float that has these bits.</summary>
    static abstract TSelf SetBits(int bits);

    /// <summary>The bits of both.</summary>
    static abstract TSelf And(TSelf a, TSelf b);

    /// <summary>The bits of either.</summary>
    static abstract TSelf Or(TSelf a, TSelf b);

    /// <summary>The lanes' bits moved up, zeros below.</summary>
    static abstract TSelf ShiftLeft(TSelf bits, int count);

    /// <summary>The lanes' bits as 32-bit integers divided by 2^count, rounded down.</summary>
    static abstract TSelf ShiftRight(TSelf bits, int count);

    /// <summary>The lanes' bits added as 32-bit integers, wrapping.</summary>
    static abstract TSelf AddBits(TSelf a, TSelf b);

    /// <summary>The lanes' bits, read as 32-bit integers, as floats.</summary>
    static abstract TSelf BitsToFloat(TSelf bits);

    /// <summary>The lanes added up in a fixed order.</summary>
    static abstract float Sum(TSelf a);
}
