using Delora.Core;

namespace Delora.Kernels;

/// <summary>Which operand of a matrix product is transposed. A transpose is an argument of the product, never a strided tensor.</summary>
public enum MatMulLayout
{
    /// <summary>a [m, k] · b [k, n].</summary>
    NN,

    /// <summary>a [m, k] · b [n, k]ᵀ.</summary>
    NT,

    /// <summary>a [k, m]ᵀ · b [k, n].</summary>
    TN,
}

/// <summary>
/// Matrix product c = op(a)·op(b) + bias + c, with op by <see cref="MatMulLayout"/>. Two dimensions, or three with a common batch first:
/// c [batch, m, n]. The bias [n] is added to every row; with an <see cref="Epilogue"/> c = f(op(a)·op(b) + bias) + residual. float32 products
/// accumulate in float32, in an order that depends on the shapes alone.
/// </summary>
public static partial class MatMulKernel
{
    private const string Op = "MatMul";

    /// <summary>c = op(a)·op(b) + bias, or with <paramref name="accumulate"/> c += op(a)·op(b) + bias.</summary>
    /// <param name="a">[m, k], or [k, m] for TN; with a leading batch where b has one.</param>
    /// <param name="b">[k, n], or [n, k] for NT; with a leading batch where a has one.</param>
    /// <param name="c">[m, n] or [batch, m, n]; must not overlap a or b.</param>
    /// <param name="layout">Which operand is transposed.</param>
    /// <param name="bias">[n]; null for none.</param>
    /// <param name="accumulate">Adds to c instead of overwriting it.</param>
    /// <param name="epilogue">f and the residual; neither unless given.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentException">An output shares memory with another operand, or an epilogue is given where c is added to.</exception>
    public static void Forward(
        Tensor a, Tensor b, Tensor c, MatMulLayout layout = MatMulLayout.NN, Tensor? bias = null, bool accumulate = false, Epilogue epilogue = default)
    {
        MatMulSize size = Measure(a, b, layout);
        Check.HasShape(Op, c, OutputShape(a, b, layout));
        if (bias is not null) Check.HasShape(Op, bias, [size.N]);
        Check.Apart(Op, c, a, b, bias);
        epilogue.CheckBeside(Op, c, a, b, bias);
        if (accumulate && !epilogue.IsNone) throw new ArgumentException($"{Op}: an activation or a residual does not go together with adding to c");
        switch (Check.Floats(Op, a, b, c, bias, epilogue.Preactivation, epilogue.Residual))
        {
            case CpuDevice cpu: CpuMatMul.Forward(cpu, size, a, b, c, layout, bias, accumulate, epilogue); break;
            case GpuDevice gpu: GpuMatMul.Forward(gpu, size, a, b, c, layout, bias, accumulate, epilogue); break;
            case ReferenceDevice: ReferenceForward(size, a, b, c, layout, bias, accumulate, epilogue); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>The shape of op(a)·op(b): [m, n], or [batch, m, n].</summary>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static Shape OutputShape(Tensor a, Tensor b, MatMulLayout layout)
    {
        MatMulSize size = Measure(a, b, layout);
        return a.Shape.Rank == 3 ? [size.Batch, size.M, size.N] : [size.M, size.N];
    }

    private static MatMulSize Measure(Tensor a, Tensor b, MatMulLayout layout)
    {
        Check.Shapes(a.Shape.Rank is 2 or 3 && a.Shape.Rank == b.Shape.Rank,
            $"{Op}: both operands have two dimensions, or three with a batch first: a {a.Shape} · b {b.Shape}");
        int batch = a.Shape.Rank == 3 ? a.Shape[0] : 1;
        Check.Shapes(a.Shape.Rank == 2 || b.Shape[0] == batch, $"{Op}: batches differ: a {a.Shape} · b {b.Shape}");
        (int m, int k) = layout == MatMulLayout.TN ? (a.Shape[^1], a.Shape[^2]) : (a.Shape[^2], a.Shape[^1]);
        (int inner, int n) = layout == MatMulLayout.NT ? (b.Shape[^1], b.Shape[^2]) : (b.Shape[^2], b.Shape[^1]);
        Check.Shapes(k == inner, $"{Op}: inner dimensions differ: {Operands(a, b, layout)} ({k} ≠ {inner})");
        return new MatMulSize(batch, m, n, k);
    }

    private static string Operands(Tensor a, Tensor b, MatMulLayout layout) =>
        $"a {a.Shape}{(layout == MatMulLayout.TN ? "ᵀ" : "")} · b {b.Shape}{(layout == MatMulLayout.NT ? "ᵀ" : "")}";
}

/// <summary>The measures of a product: c [batch, m, n] = op(a) [batch, m, k] · op(b) [batch, k, n].</summary>
internal readonly record struct MatMulSize(int Batch, int M, int N, int K);
