namespace Delora.Kernels;

/// <summary>Which gradients the backward pass of <see cref="DeloraFoldKernel"/> adds to what is there, instead of overwriting it.</summary>
[Flags]
public enum FoldSums
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>dA.</summary>
    A = 1,

    /// <summary>dB.</summary>
    B = 2,

    /// <summary>dλ.</summary>
    Lambda = 4,
}
