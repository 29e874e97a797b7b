namespace Delora.Nn;

/// <summary>How a file writes the label of a text.</summary>
internal enum LabelForm
{
    /// <summary>A text of JSON: a label's name.</summary>
    Name,

    /// <summary>A number of JSON.</summary>
    Number,

    /// <summary>A list of JSON.</summary>
    List,

    /// <summary>A cell of a table, which may be a name, a number, or several of them.</summary>
    Cell,
}

/// <summary>A label as it is written.</summary>
/// <param name="Form">How.</param>
/// <param name="Items">One, or for a list any number: names and numbers as texts.</param>
internal sealed record LabelValue(LabelForm Form, IReadOnlyList<string> Items);

/// <summary>One example of a file.</summary>
/// <param name="Text">The text.</param>
/// <param name="Pair">The second text of a pair; null for none.</param>
/// <param name="Label">Its label; null where none was asked for.</param>
/// <param name="Line">Where it stands, for messages.</param>
internal sealed record LabelledText(string Text, string? Pair, LabelValue? Label, int Line);
