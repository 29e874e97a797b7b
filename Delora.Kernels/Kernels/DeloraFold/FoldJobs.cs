using Delora.Core;

namespace Delora.Kernels;

/// <summary>One branch of <see cref="DeloraFoldKernel.Forward(ReadOnlySpan{FoldForward})"/>; what each tensor is stands there.</summary>
/// <param name="A">A, [r, in].</param>
/// <param name="B">B, [out, r].</param>
/// <param name="Lambda">λ, [1].</param>
/// <param name="W">Norms of the columns of the base weight, [in].</param>
/// <param name="Scales">Output [3, r].</param>
/// <param name="FoldedA">Output [R, in], or null.</param>
/// <param name="FoldedB">Output [out, R], or null.</param>
/// <param name="Offset">First rank of this branch in the folded factors.</param>
/// <param name="Negative">Whether σ is −1.</param>
public readonly record struct FoldForward(
    Tensor A, Tensor B, Tensor Lambda, Tensor W, Tensor Scales, Tensor? FoldedA, Tensor? FoldedB, int Offset = 0, bool Negative = false);

/// <summary>One branch of <see cref="DeloraFoldKernel.Backward(ReadOnlySpan{FoldBackward})"/>.</summary>
/// <param name="A">A, [r, in].</param>
/// <param name="B">B, [out, r].</param>
/// <param name="W">Norms of the columns of the base weight, [in].</param>
/// <param name="Scales">[3, r], from the forward pass.</param>
/// <param name="DFoldedA">Gradient of A', [R, in]; null for zero.</param>
/// <param name="DFoldedB">Gradient of B', [out, R]; null for zero.</param>
/// <param name="DA">Output [r, in], or null.</param>
/// <param name="DB">Output [out, r], or null.</param>
/// <param name="DLambda">Output [1], or null.</param>
/// <param name="Offset">First rank of this branch in the folded factors.</param>
/// <param name="Negative">Whether σ is −1.</param>
/// <param name="Sums">Outputs that are added to instead of overwritten.</param>
public readonly record struct FoldBackward(
    Tensor A, Tensor B, Tensor W, Tensor Scales, Tensor? DFoldedA, Tensor? DFoldedB, Tensor? DA, Tensor? DB, Tensor? DLambda, int Offset = 0,
    bool Negative = false, FoldSums Sums = FoldSums.None);
