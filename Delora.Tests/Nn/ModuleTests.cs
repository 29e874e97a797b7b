using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class ModuleTests
{
    private static readonly Device s_device = Devices.Cpu;

    [Fact]
    public void NamesAreJoinedWithDots()
    {
        var random = new Generator(1);
        using var inner = new Sequential(new Linear(3, 4, s_device, random), Activation.Relu());
        using var model = new Sequential(inner, new Linear(4, 2, s_device, random, bias: false));
        Assert.Equal(["", "0", "0.0", "0.1", "1"], model.NamedModules().Select(pair => pair.Name));
        Assert.Equal(["0.0.weight", "0.0.bias", "1.weight"], model.NamedParameters().Select(pair => pair.Name));
        Assert.Same(inner, model.GetModule("0"));
        Assert.Contains("0.1", Assert.Throws<ArgumentException>(() => model.GetModule("2")).Message);
        model.Freeze();
        Assert.Equal(["0.0.bias"], model.NamedParameters().Select(pair => pair.Name));
        Assert.Equal(["0.0.weight", "0.0.bias", "1.weight"], model.NamedState().Select(pair => pair.Name));
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void AFrozenLayerComputesWhatTheTrainableOneDoesAndGivesItsBitsBack(string name)
    {
        Device device = TestDevices.Get(name);
        using var layer = new Linear(5, 7, device, new Generator(3));
        using Tensor x = Tensor.From([.. Enumerable.Range(0, 30).Select(i => MathF.Sin(i))], [2, 3, 5], device);
        float[] weight, trainable, frozen;
        using (Tensor copy = layer.CopyWeight()) weight = copy.ToArray<float>();
        using (Tensor y = layer.Forward(x))
        {
            Assert.Equal([2, 3, 7], y.Shape);
            trainable = y.ToArray<float>();
        }
        layer.Freeze();
        Assert.Null(layer.Weight);
        using (Tensor y = layer.Forward(x)) frozen = y.ToArray<float>();
        Assert.Equal(trainable, frozen, (a, b) => Math.Abs(a - b) < 1e-5);
        using (Tensor copy = layer.CopyWeight()) Assert.Equal(weight, copy.ToArray<float>());
        layer.Unfreeze();
        using (Tensor copy = layer.CopyWeight()) Assert.Equal(weight, copy.ToArray<float>());
        Assert.NotNull(layer.Weight);
    }

    [Fact]
    public void ALinearLayerShowsBothShapesWhenTheyDoNotFit()
    {
        using var layer = new Linear(5, 7, s_device, new Generator(3));
        using Tensor x = Tensor.Zeros([2, 6], DType.Float32, s_device);
        string message = Assert.Throws<ShapeException>(() => layer.Forward(x)).Message;
        Assert.Contains("[2, 6]", message);
        Assert.Contains("[7, 5]", message);
    }

    [Fact]
    public void AnAdapterOfAnotherSizeIsRefusedWithBothShapes()
    {
        using var layer = new Linear(5, 7, s_device, new Generator(3));
        using LoraAdapter adapter = LoraAdapter.Create(5, 6, 2, 1, s_device, new Generator(4));
        string message = Assert.Throws<ShapeException>(() => layer.Adapters.Add("default", adapter)).Message;
        Assert.Contains("[6, 5]", message);
        Assert.Contains("[7, 5]", message);
        Assert.Empty(layer.Adapters.Names);
    }

    [Fact]
    public void BelowTheLowestTrainableTensorNothingIsRecorded()
    {
        var random = new Generator(1);
        using var model = new Sequential(new Linear(3, 3, s_device, random), Activation.Tanh(), new Linear(3, 3, s_device, random));
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 1, TargetModules = ["2"] }, random);
        using Tensor x = Tensor.Zeros([4, 3], DType.Float32, s_device);
        using var tape = new Tape();
        model.Forward(x);
        // The fold and the product of the last layer; the first layer and the activation need no gradient.
        Assert.Equal(2, tape.Count);
    }

    [Fact]
    public void DropoutActsInTrainingAlone()
    {
        using var layer = new Dropout(0.5f, new Generator(1));
        using Tensor x = Tensor.From([.. Enumerable.Repeat(1f, 1000)], [1000], s_device);
        Assert.Same(x, layer.Forward(x));
        layer.Train();
        using Tensor y = layer.Forward(x);
        Assert.Equal([0f, 2f], y.ToArray<float>().Distinct().Order());
        Assert.InRange(y.ToArray<float>().Count(value => value == 0), 430, 570);
        Assert.Throws<ArgumentOutOfRangeException>(() => new Dropout(1, new Generator(1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Dropout(float.NaN, new Generator(1)));
    }

    [Fact]
    public void AnEmbeddingLooksRowsUpAndLearnsThem()
    {
        using var table = new Embedding(5, 3, s_device, new Generator(1));
        using Tensor ids = Tensor.From([4, 0, 4], [3], s_device);
        using (var tape = new Tape())
        {
            Tensor y = table.Forward(ids);
            Assert.Equal(table.Weight!.Value.ToArray<float>()[12..], y.ToArray<float>()[..3]);
            tape.Backward(y.Sum());
        }
        Assert.Equal([1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2], table.Weight!.Gradient!.ToArray<float>());
    }

    [Fact]
    public void AParameterIsExchangedOnlyForOneOfItsShape()
    {
        using var layer = new Linear(2, 3, s_device, new Generator(1));
        using var wrong = new Parameter("bias", Tensor.Zeros([4], DType.Float32, s_device));
        Assert.Throws<ShapeException>(() => layer.ExchangeParameter("bias", wrong));
        Assert.Throws<ArgumentException>(() => layer.ExchangeParameter("other", wrong));
    }
}
