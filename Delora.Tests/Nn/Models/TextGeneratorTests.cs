using System.Diagnostics.CodeAnalysis;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

[SuppressMessage("Usage", "xUnit1051", Justification = "The generations are short, and one test cancels by itself.")]
public sealed class TextGeneratorTests
{
    private static readonly TextTokenizer s_tokenizer = BpeTrainer.Train(["the cat sat on the mat, the cat ate the rat"], 270);

    private static LlamaConfig Config => TinyLlama.Config with { VocabSize = s_tokenizer.VocabularySize, BosTokenId = null, EosTokenIds = [] };

    [Fact]
    public async Task GreedyGenerationTakesTheMostLikelyTokenEachTime()
    {
        using LlamaForCausalLM model = TinyLlama.Create(Config);
        List<int> ids = [.. s_tokenizer.Encode("the cat")];
        int prompt = ids.Count;
        while (ids.Count < prompt + 6)
        {
            using var scope = new TensorScope("test");
            float[] logits = model.Forward(Tensor.From(ids.ToArray(), [1, ids.Count], Devices.Cpu)).ToArray<float>();
            float[] last = logits[^Config.VocabSize..];
            ids.Add(Array.IndexOf(last, last.Max()));
        }
        List<GeneratedToken> tokens = await All(model, "the cat", new GenerationOptions { MaxNewTokens = 6 });
        Assert.Equal(ids.Skip(prompt), tokens.Select(token => token.Id));
        Assert.Equal(s_tokenizer.Decode([.. ids.Skip(prompt)]), string.Concat(tokens.Select(token => token.Text)));
        Assert.Equal(FinishReason.Length, tokens[^1].Finish);
        Assert.All(tokens.SkipLast(1), token => Assert.Null(token.Finish));
    }

    [Fact]
    public async Task AnEndTokenEndsTheText()
    {
        using LlamaForCausalLM model = TinyLlama.Create(Config);
        List<GeneratedToken> free = await All(model, "the cat", new GenerationOptions { MaxNewTokens = 5 });
        int stop = free[2].Id;
        List<GeneratedToken> tokens = await All(model, "the cat", new GenerationOptions { MaxNewTokens = 5, StopIds = [stop] });
        int first = free.FindIndex(token => token.Id == stop);
        Assert.Equal(first + 1, tokens.Count);
        Assert.Equal((stop, FinishReason.Stop), (tokens[^1].Id, tokens[^1].Finish!.Value));
        Assert.Equal("", tokens[^1].Text);
    }

    [Fact]
    public async Task ThePromptsSpecialTokensAreTokensWhereAskedFor()
    {
        using LlamaForCausalLM model = TinyLlama.Create(Config);
        string prompt = "the" + BpeTrainer.EndOfText;
        List<int> ids = [.. s_tokenizer.Encode("the"), s_tokenizer.EndId!.Value];
        using var scope = new TensorScope("test");
        float[] last = model.Forward(Tensor.From(ids.ToArray(), [1, ids.Count], Devices.Cpu)).ToArray<float>()[^Config.VocabSize..];
        List<GeneratedToken> tokens = await All(model, prompt, new GenerationOptions { MaxNewTokens = 1, ParseSpecial = true });
        Assert.Equal(Array.IndexOf(last, last.Max()), tokens[0].Id);
    }

    [Fact]
    public async Task GenerationConfigNamesTheTokensThatStop()
    {
        using var folder = new TemporaryFolder();
        int stop;
        using (LlamaForCausalLM model = TinyLlama.Create(Config))
        {
            stop = (await All(model, "the cat", new GenerationOptions { MaxNewTokens = 1 }))[0].Id;
            model.Save(folder.Path);
        }
        folder.Write("generation_config.json", $"{{\"eos_token_id\": [0, {stop}], \"temperature\": 0.6}}");
        using (CausalLanguageModel model = CausalLanguageModel.Load(folder.Path, Devices.Cpu))
        {
            Assert.Equal([0, stop], model.Config.StopTokenIds);
            Assert.Empty(model.Config.EosTokenIds);
            var generator = new TextGenerator(model, s_tokenizer);
            await foreach (GeneratedToken token in generator.GenerateAsync("the cat")) Assert.Equal(FinishReason.Stop, token.Finish);
        }
        folder.Write("generation_config.json", "{\"eos_token_id\": [99999]}");
        string message = Assert.Throws<DeloraFormatException>(() => CausalLanguageModel.Load(folder.Path, Devices.Cpu)).Message;
        Assert.Contains("generation_config.json", message);
        Assert.Contains("eos_token_id", message);
    }

    [Fact]
    public void ABatchIsAsLongAsItsLongestRowAndHasTheSameLoss()
    {
        using LlamaForCausalLM model = TinyLlama.Create(Config);
        using var scope = new TensorScope("test");
        (int[] Inputs, int[] Targets) batch =
            ([1, 2, 3, 0, 0, 0, 4, 5, 0, 0, 0, 0], [2, 3, 9, -100, -100, -100, -100, 7, -100, -100, -100, -100]);
        (var trimmed, int length) = TokenRows.Trim(batch, 6);
        Assert.Equal(3, length);
        Assert.Equal([1, 2, 3, 4, 5, 0], trimmed.Inputs);
        Assert.Equal([2, 3, 9, -100, 7, -100], trimmed.Targets);
        Assert.Equal(6, TokenRows.Trim((batch.Inputs, [.. batch.Targets[..11], 8]), 6).Length);
        Assert.Equal(6, TokenRows.Trim(([1, 2, 3, 4, 5, 6], [-100, -100, -100, -100, -100, -100]), 6).Length);
        Tensor inputs = Tensor.From(batch.Inputs, [2, 6], Devices.Cpu), targets = Tensor.From(batch.Targets, [2, 6], Devices.Cpu);
        float whole = model.Loss(inputs, targets).ToArray<float>()[0];
        Assert.Equal(whole, model.Loss(batch, 6).ToArray<float>()[0], 1e-6f * Math.Abs(whole));
    }

    [Fact]
    public async Task TheContextEndsTheTextToo()
    {
        using LlamaForCausalLM model = TinyLlama.Create(Config with { MaxPositionEmbeddings = 8 });
        int prompt = s_tokenizer.Encode("the cat").Count;
        List<GeneratedToken> tokens = await All(model, "the cat", new GenerationOptions { MaxNewTokens = 100 });
        // The last token needs no place of its own: nothing is computed on it.
        Assert.Equal(8 - prompt + 1, tokens.Count);
        Assert.Equal(FinishReason.Context, tokens[^1].Finish);
    }

    [Fact]
    public async Task PromptsThatCannotBeContinuedAreRefused()
    {
        using LlamaForCausalLM model = TinyLlama.Create(Config with { MaxPositionEmbeddings = 4 });
        PromptException error = await Assert.ThrowsAsync<PromptException>(() => All(model, "a long story of many words", new GenerationOptions()));
        Assert.Matches(@"The prompt has \d+ tokens; the model's context holds 4", error.Message);
        using LlamaForCausalLM small = TinyLlama.Create(Config with { VocabSize = 37 });
        Assert.Contains("do not belong together", (await Assert.ThrowsAsync<PromptException>(() => All(small, "the cat", new GenerationOptions()))).Message);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => All(model, "a", new GenerationOptions { MaxNewTokens = 0 }));
    }

    [Fact]
    public async Task TheSameSeedGivesTheSameTextAndAnotherGivesAnother()
    {
        using LlamaForCausalLM model = TinyLlama.Create(Config);
        string[] texts = [.. await Task.WhenAll(((ulong[])[1, 1, 2]).Select(seed => Text(model, "the cat", Sampled(seed))))];
        Assert.Equal(texts[0], texts[1]);
        Assert.NotEqual(texts[0], texts[2]);
    }

    [Fact]
    public async Task ManyGenerationsAtOnceEachComeOutAsAlone()
    {
        using LlamaForCausalLM model = TinyLlama.Create(Config);
        string[] prompts = [.. Enumerable.Range(0, 32).Select(i => $"the {(i % 3 == 0 ? "cat" : "rat")} {i}")];
        string[] alone = new string[32];
        for (int i = 0; i < 32; i++) alone[i] = await Text(model, prompts[i], Sampled((ulong)i));
        string[] together = await Task.WhenAll(prompts.Select((prompt, i) => Task.Run(() => Text(model, prompt, Sampled((ulong)i)))));
        Assert.Equal(alone, together);
    }

    [Theory, InlineData(true), InlineData(false)]
    public async Task TextsOfOneBatchComeOutAsAlone(bool sampled)
    {
        using LlamaForCausalLM model = TinyLlama.Create(Config with { MaxPositionEmbeddings = 24 });
        var generator = new TextGenerator(model, s_tokenizer);
        string[] prompts = ["the cat", "the rat ate the mat", "s", "the cat", "cat sat"];
        GenerationOptions options = (sampled ? Sampled(3) : new GenerationOptions()) with { MaxNewTokens = 12 };
        int stop = (await All(model, prompts[1], options))[4].Id;
        options = options with { StopIds = [stop] };
        List<GeneratedToken>[] together = [.. prompts.Select(_ => new List<GeneratedToken>())];
        await foreach ((int row, GeneratedToken token) in generator.GenerateAsync(prompts, options)) together[row].Add(token);
        // One text has ended early and the others went on.
        Assert.NotEqual(together.Max(text => text.Count), together.Min(text => text.Count));
        foreach ((string prompt, List<GeneratedToken> text) in prompts.Zip(together)) Assert.Equal(await All(model, prompt, options), text);
        await Assert.ThrowsAsync<ArgumentException>(async () =>
        {
            await foreach (var _ in generator.GenerateAsync(Array.Empty<string>())) { }
        });
    }

    /// <summary>Rotary positions may all be shifted by the padding, and nothing shows; learnt ones may not.</summary>
    [Fact]
    public async Task PaddingShiftsNoPositionOfAModelThatLearntThem()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create(
            TinyGPT2.Config with { VocabSize = s_tokenizer.VocabularySize, BosTokenId = null, EosTokenIds = [] });
        string[] prompts = ["the rat ate the mat", "s", "the cat"];
        var options = new GenerationOptions { MaxNewTokens = 8 };
        List<GeneratedToken>[] together = [.. prompts.Select(_ => new List<GeneratedToken>())];
        await foreach ((int row, GeneratedToken token) in new TextGenerator(model, s_tokenizer).GenerateAsync(prompts, options)) together[row].Add(token);
        foreach ((string prompt, List<GeneratedToken> text) in prompts.Zip(together)) Assert.Equal(await All(model, prompt, options), text);
    }

    [Fact]
    public async Task TheContextEndsABatchWithItsLongestText()
    {
        using LlamaForCausalLM model = TinyLlama.Create(Config with { MaxPositionEmbeddings = 12 });
        string[] prompts = ["the cat", "s"];
        int longest = prompts.Max(prompt => s_tokenizer.Encode(prompt).Count);
        List<(int Row, GeneratedToken Token)> tokens = [];
        await foreach (var token in new TextGenerator(model, s_tokenizer).GenerateAsync(prompts)) tokens.Add(token);
        Assert.Equal(2 * (12 - longest + 1), tokens.Count);
        Assert.All(tokens.TakeLast(2), entry => Assert.Equal(FinishReason.Context, entry.Token.Finish));
    }

    [Fact]
    public async Task CancellingStopsWithinATokenAndReturnsTheMemory()
    {
        using LlamaForCausalLM model = TinyLlama.Create(Config);
        await Text(model, "the cat", new GenerationOptions { MaxNewTokens = 3 });
        long before = Devices.Cpu.Memory.Statistics.BytesInUse;
        using var cancel = new CancellationTokenSource();
        int count = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (GeneratedToken token in new TextGenerator(model, s_tokenizer).GenerateAsync("the cat", new GenerationOptions { MaxNewTokens = 20 }, cancel.Token))
                if (++count == 3) await cancel.CancelAsync();
        });
        Assert.Equal(3, count);
        Assert.Equal(before, Devices.Cpu.Memory.Statistics.BytesInUse);
    }

    [Fact]
    public async Task AModelThatIsDisposedMeanwhileEndsTheGeneration()
    {
        LlamaForCausalLM model = TinyLlama.Create(Config);
        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
        {
            await foreach (GeneratedToken token in new TextGenerator(model, s_tokenizer).GenerateAsync("the cat", new GenerationOptions { MaxNewTokens = 20 }))
                model.Dispose();
        });
    }

    [Fact]
    public async Task DisposingModelOrAdapterWhileTextsAreMadeWaitsForTheTokenUnderWay()
    {
        for (int round = 0; round < 3; round++)
        {
            LlamaForCausalLM model = TinyLlama.Create(Config);
            var peft = new PeftModel(model);
            peft.AddAdapter(new DeloraConfig { R = 2, InitWeights = false, DeloraLambda = 1 }, new Generator(1));
            string with = await Text(model, "the cat", Sampled(1)), without;
            using (peft.Disable()) without = await Text(model, "the cat", Sampled(1));
            Task<string>[] texts = [.. Enumerable.Range(0, 8).Select(_ => Task.Run(() => Text(model, "the cat", Sampled(1))))];
            await Task.Delay(round * 3);
            peft.Dispose();
            model.Dispose();
            foreach (Task<string> text in texts)
                try
                {
                    // Of the tokens, the first come from the model with the adapter and the rest from the model without: each is one or the other's choice.
                    Assert.NotEqual("", await text);
                }
                catch (ObjectDisposedException)
                {
                    // It asked for its next token too late.
                }
            Assert.NotEqual(with, without);
        }
    }

    private static GenerationOptions Sampled(ulong seed) =>
        new() { MaxNewTokens = 12, Seed = seed, Sampling = new SamplingOptions { Temperature = 1, TopK = 50, TopP = 0.95f } };

    private static async Task<string> Text(CausalLanguageModel model, string prompt, GenerationOptions options) =>
        await new TextGenerator(model, s_tokenizer).CompleteAsync(prompt, options);

    private static async Task<List<GeneratedToken>> All(CausalLanguageModel model, string prompt, GenerationOptions options)
    {
        List<GeneratedToken> tokens = [];
        await foreach (GeneratedToken token in new TextGenerator(model, s_tokenizer).GenerateAsync(prompt, options)) tokens.Add(token);
        return tokens;
    }
}
