using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// LoRA on one linear layer (Hu et al., 2021; PEFT's <c>LoraLayer</c>): ΔW = (α/r) · B A with A [r, in] and B [out, r] trainable. What DeLoRA is
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
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public LoraAdapter(Tensor a, Tensor b, double scaling, float dropout = 0, Generator? generator = null) : base(dropout, generator)
    {
        Check.HasRank(nameof(LoraAdapter), a, 2);
        Check.HasShape(nameof(LoraAdapter), b, [b.Shape.Rank == 2 ? b.Shape[0] : 0, a.Shape[0]]);
        Check.Floats(nameof(LoraAdapter), a, b);
        A = new Parameter("lora_A.weight", a);
        B = new Parameter("lora_B.weight", b);
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
    public override IEnumerable<(string Key, Parameter Parameter)> Parameters => [("lora_A.weight", A), ("lora_B.weight", B)];

    /// <summary>The factor that a configuration gives a layer: α/r, or α/√r with <see cref="LoraConfig.UseRslora"/>.</summary>
    public static double ScalingOf(LoraConfig config, AdapterTarget target) =>
        target.Strength / (config.UseRslora ? Math.Sqrt(target.Rank) : target.Rank);

    /// <summary>A new adapter, initialized as PEFT does: A uniform in ±1/√in, B zero.</summary>
    /// <param name="in">Input features.</param>
    /// <param name="out">Output features.</param>
    /// <param name="r">Rank, at least 1.</param>
    /// <param name="scaling">α/r, or α/√r.</param>
    /// <param name="device">Where.</param>
    /// <param name="generator">Random numbers.</param>
    /// <param name="randomB">Whether B starts at random instead of zero (PEFT's <c>init_lora_weights = false</c>).</param>
    /// <param name="dropout">PEFT's lora_dropout.</param>
    public static LoraAdapter Create(int @in, int @out, int r, double scaling, Device device, Generator generator, bool randomB = false, float dropout = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(r, 1);
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
