using System.Globalization;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Turns labels as files write them into numbers, by the labels of a model.</summary>
internal sealed class LabelReader(EncoderConfig config, string file)
{
    private readonly Dictionary<string, int> _ids = Ids(config);

    /// <summary>The number of the one label of a text.</summary>
    /// <exception cref="DeloraFormatException">Names the line and the labels that there are.</exception>
    internal int Single(LabelledText text)
    {
        LabelValue label = text.Label!;
        return label.Items.Count == 1 && label.Form != LabelForm.List
            ? Id(text, label.Items[0], label.Form)
            : throw Wrong(text, "holds a list; the model gives one label a text.");
    }

    /// <summary>1 for each label that a text has, 0 for the others. In a cell names are separated by semicolons.</summary>
    internal float[] Several(LabelledText text)
    {
        var targets = new float[config.LabelCount];
        bool cell = text.Label!.Form == LabelForm.Cell;
        foreach (string item in cell ? Parts(text.Label) : text.Label.Items)
        {
            // In a list of JSON a number may stand beside names.
            int id = Id(text, item, cell ? LabelForm.Cell : text.Label.Form);
            if (targets[id] != 0) throw Wrong(text, $"holds '{config.Labels[id]}' twice.");
            targets[id] = 1;
        }
        return targets;
    }

    /// <summary>The numbers of a regression, one for each label.</summary>
    internal float[] Numbers(LabelledText text)
    {
        string[] items = text.Label!.Form == LabelForm.Cell ? Parts(text.Label) : [.. text.Label.Items];
        if (items.Length != config.LabelCount) throw Wrong(text, $"holds {items.Length} numbers; the model gives {config.LabelCount}.");
        return [.. items.Select(item =>
            float.TryParse(item, NumberStyles.Float, CultureInfo.InvariantCulture, out float number) && float.IsFinite(number)
                ? number
                : throw Wrong(text, $"'{item}' is no finite number; the model is a regression."))];
    }

    private int Id(LabelledText text, string item, LabelForm form)
    {
        if (form != LabelForm.Number && _ids.TryGetValue(item, out int id)) return id;
        // Numbers that stand in quotes, or in a table, whose cells are all texts.
        if (int.TryParse(item, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number)
            && (uint)number < (uint)config.LabelCount)
            return number;
        throw Wrong(text, $"'{item}' is none of the model's labels: {Names.List(config.Labels)}.");
    }

    /// <summary>The labels of a cell.</summary>
    internal static string[] Parts(LabelValue cell) =>
        cell.Items[0].Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private DeloraFormatException Wrong(LabelledText text, string reason) => new(file, $"line {text.Line}: label", reason);

    private static Dictionary<string, int> Ids(EncoderConfig config)
    {
        Dictionary<string, int> ids = [];
        foreach ((int id, string name) in config.Labels.Index())
            if (!ids.TryAdd(name, id)) throw config.Wrong("id2label", $"names two labels '{name}'; data could mean either.");
        return ids;
    }
}
