using System.Collections.Immutable;
using System.Text;
using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Adapters from tensors alone.</summary>
public sealed partial class PeftModel
{
    /// <summary>How the key of A ends: on a linear layer, and on an embedding.</summary>
    private static readonly string[] s_factorA = [$".{DeloraAdapter.Keys(onEmbedding: false)[0]}", $".{DeloraAdapter.Keys(onEmbedding: true)[0]}"];

    /// <summary>
    /// Adds a DeLoRA adapter from its tensors without a configuration: the keys say which modules it adapts, the shapes say the ranks (PEFT's
    /// <c>inject_adapter_in_model(state_dict=…)</c>).
    /// </summary>
    /// <param name="state">
    /// Tensors by PEFT's keys, with <c>base_model.model.</c> before them or without; of any floating-point type. They stay the caller's.
    /// </param>
    /// <param name="name">The name that the adapter gets.</param>
    /// <param name="warn">Hears of what was let pass; <see cref="Warn"/> where nothing is given.</param>
    /// <param name="trainable">Whether the adapter is to be trained.</param>
    /// <returns>What did not fit and was let pass.</returns>
    /// <exception cref="DeloraFormatException">
    /// There is no <c>delora_A</c>, a module does not exist, tensors are missing or extra, a shape does not fit, or a value is not finite.
    /// </exception>
    /// <exception cref="ArgumentException">There is an adapter of that name, or it cannot name one.</exception>
    public AdapterLoadResult Inject(
        IReadOnlyDictionary<string, Tensor> state, string name = DefaultAdapter, Action<string>? warn = null, bool trainable = false) =>
        Inject(AdapterTensors.Of(state, "the adapter's tensors"), name, warn, trainable);

    /// <param name="path">A safetensors file.</param>
    /// <param name="name">The name that the adapter gets.</param>
    /// <param name="warn">Hears of what was let pass; <see cref="Warn"/> where nothing is given.</param>
    /// <param name="trainable">Whether the adapter is to be trained.</param>
    /// <inheritdoc cref="Inject(IReadOnlyDictionary{string, Tensor}, string, Action{string}, bool)"/>
    public AdapterLoadResult Inject(string path, string name = DefaultAdapter, Action<string>? warn = null, bool trainable = false)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path, new SafetensorsOptions { Strict = true });
        return Inject(AdapterTensors.Of(file), name, warn, trainable);
    }

    /// <summary>The tensors of an adapter as its file holds them (PEFT's <c>get_peft_model_state_dict</c>); copies that the caller disposes.</summary>
    /// <param name="name">The adapter.</param>
    /// <param name="withPrefix">Whether <c>base_model.model.</c> stands before each key, as in a file; injected adapters have none in PEFT.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name.</exception>
    public IReadOnlyDictionary<string, Tensor> CopyState(string name = DefaultAdapter, bool withPrefix = true)
    {
        using IDisposable? alone = WaitUntilAlone();
        RequireAdapter(name, nameof(name));
        using var scope = new TensorScope("adapter state");
        return SavedTensors(name).ToDictionary(
            pair => withPrefix ? pair.Key : pair.Key[KeyPrefix.Length..],
            pair => Tensor.CopyOf(pair.Value, pair.Value.Device, pair.Key).Own());
    }

    private AdapterLoadResult Inject(AdapterTensors given, string name, Action<string>? warn, bool trainable)
    {
        using IDisposable? alone = WaitUntilAlone();
        warn ??= Warn;
        AdapterTensors tensors = given.WithPrefix(KeyPrefix);
        DeloraConfig config = ConfigOf(tensors) with { InferenceMode = !trainable };
        return AttachFrom(tensors, Plan(name, config, warn), new Generator(0), ignoreMismatchedSizes: false, warn);
    }

    /// <summary>The configuration that keys and shapes tell.</summary>
    private DeloraConfig ConfigOf(AdapterTensors tensors)
    {
        if (tensors.Keys.FirstOrDefault(key => key.Contains(".lora_A", StringComparison.Ordinal)) is { } lora)
            throw new DeloraFormatException(tensors.Source, lora, "is LoRA's: its strength stands in a configuration only. Load the adapter's folder.");
        (string Module, int Rank)[] targets = [.. from key in tensors.Keys
                                                  from end in s_factorA
                                                  where key.EndsWith(end, StringComparison.Ordinal)
                                                  select (key[KeyPrefix.Length..^end.Length], RankOf(tensors, key))];
        if (targets.Length == 0)
            throw new DeloraFormatException(tensors.Source, null, "holds no delora_A and no delora_embedding_A: there is no DeLoRA adapter in it.");
        HashSet<string> modules = [.. Base.NamedModules().Select(pair => pair.Name)];
        if (targets.FirstOrDefault(target => !modules.Contains(target.Module)) is { Module: { } absent })
            throw new DeloraFormatException(tensors.Source, KeyPrefix + absent, $"has tensors for a module '{absent}' that the model lacks.");
        int usual = targets.CountBy(target => target.Rank).MaxBy(pair => pair.Value).Key;
        ImmutableArray<string> names = [.. targets.Select(target => target.Module)];
        return new DeloraConfig
        {
            Source = tensors.Source,
            R = usual,
            TargetModules = Exactly(names),
            RankPattern = [.. targets.Where(target => target.Rank != usual).Select(target => KeyValuePair.Create($"^{Escape(target.Module)}", target.Rank))],
        };
    }

    /// <summary>These modules and no others. A name in a list stands for every module that ends in it.</summary>
    private ModuleSelector Exactly(ImmutableArray<string> names) =>
        Base.NamedModules().Count(pair => ModuleSelector.EndsInOneOf(pair.Name, names)) == names.Length
            ? ModuleSelector.Of(names.AsSpan())
            : string.Join('|', names.Select(Escape));

    private static int RankOf(AdapterTensors tensors, string key) => tensors.ShapeOf(key) is { Rank: 2 } shape && shape[0] > 0
        ? shape[0]
        : throw new DeloraFormatException(tensors.Source, key, $"has the shape {tensors.ShapeOf(key)} instead of [r, in].");

    /// <summary>A text as a regular expression that matches it alone: Python's <c>re.escape</c>.</summary>
    private static string Escape(string text)
    {
        var escaped = new StringBuilder();
        foreach (char c in text) escaped.Append(char.IsLetterOrDigit(c) || c == '_' ? "" : "\\").Append(c);
        return escaped.ToString();
    }
}
