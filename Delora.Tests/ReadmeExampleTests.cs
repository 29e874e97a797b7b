// The usings of the example are written out as the README shows them, and the calls without what belongs to a test.
#pragma warning disable IDE0005, xUnit1051
// <readme>
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

// </readme>
using Delora.Tests.Nn.Models;
using Delora.Tests.Ops;

namespace Delora.Tests;

/// <summary>The README's examples: compiled, run, and compared with the README to the letter.</summary>
public sealed class ReadmeExampleTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("delora-readme-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task TheLanguageModelExampleTrainsSavesAndGenerates()
    {
        string modelFolder = Path.Combine(_folder, "model"), textFile = Path.Combine(_folder, "text.txt"), adapterFolder = Path.Combine(_folder, "adapter");
        File.WriteAllText(textFile, string.Concat(Enumerable.Range(0, 40).Select(i => $"Once upon a time there were {i} cats and a dog. ")));
        TextTokenizer made = BpeTrainer.Train([File.ReadAllText(textFile)], 280);
        made.Save(modelFolder);
        using (LlamaForCausalLM small = TinyLlama.Create(TinyLlama.Config with
        {
            VocabSize = made.VocabularySize,
            MaxPositionEmbeddings = 200,
            BosTokenId = null,
            EosTokenIds = [],
        }))
            small.Save(modelFolder);
        // <readme>
        using CausalLanguageModel model = CausalLanguageModel.Load(modelFolder, Devices.Cpu);    // or Devices.Best().Device: CUDA, OpenCL, CPU
        TextTokenizer tokenizer = TextTokenizer.Load(modelFolder);
        TokenRows rows = TextData.Load(textFile, tokenizer, length: 64);                         // text, or JSON lines with prompt and completion

        var options = new FineTuningOptions
        {
            Adapter = new DeloraConfig { R = 8, DeloraLambda = 15, TargetModules = "all-linear", ResidualInitialization = true },
            Steps = 20,
            LearningRate = 3e-3,
        };
        using (var tuner = new FineTuner(model, rows, options)) tuner.Run(adapterFolder);        // adapter_model.safetensors: PEFT reads it

        using var tuned = new PeftModel(model);
        tuned.Load(adapterFolder);
        await foreach (GeneratedToken token in new TextGenerator(model, tokenizer).GenerateAsync("Once upon"))
            Console.Write(token.Text);
        // </readme>
        Assert.All(tuned.BoundReport().Layers, entry => Assert.InRange(entry.Norm, 1e-3, entry.Bound!.Value * (1 + 1e-5)));
        Assert.True(File.Exists(Path.Combine(adapterFolder, PeftModel.WeightsFileName)));
    }

    [Fact]
    public void TheAdapterThatPeftWroteIsLoadedAndMerged()
    {
        string golden = Path.Combine(AppContext.BaseDirectory, "Golden", "Data", "models", "llama_tiny");
        string modelFolder = Path.Combine(golden, "base"), adapterFolder = Path.Combine(golden, "adapter_single");
        int[] ids = [1, 2, 3, 4];
        // <readme>
        using CausalLanguageModel model = CausalLanguageModel.Load(modelFolder, Devices.Cpu);
        using var peft = new PeftModel(model);
        peft.Load(adapterFolder);                       // what PEFT's save_pretrained wrote: DeLoRA or LoRA
        using var scope = new TensorScope();            // frees what is computed, at the closing brace
        Tensor logits = model.Forward(Tensor.From(ids, [1, ids.Length], model.Device));
        // </readme>
        peft.MergeAndUnload();
        Tensor merged = model.Forward(Tensor.From(ids, [1, ids.Length], model.Device));
        OpTesting.Close(logits.ToArray<double>(), merged.ToArray<double>(), 1e-5);
        Assert.Empty(peft.Configs);
    }

    [Fact]
    public void TheExampleOfAnOwnNetworkTrainsAndSaves()
    {
        string folder = Path.Combine(_folder, "my-adapter");
        (float[], int[])[] batches = MakeBatches();
        double first = Loss(batches[0]), last = 0;
        // <readme>
        Device device = Devices.Cpu;                    // or Devices.Best().Device: CUDA, OpenCL, CPU
        var random = new Generator(seed: 42);
        using var network = new Sequential(new Linear(16, 64, device, random), Activation.Gelu(), new Linear(64, 3, device, random));

        using var model = new PeftModel(network);       // freezes the network; DeLoRA on both linear layers
        model.AddAdapter(new DeloraConfig { R = 4, DeloraLambda = 8, TargetModules = "all-linear", ResidualInitialization = true }, random);

        using var optimizer = new AdamW(model.TrainableParameters().Select(p => p.Parameter), learningRate: 1e-2);
        foreach ((float[] inputs, int[] classes) in batches)
        {
            using var tape = new Tape();                // frees every intermediate tensor at the closing brace
            Tensor x = Tensor.From(inputs, [classes.Length, 16], device);
            Tensor loss = network.Forward(x).CrossEntropy(Tensor.From(classes, [classes.Length], device));
            tape.Backward(loss);
            optimizer.Step();
            optimizer.ZeroGradients();
            last = loss.ToScalar();
        }
        model.Save(folder);                             // adapter_config.json, adapter_model.safetensors: PEFT reads them
        // </readme>
        Assert.True(last < 0.7 * first, $"the loss went from {first} to {last}");
        Assert.True(File.Exists(Path.Combine(folder, PeftModel.WeightsFileName)));
        Assert.All(model.BoundReport().Layers, entry => Assert.True(entry.Norm <= entry.Bound * (1 + 1e-5)));
    }

    [Fact]
    public void TheReadmeShowsTheExample()
    {
        string root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "Delora.sln"))) root = Path.GetDirectoryName(root) ?? throw new FileNotFoundException("Delora.sln");
        string source = File.ReadAllText(Path.Combine(root, "Delora.Tests", "ReadmeExampleTests.cs"));
        string[] shown = Between(File.ReadAllText(Path.Combine(root, "README.md")), "```csharp\n", "```");
        string[] compiled = Between(source, "// <readme>\n", "// </readme>");
        Assert.Equal(compiled.Select(line => line.Trim()).Where(line => line.Length > 0), shown.Select(line => line.Trim()).Where(line => line.Length > 0));
    }

    private static string[] Between(string text, string start, string end)
    {
        var lines = new List<string>();
        text = text.ReplaceLineEndings("\n");
        for (int from = text.IndexOf(start, StringComparison.Ordinal); from >= 0; from = text.IndexOf(start, from, StringComparison.Ordinal))
        {
            from += start.Length;
            int to = text.IndexOf(end, from, StringComparison.Ordinal);
            if (to < 0) break;
            lines.AddRange(text[from..to].Split('\n'));
            from = to;
        }
        return [.. lines];
    }

    private static double Loss((float[] Inputs, int[] Classes) batch)
    {
        using var scope = new TensorScope();
        var random = new Generator(seed: 42);
        var network = new Sequential(new Linear(16, 64, Devices.Cpu, random), Activation.Gelu(), new Linear(64, 3, Devices.Cpu, random));
        using (network)
            return network.Forward(Tensor.From(batch.Inputs, [batch.Classes.Length, 16], Devices.Cpu))
                .CrossEntropy(Tensor.From(batch.Classes, [batch.Classes.Length], Devices.Cpu)).ToScalar();
    }

    /// <summary>The class is the largest of the first three inputs.</summary>
    private static (float[], int[])[] MakeBatches()
    {
        var generator = new Generator(7);
        return [.. Enumerable.Range(0, 60).Select(_ =>
        {
            var inputs = new float[32 * 16];
            generator.FillNormal(inputs);
            return (inputs, Enumerable.Range(0, 32).Select(row =>
            {
                ReadOnlySpan<float> three = inputs.AsSpan(row * 16, 3);
                return three[0] >= three[1] && three[0] >= three[2] ? 0 : three[1] >= three[2] ? 1 : 2;
            }).ToArray());
        })];
    }
}
