using System.CommandLine;
using Delora.Cli;
using Delora.Nn;

namespace Delora.Tests;

public sealed class TrainCommandTests
{
    [Fact]
    public async Task ARunTellsWhatItDoesAndLeavesAnAdapterThatPeftReads()
    {
        using TinyModelFolder tiny = new();
        string text = await CliRun.Succeeds(tiny.Train("out", "--eval-data", tiny.Data, "--eval-every", "4", "--save-every", "3"));
        Assert.Matches("Model: .*model, llama, [0-9,]+ parameters, vocabulary [0-9]+, context 32\n", text);
        Assert.Matches(@"Data: .*text\.txt, [0-9,]+ rows of 16, [0-9,]+ tokens to predict", text);
        // q_proj and v_proj of two layers: r (in + out) + 1 each.
        Assert.Contains($"trainable params: {2 * ((2 * (24 + 24)) + 1 + (2 * (24 + 12)) + 1)} || all params: ", text, StringComparison.Ordinal);
        foreach (int step in (int[])[0, 4, 8])
            Assert.Matches($@"evaluation after step {step}: loss [0-9.]+, perplexity", text);
        Assert.Contains("Training: 8 steps in ", text, StringComparison.Ordinal);
        Assert.Contains("tokens/s", text, StringComparison.Ordinal);
        Assert.Matches(@"‖ΔW‖ is at most [0-9.]+ % of its bound \(model\.layers\.[01]\.self_attn\.", text);
        Assert.Contains($"--adapter {tiny.PathOf("out")} --prompt", text, StringComparison.Ordinal);

        AdapterConfig config = AdapterConfig.Load(Path.Combine(tiny.PathOf("out"), AdapterConfig.FileName));
        Assert.Equal((tiny.Model, "CAUSAL_LM", 4), (config.BaseModelNameOrPath, config.TaskType, config.R));
        // The family's default, by name, as PEFT writes it.
        Assert.Equal(["q_proj", "v_proj"], config.TargetModules!.Names.Order());
        Assert.Equal(
            ["checkpoint-000006", "checkpoint-000008"], Directory.GetDirectories(tiny.PathOf("out")).Select(Path.GetFileName).Order());
        Assert.DoesNotContain("checkpoint", await CliRun.Succeeds("inspect", tiny.PathOf("out")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("LORA", "--method", "lora", "--alpha", "4", "--targets", "q_proj,o_proj")]
    [InlineData("DELORA", "--init", "zeros", "--lambda", "2", "--lambda-lr", "0.1", "--targets", "all-linear")]
    [InlineData("DELORA", "--freeze-lambda", "--lambda-warmup", "1", "--bounds-every", "1", "--targets", "all-linear")]
    [InlineData("DELORA", "--lambda-decay", "0.1", "--lambda-min", "-1", "--lambda-max", "15.5", "--targets", "all-linear")]
    [InlineData("DELORA", "--targets", @"re:.*\.1\.mlp\..*", "--schedule", "linear", "--warmup", "2", "--accumulate", "2", "--clip", "0")]
    public async Task OptionsReachTheAdapter(string type, params string[] options)
    {
        using TinyModelFolder tiny = new();
        string told = await CliRun.Succeeds(tiny.Train("out", [.. options, "--epochs", "0.3"]));
        Assert.Equal(options.Contains("--bounds-every"), told.Contains("bounds after step 1: ‖ΔW‖ is at most", StringComparison.Ordinal));
        string text = await CliRun.Succeeds("inspect", tiny.PathOf("out"));
        Assert.Contains($"peft_type: {type}", text, StringComparison.Ordinal);
        Assert.Contains(options.Contains("q_proj,o_proj") ? "o_proj" : "mlp.gate_proj", text, StringComparison.Ordinal);
    }

    [Theory, InlineData(true), InlineData(true, "--cuda-graph", "on"), InlineData(false, "--cuda-graph", "off")]
    public async Task GraphsAreUsedUnlessTheyAreSwitchedOff(bool used, params string[] options)
    {
        TrainOptions? given = null;
        Command command = TrainCommand.Create((read, _) =>
        {
            given = read;
            return Task.FromResult(0);
        });
        string[] words = ["--model", "m", "--data", "d", "--out", "o", .. options];
        Assert.Equal(0, await command.Parse(words).InvokeAsync(cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(used, given!.Tuning.UseCudaGraph);
        Assert.NotEmpty(command.Parse([.. words, "--cuda-graph", "perhaps"]).Errors);
    }

    /// <summary>What is shown can be typed.</summary>
    [Theory, InlineData("train"), InlineData("eval"), InlineData("generate")]
    public async Task TheHelpShowsWordsThatCanBeGiven(string command)
    {
        string help = await CliRun.Succeeds(command, "--help");
        Assert.Contains("[default: float32]", help, StringComparison.Ordinal);
        Assert.DoesNotContain("Float32", help, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CheckpointingChangesNoNumber()
    {
        using TinyModelFolder tiny = new();
        string[] options = ["--targets", "all-linear"];
        Assert.Matches("Peak memory: [0-9.]+ [KM]iB, weights included", await CliRun.Succeeds(tiny.Train("plain", options)));
        await CliRun.Succeeds(tiny.Train("less", [.. options, "--checkpointing"]));
        tiny.SameAdapter("plain", "less");
    }

    [Fact]
    public async Task AnInterruptedRunThatGoesOnEndsAsAnUninterruptedOne()
    {
        using TinyModelFolder tiny = new();
        string[] evaluation = ["--eval-data", tiny.Data, "--eval-every", "3"];
        await CliRun.Succeeds(tiny.Train("whole", evaluation));
        CliRun stopped = await CliRun.InterruptedAt("evaluation after step 3", tiny.Train("parts", evaluation));
        Assert.Equal((ExitCode.Interrupted, "delora: interrupted" + Environment.NewLine), (stopped.ExitCode, stopped.Error));
        Assert.Matches(@"Checkpoint: .*checkpoint-000003 \(step 3 of 8\)\. To go on, run the same command with --resume\.", stopped.Output);
        Assert.False(File.Exists(Path.Combine(tiny.PathOf("parts"), AdapterConfig.FileName)));
        string rest = await CliRun.Succeeds(tiny.Train("parts", [.. evaluation, "--resume"]));
        Assert.Contains("Newest checkpoint: checkpoint-000003", rest, StringComparison.Ordinal);
        Assert.Contains("steps 4 to 8", rest, StringComparison.Ordinal);
        Assert.DoesNotContain("evaluation after step 0", rest, StringComparison.Ordinal);
        tiny.SameAdapter("whole", "parts");
        // Once more changes nothing: there is no step left.
        Assert.Contains("evaluation after step 8", await CliRun.Succeeds(tiny.Train("parts", [.. evaluation, "--resume"])), StringComparison.Ordinal);
        tiny.SameAdapter("whole", "parts");
    }

    [Fact]
    public async Task ADamagedCheckpointIsPassedOver()
    {
        using TinyModelFolder tiny = new();
        string[] options = ["--eval-data", tiny.Data, "--eval-every", "5", "--save-every", "2"];
        await CliRun.Succeeds(tiny.Train("whole", options));
        await CliRun.InterruptedAt("evaluation after step 5", tiny.Train("parts", options));
        string state = Path.Combine(tiny.PathOf("parts"), "checkpoint-000005", "training_state.safetensors");
        File.WriteAllBytes(state, File.ReadAllBytes(state)[..^5]);
        CliRun rest = await CliRun.Of(tiny.Train("parts", [.. options, "--resume"]));
        Assert.Equal(ExitCode.Success, rest.ExitCode);
        Assert.Matches("delora: warning: .*checkpoint-000005 is passed over: .*training_state.safetensors", rest.Error);
        Assert.Contains("Newest checkpoint: checkpoint-000004", rest.Output, StringComparison.Ordinal);
        tiny.SameAdapter("whole", "parts");
    }

    [Fact]
    public async Task ResumingWithOtherSettingsIsRefusedAndShowsTheDifference()
    {
        using TinyModelFolder tiny = new();
        await CliRun.Succeeds(tiny.Train("out"));
        await CliRun.Refused("belongs to an earlier run: resume it, or choose another folder", tiny.Train("out"));
        await CliRun.Refused("seed was 0, is 1.", tiny.Train("out", "--resume", "--seed", "1"));
        await CliRun.Refused("weight decay was 0, is 0.5.", tiny.Train("out", "--resume", "--weight-decay", "0.5"));
        await CliRun.Refused("steps was 8, is 9.", tiny.Train("out", "--resume", "--steps", "9"));
        await CliRun.Refused("adapter delora_lambda was 15, is 3.", tiny.Train("out", "--resume", "--lambda", "3"));
        string[] other = tiny.Train("out", "--resume");
        other[Array.IndexOf(other, "--data") + 1] = tiny.Write("other.txt", "another text, of which there is not much");
        await CliRun.Refused("training data was ", other);
        string[] rate = tiny.Train("out", "--resume");
        rate[Array.IndexOf(rate, "--lr") + 1] = "0.02";
        await CliRun.Refused("learning rate was 0.01, is 0.02; learning rate of λ was 0.01, is 0.02.", rate);
    }

    [Fact]
    public async Task AnAdapterThatNoRunHereMadeIsNotOverwritten()
    {
        using TinyModelFolder tiny = new();
        string adapter = tiny.SaveAdapter("out", new LoraConfig { R = 2 });
        byte[] before = File.ReadAllBytes(Path.Combine(adapter, PeftModel.WeightsFileName));
        await CliRun.Refused("holds an adapter, and no checkpoint to go on from", tiny.Train("out"));
        await CliRun.Refused("holds an adapter, and no checkpoint to go on from", tiny.Train("out", "--resume"));
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(adapter, PeftModel.WeightsFileName)));
    }

    [Fact]
    public async Task ARunWithoutACheckpointIsResumedFromItsBeginning()
    {
        using TinyModelFolder tiny = new();
        CliRun stopped = await CliRun.InterruptedAt("trainable params", tiny.Train("out"));
        Assert.Equal(ExitCode.Interrupted, stopped.ExitCode);
        Assert.Contains("Stopped before the first step was done: nothing was saved.", stopped.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(tiny.PathOf("out")));
        Assert.Contains("There is no checkpoint yet", await CliRun.Succeeds(tiny.Train("out", "--resume")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--lr 'NaN'", "--lr", "NaN")]
    [InlineData("--lr '0,001'", "--lr", "0,001")]
    [InlineData("--lr '-1'", "--lr", "-1")]
    [InlineData("--lambda-lr '0'", "--lambda-lr", "0")]
    [InlineData("--rank '0'", "--rank", "0")]
    [InlineData("--lambda 'Infinity'", "--lambda", "Infinity")]
    [InlineData("--lambda '1e300': a number above 0, finite as float32", "--lambda", "1e300")]
    [InlineData("finite as float32", "--lr", "1e39")]
    [InlineData("--dropout '1'", "--dropout", "1")]
    [InlineData("--batch '0'", "--batch", "0")]
    [InlineData("--warmup '-1'", "--warmup", "-1")]
    [InlineData("--weight-decay '-1'", "--weight-decay", "-1")]
    [InlineData("--schedule 'step'", "--schedule", "step")]
    [InlineData("--method 'dora'", "--method", "dora")]
    [InlineData("--seed '-1'", "--seed", "-1")]
    [InlineData("--keep '0'", "--keep", "0")]
    [InlineData("--out ''", "--out", "")]
    [InlineData("--epochs and --steps", "--epochs", "1", "--steps", "8")]
    [InlineData("--epochs: ", "--epochs", "1e30")]
    [InlineData("--alpha belongs to --method lora", "--alpha", "8")]
    [InlineData("--lambda belongs to --method delora", "--method", "lora", "--lambda", "8")]
    [InlineData("--init belongs to --method delora", "--method", "lora", "--init", "zeros")]
    [InlineData("--lambda-lr: LoRA has no λ", "--method", "lora", "--lambda-lr", "1")]
    [InlineData("--lambda-warmup: LoRA has no λ", "--method", "lora", "--lambda-warmup", "1")]
    [InlineData("--lambda-warmup '-1'", "--lambda-warmup", "-1")]
    [InlineData("--lambda-max '1e300'", "--lambda-max", "1e300")]
    [InlineData("--lambda-min is above --lambda-max", "--lambda-min", "3", "--lambda-max", "2")]
    [InlineData("--lr '1e60'", "--lr", "1e60")]
    [InlineData("--lr '1e-60'", "--lr", "1e-60")]
    [InlineData("--weight-decay '1e60'", "--weight-decay", "1e60")]
    [InlineData("--lambda 15, where λ starts", "--lambda-max", "2")]
    [InlineData("--lambda-max has nothing to act on", "--freeze-lambda", "true", "--lambda-max", "20")]
    [InlineData("the nearest names are", "--targets", "q_prog")]
    [InlineData("--targets 'q_proj,,v_proj'", "--targets", "q_proj,,v_proj")]
    [InlineData("--targets 're:'", "--targets", "re:")]
    [InlineData("target_modules", "--targets", "re:[")]
    [InlineData("--length 33: the model's context holds 32 tokens", "--length", "33")]
    [InlineData("There is no device 'tpu'", "--device", "tpu")]
    [InlineData("no.txt: there is no such file", "--data", "no.txt")]
    [InlineData("no.txt: there is no such file", "--eval-data", "no.txt")]
    [InlineData("nowhere: there is no such folder", "--model", "nowhere")]
    public async Task BadOptionsAreRefusedAndNothingIsMade(string told, params string[] options)
    {
        using TinyModelFolder tiny = new();
        List<string> arguments = ["train"];
        Dictionary<string, string> given = new() { ["--model"] = tiny.Model, ["--data"] = tiny.Data, ["--out"] = tiny.PathOf("out") };
        foreach (string[] pair in options.Chunk(2))
            given[pair[0]] = pair[1];
        await CliRun.Refused(told, [.. arguments, .. given.SelectMany(pair => (string[])[pair.Key, pair.Value])]);
        Assert.False(Directory.Exists(tiny.PathOf("out")));
    }

    [Theory]
    [InlineData("r: must be at most 65536, not 1000000000", "\"r\": 1000000000")]
    [InlineData("rank_pattern[\"1.self_attn.q_proj\"]: must be at most 65536, not 2000000000", "\"rank_pattern\": {\"1.self_attn.q_proj\": 2000000000}")]
    [InlineData("lambda_pattern[\"q_proj\"] 9, where λ starts, is outside", "\"lambda_pattern\": {\"q_proj\": 9}", "--lambda-max", "5")]
    [InlineData("config.json: delora_lambda 3, where λ starts, is outside", "\"r\": 4", "--lambda-min", "3.5")]
    public async Task ConfigurationsThatCannotBeTrainedAreRefused(string told, string field, params string[] options)
    {
        using TinyModelFolder tiny = new();
        string config = tiny.Write("config.json", $"{{\"peft_type\": \"DELORA\", \"delora_lambda\": 3, \"target_modules\": [\"q_proj\"], {field}}}");
        await CliRun.Refused(
            told, ["train", "--model", tiny.Model, "--data", tiny.Data, "--out", tiny.PathOf("out"), "--config", config, .. options]);
        Assert.False(Directory.Exists(tiny.PathOf("out")));
    }

    [Theory]
    [InlineData("empty", "")]
    [InlineData("is not UTF-8", "\uFFFF")]
    [InlineData("line 2", "{\"text\": \"a b c\"}\n{\"text\": 3}", "data.jsonl")]
    [InlineData("every target is masked", "{\"prompt\": \"the cat sat on the mat and ate the rats, the cat sat on the mat\", \"completion\": \"x\"}", "data.jsonl")]
    public async Task BadDataIsRefused(string told, string text, string name = "data.txt")
    {
        using TinyModelFolder tiny = new();
        string data = tiny.Write(name, text);
        if (text == "\uFFFF")
            File.WriteAllBytes(data, [65, 0xFF, 65]);
        string[] arguments = tiny.Train("out");
        arguments[Array.IndexOf(arguments, "--data") + 1] = data;
        await CliRun.Refused(told, arguments);
        Assert.False(Directory.Exists(tiny.PathOf("out")));
    }

    [Fact]
    public async Task ModelFoldersThatCannotBeUsedAreRefused()
    {
        using TinyModelFolder tiny = new();
        await CliRun.Refused("is the model's folder", [.. tiny.Train("model")]);
        string weights = Path.Combine(tiny.Model, WeightFiles.SingleName);
        File.Move(weights, Path.Combine(tiny.Model, "pytorch_model.bin"));
        await CliRun.Refused("convert the model to safetensors", tiny.Train("out"));
        File.Move(Path.Combine(tiny.Model, "pytorch_model.bin"), weights);

        BpeTrainer.Train([string.Concat(Enumerable.Range(0, 400).Select(i => $"{i} {i} {i * 7} {i * 7} "))], 500).Save(tiny.Model);
        string digits = tiny.Write("digits.txt", string.Concat(Enumerable.Range(0, 400).Select(i => $"{i} {i * 7} ")));
        string[] arguments = tiny.Train("out");
        arguments[Array.IndexOf(arguments, "--data") + 1] = digits;
        await CliRun.Refused("they do not belong together", arguments);
        File.Delete(Path.Combine(tiny.Model, "tokenizer.json"));
        await CliRun.Refused("holds no tokenizer", tiny.Train("out"));
        await CliRun.Refused("Option '--model' is required", "train", "--data", tiny.Data, "--out", tiny.PathOf("out"));
    }
}
