using Delora.Core;

namespace Delora.Kernels;

/// <summary>A change of a weight that is quantized, which would be lost in part.</summary>
public sealed class QuantizedWeightException(string message) : DeloraException(message);
