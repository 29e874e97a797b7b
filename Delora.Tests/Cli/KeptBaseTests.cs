using Delora.Cli;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests;

public sealed class KeptBaseTests
{
    private const string Recipe = "text and settings";

    private static KeptBase Save(TemporaryFolder folder)
    {
        TextTokenizer tokenizer = BpeTrainer.Train(["abc abc abd"], 260);
        LanguageSettings settings = new() { HiddenSize = 8, IntermediateSize = 8, Layers = 1, Heads = 2, KeyValueHeads = 1, Context = 16 };
        using LlamaForCausalLM model = LlamaForCausalLM.Create(settings.Model(tokenizer), Devices.Cpu, new Generator(1));
        KeptBase kept = new(folder.File("base"), folder.File("adapter"));
        kept.Save(
            model, tokenizer, files => new BaseRecord { Recipe = Recipe, Files = files, Steps = 7, Seconds = 1.5, Losses = [[1, 2]] });
        return kept;
    }

    [Fact]
    public void WholeBaseIsFoundByItsRecipe()
    {
        using TemporaryFolder folder = new();
        KeptBase kept = Save(folder);
        kept.RequireOwn();
        BaseRecord record = kept.Find(["other", Recipe], out string? reason)!;
        Assert.Null(reason);
        Assert.Equal((7, 1.5, 4), (record.Steps, record.Seconds, record.Files.Count));
        Assert.Equal([[1.0, 2]], record.Losses);
        Assert.Null(kept.Find(["other"], out reason));
        Assert.Equal("was trained on other text or with other settings", reason);
        (CausalLanguageModel model, TextTokenizer tokenizer) = kept.Load(Devices.Cpu);
        using (model)
            Assert.Equal(model.Config.VocabSize, tokenizer.VocabularySize);
    }

    [Fact]
    public void NothingThereIsNoReason()
    {
        using TemporaryFolder folder = new();
        KeptBase kept = new(folder.File("base"));
        kept.RequireOwn();
        Assert.Null(kept.Find([Recipe], out string? reason));
        Assert.Null(reason);
    }

    [Theory]
    [InlineData("model.safetensors", "model.safetensors has changed")]
    [InlineData("config.json", "config.json has changed")]
    [InlineData("tokenizer.json", "tokenizer.json has changed")]
    [InlineData("tokenizer.model", "tokenizer.model does not belong to it")]
    [InlineData(KeptBase.RecordName, "delora_base.json cannot be read")]
    public void ChangedAndForeignFilesAreNoticed(string file, string told)
    {
        using TemporaryFolder folder = new();
        KeptBase kept = Save(folder);
        File.AppendAllText(folder.File($"base/{file}"), "x");
        Assert.Null(kept.Find([Recipe], out string? reason));
        Assert.Contains(told, reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("[1]")]
    [InlineData("{\"Recipe\":null,\"Files\":{},\"Steps\":1,\"Seconds\":1,\"Losses\":[]}")]
    public void RecordOfAnotherFormIsDamage(string record)
    {
        using TemporaryFolder folder = new();
        KeptBase kept = Save(folder);
        File.WriteAllText(folder.File($"base/{KeptBase.RecordName}"), record);
        Assert.Null(kept.Find([Recipe], out string? reason));
        Assert.Contains("damaged", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void MissingFileIsNoticed()
    {
        using TemporaryFolder folder = new();
        KeptBase kept = Save(folder);
        File.Delete(folder.File("base/model.safetensors"));
        Assert.Null(kept.Find([Recipe], out string? reason));
        Assert.Contains("model.safetensors is missing", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void FolderOfSomebodyElseIsRefused()
    {
        using TemporaryFolder folder = new();
        folder.Write("base/config.json", "{}");
        Assert.Contains("choose another --out", Assert.Throws<InputException>(new KeptBase(folder.File("base")).RequireOwn).Message);
        folder.Write("file", "");
        Assert.Throws<InputException>(new KeptBase(folder.File("file")).RequireOwn);
    }

    [Fact]
    public void AdaptersOfABaseThatIsReplacedGoWithIt()
    {
        using TemporaryFolder folder = new();
        string adapter = folder.Write($"adapter/{PeftModel.WeightsFileName}", "");
        Save(folder);
        Assert.True(File.Exists(adapter));
        Save(folder);
        Assert.False(File.Exists(adapter));
    }

    [Fact]
    public void WhatABrokenRunLeftIsReplaced()
    {
        using TemporaryFolder folder = new();
        folder.Write("base.new/model-00001-of-00002.safetensors", "half");
        Assert.NotNull(Save(folder).Find([Recipe], out _));
        Assert.False(Directory.Exists(folder.File("base.new")));
    }
}
