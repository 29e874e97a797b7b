using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>One adapted linear layer each, computed by PEFT: outputs, gradients, norms, ΔW, merged and unmerged.</summary>
[Trait("Category", "Golden")]
public sealed class GoldenLayerTests
{
    [Theory, MemberData(nameof(GoldenCases.Layers), MemberType = typeof(GoldenCases))]
    public void AgreesWithPeftOnEveryDevice(string name)
    {
        GoldenCase golden = GoldenCases.Layer(name);
        foreach (string deviceName in Names(TestDevices.AllNames)) Compare(golden, TestDevices.Get(deviceName));
    }

    private static IEnumerable<string> Names(TheoryData<string> rows) =>
        rows.Where(row => row.Skip is null).Select(row => row.Data);

    private static void Compare(GoldenCase golden, Device device)
    {
        var adapters = golden.Json.GetProperty("adapters").EnumerateArray()
            .Select(adapter => (Name: adapter.GetProperty("name").GetString()!, Suffix: adapter.GetProperty("tensor_suffix").GetString()!)).ToArray();
        string[] active = [.. golden.Json.GetProperty("active_adapters").EnumerateArray().Select(element => element.GetString()!)];

        using var layer = new Linear(golden["W"].ToTensor(device, "W"), golden.Has("b") ? golden["b"].ToTensor(device, "b") : null);
        layer.Freeze();
        using var x = new Parameter("x", golden["x"].ToTensor(device, "x"));
        foreach ((string name, string suffix) in adapters)
            layer.Adapters.Add(name, new DeloraAdapter(
                golden["A" + suffix].ToTensor(device, "A"), golden["B" + suffix].ToTensor(device, "B"),
                golden["lambda" + suffix].ToTensor(device, "lambda"), layer.Adapters.BaseColumnNorms()));
        layer.Adapters.Activate(active);
        if (golden.Compared.Contains("db")) layer.Bias!.RequiresGradient = true;

        var results = new Dictionary<string, Tensor>();
        using var scope = new TensorScope(golden.Name);
        layer.Adapters.Enabled = false;
        results["y_base"] = layer.Forward(x);
        layer.Adapters.Enabled = true;
        using (var tape = new Tape())
        {
            Tensor y = tape.Keep(golden.Has("x_dropped") ? ForwardWithGivenMask(golden, layer, x, active[0], device) : layer.Forward(x));
            results["y"] = y;
            tape.Backward(y, golden["g"].ToTensor(device, "g"));
        }
        results["dx"] = x.Gradient!;
        if (layer.Bias?.Gradient is { } db) results["db"] = db;
        foreach ((string name, string suffix) in adapters)
        {
            var adapter = (DeloraAdapter)layer.Adapters[name];
            results["w_norm" + suffix] = adapter.ColumnNorms;
            results["delta" + suffix] = adapter.DeltaWeight();
            if (adapter.A.Gradient is { } da) results["dA" + suffix] = da;
            if (adapter.B.Gradient is { } dB) results["dB" + suffix] = dB;
            if (adapter.Lambda.Gradient is { } dLambda) results["dlambda" + suffix] = dLambda;
        }
        layer.Adapters.Merge(active);
        results["W_merged"] = layer.CopyWeight();
        results["y_merged"] = layer.Forward(x);
        layer.Adapters.Unmerge();
        results["W_unmerged"] = layer.CopyWeight();

        foreach (string output in golden.Compared)
        {
            Assert.True(results.TryGetValue(output, out Tensor? got), $"{golden.Name} on {device}: nothing was computed for '{output}'");
            golden.AssertClose(output, got);
            // The stated tolerances allow for float32; the reference device has none of its errors. PEFT unmerges by subtraction, this layer by restoring.
            if (device is ReferenceDevice && output != "W_unmerged") golden.AssertCloseToFloat64(output, got);
        }
        Assert.Equal(golden["W"].ToTensor(device, "W").ToArray<double>(), results["W_unmerged"].ToArray<double>());
        foreach (string name in active)
        {
            LinearAdapter adapter = layer.Adapters[name];
            double[] delta = results["delta" + adapters.First(pair => pair.Name == name).Suffix].ToArray<double>();
            double dense = Math.Sqrt(delta.Sum(value => value * value));
            Assert.InRange(adapter.DeltaNorm(), dense * (1 - 1e-5) - 1e-7, dense * (1 + 1e-5) + 1e-7);
            Assert.True(adapter.DeltaNorm() <= adapter.NormBound() * (1 + 1e-5) + 1e-9);
        }
        foreach (Tensor delta in results.Where(pair => pair.Key.StartsWith("delta", StringComparison.Ordinal)).Select(pair => pair.Value)) delta.Dispose();
    }

    /// <summary>
    /// PyTorch's mask cannot be drawn again, but be read off x_dropped: the adapter's branch on x ∘ mask, beside the layer on x.
    /// </summary>
    private static Tensor ForwardWithGivenMask(GoldenCase golden, Linear layer, Parameter x, string adapter, Device device)
    {
        double kept = 1 / (1 - golden.Json.GetProperty("adapters")[0].GetProperty("module_dropout").GetDouble());
        Tensor mask = Tensor.From([.. golden["x_dropped"].Values.Select(value => value == 0 ? 0 : kept)], x.Shape, device, "mask");
        (Tensor a, Tensor b) = layer.Adapters[adapter].Fold();
        Tensor branch = x.Value.Multiply(mask).Reshape([checked((int)x.Shape.Rows), layer.In]).MatMul(a, MatMulLayout.NT).MatMul(b, MatMulLayout.NT);
        return x.Value.FrozenLinear(layer.FrozenWeight!, layer.Bias?.Value).Add(branch.Reshape(x.Shape.WithColumns(layer.Out)));
    }
}
