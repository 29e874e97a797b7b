using System.Collections.Immutable;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// <c>rope_scaling</c> of a <c>config.json</c>: how rotary frequencies that were learnt on short texts are stretched for long ones. Fields
/// that are null take their defaults, and are not written. See <see cref="Frequencies"/> for the formulas.
/// </summary>
/// <remarks>Source of the fields: transformers, <c>modeling_rope_utils</c>, <c>RopeParameters</c>.</remarks>
public sealed partial record RopeScaling
{
    /// <summary><c>rope_type</c>; <c>type</c> in files of older versions.</summary>
    public RopeType Type { get; init; }

    /// <summary><c>factor</c>: how many times longer texts become. YaRN: max_position_embeddings / original where it is null.</summary>
    public double? Factor { get; init; }

    /// <summary><c>original_max_position_embeddings</c>: the length in training, for llama3 and YaRN; null: max_position_embeddings.</summary>
    public int? OriginalMaxPositionEmbeddings { get; init; }

    /// <summary><c>low_freq_factor</c> of llama3: what turns fewer times in the original length is stretched by the whole factor.</summary>
    public double? LowFreqFactor { get; init; }

    /// <summary><c>high_freq_factor</c> of llama3: what turns more often in the original length stays.</summary>
    public double? HighFreqFactor { get; init; }

    /// <summary><c>attention_factor</c> of YaRN: what cos and sin are multiplied by; null: from factor and mscale.</summary>
    public double? AttentionFactor { get; init; }

    /// <summary><c>beta_fast</c> of YaRN: what turns more often in the original length stays; null or 0: 32.</summary>
    public double? BetaFast { get; init; }

    /// <summary><c>beta_slow</c> of YaRN: what turns fewer times is stretched by the whole factor; null or 0: 1.</summary>
    public double? BetaSlow { get; init; }

    /// <summary><c>mscale</c> of YaRN; counts together with <see cref="MscaleAllDim"/> only.</summary>
    public double? Mscale { get; init; }

    /// <summary><c>mscale_all_dim</c> of YaRN; counts together with <see cref="Mscale"/> only.</summary>
    public double? MscaleAllDim { get; init; }

    /// <summary><c>truncate</c> of YaRN: whether the ends of the ramp are rounded outwards to whole numbers; null: true.</summary>
    public bool? Truncate { get; init; }

    /// <summary>Fields of the object that are not used; they are written back.</summary>
    public ImmutableSortedDictionary<string, JsonElement> AdditionalFields { get; init; } =
        ImmutableSortedDictionary.Create<string, JsonElement>(StringComparer.Ordinal);

    /// <summary>Frequencies as they are.</summary>
    internal static RopeScaling None { get; } = new();

    /// <summary>Whether the file has the older name of the type as well.</summary>
    internal bool WritesOldName { get; init; }

    /// <summary>Takes the fields of an object.</summary>
    /// <exception cref="DeloraFormatException">A type is not supported, or a field has the wrong type.</exception>
    internal static RopeScaling Read(JsonFields fields, Action<string> warn)
    {
        string? old = fields.Text("type", null), name = fields.Text("rope_type", null) ?? old ?? "default";
        RopeType? type = Enum.GetValues<RopeType>().Cast<RopeType?>().FirstOrDefault(value => NameOf(value!.Value) == name);
        if (type is null)
            throw fields.Wrong(old is not null && old == name ? "type" : "rope_type",
                $"the scaling '{name}' is not supported; {string.Join(", ", Enum.GetValues<RopeType>().Select(NameOf))} are.");
        var scaling = new RopeScaling
        {
            Type = type.Value,
            WritesOldName = old is not null,
            Factor = fields.OptionalNumber("factor"),
            OriginalMaxPositionEmbeddings = fields.OptionalInteger("original_max_position_embeddings"),
            LowFreqFactor = fields.OptionalNumber("low_freq_factor"),
            HighFreqFactor = fields.OptionalNumber("high_freq_factor"),
            AttentionFactor = fields.OptionalNumber("attention_factor"),
            BetaFast = fields.OptionalNumber("beta_fast"),
            BetaSlow = fields.OptionalNumber("beta_slow"),
            Mscale = fields.OptionalNumber("mscale"),
            MscaleAllDim = fields.OptionalNumber("mscale_all_dim"),
            Truncate = fields.Left.ContainsKey("truncate") ? fields.Flag("truncate", true) : null,
        };
        foreach (string unknown in fields.Left.Keys.Order(StringComparer.Ordinal))
            warn($"the field '{unknown}' of the rotary embedding is not used.");
        return scaling with { AdditionalFields = scaling.AdditionalFields.AddRange(fields.Left) };
    }

    /// <summary>The object as it is written.</summary>
    internal SortedDictionary<string, object> Write()
    {
        var fields = new SortedDictionary<string, object>(AdditionalFields.ToDictionary(f => f.Key, f => (object)f.Value), StringComparer.Ordinal)
        {
            ["rope_type"] = NameOf(Type),
        };
        if (WritesOldName) fields["type"] = NameOf(Type);
        foreach ((string field, object? value) in ((string, object?)[])
        [
            ("factor", Factor), ("original_max_position_embeddings", OriginalMaxPositionEmbeddings), ("low_freq_factor", LowFreqFactor),
            ("high_freq_factor", HighFreqFactor), ("attention_factor", AttentionFactor), ("beta_fast", BetaFast), ("beta_slow", BetaSlow),
            ("mscale", Mscale), ("mscale_all_dim", MscaleAllDim), ("truncate", Truncate),
        ])
            if (value is not null) fields[field] = value;
        return fields;
    }

    /// <summary>Checks the fields that the type uses.</summary>
    /// <param name="wrong">Makes the error about a field of the configuration.</param>
    /// <param name="theta">Base of the frequencies.</param>
    /// <param name="positions">max_position_embeddings.</param>
    internal void Validate(Func<string, string, DeloraFormatException> wrong, double theta, int positions)
    {
        if (Type is RopeType.Linear or RopeType.Llama3 || (Type == RopeType.Yarn && Factor is not null)) Positive("factor", Factor);
        if (Type is RopeType.Llama3 or RopeType.Yarn && OriginalMaxPositionEmbeddings is < 1)
            throw Wrong("original_max_position_embeddings", $"must be above 0, not {OriginalMaxPositionEmbeddings}.");
        if (Type == RopeType.Llama3)
        {
            Positive("low_freq_factor", LowFreqFactor);
            Positive("high_freq_factor", HighFreqFactor);
            if (HighFreqFactor <= LowFreqFactor)
                throw Wrong("high_freq_factor", $"must be above low_freq_factor {Text(LowFreqFactor)}, not {Text(HighFreqFactor)}.");
        }
        if (Type != RopeType.Yarn) return;
        if (!(theta > 1)) throw wrong("rope_theta", $"must be above 1 for the scaling 'yarn', not {PythonJson.Float(theta)}.");
        Positive("beta_fast", FastTurns);
        Positive("beta_slow", SlowTurns);
        if (FastTurns < SlowTurns) throw Wrong("beta_fast", $"must not be below beta_slow {Text(SlowTurns)}, not {Text(FastTurns)}.");
        if (AttentionFactor is not null) Positive("attention_factor", AttentionFactor);
        Positive("mscale", CosineFactor(positions));

        void Positive(string field, double? value)
        {
            // As float32, in which the frequencies are.
            if (!((float?)value > 0 && float.IsFinite((float)value.Value)))
                throw Wrong(field, value is null ? "is missing." : $"must be a finite number above 0, not {Text(value)}.");
        }

        DeloraFormatException Wrong(string field, string reason) => wrong($"rope_scaling.{field}", reason);

        static string Text(double? value) => value is { } number ? PythonJson.Float(number) : "null";
    }

    private static string NameOf(RopeType type) => type switch
    {
        RopeType.Linear => "linear",
        RopeType.Llama3 => "llama3",
        RopeType.Yarn => "yarn",
        _ => "default",
    };
}
