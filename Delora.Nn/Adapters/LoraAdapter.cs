using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// LoRA on one linear layer or embedding (Hu et al., 2021; PEFT's <c>LoraLayer</c>): ΔW = (α/r) · B A with A [r, in] and B [out, r] trainable. What DeLoRA is
/// compared with, and the format that everything else serves.
/// </summary>
public sealed class LoraAdapter : LinearAdapter
{
    /// <summary>An adapter with given tensors, which it takes over.</summary>
    /// <param name="a">A [r, in]</param>
    /// <param name="b">B [out, r]</param>
    /// <param name="scaling">α/r, or α/√r for rank-stabilized LoRA.</param>
    /// <param name="dropout">PEFT's lora_dropout.</param>
    /// <param name="generator">Where dropout masks come from; may be null without dropout.</param>
    /// <param name="onEmbedding">Whether it is for an <see cref="Embedding"/>.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public LoraAdapter(Tensor a, Tensor b, double scaling, float dropout = 0, Generator? generator = null, bool onEmbedding = false)
        : base(dropout, generator, onEmbedding)
    {
        Check.HasRank(nameof(LoraAdapter), a, 2);
        Check.HasShape(nameof(LoraAdapter), b, [b.Shape.Rank == 2 ? b.Shape[0] : 0, a.Shape[0]]);
        Check.Floats(nameof(LoraAdapter), a, b);
        string[] keys = Keys(onEmbedding);
        A = new Parameter(keys[0], a);
        B = new Parameter(keys[1], b);
        Scaling = scaling;
    }

    /// <summary>A [r, in].</summary>
    public Parameter A { get; }

    /// <summary>B [out, r].</summary>
    public Parameter B { get; }

    /// <summary>The factor of B A.</summary>
    public double Scaling { get; }

    /// <inheritdoc/>
    public override int In => A.Shape[1];

    /// <inheritdoc/>
    public override int Out => B.Shape[0];

    /// <inheritdoc/>
    public override int Rank => A.Shape[0];

    /// <inheritdoc/>
    public override IEnumerable<(string Key, Parameter Parameter)> Parameters => [(A.Name, A), (B.Name, B)];

    /// <summary>The names of A and B in files.</summary>
    public static string[] Keys(bool onEmbedding) => onEmbedding ? ["lora_embedding_A", "lora_embedding_B"] : ["lora_A.weight", "lora_B.weight"];

    /// <summary>The factor that a configuration gives a layer: α/r, or α/√r with <see cref="LoraConfig.UseRslora"/>.</summary>
    public static double ScalingOf(LoraConfig config, AdapterTarget target) =>
        target.Strength / (config.UseRslora ? Math.Sqrt(target.Rank) : target.Rank);

    /// <summary>
    /// A new adapter, initialized as PEFT does: A uniform in ±1/√in, B zero; on an embedding A zero, B standard normal.
    /// </summary>
    /// <param name="in">Input features.</param>
    /// <param name="out">Output features.</param>
    /// <param name="r">Rank, at least 1.</param>
    /// <param name="scaling">α/r, or α/√r.</param>
    /// <param name="device">Where.</param>
    /// <param name="generator">Random numbers.</param>
    /// <param name="randomB">Whether what would start at zero starts at random (PEFT's <c>init_lora_weights = false</c>).</param>
    /// <param name="dropout">PEFT's lora_dropout.</param>
    /// <param name="onEmbedding">Whether it is for an <see cref="Embedding"/>.</param>
    public static LoraAdapter Create(
        int @in, int @out, int r, double scaling, Device device, Generator generator, bool randomB = false, float dropout = 0, bool onEmbedding = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(r, 1);
        if (onEmbedding)
        {
            Tensor table = randomB
                ? Initialization.Normal([r, @in], 1, device, generator, "lora_embedding_A")
                : Tensor.Zeros([r, @in], device.FloatType, device, "lora_embedding_A");
            Tensor vectors = Initialization.Normal([@out, r], 1, device, generator, "lora_embedding_B");
            return new LoraAdapter(table, vectors, scaling, dropout, generator, onEmbedding: true);
        }
        Tensor a = Initialization.KaimingUniform([r, @in], device, generator, "lora_A");
        Tensor b = randomB
            ? Initialization.KaimingUniform([@out, r], device, generator, "lora_B")
            : Tensor.Zeros([@out, r], device.FloatType, device, "lora_B");
        return new LoraAdapter(a, b, scaling, dropout, generator);
    }

    /// <inheritdoc/>
    public override (Tensor A, Tensor B) Fold() => (A.Value, B.Value.Scale(Scaling));

    /// <inheritdoc/>
    public override double? NormBound() => null;

    /// <inheritdoc/>
    public override IEnumerable<(string Key, Tensor Tensor)> CopyState() =>
        Parameters.Select(pair => (pair.Key, Tensor.CopyOf(pair.Parameter.Value, pair.Parameter.Value.Device)));

    /// <inheritdoc/>
    public override void Dispose()
    {
        A.Dispose();
        B.Dispose();
    }
}
