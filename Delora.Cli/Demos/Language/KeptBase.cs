using System.Security.Cryptography;
using System.Text.Json;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>What is kept beside a base model: where it comes from, and the files as they were written.</summary>
internal sealed record BaseRecord
{
    /// <summary>Text and settings that the base was trained with.</summary>
    public required string Recipe { get; init; }

    /// <summary>SHA-256 of each file of the folder.</summary>
    public required IReadOnlyDictionary<string, string> Files { get; init; }

    /// <summary>How long it was trained.</summary>
    public required int Steps { get; init; }

    public required double Seconds { get; init; }

    /// <summary>Step and loss in the course of the training.</summary>
    public required IReadOnlyList<double[]> Losses { get; init; }
}

/// <summary>
/// The folder of the base model: a HuggingFace folder with a <see cref="RecordName"/>, so that a later run can start from it.
/// </summary>
/// <param name="folder">The folder, which need not exist.</param>
/// <param name="adapters">Folders of adapters that were trained on the base.</param>
internal sealed class KeptBase(string folder, params IReadOnlyList<string> adapters)
{
    /// <summary>The file that says where the base comes from.</summary>
    public const string RecordName = "delora_base.json";

    private static readonly JsonSerializerOptions s_json = new()
    {
        WriteIndented = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    private string RecordPath => Path.Combine(folder, RecordName);

    /// <summary>Refuses a folder that no demo wrote: it may hold somebody's model.</summary>
    /// <exception cref="InputException">It is such a folder.</exception>
    public void RequireOwn()
    {
        bool isForeign = Directory.Exists(folder) && !File.Exists(RecordPath) && Directory.EnumerateFileSystemEntries(folder).Any();
        if (isForeign || File.Exists(folder))
            throw new InputException($"'{folder}' is there and no base model of this demo (no {RecordName} in it): choose another --out");
    }

    /// <summary>The record of the base, where it is whole and one of <paramref name="recipes"/>; null where there is none.</summary>
    /// <param name="recipes">What will do.</param>
    /// <param name="reason">Why a base that is there will not do; null where there is none.</param>
    public BaseRecord? Find(IReadOnlyList<string> recipes, out string? reason)
    {
        reason = null;
        if (!File.Exists(RecordPath))
            return null;
        try
        {
            BaseRecord record = JsonSerializer.Deserialize<BaseRecord>(File.ReadAllBytes(RecordPath), s_json)
                ?? throw new JsonException("null");
            if (!recipes.Contains(record.Recipe))
                reason = "was trained on other text or with other settings";
            else if (Damage(record) is { } damage)
                reason = $"is damaged ({damage})";
            return reason is null ? record : null;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            reason = $"is damaged ({RecordName} cannot be read)";
            return null;
        }
    }

    /// <summary>Model and tokenizer.</summary>
    /// <exception cref="DeloraFormatException">They cannot be read.</exception>
    public (CausalLanguageModel Model, TextTokenizer Tokenizer) Load(Device device)
    {
        TextTokenizer tokenizer = TextTokenizer.Load(folder);
        return (CausalLanguageModel.Load(folder, device, strict: true), tokenizer);
    }

    /// <summary>Puts a base into the place of the one that was there, as a whole. The adapters of that one go with it.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="make">Makes the record from the hashes of the files.</param>
    /// <exception cref="DeloraException">The system refused to write.</exception>
    public BaseRecord Save(CausalLanguageModel model, TextTokenizer tokenizer, Func<IReadOnlyDictionary<string, string>, BaseRecord> make)
    {
        string fresh = $"{folder}.new";
        if (Directory.Exists(fresh))
            Directory.Delete(fresh, recursive: true);
        model.Save(fresh);
        tokenizer.Save(fresh);
        BaseRecord record = make(Hashes(fresh));
        AtomicFile.Write(Path.Combine(fresh, RecordName), stream => JsonSerializer.Serialize(stream, record, s_json));
        if (Directory.Exists(folder))
            Remove();
        Directory.Move(fresh, folder);
        return record;
    }

    private void Remove()
    {
        // On another base they would fit, and compute nonsense.
        foreach (string adapter in adapters.Where(Directory.Exists))
        {
            File.Delete(Path.Combine(adapter, AdapterConfig.FileName));
            File.Delete(Path.Combine(adapter, PeftModel.WeightsFileName));
        }

        Directory.Delete(folder, recursive: true);
    }

    /// <summary>What is not as it was written; null where all is.</summary>
    private string? Damage(BaseRecord record)
    {
        Dictionary<string, string> found = Hashes(folder);
        found.Remove(RecordName);
        foreach ((string name, string hash) in record.Files)
        {
            if (!found.Remove(name, out string? now))
                return $"{name} is missing";
            if (now != hash)
                return $"{name} has changed";
        }

        return found.Count > 0 ? $"{found.Keys.Order(StringComparer.Ordinal).First()} does not belong to it" : null;
    }

    private static Dictionary<string, string> Hashes(string folder)
    {
        Dictionary<string, string> hashes = [];
        foreach (string file in Directory.EnumerateFiles(folder))
        {
            using FileStream stream = File.OpenRead(file);
            hashes.Add(Path.GetFileName(file), Convert.ToHexStringLower(SHA256.HashData(stream)));
        }

        return hashes;
    }
}
