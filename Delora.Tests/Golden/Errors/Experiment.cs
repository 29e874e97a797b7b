using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>What PEFT's compiler-less calls become: a call that does not compile in .NET, proved by reflection.</summary>
internal sealed class RefusedByCompilerException(string message) : Exception(message);

/// <summary>One of PEFT's experiments with wrong input, and what it needs: the little network, configurations, files, and an ear for warnings.</summary>
internal sealed partial class Experiment : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private readonly (string Name, int In, int Out)[] _layers;
    private readonly string _defaults;

    internal Experiment(JsonElement file, JsonElement item, PeftCompatibility mode)
    {
        (Mode, Id, Steps) = (mode, item.GetProperty("id").GetString()!, item.GetProperty("steps").GetString()!);
        _defaults = file.GetProperty("model").GetString()!;
        _layers =
        [
            .. LayerText().Matches(_defaults).Select(match => (match.Groups[1].Value, Number(match.Groups[2]), Number(match.Groups[3]))),
        ];
        if (_layers.Length != 2) throw new InvalidDataException($"The model of the experiments is not two linear layers: {_defaults}");
        Folder = new TemporaryFolder();
        _owned.Add(Folder);
    }

    internal PeftCompatibility Mode { get; }

    internal string Id { get; }

    internal string Steps { get; }

    internal TemporaryFolder Folder { get; }

    internal List<string> Warnings { get; } = [];

    /// <summary>Properties of PEFT's result that have no counterpart here.</summary>
    internal List<string> WithoutCounterpart { get; } = [];

    internal string First => _layers[0].Name;

    internal string Second => _layers[1].Name;

    /// <summary>A value that the steps spell: what follows <paramref name="before"/>, in quotes or up to a comma or bracket.</summary>
    internal string Spelt(string before)
    {
        Match match = Regex.Match(Steps, $@"{Regex.Escape(before)}(?:'([^']*)'|([^\s,)\]]+))");
        if (!match.Success) throw new InvalidDataException($"'{Id}': the steps do not spell {before}: {Steps}");
        return match.Groups[1].Success ? match.Groups[1].Value : match.Groups[2].Value;
    }

    /// <summary>The names that the steps spell: the list in brackets after <paramref name="before"/>.</summary>
    internal string[] SpeltNames(string before)
    {
        Match match = Regex.Match(Steps, $@"{Regex.Escape(before)}\[([^\]]*)\]");
        if (!match.Success) throw new InvalidDataException($"'{Id}': the steps do not spell {before}[…]: {Steps}");
        return [.. Regex.Matches(match.Groups[1].Value, "'([^']*)'").Select(name => name.Groups[1].Value)];
    }

    /// <summary>The default configuration, with fields given as JSON; null takes a field away.</summary>
    internal DeloraConfig Config(string fields = "{}")
    {
        JsonObject all = new()
        {
            ["target_modules"] = new JsonArray([.. _layers.Select(layer => (JsonNode)layer.Name)]),
            ["r"] = int.Parse(RankText().Match(_defaults).Groups[1].Value, CultureInfo.InvariantCulture),
            ["init_weights"] = !_defaults.Contains("init_weights=False", StringComparison.Ordinal),
        };
        foreach ((string name, JsonNode? value) in JsonNode.Parse(fields)!.AsObject())
            if (name == "target_modules" && value is null) all.Remove(name);
            else all[name] = value?.DeepClone();
        return DeloraConfig.FromFields(Encoding.UTF8.GetBytes(all.ToJsonString()), Mode, Warnings.Add);
    }

    internal Network NewNetwork(ulong seed = 1, string? modelType = null)
    {
        Network network = modelType is null ? new Network(_layers, seed) : new FamilyNetwork(_layers, seed, modelType);
        _owned.Add(network);
        return network;
    }

    /// <summary>A new network, as PyTorch makes them in training mode, without adapters.</summary>
    internal PeftModel Wrap(Network? network = null)
    {
        var model = new PeftModel(network ?? NewNetwork(), Mode, Warnings.Add);
        model.Base.Train();
        _owned.Add(model);
        return model;
    }

    /// <summary>PEFT's <c>get_peft_model</c>.</summary>
    internal PeftModel Wrap(string fields, string name = PeftModel.DefaultAdapter) => Wrap(Config(fields), name);

    internal PeftModel Wrap(AdapterConfig config, string name = PeftModel.DefaultAdapter)
    {
        PeftModel model = Wrap();
        model.AddAdapter(config, new Generator(2), name);
        return model;
    }

    /// <summary>Two adapters: default and b, the first of them active.</summary>
    internal PeftModel WrapTwo()
    {
        PeftModel model = Wrap("{}");
        model.AddAdapter(Config(), new Generator(3), "b");
        model.Activate(PeftModel.DefaultAdapter);
        Warnings.Clear();
        return model;
    }

    internal static DeloraAdapter AdapterOf(PeftModel model, string layer, string name = PeftModel.DefaultAdapter) =>
        (DeloraAdapter)((Linear)model.Base.GetModule(layer)).Adapters[name];

    internal static JsonNode Names(IEnumerable<string> names) => new JsonArray([.. names.Select(name => (JsonNode)name)]);

    internal static JsonNode Trainable(PeftModel model) => Names(model.TrainableParameters().Select(entry => entry.Name));

    internal float[] Forward(PeftModel model, int rows = 3)
    {
        using var scope = new TensorScope();
        var values = new float[rows * _layers[0].In];
        new Generator(77).FillNormal(values);
        return ((Network)model.Base).Forward(Tensor.From(values, [rows, _layers[0].In], Devices.Cpu, "x")).ToArray<float>();
    }

    internal float[] BaseForward(PeftModel model)
    {
        using (model.Disable()) return Forward(model);
    }

    internal static bool WeightsAreFinite(PeftModel model)
    {
        using var scope = new TensorScope();
        return model.Base.NamedState().All(entry => entry.State.Read().ToArray<float>().All(float.IsFinite));
    }

    public void Dispose()
    {
        foreach (IDisposable owned in Enumerable.Reverse(_owned)) owned.Dispose();
    }

    private static int Number(Group group) => int.Parse(group.Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"(\w+) = Linear\((\d+), ?(\d+)\)")]
    private static partial Regex LayerText();

    [GeneratedRegex(@"\br=(\d+)")]
    private static partial Regex RankText();

    internal class Network : Delora.Nn.Module
    {
        private readonly Linear _first, _second;

        internal Network((string Name, int In, int Out)[] layers, ulong seed)
        {
            var generator = new Generator(seed);
            _first = Register(layers[0].Name, new Linear(layers[0].In, layers[0].Out, Devices.Cpu, generator));
            _second = Register(layers[1].Name, new Linear(layers[1].In, layers[1].Out, Devices.Cpu, generator));
        }

        internal Tensor Forward(Tensor x) => _second.Forward(_first.Forward(x).Relu());
    }

    private sealed class FamilyNetwork((string Name, int In, int Out)[] layers, ulong seed, string modelType) : Network(layers, seed), IAdaptable
    {
        public TargetOptions Targets { get; } = new() { ModelType = modelType };
    }
}
