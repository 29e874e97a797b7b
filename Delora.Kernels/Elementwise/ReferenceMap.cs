using Delora.Core;

namespace Delora.Kernels;

/// <summary>The elementwise loops of the reference device.</summary>
internal static class ReferenceMap
{
    internal static void Unary(Func<double, double> f, Tensor x, Tensor y)
    {
        Span<double> from = x.Span<double>(), to = y.Span<double>();
        for (int i = 0; i < from.Length; i++) to[i] = f(from[i]);
    }

    internal static void Binary(Func<double, double, double> f, Tensor a, Tensor b, Tensor y)
    {
        Span<double> left = a.Span<double>(), right = b.Span<double>(), to = y.Span<double>();
        for (int i = 0; i < left.Length; i++) to[i] = f(left[i], right[i]);
    }
}
