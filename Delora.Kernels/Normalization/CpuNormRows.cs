using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The normalization of one row, x̂ = (x − shift)·inverse + offset. The shift is the mean rounded to float32, close to which the difference
/// is exact; the offset is what the rounding left over. A norm without a mean has zeros there, which change nothing.
/// </summary>
internal readonly struct CpuNormRow(float shift, float offset, float inverse)
{
    internal readonly float Inverse = inverse;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal T Apply<T>(T x) where T : unmanaged, ISimd<T> => T.MultiplyAdd(x - T.Set(shift), T.Set(Inverse), T.Set(offset));
}

/// <summary>What the forward pass of a norm keeps of each row, and x̂ as the first factor of column sums.</summary>
internal readonly unsafe struct CpuNormRows : ICpuRowMap<CpuNormRows.Affine>
{
    private readonly float* _shift, _offset, _inverse;

    /// <summary>Of statistics [rows], the inverse, or [3, rows], shift, offset and inverse, where the norm is centered.</summary>
    internal CpuNormRows(Tensor statistics, bool centered)
    {
        float* values = statistics.Pointer<float>();
        if (!centered)
        {
            _inverse = values;
            return;
        }
        long rows = statistics.Shape[1];
        _shift = values;
        _offset = values + rows;
        _inverse = values + 2 * rows;
        IsCentered = true;
    }

    /// <summary>Whether the rows have a mean.</summary>
    internal bool IsCentered { get; }

    internal CpuNormRow this[long row] => IsCentered ? new(_shift[row], _offset[row], _inverse[row]) : new(0, 0, _inverse[row]);

    /// <inheritdoc/>
    public Affine At(long row)
    {
        double factor = _inverse[row];
        return new Affine(factor, IsCentered ? _offset[row] - _shift[row] * factor : 0);
    }

    /// <summary>x·factor + constant: in float64 nothing cancels.</summary>
    internal readonly struct Affine(double factor, double constant) : ICpuRowOp
    {
        public Vector256<double> Apply(Vector256<double> x) => x * Vector256.Create(factor) + Vector256.Create(constant);

        public double Apply(double x) => x * factor + constant;
    }
}
