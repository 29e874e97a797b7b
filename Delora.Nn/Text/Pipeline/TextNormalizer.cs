using System.Collections.Immutable;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Changes a text before it is cut into words: a <c>normalizer</c> of <c>tokenizer.json</c>.</summary>
internal abstract class TextNormalizer
{
    /// <summary>Whether it makes small letters.</summary>
    public virtual bool Lowercases => false;

    /// <summary>The text that stands before every other; "" for none.</summary>
    public virtual string Prefix => "";

    /// <summary>The changed text.</summary>
    /// <exception cref="DeloraException">It is far longer than the text.</exception>
    public abstract string Apply(string text);

    /// <summary>Reads a component; null where there is none.</summary>
    /// <param name="json">Holds it.</param>
    /// <param name="field">Its name.</param>
    /// <exception cref="DeloraFormatException">It is wrong or not supported.</exception>
    public static TextNormalizer? Read(JsonFields json, string field) => json.Object(field) is { } component ? Read(component) : null;

    private static TextNormalizer Read(JsonFields component)
    {
        string? type = component.Text("type", null);
        TextNormalizer normalizer = type switch
        {
            "NFC" => new Function(UnicodeNormalization.Compose),
            "NFD" => new Function(UnicodeNormalization.Decompose),
            "Lowercase" => new Function(BertNormalizer.ToLower, lowercases: true),
            "BertNormalizer" => BertNormalizer.Read(component),
            "Prepend" => new PrependNormalizer(component.Text("prepend", null) ?? throw component.Wrong("prepend", "is missing.")),
            "Replace" => ReadReplace(component),
            "Sequence" => new SequenceNormalizer([.. component.Objects("normalizers").Select(Read)]),
            _ => throw component.Wrong("type", $"{type ?? "missing"} is not supported."),
        };
        component.RefuseLeft();
        return normalizer;
    }

    private static Function ReadReplace(JsonFields component)
    {
        JsonFields pattern = component.Object("pattern") ?? throw component.Wrong("pattern", "is missing.");
        string old = pattern.Text("String", null) is { Length: > 0 } text ? text : throw pattern.Wrong("String", "is missing or empty.");
        pattern.RefuseLeft();
        string content = component.Text("content", null) ?? throw component.Wrong("content", "is missing.");
        return new Function(text =>
        {
            // Before it is made: a long content could use up all memory at once.
            if (content.Length > old.Length)
                CheckLength(text.Length, text.Length + (long)text.AsSpan().Count(old.AsSpan()) * (content.Length - old.Length), "Replace");
            return text.Replace(old, content, StringComparison.Ordinal);
        });
    }

    /// <summary>Normal forms of Unicode make a text a few times as long; steps that repeat what they made double it again and again.</summary>
    private static void CheckLength(int before, long after, string step)
    {
        if (after > 64L * before + 1024)
            throw new DeloraException($"The tokenizer's normalizer {step} makes {after} characters of a text of {before}.");
    }

    private sealed class Function(Func<string, string> apply, bool lowercases = false) : TextNormalizer
    {
        public override bool Lowercases => lowercases;

        public override string Apply(string text) => apply(text);
    }

    private sealed class PrependNormalizer(string prefix) : TextNormalizer
    {
        public override string Prefix => prefix;

        public override string Apply(string text) => text.Length > 0 ? prefix + text : text;
    }

    private sealed class SequenceNormalizer(ImmutableArray<TextNormalizer> normalizers) : TextNormalizer
    {
        public override bool Lowercases => normalizers.Any(one => one.Lowercases);

        public override string Prefix => string.Concat(normalizers.Select(one => one.Prefix));

        public override string Apply(string text)
        {
            int before = text.Length;
            foreach ((int i, TextNormalizer normalizer) in normalizers.Index())
            {
                text = normalizer.Apply(text);
                CheckLength(before, text.Length, $"normalizers[{i}]");
            }
            return text;
        }
    }
}
