using System.Text;
using System.Xml;

namespace Delora.Cli;

/// <summary>The plain text of one element of a member, for instance of a <c>param</c>.</summary>
internal readonly record struct DocumentedText(string Element, string Text);

/// <summary>
/// One member of a documentation file: its id (<c>M:System.IO.File.Open(System.String)</c>) and its texts, which may be empty, in order.
/// </summary>
internal readonly record struct DocumentedMember(string Id, IReadOnlyList<DocumentedText> Texts)
{
    /// <summary>The first summary; <c>""</c> where there is none.</summary>
    public string Summary => Texts.FirstOrDefault(x => x.Element == XmlDocumentation.Summary).Text ?? "";
}

/// <summary>
/// Streams the members of .NET XML documentation files. The files are data from elsewhere: no DTD, no unlimited size or depth.
/// </summary>
internal static class XmlDocumentation
{
    /// <summary>The element that says what a member is.</summary>
    public const string Summary = "summary";

    private const long MaxFileBytes = 256L << 20;
    private const int MaxTextCharacters = 100_000;
    private const int MaxDepth = 64;

    /// <summary>The elements that are read: those that describe in whole sentences.</summary>
    private static readonly string[] s_elements = [Summary, "param", "returns", "exception"];

    /// <summary>
    /// The members of one file in order, those without any text as well. An XML file that is no documentation (its root element is not
    /// <c>doc</c>) has no members.
    /// </summary>
    /// <exception cref="InputException">The file cannot be read, is no well-formed XML, has a DTD, or exceeds a limit.</exception>
    public static IEnumerable<DocumentedMember> Read(string path)
    {
        XmlReaderSettings settings = new()
        {
            DtdProcessing = DtdProcessing.Prohibit,
            XmlResolver = null,
            IgnoreComments = true,
            IgnoreProcessingInstructions = true,
            MaxCharactersInDocument = MaxFileBytes,
            CloseInput = true,
        };

        // An iterator cannot yield from within a try block with a catch, so each step forward is its own guarded call.
        using XmlReader reader = Guard(path, () => XmlReader.Create(Open(path), settings));
        if (Guard(path, () => reader.MoveToContent()) != XmlNodeType.Element || reader.Name != "doc")
            yield break;
        while (Guard(path, () => Next(reader)) is { } member)
            yield return member;
    }

    /// <summary>
    /// The members in all <c>*.xml</c> of a folder by their full names, and the names of those that are types: what it takes to tell a
    /// member's type and namespace (<see cref="MemberId.Split"/>). In no particular order.
    /// </summary>
    /// <exception cref="InputException">A file cannot be read or is damaged.</exception>
    public static (IReadOnlyList<(string Name, DocumentedMember Member)> Members, HashSet<string> Types) ReadFolder(
        string folder, CancellationToken cancellationToken)
    {
        List<(string, DocumentedMember)> members = [];
        HashSet<string> types = [];
        foreach (string file in Directory.EnumerateFiles(folder, "*.xml"))
        {
            cancellationToken.ThrowIfCancellationRequested();
            foreach (DocumentedMember member in Read(file))
            {
                string name = MemberId.FullName(member.Id);
                if (member.Id.StartsWith("T:", StringComparison.Ordinal))
                    types.Add(name);
                members.Add((name, member));
            }
        }

        return (members, types);
    }

    private static FileStream Open(string path)
    {
        FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan);
        if (stream.Length <= MaxFileBytes)
            return stream;
        stream.Dispose();
        throw new InputException($"{path}: larger than {MaxFileBytes} bytes");
    }

    private static DocumentedMember? Next(XmlReader reader)
    {
        while (reader.Read())
        {
            if (reader.NodeType != XmlNodeType.Element || reader.Name != "member")
                continue;
            string id = reader.GetAttribute("name") ?? "";
            return new DocumentedMember(id, reader.IsEmptyElement ? [] : Texts(reader));
        }

        return null;
    }

    /// <summary>Reads to the end tag of the member and returns its texts.</summary>
    private static List<DocumentedText> Texts(XmlReader reader)
    {
        int member = reader.Depth;
        List<DocumentedText> texts = [];
        while (reader.Read() && reader.Depth > member)
        {
            CheckDepth(reader);
            if (reader.NodeType != XmlNodeType.Element || reader.Depth != member + 1 || !s_elements.Contains(reader.Name))
                continue;
            string element = reader.Name;
            texts.Add(new DocumentedText(element, reader.IsEmptyElement ? "" : Text(reader)));
        }

        return texts;
    }

    /// <summary>
    /// Reads to the end tag of the current element and returns its text, references as their last name, white space as one blank.
    /// </summary>
    private static string Text(XmlReader reader)
    {
        int depth = reader.Depth;
        StringBuilder text = new();
        while (reader.Read() && reader.Depth > depth)
        {
            CheckDepth(reader);
            switch (reader.NodeType)
            {
                case XmlNodeType.Text or XmlNodeType.CDATA or XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace:
                    text.Append(reader.Value);
                    break;
                case XmlNodeType.Element:
                    // Elements part words (<para>a</para><para>b</para>), but <c>x</c>, too, stands as a word of its own.
                    text.Append(' ');
                    if (reader.IsEmptyElement)
                        text.Append(ReferenceName(reader)).Append(' ');
                    break;
                case XmlNodeType.EndElement:
                    text.Append(' ');
                    break;
            }

            if (text.Length > MaxTextCharacters)
                throw new InputException($"a text has more than {MaxTextCharacters} characters");
        }

        return DocumentationText.Normalize(text.ToString());
    }

    /// <summary>
    /// What an empty element such as <c>&lt;see cref="T:System.Xml.XmlReader"/&gt;</c> says in the sentence: <c>XmlReader</c>.
    /// </summary>
    private static string ReferenceName(XmlReader reader) =>
        reader.GetAttribute("cref") is { } cref
            ? MemberId.LastName(cref)
            : reader.GetAttribute("name") ?? reader.GetAttribute("langword") ?? "";

    private static void CheckDepth(XmlReader reader)
    {
        if (reader.Depth > MaxDepth)
            throw new InputException($"elements are nested deeper than {MaxDepth}");
    }

    private static T Guard<T>(string path, Func<T> step)
    {
        try
        {
            return step();
        }
        catch (Exception e) when (e is XmlException or IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: {OneLine(e.Message)}", e);
        }
        catch (InputException e) when (!e.Message.StartsWith(path, StringComparison.Ordinal))
        {
            throw new InputException($"{path}: {e.Message}", e);
        }
    }

    private static string OneLine(string message) => message.ReplaceLineEndings(" ");
}
