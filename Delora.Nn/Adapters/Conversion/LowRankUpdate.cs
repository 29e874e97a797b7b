using Delora.Core;
using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.LinearAlgebra.Double;
using MathNet.Numerics.LinearAlgebra.Factorization;

namespace Delora.Nn;

/// <summary>
/// The update of one layer, ΔW = B A with A [r, in] and B [out, r], as numbers in float64 apart from any model: what adapters are converted and
/// added through. No [out, in] matrix is made.
/// </summary>
public sealed class LowRankUpdate
{
    private readonly double[] _a, _b;

    private LowRankUpdate(int @in, int @out, int rank, double[] a, double[] b, bool onEmbedding)
    {
        (In, Out, Rank, _a, _b, OnEmbedding) = (@in, @out, rank, a, b, onEmbedding);
    }

    /// <summary>Columns of ΔW.</summary>
    public int In { get; }

    /// <summary>Rows of ΔW.</summary>
    public int Out { get; }

    /// <summary>Rows of A and columns of B; the true rank may be lower.</summary>
    public int Rank { get; }

    /// <summary>Whether it is the update of an <see cref="Embedding"/>, whose tensors have names of their own in files.</summary>
    public bool OnEmbedding { get; }

    /// <summary>A [r, in], row-major.</summary>
    public ReadOnlySpan<double> A => _a;

    /// <summary>B [out, r], row-major.</summary>
    public ReadOnlySpan<double> B => _b;

    /// <summary>What an adapter adds to its layer's weight: the factors that it folds, A∘w and B∘s of DeLoRA, A and (α/r)·B of LoRA.</summary>
    /// <exception cref="NonFiniteException">A factor, or their product in float32, holds NaN or infinity.</exception>
    public static LowRankUpdate Of(LinearAdapter adapter)
    {
        using IDisposable pause = Autograd.Tape.Pause();
        (Tensor a, Tensor b) = adapter.Fold();
        return new LowRankUpdate(adapter.In, adapter.Out, a.Shape[0], a.ToArray<double>(), b.ToArray<double>(), adapter.OnEmbedding).Checked();
    }

    /// <summary>Σ weight · ΔW, exactly: the factors side by side, B times the weight. Its rank is the sum of the ranks.</summary>
    /// <param name="terms">At least one, of the same shape; weights may be negative.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="NonFiniteException">A weight, a factor or ΔW in float32 is NaN or infinite.</exception>
    public static LowRankUpdate Sum(params IReadOnlyList<(double Weight, LowRankUpdate Update)> terms)
    {
        if (terms.Count == 0) throw new ArgumentException("A sum of no updates.", nameof(terms));
        (int @in, int @out) = (terms[0].Update.In, terms[0].Update.Out);
        if (terms.Select(term => term.Update).FirstOrDefault(update => update.In != @in || update.Out != @out) is { } other)
            throw new ShapeException($"updates of different shapes cannot be added: [{@out}, {@in}] and [{other.Out}, {other.In}]");
        if (terms.Any(term => term.Update.OnEmbedding != terms[0].Update.OnEmbedding))
            throw new ShapeException("updates of an embedding and of a linear layer cannot be added");
        int rank = 0;
        foreach ((_, LowRankUpdate update) in terms) rank = checked(rank + update.Rank);
        double[] a = [.. terms.SelectMany(term => term.Update._a)], b = new double[checked((long)@out * rank)];
        int column = 0;
        foreach ((double weight, LowRankUpdate update) in terms)
        {
            for (int row = 0; row < @out; row++)
                for (int i = 0; i < update.Rank; i++)
                    b[(long)row * rank + column + i] = weight * update._b[(long)row * update.Rank + i];
            column += update.Rank;
        }
        return new LowRankUpdate(@in, @out, rank, a, b, terms[0].Update.OnEmbedding).Checked();
    }

    /// <summary>
    /// The nearest update of a smaller rank (Eckart and Young): ΔW = U Σ Vᵀ cut after the largest singular values, B = U Σ and A = Vᵀ, as PEFT's
    /// <c>save_as_lora</c> has them. The decomposition is that of an r×r matrix: B = Q_B R_B, Aᵀ = Q_A R_A, R_B R_Aᵀ = U Σ Vᵀ; in float64.
    /// </summary>
    /// <param name="choice">The rank; nothing is done where it is exact.</param>
    /// <exception cref="ArgumentOutOfRangeException">The rank is larger than a side of ΔW, or nothing would be left.</exception>
    /// <exception cref="NonFiniteException">A factor would be infinite in float32.</exception>
    public LowRankUpdate Compress(RankChoice choice)
    {
        if (choice.IsExact) return this;
        int most = Math.Min(In, Out);
        int? wanted = choice.Among(most);
        if (wanted > most)
            throw new ArgumentOutOfRangeException(
                nameof(choice), wanted, $"The rank must not be above {most}, the smaller side of ΔW [{Out}, {In}].");
        if (wanted < 1)
            throw new ArgumentOutOfRangeException(nameof(choice), choice.Rank, $"Nothing would be left of ΔW [{Out}, {In}], which has {most} directions.");
        (Matrix<double> left, double[] values, Matrix<double> right) = Decompose(wanted ?? 1);
        int rank = wanted ?? choice.Of(values);
        // Column-major storage: what is right [in, ·] there is A [·, in], row by row, here.
        double[] a = right.SubMatrix(0, In, 0, rank).ToColumnMajorArray();
        double[] b = left.SubMatrix(0, Out, 0, rank).MapIndexed((_, i, value) => value * values[i]).ToRowMajorArray();
        return new LowRankUpdate(In, Out, rank, a, b, OnEmbedding).Checked();
    }

    /// <summary>The singular values of ΔW that can differ from 0, largest first: min(in, out, r) of them.</summary>
    public IReadOnlyList<double> SingularValues() => Decompose(1).Values;

    /// <summary>The update as a LoRA adapter with the scaling 1.</summary>
    internal LoraAdapter ToAdapter(Device device) =>
        new(Tensor.From(_a, [Rank, In], device, "lora_A"), Tensor.From(_b, [Out, Rank], device, "lora_B"), scaling: 1, onEmbedding: OnEmbedding);

    /// <summary>
    /// Singular vectors U [out, k], V [in, k] and values [k] of ΔW, k = min(in, out, max(r, least)). Householder reflections give orthonormal
    /// columns also where the factors lack rank.
    /// </summary>
    private (Matrix<double> Left, double[] Values, Matrix<double> Right) Decompose(int least)
    {
        int columns = Math.Max(Rank, least);
        // Row-major A [r, in] is column-major Aᵀ [in, r]. Columns beyond the rank are zeros.
        Matrix<double> a = DenseMatrix.OfColumnMajor(In, Rank, _a), b = Matrix<double>.Build.DenseOfRowMajor(Out, Rank, _b);
        (Matrix<double> leftBasis, Matrix<double> leftCore) = Orthogonal(Widened(b, columns));
        (Matrix<double> rightBasis, Matrix<double> rightCore) = Orthogonal(Widened(a, columns));
        Svd<double> svd = leftCore.TransposeAndMultiply(rightCore).Svd();
        double[] values = svd.S.ToArray();
        Matrix<double> left = leftBasis * svd.U.SubMatrix(0, svd.U.RowCount, 0, values.Length);
        Matrix<double> right = rightBasis * svd.VT.Transpose().SubMatrix(0, svd.VT.ColumnCount, 0, values.Length);
        return (left, values, right);
    }

    /// <summary>matrix = Q R with orthonormal columns of Q; a matrix that is wider than high is its own R.</summary>
    private static (Matrix<double> Q, Matrix<double> R) Orthogonal(Matrix<double> matrix)
    {
        if (matrix.RowCount < matrix.ColumnCount) return (DenseMatrix.CreateIdentity(matrix.RowCount), matrix);
        QR<double> qr = matrix.QR(QRMethod.Thin);
        return (qr.Q, qr.R);
    }

    private static Matrix<double> Widened(Matrix<double> matrix, int columns) =>
        columns == matrix.ColumnCount ? matrix : matrix.Append(new DenseMatrix(matrix.RowCount, columns - matrix.ColumnCount));

    private LowRankUpdate Checked()
    {
        // As float32, in which adapters are saved and mostly computed.
        foreach (double[] factor in (double[][])[_a, _b])
            if (Array.Exists(factor, value => !float.IsFinite((float)value)))
                throw new NonFiniteException($"An update ΔW [{Out}, {In}] of rank {Rank} has NaN or infinite factors.");
        RequireFiniteProduct();
        return this;
    }

    /// <summary>
    /// Refuses factors whose product could overflow in float32: an element's Σ |b| |a| does, and with it its sum in some order. The elements are only made
    /// where the largest |a| of each row of A does not rule it out, a row at a time.
    /// </summary>
    private void RequireFiniteProduct()
    {
        double[] largest = new double[Rank], sums = new double[In];
        for (int i = 0; i < Rank; i++)
            for (int column = 0; column < In; column++) largest[i] = Math.Max(largest[i], Math.Abs(_a[(long)i * In + column]));
        for (int row = 0; row < Out; row++)
        {
            double bound = 0;
            for (int i = 0; i < Rank; i++) bound += Math.Abs(_b[(long)row * Rank + i]) * largest[i];
            if (float.IsFinite((float)bound)) continue;
            Array.Clear(sums);
            for (int i = 0; i < Rank; i++)
            {
                double factor = Math.Abs(_b[(long)row * Rank + i]);
                for (int column = 0; column < In; column++) sums[column] += factor * Math.Abs(_a[(long)i * In + column]);
            }
            if (Array.Exists(sums, value => !float.IsFinite((float)value)))
                throw new NonFiniteException($"An update ΔW [{Out}, {In}] of rank {Rank} is beyond the range of float32.");
        }
    }
}
