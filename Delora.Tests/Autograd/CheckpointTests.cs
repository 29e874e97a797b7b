using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;
using Delora.Tests.Ops;

namespace Delora.Tests.Autograd;

/// <summary>A layer that is computed again gives the gradients of one that is not, to the bit, and is not kept meanwhile.</summary>
public sealed class CheckpointTests
{
    private const int Width = 48, Rows = 40;

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsAreTheSameBitsWithDropout(string name)
    {
        Device device = TestDevices.Get(name);
        double[] plain = Gradients(device, nested: false, checkpointing: false, out GeneratorState before);
        Assert.Equal(plain, Gradients(device, nested: false, checkpointing: true, out GeneratorState after));
        Assert.Equal(before, after);
        Assert.Equal(plain, Gradients(device, nested: true, checkpointing: true, out after));
        Assert.Equal(before, after);
        Assert.Contains(plain, value => value != 0);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void AModelLearnsTheSame(bool gradientFromTheEmbedding)
    {
        double[][] results = [.. new[] { false, true }.Select(checkpointing =>
        {
            var random = new Generator(11);
            using LlamaForCausalLM model = TinyLlama.Create(TinyLlama.Config with { NumHiddenLayers = 3 }, freeze: !gradientFromTheEmbedding);
            using var peft = new PeftModel(model);
            peft.AddAdapter(new LoraConfig { R = 2, LoraDropout = 0.3, TargetModules = ModuleSelector.AllLinear, InitWeights = false }, random);
            model.Train();
            model.Checkpointing = checkpointing;
            using Tensor ids = TinyLlama.Ids([2, 9], Devices.Cpu), targets = TinyLlama.Ids([2, 9], Devices.Cpu, seed: 4);
            using var tape = new Tape();
            Tensor loss = model.Loss(ids, targets);
            tape.Backward(loss);
            Parameter[] trained = [.. peft.TrainableParameters().Select(entry => entry.Parameter)];
            return (double[])[loss.ToScalar(), .. trained.SelectMany(parameter => parameter.Gradient!.ToArray<double>()), random.State.Offset];
        })];
        Assert.Equal(results[0], results[1]);
        Assert.True(results[0].Length > 1000);
    }

    [Fact]
    public void OtherFamiliesLearnTheSame()
    {
        using Tensor ids = TinyLlama.Ids([2, 5], Devices.Cpu), targets = TinyLlama.Ids([2, 5], Devices.Cpu, seed: 4);
        using GPT2LMHeadModel gpt2 = TinyGPT2.Create();
        AssertSameGradients(gpt2, () => gpt2.Loss(ids, targets));
        EncoderConfig config = TinyEncoder.Config(BertConfig.Family) with { HiddenDropoutProb = 0.2 };
        using SequenceClassifier classifier = TinyEncoder.Classifier(config);
        EncodedBatch batch = EncodedBatch.Pad(TinyEncoder.Texts(5, 4, 7), config.PadTokenId);
        AssertSameGradients(classifier, () =>
        {
            classifier.DropoutGenerator = new Generator(3);
            return classifier.Loss(batch, [2, 0]);
        });
    }

    [Fact]
    public void RowsKeepTheirAdaptersWhateverIsChosenOnTheWayBack()
    {
        using Tensor ids = TinyLlama.Ids([2, 5], Devices.Cpu), targets = TinyLlama.Ids([2, 5], Devices.Cpu, seed: 4);
        using LlamaForCausalLM model = TinyLlama.Create();
        using var peft = new PeftModel(model);
        foreach (string name in (string[])["anna", "ben"])
            peft.AddAdapter(new LoraConfig { R = 2, TargetModules = ModuleSelector.AllLinear, InitWeights = false }, new Generator((ulong)name.Length), name);
        peft.Activate("anna", "ben");
        double[][] results = [.. new[] { false, true }.Select(checkpointing =>
        {
            model.Checkpointing = checkpointing;
            using var tape = new Tape();
            Tensor loss;
            using (peft.Rows("ben", PeftModel.BaseRow).Use()) loss = model.Loss(ids, targets);
            using (peft.Rows("anna", "anna").Use()) tape.Backward(loss);
            double[] gradients = [.. peft.TrainableParameters().SelectMany(entry => entry.Parameter.Gradient?.ToArray<double>() ?? [0])];
            foreach ((_, Parameter parameter) in peft.TrainableParameters()) parameter.ZeroGradient();
            return gradients;
        })];
        Assert.Equal(results[0], results[1]);
        Assert.Contains(results[0], value => value != 0);
    }

    [Fact]
    public void AModelThatChangedMeanwhileIsRefused()
    {
        using Tensor ids = TinyLlama.Ids([1, 5], Devices.Cpu), targets = TinyLlama.Ids([1, 5], Devices.Cpu, seed: 4);
        using LlamaForCausalLM model = TinyLlama.Create();
        using var peft = new PeftModel(model);
        foreach (string name in (string[])["one", "two"])
            peft.AddAdapter(new LoraConfig { R = 2, LoraDropout = 0.3, InitWeights = false }, new Generator(1), name);
        model.Checkpointing = true;
        model.Train();
        using (var tape = new Tape())
        {
            Tensor loss = model.Loss(ids, targets);
            peft.Activate("one");
            Assert.Throws<GradientException>(() => tape.Backward(loss));
        }
        using (var tape = new Tape())
        {
            // Without dropout the layers ask for no random numbers the second time.
            Tensor loss = model.Loss(ids, targets);
            model.Train(false);
            Assert.Throws<InvalidOperationException>(() => tape.Backward(loss));
        }
    }

    [Fact]
    public void TheLayersAreNotKept()
    {
        long[] peaks = [.. new[] { false, true }.Select(checkpointing =>
        {
            using var cpu = new CpuDevice(1);
            using var weight = new Parameter("weight", Tensor.From(OpTesting.Numbers(64 * 64, 1, 0.1), [64, 64], cpu));
            using Tensor start = Tensor.From(OpTesting.Numbers(256 * 64, 2), [256, 64], cpu);
            using var tape = new Tape();
            Tensor x = start;
            for (int i = 0; i < 16; i++)
                x = checkpointing ? x.Checkpoint(Layer) : Layer(x);
            tape.Backward(x.Mean());
            return cpu.Memory.Statistics.PeakBytesInUse;

            Tensor Layer(Tensor h)
            {
                for (int i = 0; i < 4; i++) h = h.Linear(weight).Gelu();
                return h;
            }
        })];
        // Sixteen layers keep eight tensors each, or one; the layer under way and the gradients come on top.
        Assert.InRange(peaks[1], 1, peaks[0] / 3);
    }

    [Fact]
    public void WhereNothingNeedsAGradientNothingIsRecorded()
    {
        using var scope = new TensorScope("inference");
        Tensor x = OpTesting.Floats([3, 4], Devices.Cpu, 1);
        using var tape = new Tape();
        Tensor y = x.Checkpoint(h => h.Gelu());
        Assert.Equal(x.Gelu().ToArray<float>(), y.ToArray<float>());
        Assert.Same(x, x.Checkpoint(h => h));
        Assert.Equal(0, tape.Count);
    }

    [Fact]
    public void ParametersAloneAreEnough()
    {
        using var scope = new TensorScope("parameters");
        Tensor x = OpTesting.Floats([3, 4], Devices.Cpu, 1);
        using var weight = new Parameter("weight", OpTesting.Floats([4], Devices.Cpu, 2));
        using var tape = new Tape();
        Assert.Same(weight.Value, x.Checkpoint(_ => weight));
        tape.Backward(x.Checkpoint(h => h.AddBias(weight)).Sum());
        Assert.Equal([3, 3, 3, 3], weight.Gradient!.ToArray<float>());
    }

    [Fact]
    public void AnotherPassOverTheTapeComputesItAgain()
    {
        using var scope = new TensorScope("retain");
        using var weight = new Parameter("weight", OpTesting.Floats([3, 4], Devices.Cpu, 2));
        var random = new Generator(3);
        using var tape = new Tape();
        Tensor y = weight.Value.Checkpoint(h => h.Dropout(0.5f, random.Reserve(12)).Gelu()).Sum();
        tape.Backward(y, retain: true);
        float[] once = weight.Gradient!.ToArray<float>();
        tape.Backward(y);
        Assert.Equal(once.Select(value => 2 * value), weight.Gradient!.ToArray<float>());
        Assert.Equal(12UL, random.State.Offset);
    }

    [Fact]
    public void TensorsOfTheTapeAreRefused()
    {
        using var scope = new TensorScope("refused");
        using var weight = new Parameter("weight", OpTesting.Floats([3, 4], Devices.Cpu, 2));
        using var tape = new Tape();
        Tensor outside = weight.Value.Gelu();
        Assert.Throws<GradientException>(() => outside.Checkpoint(h => h.Add(outside)));
        tape.Backward(outside.Checkpoint(h => h.Gelu()).Sum());
        Assert.NotNull(weight.Gradient);
    }

    [Fact]
    public void AReplayThatAsksForOtherNumbersIsRefused()
    {
        Generator random = new(1), other = new(2);
        var replay = new RandomReplay();
        using (replay.Record())
        {
            Assert.Equal(new RandomStream(1, 0), random.Reserve(5));
            Assert.Equal(new RandomStream(2, 0), other.Reserve(2));
        }
        foreach (int _ in (int[])[1, 2])
        {
            using IDisposable again = replay.Replay();
            Assert.Equal(new RandomStream(1, 0), random.Reserve(5));
            Assert.Throws<InvalidOperationException>(() => random.Reserve(2));
            Assert.Throws<InvalidOperationException>(() => other.Reserve(3));
            Assert.Equal(new RandomStream(2, 0), other.Reserve(2));
            Assert.Throws<InvalidOperationException>(() => other.Reserve(2));
        }
        Assert.Equal(new RandomStream(1, 5), random.Reserve(1));
    }

    /// <summary>The loss and the adapter's gradients are the same with and without checkpointing.</summary>
    private static void AssertSameGradients(PretrainedModel model, Func<Tensor> loss)
    {
        using var peft = new PeftModel(model);
        peft.AddAdapter(new LoraConfig { R = 2, TargetModules = ModuleSelector.AllLinear, InitWeights = false }, new Generator(11));
        model.Train();
        double[][] results = [.. new[] { false, true }.Select(checkpointing =>
        {
            model.Checkpointing = checkpointing;
            using var tape = new Tape();
            Tensor y = loss();
            tape.Backward(y);
            double[] gradients = [.. peft.TrainableParameters().SelectMany(entry => entry.Parameter.Gradient!.ToArray<double>())];
            foreach ((_, Parameter parameter) in peft.TrainableParameters()) parameter.ZeroGradient();
            return (double[])[y.ToScalar(), .. gradients];
        })];
        Assert.Equal(results[0], results[1]);
        Assert.Contains(results[0][1..], value => value != 0);
    }

    /// <summary>Gradients of a chain of residual layers with dropout, and of its input.</summary>
    private static double[] Gradients(Device device, bool nested, bool checkpointing, out GeneratorState state)
    {
        var random = new Generator(5);
        using var input = new Parameter("input", Numbers(1, [Rows, Width]));
        Parameter[] weights = [.. Enumerable.Range(0, 3).Select(i => new Parameter($"weight {i}", Numbers(i + 2, [Width, Width])))];
        Parameter[] norms = [.. Enumerable.Range(0, 3).Select(i => new Parameter($"norm {i}", Numbers(i + 5, [Width])))];
        using (var tape = new Tape())
        {
            // A result, as what goes into the layers of a model is: the gradients of a parameter are added in another order.
            Tensor x = input.Value.Gelu();
            for (int i = 0; i < 3; i++)
            {
                int layer = i;
                x = checkpointing ? x.Checkpoint(h => nested ? h.Checkpoint(inner => Layer(inner, layer)) : Layer(h, layer)) : Layer(x, layer);
            }
            tape.Backward(x.Multiply(x).Mean());
        }
        double[] all = [.. ((Parameter[])[input, .. weights, .. norms]).SelectMany(parameter => parameter.Gradient!.ToArray<double>())];
        foreach (Parameter parameter in (Parameter[])[.. weights, .. norms]) parameter.Dispose();
        state = random.State;
        return all;

        Tensor Numbers(int seed, Shape shape) => OpTesting.Floats(shape, device, seed, 0.5);

        Tensor Layer(Tensor x, int i)
        {
            Tensor h = x.RmsNorm(norms[i], 1e-5).Linear(weights[i]);
            return x.Add(h.Gelu().Dropout(0.3f, random.Reserve(h.ElementCount)));
        }
    }
}
