namespace Delora.Kernels;

/// <summary>
/// With how many bits of its operands' numbers a CUDA card multiplies matrices. Tensors stay what they are (float32, frozen weights as they are
/// kept), and sums and results are float32 whatever the precision: what changes is how the two factors of each product are rounded before they are
/// multiplied. The names are those of PyTorch, where <see cref="TensorFloat32"/> is <c>torch.set_float32_matmul_precision("high")</c>, and <see
/// cref="BFloat16"/> and <see cref="Float16"/> round as the matrix products under <c>torch.autocast</c> do (there, the results are rounded, too).
/// </summary>
public enum MatMulPrecision
{
    /// <summary>As they are: float32 products on the ordinary units of the card. The default.</summary>
    Float32,

    /// <summary>8 bits of exponent, 10 of fraction (tf32): the range of float32, the fraction of float16. Rounded to nearest, ties away from zero.</summary>
    TensorFloat32,

    /// <summary>8 bits of exponent, 7 of fraction: the range of float32, and the fastest. Rounded to nearest, ties to even.</summary>
    BFloat16,

    /// <summary>
    /// 5 bits of exponent, 10 of fraction: as fast as bfloat16 and finer, but numbers beyond 65504 become infinite, and gradients below 6·10⁻⁸ vanish.
    /// Rounded to nearest, ties to even.
    /// </summary>
    Float16,
}

/// <summary>Names of each <see cref="MatMulPrecision"/>.</summary>
public static class MatMulPrecisions
{
    extension(MatMulPrecision precision)
    {
        /// <summary>The name that messages and options use: <c>float32</c>, <c>tf32</c>, <c>bfloat16</c>, <c>float16</c>.</summary>
        public string Name => precision switch
        {
            MatMulPrecision.Float32 => "float32",
            MatMulPrecision.TensorFloat32 => "tf32",
            MatMulPrecision.BFloat16 => "bfloat16",
            MatMulPrecision.Float16 => "float16",
            _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "no precision of matrix products"),
        };
    }
}
