using Delora.Core;

namespace Delora.Kernels;

public static partial class RotaryEmbeddingKernel
{
    private static void ReferenceRotate(Tensor x, Tensor cos, Tensor sin, Tensor? positions, int start, Tensor y, bool backward)
    {
        Span<double> from = x.Span<double>(), c = cos.Span<double>(), s = sin.Span<double>(), to = y.Span<double>();
        Span<int> given = positions is null ? default : positions.Span<int>();
        int length = x.Shape[1], heads = x.Shape[2], dim = x.Shape[3], half = dim / 2;
        for (int token = 0; token < x.Shape[0] * length; token++)
        {
            int position = positions is null ? start + token % length : given[token];
            for (int head = 0; head < heads; head++)
                for (int i = 0; i < half; i++)
                {
                    int at = (token * heads + head) * dim + i, angle = position * half + i;
                    double first = from[at], second = from[at + half], sine = backward ? -s[angle] : s[angle];
                    to[at] = first * c[angle] - second * sine;
                    to[at + half] = second * c[angle] + first * sine;
                }
        }
    }
}
