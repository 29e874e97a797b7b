using System.Runtime.CompilerServices;
using ILGPU;

namespace Delora.Kernels;

/// <summary>A sum over the tokens of a row whose logit is at least a bound: it grows as the bound falls.</summary>
internal interface ISamplingSum
{
    /// <summary>The sum over x_j ≥ <paramref name="bound"/>.</summary>
    float From(float bound);
}

/// <summary>The arithmetic that the CPU and the GPU implementation of <see cref="SamplingKernel"/> share.</summary>
internal static class SamplingMath
{
    /// <summary>(x − max)/T: without NaN for any finite x and any T, and 0 for x = max.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Scaled<T>(T x, float max, float inverse) where T : unmanaged, ISimd<T> =>
        T.Max(x - T.Set(max), T.Set(-float.MaxValue)) * T.Set(inverse);

    /// <summary>1/T as float32, finite.</summary>
    internal static float Inverse(double temperature) => (float)Math.Min(1 / temperature, float.MaxValue);

    /// <summary>−ln u, u = 1 − v, for the v in (0, 1) that is made of 31 of a word's bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Exponential<T>(T word) where T : unmanaged, ISimd<T>
    {
        T bits = T.And(T.ShiftRight(word, 1), T.SetBits(int.MaxValue)), one = T.Set(1f);
        T v = (T.BitsToFloat(bits) + T.Set(0.5f)) * T.Set(1f / 2147483648f);
        T last = T.Set(0.99999994f);
        v = T.Select(T.GreaterThan(v, last), last, v);
        // Kahan's way to ln(1 − v): the error of u is the same in both factors. Where u is 1, −ln(1 − v) is v.
        T u = one - v, rest = one - u;
        return T.Select(T.GreaterThan(rest, T.Set(0f)), -SimdMath.Log(u) * v / rest, v);
    }

    /// <summary>(x − max)/T − ln(−ln u), the largest of which is drawn, from x and −ln u.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Score<T>(T x, T exponential, float max, float inverse) where T : unmanaged, ISimd<T> =>
        Scaled(x, max, inverse) - SimdMath.Log(exponential);

    /// <summary>
    /// The largest bound in [low, high] whose sum reaches the target; low where none does. Halves the integers that float32 numbers are
    /// ordered like, so that it ends at an exact number after at most 32 sums.
    /// </summary>
    internal static float Search<TSum>(TSum sum, float target, float low, float high) where TSum : struct, ISamplingSum
    {
        long least = Key(low), most = Key(high);
        while (least < most)
        {
            long middle = least + (most - least + 1) / 2;
            float value = sum.From(Value((int)middle));
            least = value >= target ? middle : least;
            // Exactly the target: a larger bound that reaches it too leaves out nothing that counts.
            most = value == target ? middle : value > target ? most : middle - 1;
        }
        return Value((int)least);
    }

    private static int Key(float value) => Turned(unchecked((int)Interop.FloatAsInt(value)));

    private static float Value(int key) => Interop.IntAsFloat(unchecked((uint)Turned(key)));

    // Its own inverse. −0 and 0 differ here, but not where bounds are compared.
    private static int Turned(int bits) => bits ^ ((bits >> 31) & int.MaxValue);
}
