using Delora.Core;

namespace Delora.Kernels;

/// <summary>How the numbers of a frozen weight are kept. Products compute in the device's floating-point type whatever the storage.</summary>
public enum FrozenStorage
{
    /// <summary>The device's floating-point type: float32, on the reference device float64.</summary>
    Float32,

    /// <summary>bfloat16, rounded to nearest, ties to even: 2 bytes. Weights of a bfloat16 file lose nothing.</summary>
    BFloat16,

    /// <summary>IEEE half precision, rounded to nearest, ties to even: 2 bytes. Weights of a float16 file lose nothing.</summary>
    Float16,

    /// <summary>
    /// As the file has it: bfloat16 and float16 stay what they are, float32 and float64 become <see cref="Float32"/>. Only where a file is read.
    /// </summary>
    AsStored,

    /// <summary>
    /// Whole numbers from −127 to 127 with one scale for each row of W, max|w| / 127 (rounded to nearest, ties to even): 1 byte.
    /// </summary>
    Int8,

    /// <summary>
    /// 4-bit NormalFloat: the nearest of 16 levels with one scale, max|w|, for each 64 numbers of a row: 4.5 bits with the float32 scales, which are
    /// not quantized again. Dettmers et al., QLoRA, arXiv 2305.14314, section 3 and appendix E.
    /// </summary>
    Nf4,
}

/// <summary>Which layouts of a frozen weight are kept, for y = x Wᵀ and for dx = dy W.</summary>
public enum FrozenDirections
{
    /// <summary>One layout: the product of the other direction turns it block by block while it reads.</summary>
    One,

    /// <summary>A second layout from the first backward pass on: twice the memory, for a faster backward product. CPU, not for quantized storages.</summary>
    Both,
}

/// <summary>Names and properties of each <see cref="FrozenStorage"/>.</summary>
public static class FrozenStorages
{
    extension(FrozenStorage storage)
    {
        /// <summary>The name that messages and options use: <c>float32</c>, <c>bfloat16</c>, <c>float16</c>, <c>stored</c>, <c>int8</c>, <c>nf4</c>.</summary>
        public string Name => storage switch
        {
            FrozenStorage.Float32 => "float32",
            FrozenStorage.BFloat16 => "bfloat16",
            FrozenStorage.Float16 => "float16",
            FrozenStorage.AsStored => "stored",
            FrozenStorage.Int8 => "int8",
            FrozenStorage.Nf4 => "nf4",
            _ => throw new ArgumentOutOfRangeException(nameof(storage), storage, "no storage of frozen weights"),
        };

        /// <summary>Whether numbers share a scale: <see cref="FrozenStorage.Int8"/> and <see cref="FrozenStorage.Nf4"/>.</summary>
        public bool IsQuantized => storage is FrozenStorage.Int8 or FrozenStorage.Nf4;

        /// <summary>The storage itself, or for <see cref="FrozenStorage.AsStored"/> that of the file's numbers.</summary>
        /// <param name="file">The type in the file.</param>
        public FrozenStorage Of(DType file) => storage != FrozenStorage.AsStored ? storage : file switch
        {
            DType.BFloat16 => FrozenStorage.BFloat16,
            DType.Float16 => FrozenStorage.Float16,
            _ => FrozenStorage.Float32,
        };
    }
}
