using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>Whole training runs of a two-layer perceptron, by PEFT and PyTorch: every loss, the first gradients, and the parameters after one step and at the end.</summary>
[Trait("Category", "Golden")]
public sealed partial class GoldenTrainingTests
{
    [Theory, MemberData(nameof(GoldenCases.Training), MemberType = typeof(GoldenCases))]
    public void AgreesWithPeftOnEveryDevice(string name)
    {
        GoldenCase golden = GoldenCases.TrainingRun(name);
        foreach (TheoryDataRow<string> row in TestDevices.AllNames)
            if (row.Skip is null) Compare(golden, TestDevices.Get(row.Data));
    }

    private static void Compare(GoldenCase golden, Device device)
    {
        using var network = new Perceptron(golden, device);
        using var model = new PeftModel(network);
        AdapterConfig config = AdapterConfig.Parse(
            Encoding.UTF8.GetBytes(golden.Json.GetProperty("peft_config").GetRawText()), golden.Name);
        model.AddAdapter(config, new Generator(1));
        Dictionary<string, Parameter> parameters = model.TrainableParameters().ToDictionary(pair => pair.Name, pair => pair.Parameter);
        string[] expected = [.. golden.Json.GetProperty("trainable_parameters_in_optimizer_order").EnumerateArray().Select(e => e.GetString()!)];
        Assert.Equal(expected, parameters.Keys);
        foreach ((string parameterName, Parameter parameter) in parameters)
        {
            using Tensor initial = golden[$"initial.{parameterName}"].ToTensor(device, parameterName);
            parameter.Value.CopyFrom(initial);
        }

        using Tensor x = golden["x"].ToTensor(device, "x");
        using Tensor target = golden.Has("labels")
            ? Tensor.From(golden["labels"].Integers, golden["labels"].Shape, device, "labels")
            : golden["target_values"].ToTensor(device, "target");
        Tensor Loss() => golden.Has("labels") ? network.Forward(x).CrossEntropy(target) : MeanSquaredError(network.Forward(x), target);

        using Optimizer optimizer = MakeOptimizer(golden.Json.GetProperty("optimizer"), parameters.Values);
        int steps = golden.Json.GetProperty("steps").GetInt32();
        var losses = new double[steps + 1];
        for (int step = 0; step <= steps; step++)
        {
            optimizer.ZeroGradients();
            using (var tape = new Tape())
            {
                Tensor loss = Loss();
                tape.Backward(loss);
                losses[step] = loss.ToScalar();
            }
            if (step == 0) CompareAll("grad_step1", parameter => parameter.Gradient!);
            if (step == 1) CompareAll("after_step1", parameter => parameter.Value);
            if (step < steps) optimizer.Step();
        }
        CompareAll("final", parameter => parameter.Value);
        golden.AssertClose("losses", losses, [.. golden.Json.GetProperty("losses").EnumerateArray().Select(e => e.GetDouble())]);
        if (device is ReferenceDevice)
            golden.AssertCloseToFloat64("losses", losses, [.. golden.Json.GetProperty("losses_float64").EnumerateArray().Select(e => e.GetDouble())]);

        void CompareAll(string stage, Func<Parameter, Tensor> of)
        {
            foreach ((string parameterName, Parameter parameter) in parameters)
            {
                string output = $"{stage}.{parameterName}";
                if (golden.Compared.Contains(output)) golden.AssertClose(output, of(parameter));
            }
        }
    }

    private static Tensor MeanSquaredError(Tensor y, Tensor target)
    {
        Tensor difference = y.Add(target.Scale(-1));
        return difference.Multiply(difference).Mean();
    }

    private static Optimizer MakeOptimizer(JsonElement optimizer, IEnumerable<Parameter> parameters)
    {
        JsonElement options = optimizer.GetProperty("options");
        double Number(string name) => options.GetProperty(name).GetDouble();
        string type = optimizer.GetProperty("type").GetString()!;
        return type switch
        {
            "AdamW" => new AdamW(parameters, Number("lr"), options.GetProperty("betas")[0].GetDouble(), options.GetProperty("betas")[1].GetDouble(),
                Number("eps"), Number("weight_decay")),
            "SGD" => new Sgd(parameters, Number("lr"), Number("momentum"), Number("weight_decay"), options.GetProperty("nesterov").GetBoolean()),
            _ => throw new InvalidDataException($"The golden data ask for the optimizer {type}."),
        };
    }

    /// <summary>Two linear layers and a ReLU between them, named as the case describes them, with its base weights.</summary>
    private sealed partial class Perceptron : Module
    {
        private readonly Linear _first, _second;

        internal Perceptron(GoldenCase golden, Device device)
        {
            string[] names = [.. LayerText().Matches(golden.Json.GetProperty("model").GetString()!).Select(match => match.Groups[1].Value)];
            if (names.Length != 2) throw new InvalidDataException($"{golden.Name}: the model is not two linear layers: {golden.Json.GetProperty("model")}");
            _first = Register(names[0], Make(names[0]));
            _second = Register(names[1], Make(names[1]));

            Linear Make(string name) => new(
                golden[$"base.{name}.weight"].ToTensor(device, name), golden.Has($"base.{name}.bias") ? golden[$"base.{name}.bias"].ToTensor(device, name) : null);
        }

        internal Tensor Forward(Tensor x) => _second.Forward(_first.Forward(x).Relu());

        [GeneratedRegex(@"(\w+) \(\w+->\w+\)")]
        private static partial Regex LayerText();
    }
}
