using Delora.Core;

namespace Delora.Kernels;

public static partial class SwiGluKernel
{
    private static void ReferenceForward(Tensor gate, Tensor up, Tensor y) =>
        ReferenceMap.Binary((g, u) => g / (1 + Math.Exp(-g)) * u, gate, up, y);

    private static void ReferenceBackward(Tensor gate, Tensor up, Tensor dy, Tensor? dgate, Tensor? dup)
    {
        Span<double> g = gate.Span<double>(), u = up.Span<double>(), d = dy.Span<double>();
        Span<double> dg = dgate is null ? default : dgate.Span<double>(), du = dup is null ? default : dup.Span<double>();
        for (int i = 0; i < g.Length; i++)
        {
            double sigmoid = 1 / (1 + Math.Exp(-g[i])), given = d[i];
            if (dgate is not null) dg[i] = given * u[i] * sigmoid * (1 + g[i] * (1 - sigmoid));
            if (dup is not null) du[i] = given * g[i] * sigmoid;
        }
    }
}
