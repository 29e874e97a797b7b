using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests;

/// <summary>A folder with a language model that a test can afford, its tokenizer, and a text to train on.</summary>
internal sealed class TinyModelFolder : IDisposable
{
    public const int Context = 32;
    private readonly TemporaryFolder _root = new();

    /// <param name="family">The model's family and what is special about it; null: the Llama.</param>
    public TinyModelFolder(DecoderConfig? family = null)
    {
        Data = _root.Write("text.txt", string.Concat(Enumerable.Range(0, 40).Select(i => $"the cat {i % 7} sat on the mat and ate {i % 5} rats.\n")));
        TextTokenizer tokenizer = BpeTrainer.Train([File.ReadAllText(Data)], 290);
        DecoderConfig config = (family ?? TinyLlama.Config) with
        {
            VocabSize = tokenizer.VocabularySize,
            MaxPositionEmbeddings = Context,
            BosTokenId = tokenizer.BeginId,
            EosTokenIds = [tokenizer.EndId!.Value],
        };
        using DecoderForCausalLM model = DecoderForCausalLM.New(config, Devices.Cpu, new Generator(7));
        model.Save(Model);
        tokenizer.Save(Model);
    }

    /// <summary>The model.</summary>
    public string Model => _root.File("model");

    /// <summary>A text of some hundred tokens.</summary>
    public string Data { get; }

    public string PathOf(string name) => _root.File(name);

    public string Write(string name, string text) => _root.Write(name, text);

    /// <summary>The command line of a training run of 8 steps, with more options at its end.</summary>
    public string[] Train(string output, params string[] more) =>
    [
        "train", "--model", Model, "--data", Data, "--out", PathOf(output), "--device", "cpu", "--length", "16", "--batch", "4", "--rank", "2",
        "--dropout", "0.1", "--lr", "0.01", .. more.Contains("--epochs") || more.Contains("--steps") ? more : [.. more, "--steps", "8"],
    ];

    /// <summary>Whether two adapter folders have the same files, byte for byte.</summary>
    public void SameAdapter(string one, string other)
    {
        foreach (string name in (string[])[AdapterConfig.FileName, PeftModel.WeightsFileName])
            Assert.Equal(File.ReadAllBytes(Path.Combine(PathOf(one), name)), File.ReadAllBytes(Path.Combine(PathOf(other), name)));
    }

    /// <summary>Saves an adapter whose values are all random, so that it moves the model far.</summary>
    public string SaveAdapter(string name, AdapterConfig config)
    {
        using CausalLanguageModel model = CausalLanguageModel.Load(Model, Devices.Cpu);
        using PeftModel peft = new(model);
        peft.AddAdapter(config, new Generator(3));
        Random random = new(5);
        foreach ((_, Parameter parameter) in peft.TrainableParameters())
        {
            using Tensor values = Tensor.From(
                [.. Enumerable.Range(0, (int)parameter.Value.ElementCount).Select(_ => (random.NextSingle() - 0.5f) / 2)], parameter.Shape, Devices.Cpu);
            parameter.Value.CopyFrom(values);
        }

        peft.Save(PathOf(name));
        return PathOf(name);
    }

    /// <summary>
    /// A trained adapter lowers the loss; merged, the model has the same one, the configuration of the base, and generates what it did with the adapter.
    /// </summary>
    public async Task AdapterHelpsAndMerges(string adapter)
    {
        string merged = PathOf("merged");
        string apart = await CliRun.Succeeds("eval", "--model", Model, "--data", Data, "--adapter", adapter);
        Assert.True(CliRun.Loss(apart, "with the adapter") < CliRun.Loss(apart, "base") - 0.05, apart);
        await CliRun.Succeeds("merge", "--model", Model, "--adapter", adapter, "--out", merged);
        string together = await CliRun.Succeeds("eval", "--model", merged, "--data", Data);
        Assert.Equal(CliRun.Loss(apart, "with the adapter"), CliRun.Loss(together, "base"), 1e-4);
        Assert.Equal(ModelConfig.Load(Model).ToJson(), ModelConfig.Load(merged).ToJson());

        // Longer than a sliding window, so that it slides over the cache.
        string[] generate = ["generate", "--prompt", "the cat", "--greedy", "--max-tokens", "16", "--device", "cpu", "--model"];
        string expected = await CliRun.Succeeds([.. generate, Model, "--adapter", adapter]);
        Assert.Equal(expected, await CliRun.Succeeds([.. generate, merged]));
        Assert.Equal(expected, Greedy(merged, "the cat", 16) + Environment.NewLine);
    }

    /// <summary>The most likely token each time, from the whole text and without a cache.</summary>
    private static string Greedy(string folder, string prompt, int count)
    {
        TextTokenizer tokenizer = TextTokenizer.Load(folder);
        using CausalLanguageModel model = CausalLanguageModel.Load(folder, Devices.Cpu);
        List<int> ids = [.. tokenizer.Encode(prompt, addBegin: tokenizer.AddsBegin)];
        int start = ids.Count;
        while (ids.Count < start + count && (ids.Count == start || !model.Config.EosTokenIds.Contains(ids[^1])))
        {
            using var scope = new TensorScope("test");
            float[] last = model.Forward(Tensor.From(ids.ToArray(), [1, ids.Count], Devices.Cpu)).ToArray<float>()[^model.Config.VocabSize..];
            ids.Add(Array.IndexOf(last, last.Max()));
        }
        return tokenizer.Decode([.. ids.Skip(start).Where(id => !model.Config.EosTokenIds.Contains(id))]);
    }

    public void Dispose() => _root.Dispose();
}
