using Delora.Core;

namespace Delora.Kernels;

/// <summary>The frozen weight of GPU devices: row-major, as the tiled product reads it in both directions.</summary>
internal sealed class GpuFrozenWeight(Tensor weight) : TensorFrozenWeight(weight);
