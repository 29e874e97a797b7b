using System.Text.Json.Serialization;
using Delora.Kernels;

namespace Delora.Bench.Compare.Gpu;

/// <summary>A row of the comparison on a GPU: what Delora computes, and what the peers in <c>Delora.Bench/peers</c> read as a line of JSON.</summary>
/// <param name="Name">What is computed. With the sizes it is the key by which the two sides are joined.</param>
/// <param name="Kind">The class of work, <see cref="GpuWork.Create"/>; a peer has a function for each.</param>
/// <param name="Pass">Which part of it: a benchmark's method, forward or backward, a model.</param>
/// <param name="Type">The peer's element type, or tf32. Delora's activations are float32 tensors; what it multiplies is rounded so (<see cref="Precision"/>).</param>
/// <param name="Sizes">What the numbers mean is the kind's business.</param>
internal sealed record GpuCase(
    [property: JsonPropertyName("name")] string Name, [property: JsonPropertyName("kind")] string Kind, [property: JsonPropertyName("pass")] string Pass,
    [property: JsonPropertyName("type")] string Type, [property: JsonPropertyName("sizes")] params int[] Sizes)
{
    internal const string Float32 = "float32", TensorFloat32 = "tf32", BFloat16 = "bfloat16", Float16 = "float16";

    /// <summary>How Delora multiplies, where the device can.</summary>
    [JsonIgnore]
    public MatMulPrecision Precision => Enum.GetValues<MatMulPrecision>().Single(precision => precision.Name == Type);

    [JsonPropertyName("shape")]
    public string Shape => string.Join('×', Sizes);
}

/// <summary>What one side measured of a case.</summary>
/// <param name="Name">Of the case; with what it was not, where the device could not do as the case says.</param>
/// <param name="Shape">Of the case.</param>
/// <param name="Side">delora, or the peer's name.</param>
/// <param name="Milliseconds">The median for one run.</param>
/// <param name="Rate">Work done in a second, in <paramref name="Unit"/>; 0 where there is none.</param>
/// <param name="Unit">TFLOP/s, GB/s or tokens/s.</param>
/// <param name="PeakMiB">The most device memory in use at once; 0 where it was not measured.</param>
/// <param name="Error">Why there is no figure; null where there is one.</param>
internal sealed record GpuResult(
    [property: JsonPropertyName("name")] string Name, [property: JsonPropertyName("shape")] string Shape, [property: JsonPropertyName("side")] string Side,
    [property: JsonPropertyName("ms")] double Milliseconds, [property: JsonPropertyName("rate")] double Rate = 0,
    [property: JsonPropertyName("unit")] string Unit = "", [property: JsonPropertyName("peak_mib")] double PeakMiB = 0,
    [property: JsonPropertyName("error")] string? Error = null);
