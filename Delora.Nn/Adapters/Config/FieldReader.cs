using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Takes the fields of a configuration. In strict mode a field that is wrong is put aside with its error, as PEFT's constructor takes it as it is,
/// and a number may be a text that spells one.
/// </summary>
internal sealed class FieldReader(JsonFields fields, PeftCompatibility compatibility)
{
    private readonly bool _isStrict = compatibility == PeftCompatibility.Strict;

    /// <summary>What they are taken from.</summary>
    public JsonFields Fields { get; } = fields;

    /// <summary>What was put aside.</summary>
    public ImmutableSortedDictionary<string, DeferredField> Deferred { get; private set; } =
        ImmutableSortedDictionary.Create<string, DeferredField>(StringComparer.Ordinal);

    /// <summary>Takes a text, or null.</summary>
    public string? Text(string field) => Take(field, null, () => Fields.Text(field, null));

    /// <summary>Takes true or false.</summary>
    public bool Flag(string field, bool otherwise) => Take(field, otherwise, () => Fields.Flag(field, otherwise));

    /// <summary>Takes true or false. To PEFT whatever is not true is false here.</summary>
    public bool IsTrue(string field, bool otherwise) =>
        _isStrict && Fields.Left.ContainsKey(field)
            ? Fields.TryTake(field, out JsonElement value) && value.ValueKind == JsonValueKind.True
            : Flag(field, otherwise);

    /// <summary>Takes a selection of modules.</summary>
    public ModuleSelector? Selector(string field) => Take(field, null, () => Fields.Selector(field));

    /// <summary>Takes a list of texts, or one text as a list of one.</summary>
    public ImmutableArray<string>? Texts(string field) => Take(field, null, () => Fields.Texts(field));

    /// <summary>Takes a rank. PEFT compares it with 0 at once, so what is no number never passes; a fraction does.</summary>
    public int Rank(string field, int otherwise) =>
        Fields.Left.TryGetValue(field, out JsonElement value) && value.ValueKind == JsonValueKind.Number
            ? Take(field, otherwise, () => Fields.Integer(field, otherwise))
            : Fields.Integer(field, otherwise);

    /// <summary>Takes a finite number.</summary>
    public double Number(string field, double otherwise) => Take(field, otherwise, () =>
    {
        if (!_isStrict || !Fields.Left.TryGetValue(field, out JsonElement value) || value.ValueKind != JsonValueKind.String)
            return Fields.Number(field, otherwise);
        string text = Fields.Text(field, "");
        return double.TryParse(text.Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number)
            ? number
            : throw Fields.Wrong(field, $"\"{text}\" is no finite number.");
    });

    /// <summary>Takes an object of whole numbers. PEFT does not take null.</summary>
    public ImmutableArray<KeyValuePair<string, int>> IntegerPattern(string field) => Pattern(field, () => Fields.IntegerPattern(field));

    /// <summary>Takes an object of numbers. PEFT does not take null.</summary>
    public ImmutableArray<KeyValuePair<string, double>> NumberPattern(string field) => Pattern(field, () => Fields.NumberPattern(field));

    /// <summary>Takes which biases are trained.</summary>
    /// <param name="field">Its name.</param>
    /// <param name="adapterOnly">The method's own word for the adapted layers.</param>
    /// <param name="warn">Hears of another method's word.</param>
    public AdapterBias Bias(string field, string adapterOnly, Action<string> warn) => Take(field, AdapterBias.None, () =>
    {
        string text = Fields.Text(field, "none");
        switch (text)
        {
            case "none": return AdapterBias.None;
            case "all": return AdapterBias.All;
            case var _ when text == adapterOnly: return AdapterBias.AdapterOnly;
            // PEFT looks at the end of the word alone.
            case "delora_only" or "lora_only":
            case var _ when _isStrict && text.EndsWith("_only", StringComparison.Ordinal):
                warn($"bias '{text}' is taken as '{adapterOnly}', as PEFT does.");
                return AdapterBias.AdapterOnly;
            default: throw Fields.Wrong(field, $"'{text}' is none of none, all, {adapterOnly}.");
        }
    });

    private ImmutableArray<KeyValuePair<string, T>> Pattern<T>(string field, Func<ImmutableArray<KeyValuePair<string, T>>> read) =>
        Take(field, [], () =>
        {
            if (_isStrict && Fields.Left.TryGetValue(field, out JsonElement value) && value.ValueKind == JsonValueKind.Null)
                throw Fields.Wrong(field, "must be an object, not null.");
            return read();
        });

    private T Take<T>(string field, T otherwise, Func<T> read)
    {
        if (!_isStrict) return read();
        Fields.Left.TryGetValue(field, out JsonElement value);
        try
        {
            return read();
        }
        catch (DeloraFormatException error)
        {
            // It may not have been taken before it was found wrong.
            Fields.TryTake(field, out _);
            Deferred = Deferred.SetItem(field, new DeferredField(value, error));
            return otherwise;
        }
    }
}
