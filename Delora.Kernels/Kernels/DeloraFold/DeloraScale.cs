using System.Numerics;

namespace Delora.Kernels;

/// <summary>
/// The scale of one rank of DeLoRA and its derivative, for every device: s = λ / (r · max(a, 1e-4) · max(b, 1e-4)), with a and b the
/// norms of a row of A and of a column of B. The one place where the clamps are written. Only operators, so that GPU kernels can call it;
/// comparisons are written so that NaN passes.
/// </summary>
internal static class DeloraScale
{
    /// <summary>The smallest norm that is divided by; a shorter vector counts as this long and gets no gradient through its norm.</summary>
    internal const double MinNorm = 1e-4;

    /// <summary>s. The divisions come one by one: the product of two norms may overflow.</summary>
    internal static T Scale<T>(T lambda, T rank, T normA, T normB, T minNorm) where T : struct, INumber<T> =>
        lambda / rank / Clamp(normA, minNorm) / Clamp(normB, minNorm);

    /// <summary>What the gradient ds of the scale puts along a vector through its norm: ds · s / norm²; 0 below the clamp.</summary>
    internal static T ThroughNorm<T>(T ds, T scale, T norm, T minNorm) where T : struct, INumber<T> =>
        norm < minNorm ? default : ds / norm * (scale / norm);

    private static T Clamp<T>(T norm, T minNorm) where T : struct, INumber<T> => norm < minNorm ? minNorm : norm;
}
