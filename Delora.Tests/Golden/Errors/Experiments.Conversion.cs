using System.Globalization;
using System.Text.Json.Nodes;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using static Delora.Tests.Golden.Experiment;

namespace Delora.Tests.Golden;

/// <summary>Adapters as LoRA, sums of adapters, and batches of several.</summary>
internal static partial class Experiments
{
    private const string ConvertPrefix = "convert_to_lora ", RankPrefix = ConvertPrefix + "rank ";

    private static IEnumerable<KeyValuePair<string, Func<Experiment, JsonNode?>>> Conversion() =>
    [
        new(ConvertPrefix + "on a plain model", x => Converted(x, x.Wrap(), Default)),
        new(ConvertPrefix + "with bias", x => Converted(x, x.Wrap("{\"bias\": \"all\"}"), Default)),
        new(ConvertPrefix + "unknown adapter", x => Converted(x, x.Wrap("{}"), x.Spelt("adapter_name="))),
        new("weighted adapters", x =>
        {
            x.WrapTwo().AddWeightedAdapter([(Default, 1), ("b", 1)], "sum");
            return null;
        }),
        new("mixed adapter batch", x =>
        {
            PeftModel model = x.Wrap("{}");
            string[] rows = x.SpeltNames("adapter_names=");
            float[] plain = x.Forward(model, rows.Length);
            using (model.Rows(rows).Use())
                return new JsonObject { ["same_as_without_adapter_names"] = plain.SequenceEqual(x.Forward(model, rows.Length)) };
        }),
    ];

    /// <summary>A whole number is a rank, a number with a point the share of the energy to keep, as in Python.</summary>
    private static JsonNode? ConvertedToRank(Experiment x)
    {
        string rank = x.Id[RankPrefix.Length..];
        PeftModel model = x.Wrap("{}");
        return Converted(x, model, Default, rank.Contains('.', StringComparison.Ordinal)
            ? () => RankChoice.EnergyShare(double.Parse(rank, CultureInfo.InvariantCulture))
            : () => RankChoice.Fixed(int.Parse(rank, CultureInfo.InvariantCulture), x.Mode));
    }

    private static JsonNode? Converted(Experiment x, PeftModel model, string name, Func<RankChoice>? rank = null)
    {
        model.SaveAsLora(x.Folder.Path, name, rank?.Invoke() ?? RankChoice.Exact);
        return null;
    }
}
