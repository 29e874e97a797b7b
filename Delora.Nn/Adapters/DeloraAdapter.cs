using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// DeLoRA on one linear layer or embedding (Bini, Girrbach, Akata, ICLR 2025; PEFT's <c>DeloraLayer</c>):
/// <code>ΔW = B diag(s) (A ∘ w),   s_i = λ / (r · max(‖A_i‖, 1e-4) · max(‖B_i‖, 1e-4))</code>
/// with A [r, in], B [out, r] and λ [1] trainable and w [in] the column norms of the base weight. ‖ΔW‖_F ≤ |λ| · max w.
/// With the residual initialization a frozen copy A₀, B₀ of the initial branch is subtracted, scaled by the same λ; its bound is twice as large.
/// </summary>
public sealed class DeloraAdapter : LinearAdapter
{
    private readonly Tensor? _initialA, _initialB;

    /// <summary>An adapter with given tensors, which it takes over.</summary>
    /// <param name="a">A [r, in]</param>
    /// <param name="b">B [out, r]</param>
    /// <param name="lambda">λ [1]</param>
    /// <param name="columnNorms">w [in]</param>
    /// <param name="dropout">PEFT's module_dropout.</param>
    /// <param name="generator">Where dropout masks come from; may be null without dropout.</param>
    /// <param name="initial">A₀ and B₀ of the residual initialization; null without.</param>
    /// <param name="onEmbedding">Whether it is for an <see cref="Embedding"/>.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public DeloraAdapter(
        Tensor a, Tensor b, Tensor lambda, Tensor columnNorms, float dropout = 0, Generator? generator = null, (Tensor A, Tensor B)? initial = null,
        bool onEmbedding = false)
        : base(dropout, generator, onEmbedding)
    {
        Check.HasRank(nameof(DeloraAdapter), a, 2);
        Check.HasShape(nameof(DeloraAdapter), b, [b.Shape.Rank == 2 ? b.Shape[0] : 0, a.Shape[0]]);
        Check.HasShape(nameof(DeloraAdapter), lambda, [1]);
        Check.HasShape(nameof(DeloraAdapter), columnNorms, [a.Shape[1]]);
        Check.Floats(nameof(DeloraAdapter), a, b, lambda, columnNorms, initial?.A, initial?.B);
        if (initial is { } start)
        {
            Check.SameShape(nameof(DeloraAdapter), a, start.A);
            Check.SameShape(nameof(DeloraAdapter), b, start.B);
            _initialA = start.A.Own();
            _initialB = start.B.Own();
        }
        string[] keys = Keys(onEmbedding);
        A = new Parameter(keys[0], a);
        B = new Parameter(keys[1], b);
        Lambda = new Parameter(keys[2], lambda);
        ColumnNorms = columnNorms.Own();
    }

    /// <summary>A [r, in].</summary>
    public Parameter A { get; }

    /// <summary>B [out, r].</summary>
    public Parameter B { get; }

    /// <summary>λ [1].</summary>
    public Parameter Lambda { get; }

    /// <summary>w [in]: PEFT's delora_w_norm.</summary>
    public Tensor ColumnNorms { get; }

    /// <summary>Whether a frozen copy of the initial branch is subtracted.</summary>
    public bool IsResidual => _initialA is not null;

    /// <inheritdoc/>
    public override int In => A.Shape[1];

    /// <inheritdoc/>
    public override int Out => B.Shape[0];

    /// <inheritdoc/>
    public override int Rank => A.Shape[0] * (IsResidual ? 2 : 1);

    /// <inheritdoc/>
    public override IEnumerable<(string Key, Parameter Parameter)> Parameters =>
        [(A.Name, A), (B.Name, B), (Lambda.Name, Lambda)];

    /// <summary>
    /// The names of A, B, λ and w in files. PEFT has no DeLoRA on embeddings: there the factors are called as those of its LoRA are.
    /// </summary>
    public static string[] Keys(bool onEmbedding) => onEmbedding
        ? ["delora_embedding_A", "delora_embedding_B", "delora_lambda", "delora_w_norm"]
        : ["delora_A", "delora_B", "delora_lambda", "delora_w_norm"];

    /// <summary>
    /// A new adapter for a layer, initialized as PEFT does: A uniform in ±1/√in; B zero, or with <paramref name="randomB"/> (PEFT's
    /// <c>init_weights = false</c>, and always with <paramref name="residual"/>) uniform in ±1/√r.
    /// </summary>
    /// <param name="columnNorms">w [in] of the layer's base weight; taken over.</param>
    /// <param name="out">Output features.</param>
    /// <param name="r">Rank, at least 1.</param>
    /// <param name="lambda">Initial λ.</param>
    /// <param name="generator">Random numbers.</param>
    /// <param name="randomB">Whether B starts at random instead of zero.</param>
    /// <param name="residual">The residual initialization: ΔW starts at zero although B does not.</param>
    /// <param name="dropout">PEFT's module_dropout.</param>
    /// <param name="onEmbedding">Whether it is for an <see cref="Embedding"/>.</param>
    public static DeloraAdapter Create(
        Tensor columnNorms, int @out, int r, double lambda, Generator generator, bool randomB = false, bool residual = false, float dropout = 0,
        bool onEmbedding = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(r, 1);
        Device device = columnNorms.Device;
        Tensor a = Initialization.KaimingUniform([r, columnNorms.Shape[0]], device, generator, "delora_A");
        Tensor b = randomB || residual
            ? Initialization.KaimingUniform([@out, r], device, generator, "delora_B")
            : Tensor.Zeros([@out, r], device.FloatType, device, "delora_B");
        (Tensor, Tensor)? initial = residual ? (Tensor.CopyOf(a, device, "initial delora_A"), Tensor.CopyOf(b, device, "initial delora_B")) : null;
        return new DeloraAdapter(a, b, Tensor.From([lambda], [1], device, "delora_lambda"), columnNorms, dropout, generator, initial, onEmbedding);
    }

    /// <inheritdoc/>
    public override (Tensor A, Tensor B) Fold() => FoldedAdapters.Of(this) ?? Functions.DeloraFold(Branches());

    /// <summary>What is folded: the adapter, and the initial one that is subtracted from it.</summary>
    internal DeloraBranch[] Branches()
    {
        var branch = new DeloraBranch(A, B, Lambda, ColumnNorms);
        return IsResidual ? [branch, new DeloraBranch(_initialA!, _initialB!, Lambda, ColumnNorms, Negative: true)] : [branch];
    }

    /// <summary>|λ| · max w; twice that with the residual initialization.</summary>
    public override double? NormBound()
    {
        double largest = 0;
        foreach (double norm in ColumnNorms.ToArray<double>()) largest = Math.Max(largest, norm);
        return Math.Abs(Lambda.Value.ToScalar()) * largest * (IsResidual ? 2 : 1);
    }

    /// <summary>
    /// ‖B diag(s) A‖_F = ‖ΔW diag(1/w)‖_F and its bound |λ| (the paper's); twice that with the residual initialization. Where a column of the
    /// base weight is zero, the direction counts although ΔW is zero there.
    /// </summary>
    public override (double Norm, double Bound)? DirectionNorm()
    {
        using IDisposable pause = Tape.Pause();
        (_, Tensor b) = Fold();
        Tensor a = IsResidual ? Functions.Concat(0, A, _initialA!) : A;
        return (ProductNorm(a, b), Math.Abs(Lambda.Value.ToScalar()) * (IsResidual ? 2 : 1));
    }

    /// <summary>
    /// PEFT's tensors. The residual initialization is saved as the adapter of rank 2r that it is, A″ = [A; A₀], B″ = [B | −B₀], λ″ = 2λ, so that
    /// every reader of the format computes the same function.
    /// </summary>
    public override IEnumerable<(string Key, Tensor Tensor)> CopyState()
    {
        Device device = ColumnNorms.Device;
        (Tensor a, Tensor b, Tensor lambda) = IsResidual
            ? CopyResidual(device)
            : (Tensor.CopyOf(A.Value, device), Tensor.CopyOf(B.Value, device), Tensor.CopyOf(Lambda.Value, device));
        return Keys(OnEmbedding).Zip((Tensor[])[a, b, lambda, Tensor.CopyOf(ColumnNorms, device)]);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        A.Dispose();
        B.Dispose();
        Lambda.Dispose();
        ColumnNorms.Dispose();
        _initialA?.Dispose();
        _initialB?.Dispose();
    }

    private (Tensor A, Tensor B, Tensor Lambda) CopyResidual(Device device)
    {
        int r = A.Shape[0], @out = B.Shape[0];
        double[] b = B.Value.ToArray<double>(), initial = _initialB!.ToArray<double>(), columns = new double[2 * b.Length];
        for (int row = 0; row < @out; row++)
            for (int i = 0; i < r; i++)
            {
                columns[row * 2 * r + i] = b[row * r + i];
                columns[row * 2 * r + r + i] = -initial[row * r + i];
            }
        return (
            Tensor.From<double>([.. A.Value.ToArray<double>(), .. _initialA!.ToArray<double>()], [2 * r, A.Shape[1]], device, "delora_A"),
            Tensor.From<double>(columns, [@out, 2 * r], device, "delora_B"),
            Tensor.From<double>([2 * Lambda.Value.ToScalar()], [1], device, "delora_lambda"));
    }
}
