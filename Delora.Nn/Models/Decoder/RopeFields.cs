using System.Text.Json;

namespace Delora.Nn;

/// <summary>
/// Where <c>config.json</c> keeps the rotary embedding: <c>rope_theta</c> and <c>rope_scaling</c>, or <c>rope_parameters</c> with both
/// (transformers 5).
/// </summary>
/// <remarks>Source of the order of precedence: transformers, <c>RotaryEmbeddingConfigMixin.convert_rope_params_to_dict</c>.</remarks>
internal static class RopeFields
{
    internal static (double Theta, RopeScaling? Scaling, bool AreParameters) Read(JsonFields fields, Action<string> warn)
    {
        double theta = fields.Number("rope_theta", 10000);
        RefusePartial(fields);
        JsonFields? scaling = fields.Object("rope_scaling"), parameters = fields.Object("rope_parameters");
        foreach (string kind in (string[])["full_attention", "sliding_attention"])
            if (parameters?.TryTake(kind, out _) is true)
                throw parameters.Wrong(kind, "an embedding of its own for each kind of layer is not supported.");
        foreach (JsonFields? given in (JsonFields?[])[parameters, scaling])
        {
            if (given is null) continue;
            theta = given.Number("rope_theta", theta);
            RefusePartial(given);
        }
        RopeScaling? read = (scaling ?? parameters) is { } used ? RopeScaling.Read(used, warn) : null;
        // Some families keep the length of the training beside the rest; transformers prefers it.
        if (read is { Type: RopeType.Llama3 or RopeType.Yarn } && Beside(fields, "original_max_position_embeddings") is { } original)
            read = read with
            {
                OriginalMaxPositionEmbeddings = original is >= 1 and <= int.MaxValue && double.IsInteger(original)
                    ? (int)original
                    : throw fields.Wrong("original_max_position_embeddings", $"must be a whole number above 0, not {PythonJson.Float(original)}."),
            };
        return (theta, read, scaling is null && parameters is not null);
    }

    internal static void Write(DecoderConfig config, SortedDictionary<string, object?> fields)
    {
        SortedDictionary<string, object>? scaling = config.RopeScaling?.Write();
        if (config.WritesRopeParameters)
        {
            scaling ??= new(StringComparer.Ordinal) { ["rope_type"] = "default" };
            scaling["rope_theta"] = config.RopeTheta;
            fields["rope_parameters"] = scaling;
            return;
        }
        fields["rope_theta"] = config.RopeTheta;
        fields["rope_scaling"] = scaling;
    }

    private static void RefusePartial(JsonFields fields)
    {
        if (Beside(fields, "partial_rotary_factor") is { } part and not 1)
            throw fields.Wrong("partial_rotary_factor", $"{PythonJson.Float(part)} is not supported: all of a head is turned.");
    }

    /// <summary>A number that stays among the fields, and so is written back; null where it is absent or null.</summary>
    private static double? Beside(JsonFields fields, string field)
    {
        if (!fields.Left.TryGetValue(field, out JsonElement value) || value.ValueKind == JsonValueKind.Null) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number)
            ? number
            : throw fields.Wrong(field, $"must be a finite number, not {JsonFields.Describe(value)}.");
    }
}
