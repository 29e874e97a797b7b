using System.Collections.Immutable;
using System.Text.Json;

namespace Delora.Nn;

/// <summary>Reads the <c>post_processor</c> of <c>tokenizer.json</c>: which special tokens stand around texts.</summary>
internal static class TemplateReader
{
    /// <returns>The template; null where nothing is added.</returns>
    /// <exception cref="Delora.Core.DeloraFormatException">It is wrong or not supported.</exception>
    public static TokenTemplate? Read(JsonFields json, string field, IReadOnlyDictionary<string, int> specials) =>
        json.Object(field) is { } component ? Read(component, specials) : null;

    private static TokenTemplate? Read(JsonFields component, IReadOnlyDictionary<string, int> specials)
    {
        TokenTemplate? template = null;
        switch (component.Text("type", null))
        {
            case "ByteLevel":
                // It changes positions in the text, and no ids.
                foreach (string flag in (string[])["add_prefix_space", "trim_offsets", "use_regex"]) component.Flag(flag, true);
                break;
            case "TemplateProcessing":
                Dictionary<string, ImmutableArray<int>> tokens = ReadTokens(component, specials);
                template = new TokenTemplate(
                    ReadParts(component, "single", tokens, isPair: false), ReadParts(component, "pair", tokens, isPair: true));
                break;
            case "RobertaProcessing":
                foreach (string flag in (string[])["trim_offsets", "add_prefix_space"]) component.Flag(flag, true);
                template = TokenTemplate.Roberta(ReadToken(component, "cls", specials), ReadToken(component, "sep", specials));
                break;
            case "BertProcessing":
                template = TokenTemplate.Bert(ReadToken(component, "cls", specials), ReadToken(component, "sep", specials));
                break;
            case "Sequence":
                foreach (JsonFields one in component.Objects("processors"))
                {
                    if (Read(one, specials) is not { } next) continue;
                    template = template is null ? next : throw component.Wrong("processors", "two that add tokens are not supported.");
                }
                break;
            case var type:
                throw component.Wrong("type", $"{type ?? "missing"} is not supported.");
        }
        component.RefuseLeft();
        return template;
    }

    private static Dictionary<string, ImmutableArray<int>> ReadTokens(JsonFields component, IReadOnlyDictionary<string, int> specials)
    {
        Dictionary<string, ImmutableArray<int>> tokens = new(StringComparer.Ordinal);
        if (component.Object("special_tokens") is not { } list) return tokens;
        foreach (string name in list.Left.Keys.ToArray())
        {
            JsonFields token = list.Object(name) ?? throw list.Wrong(name, "is missing.");
            ImmutableArray<int> ids = token.Integers("ids") ?? throw token.Wrong("ids", "is missing.");
            foreach (int id in ids)
                if (!specials.Values.Contains(id))
                    throw token.Wrong("ids", $"{id} is no special token.");
            tokens.Add(name, ids);
        }
        return tokens;
    }

    private static ImmutableArray<TemplatePart> ReadParts(
        JsonFields component, string field, Dictionary<string, ImmutableArray<int>> tokens, bool isPair)
    {
        var parts = ImmutableArray.CreateBuilder<TemplatePart>();
        foreach (JsonFields part in component.Objects(field))
        {
            if (part.Object("SpecialToken") is { } special)
            {
                string name = special.Text("id", null) ?? throw special.Wrong("id", "is missing.");
                int type = special.Integer("type_id", 0);
                if (!tokens.TryGetValue(name, out ImmutableArray<int> ids)) throw special.Wrong("id", $"'{name}' is not in special_tokens.");
                parts.AddRange(ids.Select(id => TemplatePart.Special(id, type)));
            }
            else
            {
                JsonFields sequence = part.Object("Sequence") ?? throw part.Wrong("Sequence", "is missing.");
                int type = sequence.Integer("type_id", 0);
                parts.Add(sequence.Text("id", null) switch
                {
                    "A" => TemplatePart.First(type),
                    "B" => TemplatePart.Second(type),
                    var id => throw sequence.Wrong("id", $"must be A or B, not '{id}'."),
                });
            }
            part.RefuseLeft();
        }
        bool isWhole = parts.Count(part => part.Kind == TemplatePartKind.First) == 1
            && parts.Count(part => part.Kind == TemplatePartKind.Second) == (isPair ? 1 : 0);
        return isWhole ? parts.ToImmutable() : throw component.Wrong(field, $"must have A{(isPair ? " and B" : "")} once{(isPair ? " each" : ", and no B")}.");
    }

    /// <summary>A token and its id: ["[CLS]", 101].</summary>
    private static int ReadToken(JsonFields component, string field, IReadOnlyDictionary<string, int> specials)
    {
        if (!component.TryTake(field, out JsonElement value) || value.ValueKind != JsonValueKind.Array || value.GetArrayLength() != 2)
            throw component.Wrong(field, "must be a token and its id.");
        string name = component.Text(field, value[0]);
        if (value[1].ValueKind != JsonValueKind.Number || !value[1].TryGetInt32(out int id) || !specials.TryGetValue(name, out int known) || known != id)
            throw component.Wrong(field, $"'{name}' with the id {JsonFields.Describe(value[1])} is no special token.");
        return id;
    }
}
