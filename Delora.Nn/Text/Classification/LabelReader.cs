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
            ? Id(Place(text), label.Items[0], label.Form)
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
            int id = Id(Place(text), item, cell ? LabelForm.Cell : text.Label.Form);
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

    /// <summary>The number of a label.</summary>
    /// <param name="place">Where it stands, for messages.</param>
    /// <param name="item">Its name or number.</param>
    /// <param name="form">How the file writes it.</param>
    /// <exception cref="DeloraFormatException">The model has no such label.</exception>
    internal int Id(string place, string item, LabelForm form)
    {
        if (form != LabelForm.Number && _ids.TryGetValue(item, out int id)) return id;
        // Numbers that stand in quotes, or in a table, whose cells are all texts.
        if (int.TryParse(item, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number)
            && (uint)number < (uint)config.LabelCount)
            return number;
        throw new DeloraFormatException(file, place, $"'{item}' is none of the model's labels: {Names.List(config.Labels)}.");
    }

    /// <summary>
    /// The labels that a new classifier needs: the distinct names in the order of their characters, or where all are whole numbers <see
    /// cref="EncoderConfig.DefaultLabels"/> up to the largest.
    /// </summary>
    /// <param name="items">Every label of a file.</param>
    /// <param name="path">The file.</param>
    /// <exception cref="DeloraFormatException">There is none, or a number is too large for a label.</exception>
    internal static IReadOnlyList<string> NamesOf(IEnumerable<string> items, string path)
    {
        const int Most = 1 << 16;
        string[] names = [.. items.Distinct()];
        int[] numbers = [.. names.Select(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1)];
        if (names.Length == 0) throw new DeloraFormatException(path, null, "holds no label.");
        if (numbers.Contains(-1)) return [.. names.Order(StringComparer.Ordinal)];
        return numbers.Max() < Most
            ? EncoderConfig.DefaultLabels(numbers.Max() + 1)
            : throw new DeloraFormatException(path, null, $"the label {numbers.Max()} is not below {Most}.");
    }

    /// <summary>The labels of a cell.</summary>
    internal static string[] Parts(LabelValue cell) =>
        cell.Items[0].Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private DeloraFormatException Wrong(LabelledText text, string reason) => new(file, Place(text), reason);

    private static string Place(LabelledText text) => string.Create(CultureInfo.InvariantCulture, $"line {text.Line}: label");

    private static Dictionary<string, int> Ids(EncoderConfig config)
    {
        Dictionary<string, int> ids = [];
        foreach ((int id, string name) in config.Labels.Index())
            if (!ids.TryAdd(name, id)) throw config.Wrong("id2label", $"names two labels '{name}'; data could mean either.");
        return ids;
    }
}
