using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Delora.Core;

namespace Delora.Nn;

/// <summary>What the configurations of Qwen2 and Qwen3 share: which layers see a window only.</summary>
/// <remarks>Source of the fields and defaults: transformers, <c>Qwen2Config</c>, <c>Qwen3Config</c>.</remarks>
public abstract record QwenConfig : DecoderConfig
{
    private const string Full = "full_attention", Sliding = "sliding_attention";

    private protected QwenConfig()
    {
    }

    [SetsRequiredMembers]
    private protected QwenConfig(JsonFields fields, string file, int? headDim, Action<string> warn)
        : base(fields, file, new DecoderDefaults(32768, 32, headDim, null, null), warn)
    {
        UseSlidingWindow = fields.Flag("use_sliding_window", false);
        if (fields.Left.ContainsKey("sliding_window")) SlidingWindow = fields.OptionalInteger("sliding_window");
        MaxWindowLayers = fields.Integer("max_window_layers", 28);
        LayerTypes = fields.Texts("layer_types");
    }

    /// <summary><c>use_sliding_window</c>: whether any layer has a window.</summary>
    public bool UseSlidingWindow { get; init; }

    /// <summary><c>sliding_window</c>: how many tokens a token sees in a layer with a window, itself included; null: all before it.</summary>
    public int? SlidingWindow { get; init; } = 4096;

    /// <summary><c>max_window_layers</c>: layers from this number on have the window, unless <see cref="LayerTypes"/> says which.</summary>
    public int MaxWindowLayers { get; init; } = 28;

    /// <summary><c>layer_types</c>: <c>full_attention</c> or <c>sliding_attention</c> for each layer; null: by <see cref="MaxWindowLayers"/>.</summary>
    public ImmutableArray<string>? LayerTypes { get; init; }

    private int? Window => UseSlidingWindow ? SlidingWindow : null;

    /// <inheritdoc/>
    public override int? WindowOf(int layer) =>
        LayerTypes is { } types ? types[layer] == Sliding ? Window : null : layer >= MaxWindowLayers ? Window : null;

    private protected override void ValidateOwnFields()
    {
        base.ValidateOwnFields();
        if (Window is { } window) RequireSize(window, "sliding_window", int.MaxValue);
        if (LayerTypes is not { } types) return;
        if (types.Length != NumHiddenLayers)
            throw Wrong("layer_types", $"names {types.Length} layers; num_hidden_layers is {NumHiddenLayers}.");
        if (types.FirstOrDefault(type => type is not (Full or Sliding)) is { } other)
            throw Wrong("layer_types", $"'{other}' is not supported; {Full} and {Sliding} are.");
        // transformers refuses it too, though not before the first forward pass.
        if (Window is null && types.Contains(Sliding))
            throw Wrong("layer_types", $"has {Sliding} without a window: use_sliding_window is false, or sliding_window is null.");
    }

    private protected override void WriteOwnFields(SortedDictionary<string, object?> fields)
    {
        base.WriteOwnFields(fields);
        fields["use_sliding_window"] = UseSlidingWindow;
        fields["sliding_window"] = SlidingWindow;
        fields["max_window_layers"] = MaxWindowLayers;
        // transformers leaves null out where it is the default; a file that says it keeps it.
        foreach (string id in AbsentIds)
            if (fields[id] is null) fields.Remove(id);
        if (LayerTypes is { } types) fields["layer_types"] = types.Select(type => (object)type);
    }
}
