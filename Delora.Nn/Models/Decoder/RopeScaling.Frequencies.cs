namespace Delora.Nn;

public sealed partial record RopeScaling
{
    private double FastTurns => BetaFast is null or 0 ? 32 : BetaFast.Value;

    private double SlowTurns => BetaSlow is null or 0 ? 1 : BetaSlow.Value;

    /// <summary>
    /// The rotary frequencies f_i, i &lt; dim/2, in float32 as transformers has them. With e_i = θ^(−2i/dim) and the original length L:
    /// <code>
    /// default   f = e
    /// linear    f = e / factor
    /// llama3    t = L e / 2π, turns in the original length;  u = (t − low) / (high − low) cut to 0 … 1;  f = u e + (1 − u) e / factor
    /// yarn      u = (i − d(beta_fast)) / (d(beta_slow) − d(beta_fast)) cut to 0 … 1;  f = (1 − u) e + u e / factor
    ///           d(t) = dim log(L / (2π t)) / (2 log θ), the i at which e turns t times; rounded outwards unless truncate is false
    /// </code>
    /// </summary>
    /// <param name="dim">Features of a head, even.</param>
    /// <param name="theta">θ</param>
    /// <param name="positions">max_position_embeddings: the original length where none is given.</param>
    /// <remarks>
    /// transformers, <c>modeling_rope_utils</c>: <c>_compute_linear_scaling_rope_parameters</c>, <c>_compute_llama3_parameters</c>,
    /// <c>_compute_yarn_parameters</c> of version 5. Version 4 leaves original_max_position_embeddings of YaRN out.
    /// </remarks>
    public float[] Frequencies(int dim, double theta, int positions)
    {
        int length = OriginalMaxPositionEmbeddings ?? positions;
        float factor = (float)FactorFor(positions);
        (double first, double last) = Type == RopeType.Yarn ? Ramp(dim, theta, length) : default;
        var frequencies = new float[dim / 2];
        for (int i = 0; i < frequencies.Length; i++)
        {
            float period = (float)Math.Pow(theta, 2f * i / dim), plain = 1 / period;
            frequencies[i] = Type switch
            {
                RopeType.Linear => plain / factor,
                RopeType.Llama3 => Smooth(plain, factor, length),
                RopeType.Yarn => Mix(1 / (factor * period), plain, 1 - Math.Clamp((i - (float)first) / (float)(last - first), 0, 1)),
                _ => plain,
            };
        }
        return frequencies;
    }

    /// <summary>
    /// What cos and sin are multiplied by: 1 but for YaRN, where it is <see cref="AttentionFactor"/>, or m(mscale) / m(mscale_all_dim) where
    /// both are given, or else m(1), with m(x) = 0.1 x log factor + 1, and 1 for a factor up to 1.
    /// </summary>
    /// <param name="positions">max_position_embeddings.</param>
    public double CosineFactor(int positions)
    {
        if (Type != RopeType.Yarn) return 1;
        if (AttentionFactor is { } given) return given;
        double factor = FactorFor(positions);
        return Mscale is { } one and not 0 && MscaleAllDim is { } all and not 0 ? Of(one) / Of(all) : Of(1);

        double Of(double mscale) => factor <= 1 ? 1 : 0.1 * mscale * Math.Log(factor) + 1;
    }

    private static float Mix(float stretched, float plain, float share) => stretched * (1 - share) + plain * share;

    private double FactorFor(int positions) =>
        Factor ?? (Type == RopeType.Yarn ? positions / (double)(OriginalMaxPositionEmbeddings ?? positions) : 1);

    private float Smooth(float plain, float factor, int length)
    {
        float wavelength = (float)(2 * Math.PI) / plain;
        if (wavelength > (float)(length / LowFreqFactor!.Value)) return plain / factor;
        if (wavelength < (float)(length / HighFreqFactor!.Value)) return plain;
        float share = (length / wavelength - (float)LowFreqFactor.Value) / (float)(HighFreqFactor.Value - LowFreqFactor.Value);
        return (1 - share) * plain / factor + share * plain;
    }

    /// <summary>The first and last number of a frequency on YaRN's ramp.</summary>
    private (double First, double Last) Ramp(int dim, double theta, int length)
    {
        double first = Number(FastTurns), last = Number(SlowTurns);
        if (Truncate ?? true) (first, last) = (Math.Floor(first), Math.Ceiling(last));
        (first, last) = (Math.Max(first, 0), Math.Min(last, dim - 1));
        // A step at the one number, instead of a division by zero.
        return (first, first == last ? last + 0.001 : last);

        double Number(double turns) => dim * Math.Log(length / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }
}
