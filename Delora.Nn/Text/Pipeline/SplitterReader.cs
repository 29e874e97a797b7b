using System.Collections.Immutable;

namespace Delora.Nn;

/// <summary>Reads the <c>pre_tokenizer</c> of <c>tokenizer.json</c>.</summary>
internal sealed class SplitterReader
{
    private readonly ImmutableArray<WordSplitter>.Builder _splitters = ImmutableArray.CreateBuilder<WordSplitter>();

    private SplitterReader()
    {
    }

    /// <summary>What it cuts.</summary>
    public WordSplitter Splitter => _splitters.Count > 0 ? WordSplitter.InOrder(_splitters.ToImmutable()) : new NoSplitter();

    /// <summary>Whether words are spelled in bytes from here on.</summary>
    public bool IsByteLevel { get; private set; }

    /// <summary>Whether a space is put before a text.</summary>
    public bool PrefixesSpace { get; private set; }

    /// <exception cref="Delora.Core.DeloraFormatException">It is wrong or not supported.</exception>
    public static SplitterReader Read(JsonFields json, string field)
    {
        var reader = new SplitterReader();
        if (json.Object(field) is { } component) reader.Add(component);
        return reader;
    }

    private void Add(JsonFields component)
    {
        string? type = component.Text("type", null);
        if (IsByteLevel) throw component.Wrong("type", $"{type} behind ByteLevel is not supported.");
        switch (type)
        {
            case "Sequence":
                foreach (JsonFields one in component.Objects("pretokenizers")) Add(one);
                break;
            case "ByteLevel":
                AddByteLevel(component);
                break;
            case "Split":
                AddSplit(component);
                break;
            case "Digits":
                AddPattern(@"\p{N}", component.Flag("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous);
                break;
            case "WhitespaceSplit":
                AddPattern(@"\s", SplitBehavior.Removed);
                break;
            case "BertPreTokenizer":
                _splitters.Add(new BertSplitter());
                break;
            case "Metaspace":
                AddMetaspace(component);
                break;
            default:
                throw component.Wrong("type", $"{type ?? "missing"} is not supported.");
        }
        component.RefuseLeft();
    }

    private void AddByteLevel(JsonFields component)
    {
        IsByteLevel = true;
        // These are positions in the text, and no ids.
        component.Flag("trim_offsets", true);
        PrefixesSpace = component.Flag("add_prefix_space", true);
        if (PrefixesSpace) _splitters.Add(new PrefixSpace());
        if (component.Flag("use_regex", true)) _splitters.Add(new Gpt2Splitter());
    }

    private void AddSplit(JsonFields component)
    {
        JsonFields pattern = component.Object("pattern") ?? throw component.Wrong("pattern", "is missing.");
        string? literal = pattern.Text("String", null), regex = pattern.Text("Regex", null);
        pattern.RefuseLeft();
        if (literal is null == regex is null) throw component.Wrong("pattern", "must have either 'String' or 'Regex'.");
        if (literal is "" || regex is "") throw component.Wrong("pattern", "must not be empty.");
        string behavior = component.Text("behavior", null) ?? throw component.Wrong("behavior", "is missing.");
        if (!Enum.GetNames<SplitBehavior>().Contains(behavior)) throw component.Wrong("behavior", $"'{behavior}' is not supported.");
        try
        {
            string translated = literal is not null ? RegexTranslator.Literal(literal) : RegexTranslator.Translate(regex!);
            _splitters.Add(new RegexSplitter(translated, Enum.Parse<SplitBehavior>(behavior), component.Flag("invert", false)));
        }
        catch (FormatException error)
        {
            throw pattern.Wrong(literal is null ? "Regex" : "String", $"is not supported: {error.Message}.");
        }
        catch (ArgumentException error)
        {
            throw pattern.Wrong("Regex", $"is no regular expression: {error.Message}");
        }
    }

    private void AddPattern(string pattern, SplitBehavior behavior) =>
        _splitters.Add(new RegexSplitter(RegexTranslator.Translate(pattern), behavior, inverts: false));

    private void AddMetaspace(JsonFields component)
    {
        string sign = component.Text("replacement", "\u2581");
        if (sign is not [var c] || char.IsSurrogate(c)) throw component.Wrong("replacement", $"must be one character, not '{sign}'.");
        component.Text("str_rep", null);
        // Files before 2024 have add_prefix_space.
        bool prefixes = component.Flag("add_prefix_space", true);
        string scheme = component.Text("prepend_scheme", prefixes ? "always" : "never");
        if (scheme is not ("always" or "first" or "never")) throw component.Wrong("prepend_scheme", $"'{scheme}' is not supported.");
        PrefixesSpace = scheme != "never";
        _splitters.Add(new Metaspace(c, PrefixesSpace, scheme == "first", component.Flag("split", true)));
    }
}
