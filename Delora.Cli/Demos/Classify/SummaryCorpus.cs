using Delora.Nn;

namespace Delora.Cli;

/// <summary>One labelled text; <paramref name="Label"/> counts through <see cref="SummaryCorpus.Families"/>.</summary>
internal readonly record struct Example(string Text, int Label);

/// <summary>
/// The summaries of .NET's documentation, labelled with their namespace family, in four parts: families of the old kind, which the base
/// network is trained on, and of the new kind, which it has never seen, each with text to train on and text held out.
/// </summary>
/// <remarks>
/// <para>A text is counted once. One that stands under several families (<c>Gets the number of elements.</c>) has no right answer and is
/// left out, as are <c>System</c> itself, which is no topic, and <c>System.Runtime.Intrinsics</c>, whose summaries are processor
/// instructions and no English.</para>
/// <para>Whole types are held out (one in five, by a stable hash of the outermost type's name; a text under several types of one family
/// goes with the first in ordinal order): the overloads of a method differ in a word, and would otherwise stand on both sides.</para>
/// </remarks>
internal sealed class SummaryCorpus
{
    /// <summary>The families of the old kind, then those of the new kind. A family covers the namespaces below it.</summary>
    public static IReadOnlyList<string> Families { get; } = [.. OldFamilies, .. NewFamilies];

    private static readonly string[] Excluded = ["System.Runtime.Intrinsics"];
    private const int HeldOutOneIn = 5, MinimumPerPart = 20;

    private SummaryCorpus(string folder, IReadOnlyList<Example>[] parts)
    {
        Folder = folder;
        (OldTraining, OldHeldOut, NewTraining, NewHeldOut) = (parts[0], parts[1], parts[2], parts[3]);
    }

    public static ReadOnlySpan<string> OldFamilies => (string[])
    [
        "System.Collections", "System.ComponentModel", "System.Diagnostics", "System.Linq", "System.Net", "System.Reflection",
        "System.Runtime", "System.Security", "System.Text", "System.Threading",
    ];

    public static ReadOnlySpan<string> NewFamilies => (string[])
        ["System.Data", "System.Globalization", "System.IO", "System.Numerics", "System.Xml"];

    /// <summary>The folder the text came from.</summary>
    public string Folder { get; }

    public IReadOnlyList<Example> OldTraining { get; }

    public IReadOnlyList<Example> OldHeldOut { get; }

    public IReadOnlyList<Example> NewTraining { get; }

    public IReadOnlyList<Example> NewHeldOut { get; }

    /// <summary>Reads all <c>*.xml</c> of a folder. The result depends on the files' contents alone, not on names or order.</summary>
    /// <exception cref="InputException">A file is damaged, or a family has too few summaries to train and to evaluate.</exception>
    public static SummaryCorpus Load(string folder, CancellationToken cancellationToken = default)
    {
        (IReadOnlyList<(string Name, DocumentedMember Member)> members, HashSet<string> types) =
            XmlDocumentation.ReadFolder(folder, cancellationToken);
        return Build(folder, [.. members.Select(x => (x.Name, x.Member.Summary)).Where(x => x.Summary.Length > 0)], types);
    }

    private static SummaryCorpus Build(string folder, List<(string Name, string Text)> members, HashSet<string> types)
    {
        // For each text: its family, and the first of its types; "" marks a text with several families.
        Dictionary<string, (string Family, string Type)> byText = [];
        foreach ((string name, string text) in members)
        {
            if (MemberId.Split(name, types) is not { } owner)
                continue;
            string family = FamilyOf(owner.Namespace);
            if (!byText.TryGetValue(text, out (string Family, string Type) known))
                byText.Add(text, (family, owner.Type));
            else if (known.Family != family)
                byText[text] = ("", known.Type);
            else if (string.CompareOrdinal(owner.Type, known.Type) < 0)
                byText[text] = (family, owner.Type);
        }

        List<Example>[] parts = [[], [], [], []];
        foreach ((string text, (string family, string type)) in byText.OrderBy(x => x.Key, StringComparer.Ordinal))
        {
            int label = IndexOf(family);
            if (label < 0)
                continue;
            bool isNew = label >= OldFamilies.Length, heldOut = StableHash.Of(type) % HeldOutOneIn == 0;
            parts[(isNew ? 2 : 0) + (heldOut ? 1 : 0)].Add(new Example(text, label));
        }

        CheckSizes(folder, parts);
        return new SummaryCorpus(folder, parts);
    }

    /// <summary>
    /// The family of a namespace: one of <see cref="Families"/>, else its first two parts, which tell texts of other namespaces apart.
    /// </summary>
    private static string FamilyOf(string name)
    {
        foreach (string excluded in Excluded)
        {
            if (MemberId.IsWithin(name, excluded))
                return excluded;
        }

        foreach (string family in Families)
        {
            if (MemberId.IsWithin(name, family))
                return family;
        }

        string[] names = name.Split('.', 3);
        return names.Length > 1 ? $"{names[0]}.{names[1]}" : name;
    }

    private static int IndexOf(string family)
    {
        for (int i = 0; i < Families.Count; i++)
        {
            if (Families[i] == family)
                return i;
        }

        return -1;
    }

    private static void CheckSizes(string folder, List<Example>[] parts)
    {
        for (int label = 0; label < Families.Count; label++)
        {
            int kind = label < OldFamilies.Length ? 0 : 2;
            int training = parts[kind].Count(x => x.Label == label), heldOut = parts[kind + 1].Count(x => x.Label == label);
            if (training < MinimumPerPart || heldOut < MinimumPerPart)
            {
                throw new InputException(
                    $"{folder}: {Families[label]} has {training} summaries to train on and {heldOut} held out; "
                    + $"at least {MinimumPerPart} of each are needed");
            }
        }
    }
}
