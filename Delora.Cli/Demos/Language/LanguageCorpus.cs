using System.Security.Cryptography;
using System.Text;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>A text, and what it is held out together with: texts of one group are never on both sides.</summary>
internal readonly record struct Document(string Group, string Text);

/// <summary>
/// Text of two kinds, each with documents to train on and documents held out. The base model is trained on the old kind and adapted to
/// the new one.
/// </summary>
/// <remarks>
/// Of .NET's documentation (<see cref="OfDocumentation"/>) the old kind is the prose, and the new one <c>System.Runtime.Intrinsics</c>,
/// which speaks of C functions and processor instructions. A text counts once; one of both kinds is old. One group in five is held out: of
/// the old kind whole types, since overloads differ in a word; of the new kind whole operations, the members of one name in all types,
/// since the same few instructions stand under many types. A text of several groups goes with the first in ordinal order.
/// </remarks>
internal sealed class LanguageCorpus
{
    /// <summary>The least that a part must hold, in characters.</summary>
    internal const int MinimumTraining = 10_000, MinimumHeldOut = 1_000;

    private const string NewNamespace = "System.Runtime.Intrinsics";
    private const int HeldOutOneIn = 5;

    private LanguageCorpus(string source, string oldKind, string newKind, IEnumerable<Document> old, IEnumerable<Document> fresh)
    {
        (Source, OldKind, NewKind) = (source, oldKind, newKind);
        (OldTraining, OldHeldOut) = Split(old);
        (NewTraining, NewHeldOut) = Split(fresh);
        CheckSizes("old", OldTraining, OldHeldOut);
        CheckSizes("new", NewTraining, NewHeldOut);
    }

    /// <summary>Folder or file the text comes from.</summary>
    public string Source { get; }

    /// <summary>What the kinds are, in words.</summary>
    public string OldKind { get; }

    public string NewKind { get; }

    public IReadOnlyList<Document> OldTraining { get; }

    public IReadOnlyList<Document> OldHeldOut { get; }

    public IReadOnlyList<Document> NewTraining { get; }

    public IReadOnlyList<Document> NewHeldOut { get; }

    /// <summary>Characters of all parts.</summary>
    public static long Size(IReadOnlyList<Document> part) => part.Sum(x => (long)x.Text.Length);

    /// <summary>SHA-256 of what the base is trained on, in hexadecimal digits.</summary>
    public string Fingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (Document document in OldTraining)
        {
            byte[] text = Encoding.UTF8.GetBytes(document.Text);
            hash.AppendData(BitConverter.GetBytes(text.Length));
            hash.AppendData(text);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>
    /// The texts in all <c>*.xml</c> of a folder. The result depends on the files' contents alone, not on names or order.
    /// </summary>
    /// <exception cref="InputException">A file is damaged, or a part is too small.</exception>
    public static LanguageCorpus OfDocumentation(string folder, CancellationToken cancellationToken = default)
    {
        (IReadOnlyList<(string Name, DocumentedMember Member)> members, HashSet<string> types) =
            XmlDocumentation.ReadFolder(folder, cancellationToken);
        IEnumerable<(string Name, string Text)> texts =
            members.SelectMany(x => x.Member.Texts.Select(text => (x.Name, text.Text))).Where(x => x.Text.Length > 0);

        // For each text: whether it is new, and the first of its groups.
        Dictionary<string, (bool IsNew, string Group)> byText = [];
        foreach ((string name, string text) in texts)
        {
            if (MemberId.Split(name, types) is not { } owner)
                continue;
            bool isNew = MemberId.IsWithin(owner.Namespace, NewNamespace);
            string group = isNew ? MemberId.LastName(name) : owner.Type;
            if (!byText.TryGetValue(text, out (bool IsNew, string Group) known) || (known.IsNew && !isNew))
                byText[text] = (isNew, group);
            else if (known.IsNew == isNew && string.CompareOrdinal(group, known.Group) < 0)
                byText[text] = (isNew, group);
        }

        return new LanguageCorpus(
            folder, "documentation in English prose", $"{NewNamespace}: C functions and processor instructions", Mixed(false), Mixed(true));

        // In an order that puts no overloads side by side, where the model could copy one from the other.
        IEnumerable<Document> Mixed(bool isNew) => byText
            .Where(x => x.Value.IsNew == isNew)
            .Select(x => new Document(x.Value.Group, x.Key))
            .OrderBy(x => StableHash.Of(x.Text))
            .ThenBy(x => x.Text, StringComparer.Ordinal);
    }

    /// <summary>A file of plain text: its first half is the old kind, the second the new.</summary>
    /// <exception cref="InputException">It cannot be read, is no UTF-8, or is too short.</exception>
    public static LanguageCorpus OfFile(string path)
    {
        string text = TextPieces.Read(path);
        int middle = TextPieces.LineEnd(text, text.Length / 2);
        return new LanguageCorpus(
            path, "the first half of the file", "the second half of the file", Pieces(text[..middle]), Pieces(text[middle..]));

        // Grouped by themselves: a repeated piece is not on both sides.
        static IEnumerable<Document> Pieces(string half) => TextPieces.Of(half).Select(piece => new Document(piece, piece));
    }

    /// <summary>Documents to train on and documents held out, in their order.</summary>
    /// <param name="documents">The documents.</param>
    /// <param name="salt">Another salt holds out other groups.</param>
    internal static (IReadOnlyList<Document> Training, IReadOnlyList<Document> HeldOut) Split(
        IEnumerable<Document> documents, ulong salt = 0)
    {
        ILookup<bool, Document> parts = documents.ToLookup(x => StableHash.Of(x.Group, salt) % HeldOutOneIn == 0);
        return ([.. parts[false]], [.. parts[true]]);
    }

    private void CheckSizes(string kind, IReadOnlyList<Document> training, IReadOnlyList<Document> heldOut)
    {
        if (Size(training) < MinimumTraining || Size(heldOut) < MinimumHeldOut)
        {
            throw new InputException(FormattableString.Invariant(
                $"{Source}: of the {kind} kind of text there are {Size(training):N0} characters to train on and {Size(heldOut):N0} ")
                + FormattableString.Invariant($"held out; at least {MinimumTraining:N0} and {MinimumHeldOut:N0} are needed"));
        }
    }
}
