using System.Numerics;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The next token of each row of logits z [batch, vocab]: a draw from softmax(z / T) over the tokens that are kept.
/// <list type="number">
/// <item>Top-k keeps z_j ≥ the k-th largest logit.</item>
/// <item>Top-p keeps, of these, z_j ≥ t for the largest t whose tokens have together at least the probability p among them.</item>
/// <item>The Gumbel-max trick draws: the token kept with the largest z_j/T − ln(−ln u_j), the lowest id among equals.</item>
/// </list>
/// Both thresholds are logits, so tokens of equal logits are kept or dropped together, in whatever order they come. u_j in (0, 1) is made
/// of element row·vocab + j of the random stream: u_j = 1 − (⌊word / 2⌋ + ½)/2³¹, which is finest near 1, where the largest values come
/// from. A draw is a pure function of logits and stream, the same with any number of threads, and on all devices up to rounding.
/// <para>A logit of −∞ is never chosen.</para>
/// </summary>
/// <remarks>Holtzman, Buys, Du, Forbes, Choi: "The curious case of neural text degeneration", ICLR 2020 (top-p); Maddison, Tarlow, Minka:
/// "A* sampling", NIPS 2014, section 2 (Gumbel-max).</remarks>
[NoDerivative("A choice is a step function of the logits: its derivative is zero wherever it exists.")]
public static partial class SamplingKernel
{
    /// <summary>The largest vocabulary: up to here float32 counts tokens exactly.</summary>
    public const int MaxVocabulary = 1 << 24;

    private const string Op = "Sampling";

    /// <summary>ids_i = a token drawn for row i.</summary>
    /// <param name="logits">[batch, vocab], 0 &lt; vocab ≤ <see cref="MaxVocabulary"/>.</param>
    /// <param name="ids">Output, int32 [batch]; undefined where a row is refused.</param>
    /// <param name="options">How to choose.</param>
    /// <param name="stream">The random numbers: batch·vocab elements, of which a greedy choice uses none.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    /// <exception cref="ShapeException">The shapes do not fit, or the vocabulary is empty or too large.</exception>
    /// <exception cref="DTypeException">ids is not int32.</exception>
    /// <exception cref="NonFiniteException">A row has NaN or +∞, or nothing finite; the message names the first one.</exception>
    public static void Forward(Tensor logits, Tensor ids, SamplingOptions options, RandomStream stream)
    {
        options.Validate();
        Check.HasRank(Op, logits, 2);
        Check.HasShape(Op, ids, [logits.Shape[0]]);
        Check.HasDType(Op, ids, DType.Int32);
        int vocabulary = logits.Shape.Columns;
        Check.Shapes(vocabulary is > 0 and <= MaxVocabulary,
            $"{Op}: the vocabulary of logits {logits.Shape} must have 1 to {MaxVocabulary} tokens");
        Check.OneDevice(Op, logits, ids);
        Device device = Check.Floats(Op, logits);
        // The largest logit first: it is the greedy choice, shows every bad row, and is what the others are compared with.
        ArgmaxKernel.Forward(logits, ids);
        int bad = device switch
        {
            CpuDevice => FirstNonFinite<float>(logits, ids),
            GpuDevice gpu => GpuSampling.FirstNonFinite(gpu, logits, ids),
            ReferenceDevice => FirstNonFinite<double>(logits, ids),
            _ => throw Dispatch.Unknown(Op, device),
        };
        if (bad < ids.ElementCount) throw NonFinite(logits, ids, bad);
        if (options.Temperature == 0) return;
        switch (device)
        {
            case CpuDevice cpu: CpuSampling.Draw(cpu, logits, ids, options, stream); break;
            case GpuDevice gpu: GpuSampling.Draw(gpu, logits, ids, options, stream); break;
            default: ReferenceDraw(logits, ids, options, stream); break;
        }
    }

    /// <summary>The first row whose largest element is not finite; the number of rows where there is none.</summary>
    private static unsafe int FirstNonFinite<T>(Tensor logits, Tensor largest) where T : unmanaged, INumberBase<T>
    {
        T* x = logits.Pointer<T>();
        int* columns = largest.Pointer<int>();
        int row = 0;
        while (row < largest.ElementCount && T.IsFinite(x[(long)row * logits.Shape.Columns + columns[row]])) row++;
        return row;
    }

    private static NonFiniteException NonFinite(Tensor logits, Tensor largest, int row)
    {
        using Tensor id = largest.View([1], row);
        using Tensor logit = logits.View([1], (long)row * logits.Shape.Columns + id.ToArray<int>()[0]);
        double value = logit.ToScalar();
        string what = double.IsNaN(value) ? "has NaN" : value > 0 ? "has +∞" : "has no finite element";
        return new NonFiniteException(FormattableString.Invariant($"{Op}: row {row} of logits {logits.Shape} {what}"));
    }
}
