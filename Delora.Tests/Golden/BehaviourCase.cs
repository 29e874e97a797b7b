using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>
/// One experiment of <c>behaviour/</c> on one device: a layer, its two adapters, and PEFT's tensors.
/// </summary>
internal sealed partial class BehaviourCase : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private readonly TensorScope _scope;

    internal BehaviourCase(GoldenCase golden, Device device, PeftCompatibility mode)
    {
        (Golden, Device, Mode) = (golden, device, mode);
        _scope = new TensorScope(golden.Name);
        string[] adapters = [.. golden.Json.GetProperty("adapters").EnumerateObject().Select(adapter => adapter.Name)];
        (First, Second) = (adapters[0], adapters.Length > 1 ? adapters[1] : "");
        Layer = NewLayer();
        Model = Wrap(Layer);
    }

    internal GoldenCase Golden { get; }

    internal Device Device { get; }

    internal PeftCompatibility Mode { get; }

    /// <summary>The adapters' names, in the case's order.</summary>
    internal string First { get; }

    internal string Second { get; }

    internal Linear Layer { get; }

    internal PeftModel Model { get; }

    internal List<string> Warnings { get; } = [];

    internal JsonElement Result => Golden.Json.GetProperty("result");

    internal int WarningsOfPeft => Result.TryGetProperty("warnings", out JsonElement warnings) ? warnings.GetArrayLength() : 0;

    /// <summary>The layer's name: that of the keys where they are listed.</summary>
    private string LayerName => Result.TryGetProperty("saved_dtypes", out JsonElement saved)
        ? saved.EnumerateObject().First().Name["base_model.model.".Length..].Split('.')[0]
        : "lin";

    internal bool Flag(string name) => Result.GetProperty(name).GetBoolean();

    internal string[] Texts(string name) => [.. Result.GetProperty(name).EnumerateArray().Select(text => text.GetString()!)];

    /// <summary>A number that the description spells.</summary>
    internal double Described(string before) => double.Parse(
        Regex.Match(Golden.Json.GetProperty("description").GetString()!, $@"{Regex.Escape(before)}([\d.]+)").Groups[1].Value.TrimEnd('.'),
        CultureInfo.InvariantCulture);

    /// <summary>The base layer, its weight times a factor.</summary>
    internal Linear NewLayer(double factor = 1)
    {
        GoldenTensor w = Golden["W"];
        Tensor weight = Tensor.From<double>([.. w.Values.Select(value => value * factor)], w.Shape, Device, "W");
        var layer = new Linear(weight, Golden.Has("b") ? Golden["b"].ToTensor(Device, "b") : null);
        return layer;
    }

    internal PeftModel Wrap(Linear layer)
    {
        var network = new Network(LayerName, layer);
        var model = new PeftModel(network, Mode, Warnings.Add);
        _owned.Add(network);
        _owned.Add(model);
        return model;
    }

    /// <summary>Adds an adapter with PEFT's A and B, and with its w where the case says that it is an input.</summary>
    internal DeloraAdapter Add(string name, double dropout = 0)
    {
        JsonElement adapter = Golden.Json.GetProperty("adapters").GetProperty(name);
        Model.AddAdapter(new DeloraConfig
        {
            R = adapter.GetProperty("r").GetInt32(),
            DeloraLambda = adapter.GetProperty("lambda").GetDouble(),
            TargetModules = ModuleSelector.Of(LayerName),
            InitWeights = false,
            ModuleDropout = dropout,
        }, new Generator(1), name);
        var added = (DeloraAdapter)Layer.Adapters[name];
        added.A.Value.CopyFrom<double>(Golden[$"A@{name}"].Values);
        added.B.Value.CopyFrom<double>(Golden[$"B@{name}"].Values);
        if (Golden.Json.TryGetProperty("w_norm_is_input", out JsonElement isInput) && isInput.GetBoolean())
            added.ColumnNorms.CopyFrom<double>(Golden[$"w_norm@{name}"].Values);
        return added;
    }

    internal Tensor Forward(Linear? layer = null) => (layer ?? Layer).Forward(Golden["x"].ToTensor(Device, "x"));

    /// <summary>Compares by the tolerance of the tensor's element type.</summary>
    internal void AssertClose(string name, Tensor got)
    {
        GoldenTensor want = Golden[name];
        Assert.True(got.Shape == want.Shape, $"{Golden.Name}: {name}: got the shape {got.Shape}, want {want.Shape}");
        string type = Golden.Json.GetProperty("tensors").GetProperty(name).GetProperty("dtype").GetString()!;
        JsonElement tolerance = Golden.Json.GetProperty("tolerances").GetProperty(type);
        double atol = tolerance.GetProperty("atol").GetDouble(), rtol = tolerance.GetProperty("rtol").GetDouble();
        if (GoldenCase.FirstDifference($"{Golden.Name} on {Device}: {name}", got.ToArray<double>(), want, atol, rtol) is { } difference)
            Assert.Fail(difference);
    }

    internal void AssertIs(string name, Tensor got) => Assert.Equal(Golden[name].ToTensor(Device, name).ToArray<double>(), got.ToArray<double>());

    internal Tensor ColumnNorms(Tensor weight)
    {
        Tensor norms = Tensor.Empty([weight.Shape[1]], weight.DType, Device, "norms");
        ColumnNormKernel.Forward(weight, norms);
        return norms;
    }

    public void Dispose()
    {
        foreach (IDisposable owned in Enumerable.Reverse(_owned)) owned.Dispose();
        _scope.Dispose();
    }

    private sealed class Network : Delora.Nn.Module
    {
        internal Network(string name, Linear layer) => Register(name, layer);
    }
}
