namespace Delora.Kernels;

/// <summary>
/// The output tile of one group of a GPU product; each thread computes 4 × 4 of it. Constants of the kernel that is compiled for it.
/// </summary>
internal interface IGpuTile
{
    /// <summary>Rows of the tile, a multiple of 4.</summary>
    static abstract int Rows { get; }

    /// <summary>Columns of the tile, a multiple of 4.</summary>
    static abstract int Columns { get; }

    /// <summary>Steps of the inner dimension that lie in shared memory at a time.</summary>
    static abstract int Depth { get; }
}

/// <summary>64 × 64 with 256 threads.</summary>
internal readonly struct SquareTile : IGpuTile
{
    public static int Rows => 64;
    public static int Columns => 64;
    public static int Depth => 16;
}

/// <summary>64 × 16 with 64 threads: products with few columns, such as the low-rank branch's h.</summary>
internal readonly struct TallTile : IGpuTile
{
    public static int Rows => 64;
    public static int Columns => 16;
    public static int Depth => 16;
}

/// <summary>16 × 64 with 64 threads: products with few rows, such as the gradient of A.</summary>
internal readonly struct WideTile : IGpuTile
{
    public static int Rows => 16;
    public static int Columns => 64;
    public static int Depth => 16;
}

/// <summary>16 × 16 with 16 threads: as many as the simulator allows.</summary>
internal readonly struct SmallTile : IGpuTile
{
    public static int Rows => 16;
    public static int Columns => 16;
    public static int Depth => 8;
}

/// <summary>How the operands of a GPU product lie in memory. Constants of the kernel that is compiled for it.</summary>
internal interface IGpuLayout
{
    /// <summary>Whether the left operand is [m, k], else it is [k, m].</summary>
    static abstract bool LeftByRow { get; }

    /// <summary>Whether the right operand is [n, k], else it is [k, n].</summary>
    static abstract bool RightByColumn { get; }
}

/// <summary><see cref="MatMulLayout.NN"/>.</summary>
internal readonly struct LayoutNN : IGpuLayout
{
    public static bool LeftByRow => true;
    public static bool RightByColumn => false;
}

/// <summary><see cref="MatMulLayout.NT"/>.</summary>
internal readonly struct LayoutNT : IGpuLayout
{
    public static bool LeftByRow => true;
    public static bool RightByColumn => true;
}

/// <summary><see cref="MatMulLayout.TN"/>.</summary>
internal readonly struct LayoutTN : IGpuLayout
{
    public static bool LeftByRow => false;
    public static bool RightByColumn => false;
}

/// <summary>f(z) = z.</summary>
internal readonly struct NoActivation : ICpuUnaryOp
{
    public TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => x;
}

/// <summary>Where a dropout mask enters a GPU product. Constants of the kernel that is compiled for it.</summary>
internal interface IGpuProductMask
{
    /// <summary>On the elements of the left operand.</summary>
    static abstract bool OnLeft { get; }

    /// <summary>On the elements of the right operand.</summary>
    static abstract bool OnRight { get; }

    /// <summary>On the elements of the branch's product, before the base product is added.</summary>
    static abstract bool OnBranch { get; }
}

/// <summary>No dropout.</summary>
internal readonly struct NoMask : IGpuProductMask
{
    public static bool OnLeft => false;
    public static bool OnRight => false;
    public static bool OnBranch => false;
}

/// <summary>h = x̃ A'ᵀ.</summary>
internal readonly struct LeftMask : IGpuProductMask
{
    public static bool OnLeft => true;
    public static bool OnRight => false;
    public static bool OnBranch => false;
}

/// <summary>dA' = vᵀ x̃.</summary>
internal readonly struct RightMask : IGpuProductMask
{
    public static bool OnLeft => false;
    public static bool OnRight => true;
    public static bool OnBranch => false;
}

/// <summary>dx = g W + mask ∘ (v A').</summary>
internal readonly struct BranchMask : IGpuProductMask
{
    public static bool OnLeft => false;
    public static bool OnRight => false;
    public static bool OnBranch => true;
}

/// <summary>How the numbers of the right operand are kept. Constants of the kernel that is compiled for it.</summary>
internal interface IGpuRight
{
    /// <summary>Whether they are codes that the kernel widens, else float32.</summary>
    static abstract bool IsCoded { get; }
}

/// <summary>float32.</summary>
internal readonly struct PlainRight : IGpuRight
{
    public static bool IsCoded => false;
}

/// <summary>A frozen weight of less than 32 bits, <see cref="GpuCodes"/>.</summary>
internal readonly struct CodedRight : IGpuRight
{
    public static bool IsCoded => true;
}
