using Delora.Core;

namespace Delora.Kernels;

/// <summary>The checks that norms over the last dimension share.</summary>
internal static class NormalizationCheck
{
    internal static void Epsilon(double epsilon)
    {
        // Written so that NaN fails.
        if (!(epsilon >= 0 && double.IsFinite(epsilon)))
            throw new ArgumentOutOfRangeException(nameof(epsilon), epsilon, "ε must be finite and not negative.");
    }

    internal static void Weight(string op, Tensor x, Tensor weight, string name) =>
        Check.Shapes(
            x.Shape.Rank > 0 && weight.Shape.Rank == 1 && weight.Shape[0] == x.Shape.Columns,
            $"{op}: the {name} does not fit the last dimension: x {x.Shape}, {name} {weight.Shape}");

    internal static void Backward(string op, Tensor x, Tensor weight, Tensor dy, Tensor? dx, Tensor? dweight)
    {
        Weight(op, x, weight, "weight");
        Check.SameShape(op, x, dy);
        if (dx is not null) Check.SameShape(op, x, dx);
        if (dx is not null) Check.SameOrApart(op, dx, x, dy);
        if (dweight is not null) Check.SameShape(op, weight, dweight);
    }
}
